// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text tools: programs that read files or standard input and print.
//!
//! In: nothing. Out: the entries. **Invariant:** an option that writes, loads or runs something is listed.

use super::Role::{Code, Execute, List, Load, Mode as Set, Read, Shell, Value, Write};
use super::{Entry, Language, Mode, Special, Style, attached, flag, low, medium, value};

pub(super) const ENTRIES: &[Entry] = &[
    low("cat tac wc bat batcat zcat bzcat xzcat zstdcat gzcat lzcat file cloc tokei scc")
        .options(&[value("--files0-from -f --magic-file", Read)])
        .operands(&[Read]),
    low("head tail ghead gtail")
        .options(&[value("-n -c --lines --bytes --pid -s --sleep-interval", Value)])
        .operands(&[Read]),
    low("nl fold fmt expand unexpand paste join")
        .options(&[value("-w -b -d -t -j -1 -2 -v -i -l --width --delimiters", Value)])
        .operands(&[Read]),
    low("comm od hexdump hd strings cksum sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum shasum md5 \
         cmp column pr look tsort ptx numfmt factor colordiff diff3 sdiff xmllint pdftotext pdfinfo identify exiftool \
         mediainfo readelf objdump nm size addr2line c++filt otool lsattr getfacl iconv ul col colrm")
    .options(&[
        value("-A -N -j --from-code --to-code --skip-bytes --read-bytes --address-radix", Value),
        value("-o --output", Write),
        value("--files0-from --magic-file", Read),
    ])
    .operands(&[Read]),
    low("diff delta difft")
        .options(&[value("-U -x -I -L --exclude --label -W", Value), value("-X --exclude-from", Read)])
        .operands(&[Read]),
    low("grep egrep fgrep zgrep bzgrep xzgrep zegrep rgrep")
        .options(&[
            value("-e --regexp", Set(Mode::ProgramGiven)),
            value("-f --file --exclude-from", Read),
            value(
                "-m -A -B -C --include --exclude --exclude-dir --max-count -d -D --context --label --binary-files",
                Value,
            ),
            attached("--color --colour", Value),
        ])
        .operands(&[Value, Read]),
    low("rg ag ack ugrep ug")
        .options(&[
            value("--pre --hostname-bin", Execute),
            value("-e --regexp", Set(Mode::ProgramGiven)),
            value("-f --ignore-file", Read),
            value(
                "-g --glob --iglob -t -T --type --type-not -A -B -C -m -r --replace -j --max-depth -d --sort -M \
             --max-columns --colors --context --color --max-count --after-context --before-context --pre-glob",
                Value,
            ),
            value("--pager", Shell),
            flag("--files", Set(Mode::ProgramGiven)),
        ])
        .operands(&[Value, Read]),
    low("sort")
        .options(&[
            value("-o --output", Write),
            value(
                "-k --key -t --field-separator -T --temporary-directory -S --buffer-size --parallel --batch-size \
             --sort",
                Value,
            ),
            value("--compress-program", Execute),
            value("--files0-from --random-source", Read),
        ])
        .operands(&[Read]),
    low("uniq").options(&[value("-f -s -w --skip-fields --skip-chars --check-chars", Value)]).operands(&[Read, Write]),
    low("cut")
        .options(&[value("-d -f -c -b --delimiter --fields --characters --bytes --output-delimiter", Value)])
        .operands(&[Read]),
    low("tr").special(Special::Transform),
    low("shuf")
        .options(&[
            value("-n -i", Value),
            value("-o --output", Write),
            value("--random-source", Read),
            flag("-e", Set(Mode::ProgramGiven)),
        ])
        .operands(&[Read]),
    low("jq yq gojq jaq xq tomlq fx dasel mlr csvcut csvlook csvstat csvgrep")
        .options(&[
            value("-f --from-file --slurpfile --rawfile", Read),
            value("--arg --argjson --indent --tab -o -p", Value),
            value("-L", Load),
            flag("-i --inplace", Set(Mode::InPlace)),
        ])
        .operands(&[Value, Read]),
    low("sed gsed")
        .options(&[
            attached("-i --in-place", Set(Mode::InPlace)),
            flag("-I", Set(Mode::InPlace)),
            value("-e --expression", Code(Language::Sed)),
            value("-f --file", Load),
            value("-l", Value),
            flag("--sandbox", Value),
        ])
        .operands(&[Code(Language::Sed), Read])
        .special(Special::Sed),
    low("awk gawk mawk nawk original-awk bioawk")
        .options(&[
            value("-F --field-separator -v --assign -W", Value),
            value("-f --file -i --include -l --load -E --exec", Load),
            value("-e --source", Code(Language::Awk)),
            attached("-o -p -d", Write),
            attached("-D", Value),
        ])
        .style(Style::Posix)
        .operands(&[Code(Language::Awk), Read])
        .special(Special::Awk),
    low("xxd")
        .options(&[value("-l -s -c -g", Value), flag("-r", Set(Mode::Force))])
        .operands(&[Read, Write])
        .special(Special::Transform),
    low("rev").operands(&[Read]).special(Special::Transform),
    low("base64 base32 basenc uuencode uudecode")
        .options(&[value("-w --wrap", Value), value("-i", Read), value("-o", Write)])
        .operands(&[Read])
        .special(Special::Transform),
    medium("split csplit")
        .options(&[
            value("-l -b -n -C -a -t --lines --bytes --additional-suffix", Value),
            value("--filter", Shell),
            value("-f --prefix", Write),
        ])
        .operands(&[Read, Write]),
    low("less more most pg")
        .options(&[
            value("-o -O --log-file", Write),
            value("-k --lesskey-file --lesskey-src", Load),
            value("-p -P -t", Value),
            value("-T", Read),
        ])
        .operands(&[Read]),
    low("man info apropos whatis tldr cheat").options(&[
        value("-P --pager -H --html", Shell),
        value("-C", Load),
        value("-M --preprocessor", Value),
    ]),
    medium(
        "vim vi nvim view vimdiff gvim ex rvim emacs emacsclient ed red nano pico micro helix hx joe jed kak \
         code codium subl gedit mg ne mcedit",
    )
    .options(&[
        value("-c --cmd --eval --execute", Code(Language::Editor)),
        value("-S -s -u -U -l --load --rcfile --install-extension", Load),
        value("-e -f", Value),
        flag("-es --batch", Value),
    ])
    .style(Style::Long)
    .operands(&[Write]),
    low("echo printf print seq yes true false : pwd basename dirname expr test [ sleep date cal ncal banner \
         figlet cowsay lolcat tput clear reset stty tty bc dc uuidgen cowthink toilet jot mcookie pwgen random \
         usleep wait times logname")
    .style(Style::Plain)
    .special(Special::Test),
    low("which whereis type whence where locate plocate mlocate hash getopt getopts locale nproc arch uname \
         hostname hostnamectl whoami id groups users who w last lastlog uptime free vmstat iostat mpstat sar \
         lscpu lsmem lsblk lspci lsusb lsmod lsof fuser lsns lslocks dmidecode getconf sw_vers system_profiler \
         lsb_release nvidia-smi sensors fdisk-list ps pgrep pidof pstree top htop btop atop iotop nmon dmesg \
         tload env-list history jobs dirs fc-list help compgen complete bind neofetch fastfetch screenfetch \
         cpuid getent findmnt infocmp ipcs lsipc numactl-show acpi hwinfo inxi blkid df")
    .options(&[value("-c -o -C", Value), value("--config -F", Load)]),
    low("ls dir vdir exa eza lsd")
        .options(&[
            value("-I -w -T --ignore --width --hide --block-size --sort --format", Value),
            attached("--color --time", Value),
        ])
        .operands(&[List]),
    low("tree")
        .options(&[value("-L -P -I --charset --filelimit --sort --timefmt", Value), value("-o", Write)])
        .operands(&[List]),
    low("du dust ncdu duf")
        .options(&[
            value("-d -B -t --max-depth --exclude --block-size --threshold", Value),
            value("-X --exclude-from --files0-from -f", Read),
            value("-o", Write),
        ])
        .operands(&[List]),
    low("stat readlink realpath namei pathchk test-path")
        .options(&[value("-c --format --printf --relative-to --relative-base", Value)])
        .operands(&[List]),
];
