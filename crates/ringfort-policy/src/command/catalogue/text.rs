// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text tools: programs that read files or standard input and print.
//!
//! In: nothing. Out: the entries. **Invariant:** an option that writes, loads or runs something is listed.

use super::Role::{Code, Execute, List, Load, Mode as Set, Read, Shell, Value, Write};
use super::{attached, flag, low, medium, value, Entry, Language, Mode, Special, Style};

pub(super) const ENTRIES: &[Entry] = &[
    low(&["cat", "tac", "wc", "rev", "bat", "batcat", "zcat", "bzcat", "xzcat", "zstdcat", "gzcat", "lzcat", "file", "cloc", "tokei", "scc"])
        .options(&[value("--files0-from", Read), value("-f", Read), value("--magic-file", Read)])
        .operands(&[Read]),
    low(&[
        "nl", "head", "tail", "fold", "fmt", "expand", "unexpand", "paste", "join", "comm", "od", "hexdump", "strings",
        "cksum", "sum", "md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "b2sum", "b3sum", "shasum", "md5", "cmp", "column", "pr",
        "look", "tsort", "ptx", "numfmt", "factor", "colordiff", "diff3", "sdiff", "xmllint",
        "pdftotext", "pdfinfo", "identify", "exiftool", "mediainfo", "readelf", "objdump", "nm", "size", "addr2line", "c++filt", "otool", "lsattr", "getfacl", "iconv", "ul", "col", "colrm",
    ])
    .options(&[
        value("-n", Value), value("-c", Value), value("-w", Value), value("-s", Value), value("-b", Value), value("-t", Value), value("-j", Value), value("-N", Value),
        value("--lines", Value), value("--bytes", Value), value("--output", Write), value("-o", Value), value("--from-code", Value), value("--to-code", Value), value("-f", Value),
        value("--files0-from", Read), value("--magic-file", Read),
    ])
    .operands(&[Read]),
    low(&["diff", "delta", "difft"]).options(&[value("-U", Value), value("-X", Read), value("-x", Value), value("-I", Value), value("-L", Value), value("--exclude", Value), value("--exclude-from", Read), value("--label", Value), value("-W", Value)]).operands(&[Read]),
    low(&["grep", "egrep", "fgrep", "zgrep", "bzgrep", "xzgrep", "zegrep", "rgrep"])
        .options(&[
            value("-e", Set(Mode::ProgramGiven)), value("--regexp", Set(Mode::ProgramGiven)), value("-f", Read), value("--file", Read), value("-m", Value), value("-A", Value), value("-B", Value), value("-C", Value),
            value("--include", Value), value("--exclude", Value), value("--exclude-dir", Value), value("--exclude-from", Read), value("--max-count", Value), value("-d", Value), value("-D", Value),
            attached("--color", Value), attached("--colour", Value), value("--context", Value), value("--label", Value), value("--binary-files", Value),
        ])
        .operands(&[Value, Read]),
    low(&["rg", "ag", "ack", "ugrep", "ug"])
        .options(&[
            value("--pre", Execute), value("--hostname-bin", Execute), value("-e", Set(Mode::ProgramGiven)), value("--regexp", Set(Mode::ProgramGiven)), value("-f", Read), value("-g", Value), value("--glob", Value), value("--iglob", Value),
            value("-t", Value), value("-T", Value), value("--type", Value), value("--type-not", Value), value("-A", Value), value("-B", Value), value("-C", Value), value("-m", Value), value("-r", Value), value("--replace", Value),
            value("-j", Value), value("--max-depth", Value), value("-d", Value), value("--sort", Value), value("--pager", Shell), value("--ignore-file", Read), flag("--files", Set(Mode::ProgramGiven)), value("-M", Value),
            value("--max-columns", Value), value("--colors", Value), value("--context", Value), value("--color", Value), value("--max-count", Value), value("--after-context", Value), value("--before-context", Value), value("--pre-glob", Value),
        ])
        .operands(&[Value, Read]),
    low(&["sort"])
        .options(&[
            value("-o", Write), value("--output", Write), value("-k", Value), value("--key", Value), value("-t", Value), value("--field-separator", Value), value("-T", Value), value("--temporary-directory", Value), value("-S", Value),
            value("--buffer-size", Value), value("--compress-program", Execute), value("--files0-from", Read), value("--parallel", Value), value("--random-source", Read), value("--batch-size", Value), value("--sort", Value),
        ])
        .operands(&[Read]),
    low(&["uniq"]).options(&[value("-f", Value), value("-s", Value), value("-w", Value), value("--skip-fields", Value), value("--skip-chars", Value), value("--check-chars", Value)]).operands(&[Read, Write]),
    low(&["cut"]).options(&[value("-d", Value), value("-f", Value), value("-c", Value), value("-b", Value), value("--delimiter", Value), value("--fields", Value), value("--characters", Value), value("--bytes", Value), value("--output-delimiter", Value)]).operands(&[Read]),
    low(&["tr"]).special(Special::Transform),
    low(&["shuf"]).options(&[value("-n", Value), value("-i", Value), value("-o", Write), value("--output", Write), value("--random-source", Read), flag("-e", Set(Mode::ProgramGiven))]).operands(&[Read]),
    low(&["jq", "yq", "gojq", "jaq", "xq", "tomlq", "fx", "dasel", "mlr", "csvcut", "csvlook", "csvstat", "csvgrep"])
        .options(&[
            value("-f", Read), value("--from-file", Read), value("--arg", Value), value("--argjson", Value), value("--slurpfile", Read), value("--rawfile", Read), value("-L", Load), flag("-i", Set(Mode::InPlace)), flag("--inplace", Set(Mode::InPlace)),
            value("--indent", Value), value("--tab", Value), value("-o", Value), value("-p", Value),
        ])
        .operands(&[Value, Read]),
    low(&["sed", "gsed"])
        .options(&[
            attached("-i", Set(Mode::InPlace)), attached("--in-place", Set(Mode::InPlace)), flag("-I", Set(Mode::InPlace)), value("-e", Code(Language::Sed)), value("--expression", Code(Language::Sed)), value("-f", Load), value("--file", Load), value("-l", Value), flag("--sandbox", Value),
        ])
        .operands(&[Code(Language::Sed), Read])
        .special(Special::Sed),
    low(&["awk", "gawk", "mawk", "nawk", "original-awk", "bioawk"])
        .options(&[
            value("-F", Value), value("--field-separator", Value), value("-v", Value), value("--assign", Value), value("-f", Load), value("--file", Load), value("-e", Code(Language::Awk)), value("--source", Code(Language::Awk)), value("-i", Load),
            value("--include", Load), value("-l", Load), value("--load", Load), value("-E", Load), value("--exec", Load), attached("-o", Write), attached("-p", Write), attached("-d", Write), value("-W", Value), attached("-D", Value),
        ])
        .style(Style::Posix)
        .operands(&[Code(Language::Awk), Read])
        .special(Special::Awk),
    low(&["xxd"]).options(&[value("-l", Value), value("-s", Value), value("-c", Value), value("-g", Value), flag("-r", Set(Mode::Force))]).operands(&[Read, Write]).special(Special::Transform),
    low(&["base64", "base32", "basenc", "uuencode", "uudecode"]).options(&[value("-w", Value), value("--wrap", Value), value("-i", Read), value("-o", Write)]).operands(&[Read]).special(Special::Transform),
    medium(&["split", "csplit"]).options(&[value("-l", Value), value("-b", Value), value("-n", Value), value("-C", Value), value("-a", Value), value("-t", Value), value("--filter", Shell), value("--lines", Value), value("--bytes", Value), value("--additional-suffix", Value), value("-f", Write), value("--prefix", Write)]).operands(&[Read, Write]),
    low(&["less", "more", "most", "pg"]).options(&[value("-o", Write), value("-O", Write), value("-k", Load), value("--lesskey-file", Load), value("--lesskey-src", Load), value("-p", Value), value("-P", Value), value("-t", Value), value("-T", Read), value("--log-file", Write)]).operands(&[Read]),
    low(&["man", "info", "apropos", "whatis", "tldr", "cheat"]).options(&[value("-P", Shell), value("--pager", Shell), value("-H", Shell), value("--html", Shell), value("-C", Load), value("-M", Value), value("--preprocessor", Value)]),
    medium(&["vim", "vi", "nvim", "view", "vimdiff", "gvim", "ex", "rvim", "emacs", "emacsclient", "ed", "red", "nano", "pico", "micro", "helix", "hx", "joe", "jed", "kak", "code", "codium", "subl", "gedit", "mg", "ne", "mcedit"])
        .options(&[
            value("-c", Code(Language::Editor)), value("--cmd", Code(Language::Editor)), value("-S", Load), value("-s", Load), value("-u", Load), value("-U", Load), value("--eval", Code(Language::Editor)), value("-e", Value), value("-f", Value), value("-l", Load), value("--load", Load),
            value("--execute", Code(Language::Editor)), value("--rcfile", Load), value("--install-extension", Load), flag("-es", Value), flag("--batch", Value),
        ])
        .style(Style::Long)
        .operands(&[Write]),
    low(&["echo", "printf", "print", "seq", "yes", "true", "false", ":", "pwd", "basename", "dirname", "expr", "test", "[", "sleep", "date", "cal", "ncal", "banner", "figlet", "cowsay", "lolcat", "tput", "clear", "reset", "stty", "tty", "bc", "dc", "uuidgen", "cowthink", "toilet", "jot", "mcookie", "pwgen", "random", "usleep", "wait", "times", "logname"])
        .style(Style::Plain)
        .special(Special::Test),
    low(&["which", "whereis", "type", "whence", "where", "locate", "plocate", "mlocate", "hash", "getopt", "getopts", "locale", "nproc", "arch", "uname", "hostname", "hostnamectl", "whoami", "id", "groups", "users", "who", "w", "last", "lastlog", "uptime", "free", "vmstat", "iostat", "mpstat", "sar", "lscpu", "lsmem", "lsblk", "lspci", "lsusb", "lsmod", "lsof", "fuser", "lsns", "lslocks", "dmidecode", "getconf", "sw_vers", "system_profiler", "lsb_release", "nvidia-smi", "sensors", "fdisk-list", "ps", "pgrep", "pidof", "pstree", "top", "htop", "btop", "atop", "iotop", "nmon", "dmesg", "tload", "env-list", "history", "jobs", "dirs", "fc-list", "help", "compgen", "complete", "bind", "neofetch", "fastfetch", "screenfetch", "cpuid", "getent", "findmnt", "infocmp", "ipcs", "lsipc", "numactl-show", "acpi", "hwinfo", "inxi", "blkid", "df"])
        .options(&[value("-c", Value), value("-o", Value), value("-C", Value), value("--config", Load), value("-F", Load)]),
    low(&["ls", "dir", "vdir", "exa", "eza", "lsd", "tree", "du", "dust", "ncdu", "duf", "stat", "readlink", "realpath", "namei", "pathchk", "test-path"])
        .options(&[value("-I", Value), value("-w", Value), value("-T", Value), value("-L", Value), value("-P", Value), value("-d", Value), value("-c", Value), value("-f", Value), value("-o", Value), value("--ignore", Value), value("--exclude", Value), value("--max-depth", Value), value("--format", Value), value("--printf", Value), value("--block-size", Value), value("-B", Value), value("-t", Value), attached("--color", Value), attached("--time", Value), value("--sort", Value), value("--hide", Value)])
        .operands(&[List]),
];
