// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: programs that create, copy, change, pack or remove them.
//!
//! In: nothing. Out: the entries. **Invariant:** the destination of a copy is a write, its source a read.

use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Code, Command, Delete, Execute, Fresh, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{Entry, Language, Mode, Special, Style, attached, critical, flag, high, low, medium, value};

pub(super) const ENTRIES: &[Entry] = &[
    low("cpio pax")
        .options(&[
            value("-O", Write),
            value("-I -F --file -E --pattern-file", Read),
            value("-H --format -C --io-size -R --owner -D --directory -b -x -s", Value),
            value("--rsh-command", Shell),
        ])
        .special(Special::Archive),
    medium("cp install gcp ditto")
        .options(&[
            value("-t --target-directory", Write),
            value("-S --suffix -m -o -g --mode --owner --group", Value),
            flag("-r -R", Set(Mode::Recursive)),
            flag("-d", Set(Mode::Force)),
            value("--strip-program", Execute),
        ])
        .operands(&[Read])
        .last(Write),
    low("rename prename file-rename perl-rename")
        .options(&[value("-e -E", Code(Language::Perl)), flag("-n --nono -v -f --force -s -o -i", Value)])
        .operands(&[Value, Write])
        .special(Special::Rename),
    medium("mv gmv mmv vidir exch")
        .options(&[value("-t --target-directory", Write), value("-S --suffix", Value)])
        .operands(&[Write])
        .last(Write),
    medium("ln link symlink")
        .options(&[value("-t --target-directory", Write), value("-S", Value)])
        .operands(&[Read])
        .last(Write),
    medium("rm unlink trash trash-put grm rmtrash srm")
        .options(&[
            flag("-r -R --recursive", Set(Mode::Recursive)),
            flag("-f", Set(Mode::Force)),
            flag("--no-preserve-root", Rule(&hazard::DELETES_EVERYTHING)),
        ])
        .operands(&[Delete])
        .special(Special::Remove),
    medium("rmdir").operands(&[Delete]),
    high("shred wipe scrub sdelete")
        .options(&[value("-n --iterations -s --size", Value), value("--random-source", Read)])
        .operands(&[Delete]),
    // A new folder holds nothing and replaces nothing.
    low("mkdir mkdirhier").options(&[value("-m --mode -Z", Value)]).operands(&[Fresh]),
    medium("mkfifo").options(&[value("-m --mode", Value)]).operands(&[Write]),
    medium("touch").options(&[value("-d --date -t", Value), value("-r --reference", Read)]).operands(&[Write]),
    low("mktemp tempfile")
        .options(&[flag("-u --dry-run", Set(Mode::Show)), value("-p", Fresh), value("--suffix -s --prefix", Value), attached("--tmpdir", Fresh)])
        .operands(&[Fresh]),
    medium("truncate fallocate")
        .options(&[value("-s --size -l -o", Value), value("-r --reference", Read)])
        .operands(&[Write])
        .special(Special::Empties),
    low("tee sponge gtee").operands(&[Write]),
    medium("chmod setfacl")
        .options(&[flag("-R --recursive", Set(Mode::Recursive)), value("--reference", Read), value("-m -x", Value)])
        .operands(&[Value, Write])
        .special(Special::Chmod),
    high("chown chgrp lchown")
        .options(&[flag("-R --recursive", Set(Mode::Recursive)), value("--reference", Read), value("--from", Value)])
        .operands(&[Value, Write])
        .always(&[EffectKind::ChangePrivilege])
        .special(Special::Chmod),
    high("chattr setcap setfattr chcon restorecon chflags xattr")
        .operands(&[Value, Write])
        .always(&[EffectKind::ChangePrivilege]),
    medium("dd").style(Style::Plain).special(Special::Dd),
    critical(
        "mkfs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mkfs.exfat \
         mkfs.f2fs mke2fs mkswap wipefs blkdiscard hdparm sgdisk sfdisk cfdisk fdisk gdisk parted cryptsetup \
         lvremove vgremove pvremove nvme badblocks newfs diskutil zpool mdadm tune2fs",
    )
    .operands(&[Write])
    .rule(&hazard::WRITES_DEVICE),
    low("tar gtar bsdtar").style(Style::Plain).special(Special::Tar),
    medium("zip zipsplit zipcloak")
        .options(&[flag("-T -m", Value), value("-TT --unzip-command", Shell), value("-x -i -b -P", Value)])
        .style(Style::Long)
        .operands(&[Write, Read]),
    medium("unzip bsdcpio ar 7z 7za 7zr unrar rar unar jar unsquashfs mksquashfs dpkg-deb rpm2cpio")
        .options(&[attached("-J", Load), value("-d", Write), value("-x -P", Value), flag("-l -t -Z -v", Set(Mode::Show))])
        .operands(&[Read, Value]),
    low(
        "gzip gunzip bzip2 bunzip2 xz unxz lzma unlzma zstd unzstd lz4 pigz brotli compress uncompress lzop lzip \
         pbzip2 pixz",
    )
    .options(&[value("-S --suffix -T", Value), value("-o --output --output-dir-flat --output-dir-mirror", Write), flag("-c --stdout --to-stdout", Set(Mode::Prints)), flag("-l -t --list --test", Set(Mode::Prints)), value("-D --patch-from", Read)])
    .operands(&[Write])
    .special(Special::Transform),
    medium("patch")
        .options(&[
            value("-i --input", Read),
            value("-o --output -r", Write),
            value("-p -d --directory -B -D", Value),
            flag("--dry-run", Set(Mode::DryRun)),
        ])
        .operands(&[Write, Read])
        .always(&[EffectKind::WritePath]),
    low("find gfind").style(Style::Plain).special(Special::Find),
    low("fd fdfind")
        .options(&[
            value("-x --exec -X --exec-batch", Command),
            value("-e -t -d -E --type --extension --exclude --max-depth -S -j -c --base-directory -o", Value),
            value("--ignore-file --search-path", Read),
        ])
        .operands(&[Value, Read]),
    medium("entr").style(Style::Posix).options(&[flag("-s", Value)]).operands(&[Command]),
    high("mount umount losetup swapon swapoff fusermount sshfs mount.nfs pivot_root exportfs")
        .options(&[value("-o -t -O", Value)])
        .operands(&[Read, Write])
        .always(&[EffectKind::ChangePrivilege]),
    medium("sqlite3 sqlite duckdb sqlite-utils")
        .options(&[
            value("-cmd -c", Code(Language::Sql)),
            value("-init", Load),
            value("-separator", Value),
            flag("-readonly", Value),
        ])
        .style(Style::Long)
        .operands(&[Write, Code(Language::Sql)])
        .special(Special::Sql),
    high("psql mysql mariadb mongosh mongo redis-cli sqlcmd clickhouse-client cqlsh influx usql pgcli mycli")
        .options(&[
            value("-c --command -e --execute --eval", Code(Language::Sql)),
            value("-f --file", Load),
            value("-h", super::Role::Host),
            value("-U -d -p -u", Value),
            value("-o", Write),
            flag("-l", Value),
        ])
        .operands(&[Code(Language::Sql)])
        .always(&[EffectKind::OpenNetwork]),
    high(
        "pg_dump pg_dumpall mysqldump mongodump pg_restore mongorestore dropdb createdb dropuser createuser \
         mysqladmin mysqlimport",
    )
    .options(&[value("-h", super::Role::Host), value("-f -o", Write), value("-U -d", Value)])
    .always(&[EffectKind::OpenNetwork]),
    medium(
        "convert magick mogrify gs pandoc wkhtmltopdf latex pdflatex xelatex lualatex gnuplot inkscape groff nroff troff \
         asciidoctor mdbook hugo jekyll sphinx-build mkdocs plantuml mmdc",
    )
    .options(&[
        value("-o --output -output-directory --extract-media -path", Write),
        value("-i", Read),
        value("--filter -F --pdf-engine", Execute),
        value("--lua-filter -L -d --defaults", Load),
        flag("-shell-escape --shell-escape", Rule(&hazard::SHELL_ARGUMENT)),
    ])
    .style(Style::Long)
    .operands(&[Read])
    .last(Write)
    .always(&[EffectKind::ExecuteText]),
    medium("dos2unix unix2dos").operands(&[Write]),
    medium(
        "ffmpeg ffprobe sox tesseract optipng jpegoptim cwebp recode enscript",
    )
    .options(&[
        value("-o --output", Write),
        value("-i", Read),
        value("--filter -F --pdf-engine", Execute),
        value("-I", Shell),
        value("--lua-filter -/filter_complex -filter_complex_script -filter_script", Load),
        flag("-shell-escape --shell-escape", Rule(&hazard::SHELL_ARGUMENT)),
    ])
    .style(Style::Long)
    .operands(&[Read])
    .last(Write),
    low("logger").options(&[
        value("-f --file", Read),
        value("-n --server", super::Role::Host),
        value("-u --socket", Write),
        value("-p -t -P --priority --tag --port --id -S --size", Value),
    ]),
    medium("wall write mesg notify-send osascript-notify say espeak").options(&[value("-f --file", Read)]),
    // What is put there does nothing until a person pastes it; what lies there may be a password.
    low("pbcopy wl-copy clip"),
    low("xclip")
        .options(&[
            flag("-o -out", super::Role::Effect(EffectKind::Unknown, ringfort_core::decision::Risk::Medium)),
            value("-selection -se -sel -t -target -d -display -l -loops", Value),
        ])
        .style(Style::Long)
        .operands(&[Read]),
    low("xsel").options(&[flag(
        "-o --output",
        super::Role::Effect(EffectKind::Unknown, ringfort_core::decision::Risk::Medium),
    )]),
    medium("pbpaste wl-paste").always(&[EffectKind::Unknown]),
];
