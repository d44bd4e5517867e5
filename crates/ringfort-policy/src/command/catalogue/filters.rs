// SPDX-License-Identifier: MIT OR Apache-2.0
//! Filters: further programs that read files or standard input and print, each with what else it can do.
//!
//! In: nothing. Out: the entries. **Invariant:** a program stands here only where every option that runs, loads,
//! writes or sends something is listed.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::Role::{Code, Effect, Execute, Load, Mode as Set, Read, Shell, Value, Write};
use super::{Entry, Language, Mode, Opt, Special, Style, flag, low, medium, value};

/// Documents that are named in the input are fetched.
const NET: Opt = flag("--net", Effect(EffectKind::OpenNetwork, Risk::Medium));
const RUN: &[EffectKind] = &[EffectKind::ExecuteText];

pub(super) const ENTRIES: &[Entry] = &[
    // Pagers of packed files: commands can be typed, as in `less`.
    low("zless zmore bzless bzmore xzless xzmore lzless lzmore zstdless")
        .options(&[value("-o -O", Write), value("-k", Load), value("-p -P -t", Value)])
        .operands(&[Read])
        .special(Special::Formats),
    low("zcmp zdiff bzcmp bzdiff xzcmp xzdiff lzcmp lzdiff lzgrep lzegrep lzfgrep zfgrep bzegrep bzfgrep xzegrep xzfgrep zstdgrep")
        .options(&[value("-f --file", Read), value("-e -A -B -C -m", Value)])
        .operands(&[Read]),
    low("hexyl xd bd")
        .options(&[value("-n --length -s --skip -o --display-offset --border -c -b --panels --block-size", Value)])
        .operands(&[Read]),
    low("glow mdcat")
        .options(&[value("-s --style -w --width -c --columns", Value), flag("-p --pager", Value), value("--config", Load)])
        .operands(&[super::Role::RemoteRead]),
    low("isutf8 combine ifdata").operands(&[Value]),
    // Another program of this name runs its words.
    low("ts").style(Style::Posix).options(&[flag("-r -i -s -m", Value)]).operands(&[super::Role::Command]),
    low("pv")
        .options(&[value("-P --pidfile -o --output", Write), value("-R --remote -d --watchfd -L -B -i -s -N -w -H -D -F", Value)])
        .operands(&[Read]),
    low("lolcat boxes nms no-more-secrets pridecat blahaj ponysay fortune cmatrix asciiquarium ascii")
        .options(&[
            value("-f --config", Read),
            value("-d --design -a --align -s --size -p --padding -i --indent -k --kill -t --tabs -F --freq -S --seed -e -n -c", Value),
        ])
        .operands(&[Read, Write]),
    low("gnomon").options(&[value("-t --type -f --format -h --high -m --medium -i --ignore-blank -r --real-time", Value)]),
    low("htmlq")
        .options(&[
            value("-f --filename", Read),
            value("-o --output", Write),
            value("-a --attribute -b --base -r --remove-nodes", Value),
        ])
        .operands(&[Value]),
    low("pup").options(&[value("-f --file", Read), value("-i --indent -l", Value)]).operands(&[Value]),
    low("html2text hxselect hxnormalize hxpipe hxcount hxextract hxname2id hxprune hxremove hxunent hxclean hxaddid")
        .options(&[value("-o", Write), value("-width -style -b -s -c -l -i", Value)])
        .operands(&[Read]),
    medium("xmlstarlet xml").subs(XML),
    low("jo").options(&[value("-f", Read), value("-d -s", Value)]).operands(&[Value]).special(Special::Members),
    low("gron json_pp jsonpp prettyjson yj xmlformat xmlindent")
        .options(&[value("-f -j -i -o", Value)])
        .operands(&[Read]),
    low("csvclean csvformat csvjoin csvjson csvsort csvstack csvsum in2csv xsv tv")
        .options(&[
            value("-c --columns -d --delimiter -q --quotechar -u --quoting -e --encoding -k --key -n -s --select", Value),
            value("-o --output", Write),
        ])
        .operands(&[Value, Read]),
    medium("qsv").subs(QSV).always(RUN),
    medium("csvtool").subs(CSVTOOL).always(RUN),
    medium("q").always(&[EffectKind::Unknown]),
    low("csvsql textql sql2csv")
        .options(&[
            value("-sql --sql --query -q", Code(Language::Sql)),
            value("--db --insert --before-insert --after-insert", Effect(EffectKind::Unknown, Risk::Medium)),
            value("--output-file --save-to -save-to", Write),
            value("-dlm -output-dlm -d", Value),
            flag("-header -output-header -pretty -H", Value),
        ])
        .style(Style::Long)
        .operands(&[Read]),
    low("datamash").options(&[value("-t --field-separator -R --round -g --group --format --output-delimiter", Value)]).operands(&[Value]),
    low("uconv enca chardetect chardet uchardet")
        .options(&[value("-f -t -x -L --from-code --to-code -o", Value)])
        .operands(&[Read]),
    low("wdiff dwdiff diffstat lsdiff filterdiff grepdiff interdiff combinediff flipdiff rediff unwrapdiff")
        .options(&[value("-p -i -x -w -n -m -a -d --strip-match --include --exclude", Value), value("-o", Write)])
        .operands(&[Read]),
    low("splitdiff").options(&[value("-D", Write), value("-p", Value)]).operands(&[Read]).here(),
    low("aspell ispell hunspell")
        .options(&[
            value("-c check", Write),
            value("--conf --per-conf --filter-path", Load),
            value("--personal -p --dict-dir --data-dir --local-data-dir", Read),
            value("-d --master -l --lang --mode --encoding -i --add-extra-dicts --ignore --home-dir", Value),
        ])
        .operands(&[Value, Write]),
    low("spell style diction wn sdcv").options(&[value("-f --file -u", Read), value("-d --dictionary", Value)]).operands(&[Read]),
    low("highlight source-highlight")
        .options(&[
            value("-o --output --outdir -d --out-dir", Write),
            value("-i --input -f", Read),
            value("-S --syntax -s --style --src-lang --out-format -O -l", Value),
            value("--config-file --plug-in --data-dir --config --lang-def --outlang-def --style-file --ctags", Load),
        ])
        .operands(&[Read]),
    low("pygmentize")
        .options(&[
            value("-o", Write),
            value("-l -f -F -O -P -S -a -N", Value),
            flag("-x", Effect(EffectKind::ExecuteText, Risk::High)),
        ])
        .operands(&[Read]),
    // Lists that a person picks from; options bind keys to commands or run one for a preview.
    low("fzf sk skim")
        .options(&[
            value("--preview --bind --execute -c --cmd --with-shell --reload --become", Shell),
            value("-q --query -f --filter -d --delimiter -n --nth --with-nth --height --layout --header --prompt --color", Value),
            value("--history", Write),
            value("--listen", Effect(EffectKind::OpenNetwork, Risk::High)),
        ])
        .operands(&[Value]),
    low("peco percol").options(&[value("--exec", Shell), value("--rcfile", Load), value("--query --prompt --layout", Value)]).operands(&[Read]),
    low("dmenu bemenu choose yank sentaku").options(&[
        value("-m -l -p -fn -nb -nf -sb -sf -w -d -g -x", Value),
    ]),
    low("envsubst").operands(&[Value]).always(&[EffectKind::Unknown]),
    low("msgcat msgconv msgattrib msguniq msgcomm msgcmp msgen msggrep msgunfmt msginit xgettext msgfmt msgmerge")
        .options(&[
            value("-o --output-file -d -p --output-dir", Write),
            value("-f --files-from -C --compendium -x", Read),
            value("-t -k -l -L -D --language --locale --from-code", Value),
        ])
        .operands(&[Read]),
    medium("msgfilter msgexec").style(Style::Posix).options(&[value("-i --input", Read), value("-o", Write)]).operands(&[super::Role::Command]),
    medium("m4").options(&[value("-R --reload-state -F --freeze-state", Load), value("-I -D -U", Value)]).operands(&[Load]).always(RUN),
    medium("indent astyle").options(&[value("-o --output", Write), value("--options --project", Read)]).operands(&[Write]),
    low("gperf re2c ragel ecpg uncrustify")
        .options(&[
            value("-o --output --output-file -H --header", Write),
            value("-c --config -f --file --options", Read),
            value("-l -t -n -k -N -C -D -I -i -p", Value),
            flag("--replace --no-backup -q", Set(Mode::InPlace)),
        ])
        .operands(&[Read]),
    low("fakedata rig lorem").options(&[value("-l --limit -f --format -s --separator", Value), value("--template", Read)]).operands(&[Value]),
    low("units").options(&[value("-f --file -u", Read), value("-d -o -L --log -H --history", Write)]).operands(&[Value]),
    low("argon2").options(&[value("-t -m -k -p -l -v", Value)]).operands(&[Value]),
    low("qrencode").options(&[value("-o --output", Write), value("-r --read-from", Read), value("-s -l -v -m -d -t -S", Value)]).operands(&[Value]),
    low("printenv").operands(&[Value]).special(Special::Variables),
    low("llvm-objdump llvm-nm llvm-readelf llvm-readobj llvm-size llvm-strings llvm-cxxfilt llvm-dwarfdump dwarfdump eu-readelf \
         eu-nm eu-size eu-strings pahole lddtree checksec")
        .options(&[value("-j -d -C -x -e", Value), value("-o --output --out-file", Write)])
        .operands(&[Read]),
    low("actionlint")
        .style(Style::Long)
        .options(&[
            value("-shellcheck -pyflakes", Execute),
            value("-config-file", Load),
            value("-format -ignore -stdin-filename", Value),
        ])
        .operands(&[Read]),
    low("jsonlint")
        .options(&[flag("-i --in-place", Set(Mode::InPlace)), value("-V --validate -f --config", Read), value("-t -T -e -q", Value)])
        .operands(&[Read]),
    low("shellcheck yamllint xmlwf hadolint pyflakes pycodestyle pydocstyle vulture cppcheck \
         proselint write-good checkbashisms desktop-file-validate")
        .options(&[
            value("-c --config --config-file --rcfile -r --rules --library --addon --rule-file", Load),
            value("-s --shell -e --exclude -i --include -f --format -S --severity -o --enable -d --config-data --max-line-length", Value),
            value("--clang --exe", Execute),
            value("--output-file --cppcheck-build-dir --plist-output", Write),
        ])
        .operands(&[Read]),
    low("httprobe").options(&[value("-p -c -t -method", Value)]).always(&[EffectKind::OpenNetwork]),
    low("fc-match fc-query fc-scan fc-pattern fc-cat").options(&[value("-f --format", Value)]).operands(&[Read]),
    low("dircolors").options(&[flag("-p -b -c", Value)]).operands(&[Read]),
    low("lshw").options(&[value("-dump", Write), value("-class -C -c -disable -enable", Value)]).style(Style::Long).operands(&[Value]),
    low("procs btm lstopo hwloc-ls cpufreq-info upower lsscsi ifstat vnstat dfc uprecords biosdecode \
         vpddecode ownership")
        .options(&[value("--dump --output-format --of", Value), value("-o --output -f", Write), value("-C --config --config_location", Load)])
        .operands(&[Value]),
];

/// What only counts, chooses and shows; others run programs, ask services or write beside the input.
const QSV: &[Entry] = &[low(
    "cat count headers slice select search stats frequency sort dedup fill flatten table transpose sample reverse \
         rename replace searchset sniff validate behead enum explode fixlengths fmt pseudo --version --list",
)
.options(&[value("-o --output", Write), value("-s -d -n -l -k -i -e", Value)])
.operands(&[Value, Read])];
const CSVTOOL: &[Entry] = &[
    low("col format height width head drop join namedcol paste pastecol readable replace square sub take transpose trim setcol")
        .operands(&[Value, Read]),
];

const XML: &[Entry] = &[
    low("el elements sel select val validate fo format c14n ls p2x depyx unesc unescape esc escape pyx xmln2x --version --help")
        .options(&[NET, value("-t -m -v -e -s -r -d -x -i -c -N -I --xsd --dtd -w", Value), value("-o", Value)])
        .operands(&[Value, Read]),
    low("ed edit")
        .options(&[
            NET,
            flag("-L --inplace", Set(Mode::InPlace)),
            value("-u -d -i -a -s -r -m -t -n -v -x -N", Value),
        ])
        .operands(&[Read]),
    medium("tr transform").options(&[value("-s -p", Value)]).operands(&[Load, Read]),
    medium("exec").options(&[value("-x", Execute)]).operands(&[Value]).always(RUN),
];
