// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text tools: programs that read files or standard input and print.
//!
//! In: nothing. Out: the entries. **Invariant:** an option that writes, loads or runs something is listed.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Code, Execute, List, Load, Mode as Set, Read, Shell, Value, Write};
use super::{Entry, Language, Mode, Special, Style, attached, flag, low, medium, value};

pub(super) const ENTRIES: &[Entry] = &[
    low("cat tac wc zcat bzcat xzcat zstdcat gzcat lzcat cloc tokei scc")
        .options(&[value("--files0-from -f --magic-file", Read)])
        .operands(&[Read]),
    low("file")
        .options(&[
            value("-f --files-from -m --magic-file", Read),
            value("-F --separator -P --parameter -e --exclude", Value),
            flag("-C --compile", super::Role::Effect(EffectKind::WritePath, Risk::Medium)),
        ])
        .operands(&[List]),
    low("bat batcat").options(&[value("--pager", Shell), value("-l -r -H --language --style --theme", Value)]).operands(&[Read]),
    low("head tail ghead gtail")
        .options(&[value("-n -c --lines --bytes --pid -s --sleep-interval", Value)])
        .operands(&[Read]),
    low("nl fold fmt expand unexpand paste join")
        .options(&[value("-w -b -d -t -j -1 -2 -v -i -l --width --delimiters", Value)])
        .operands(&[Read]),
    low("comm od hexdump hd strings cksum sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum b3sum shasum md5 \
         cmp column pr look tsort numfmt factor colordiff pdfinfo \
         mediainfo c++filt otool lsattr getfacl iconv ul col colrm")
    .options(&[
        value("-A -N -j --from-code --to-code --skip-bytes --read-bytes --address-radix", Value),
        value("-o --output", Write),
        value("--files0-from --magic-file", Read),
    ])
    .operands(&[Read]),
    low("readelf objdump nm size addr2line diff3 sdiff")
        .options(&[value("-o --output", Write), value("--plugin", Load), value("--diff-program", Execute), value("-j -A", Value)])
        .operands(&[Read]),
    low("bc").operands(&[Read]),
    low("pdftotext ptx").options(&[value("-f -l -r -x -y -W -H", Value)]).operands(&[Read, Write]),
    medium("xmllint identify exiftool dc ldd pldd")
        .options(&[value("-o --output -w", Write), value("-config --path", Load), value("-e --expression", Value)])
        .style(Style::Long)
        .operands(&[Read])
        .always(&[EffectKind::ExecuteText]),
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
            value("--pre --hostname-bin --view", Execute),
            value("--filter", super::Role::Effect(EffectKind::ExecuteText, Risk::High)),
            attached("--config", Load),
            value("--ackrc", Load),
            attached("--save-config", Write),
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
    low("dasel")
        .options(&[value("-f --file -o --out", Write), value("-r -w -p -t -v -s -m --read --write --parser --type --value", Value)])
        .operands(&[Value]),
    low("csvcut csvlook csvstat csvgrep")
        .options(&[value("-f --file", Read), value("-c -d -q -u -e -m -r -n -t -K -L --columns --delimiter --match --regex", Value)])
        .operands(&[Read]),
    low("yq")
        .options(&[
            value("--from-file --slurpfile --rawfile", Read),
            value("--arg --argjson --indent --tab -o -p", Value),
            value("-L", Load),
            flag("-i --inplace --in-place", Set(Mode::InPlace)),
            flag("--split-exp", super::Role::Effect(EffectKind::WritePath, Risk::Medium)),
            value("--split-exp-file", Load),
        ])
        .operands(&[Code(Language::Jq), Read]),
    low("jq gojq jaq xq tomlq")
        .options(&[
            value("-f --from-file --slurpfile --rawfile", Read),
            value("--arg --argjson --indent --tab -o -p", Value),
            value("-L", Load),
            flag("-i --inplace --in-place", Set(Mode::InPlace)),
        ])
        .operands(&[Code(Language::Jq), Read]),
    medium("fx mlr").operands(&[Read]).always(&[EffectKind::ExecuteText]),
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
            attached("-o -p -d --pretty-print --profile --dump-variables", Write),
            attached("-D --debug", Load),
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
    medium("csplit")
        .options(&[value("-n -b --digits --suffix-format", Value), value("-f --prefix", Write)])
        .operands(&[Read, Value])
        .always(&[EffectKind::WritePath]),
    low("split")
        .options(&[
            value("-l -b -n -C -a -t --lines --bytes --additional-suffix", Value),
            value("--filter", Shell),
        ])
        .operands(&[Read, Write])
        .here(),
    low("less more most pg")
        .options(&[
            attached("--cmd", Value),
            value("--lesskey-content", super::Role::Effect(EffectKind::ExecuteText, Risk::High)),
            value("-o -O --log-file", Write),
            value("-k --lesskey-file --lesskey-src", Load),
            value("-p -P -t", Value),
            value("-T", Read),
        ])
        .operands(&[Read])
        .special(Special::Formats),
    low("man info apropos whatis tldr cheat")
        .options(&[
            value("-P --pager", Shell),
            attached("-H --html", Shell),
            value("-C --config-file", Load),
            value("-o --output --dribble", Write),
            value("-f --file --restore -l --local-file", Read),
            value("-M --manpath --preprocessor -s -S --sections -L -m -k", Value),
        ])
        .operands(&[Read]),
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
    low("echo printf print seq yes true false : pwd basename dirname expr test [ sleep cal ncal banner \
         figlet tput clear reset stty tty uuidgen toilet jot mcookie pwgen random \
         usleep wait times logname")
    .style(Style::Plain)
    .special(Special::Test),
    // A cow is a piece of Perl.
    low("cowsay cowthink").options(&[value("-f", Load), value("-e -T -W", Value)]).operands(&[Value]),
    low("date")
        .options(&[
            value("-s --set", super::Role::Effect(EffectKind::ChangePrivilege, Risk::High)),
            value("-f --file", Read),
            value("-r --reference", List),
            value("-d --date -v -j", Value),
            attached("-I --iso-8601 --rfc-3339", Value),
        ]),
    low("hostname domainname")
        .options(&[value("-F -b", Load)])
        .operands(&[super::Role::Effect(EffectKind::ChangePrivilege, Risk::High)]),
    low("dmesg").options(&[
        flag("-c -C --clear --read-clear", super::Role::Rule(&hazard::HIDES_TRACES)),
        value("-F --file", Read),
        value("-l -f -n --level --facility --since --until --console-level", Value),
    ]),
    low("fuser").options(&[flag("-k --kill", super::Role::Effect(EffectKind::Kill, Risk::High)), value("-n", Value)]),
    low("dmidecode").options(&[value("--dump-bin", Write), value("--from-dump", Read), value("-s -t", Value)]),
    low("nvidia-smi").options(&[
        value("-f --filename", Write),
        value("-i -l -q -d --id --loop --query-gpu --format --display --query-compute-apps", Value),
        flag("-r --gpu-reset", super::Role::Effect(EffectKind::ChangePrivilege, Risk::High)),
        value("-pl -pm -c -e -ac -lgc", super::Role::Effect(EffectKind::ChangePrivilege, Risk::High)),
    ])
    .style(Style::Long),
    low("ps")
        .options(&[value("-p --pid -u --user -U -g --Group -G -t --tty -C -o -O --format --sort -s --sid --ppid -n -q", Value)])
        .special(Special::Processes),
    low("pgrep pidof").options(&[value("-u -U -g -G -P -t -s -F --pidfile -d -o -x", Value)]),
    low("which whereis type whence where getopt getopts locale nproc arch uname whoami id groups users who w \
         last lastlog uptime free vmstat iostat mpstat sar lscpu lsmem lsblk lspci lsusb lsmod lsof lsns \
         lslocks getconf sw_vers system_profiler lsb_release sensors pstree top atop iotop nmon tload \
         env-list jobs dirs fc-list help cpuid getent findmnt infocmp ipcs lsipc numactl-show acpi blkid df")
        .options(&[value("-c -o -C", Value)]),
    low("locate plocate mlocate htop btop neofetch fastfetch screenfetch hwinfo inxi").options(&[value("-c -o -C -d -n", Value), value("--config -F", Load)]),
    low("ls dir vdir exa eza lsd")
        .options(&[
            value("-I -w -T --ignore --width --hide --block-size --sort --format", Value),
            attached("--color --time", Value),
        ])
        .operands(&[List]),
    low("tree")
        .options(&[
            value("-L -P -I --charset --filelimit --sort --timefmt", Value),
            value("--infofile --gitfile", Read),
            value("-o", Write),
            flag("--fromfile --fromtabfile", super::Role::Effect(EffectKind::ReadPath, Risk::Low)),
        ])
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
