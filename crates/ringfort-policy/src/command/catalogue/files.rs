// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: programs that create, copy, change, pack or remove them.
//!
//! In: nothing. Out: the entries. **Invariant:** the destination of a copy is a write, its source a read.

use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Code, Command, Delete, Execute, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{attached, critical, flag, high, low, medium, value, Entry, Language, Mode, Special, Style};

pub(super) const ENTRIES: &[Entry] = &[
    medium(&["cp", "install", "gcp", "ditto", "pax", "cpio"])
        .options(&[
            value("-t", Write), value("--target-directory", Write), value("-S", Value), value("--suffix", Value), value("-m", Value), value("-o", Value), value("-g", Value), value("--mode", Value), value("--owner", Value),
            value("--group", Value), flag("-r", Set(Mode::Recursive)), flag("-R", Set(Mode::Recursive)), flag("-d", Set(Mode::Force)), value("--strip-program", Execute), value("--rsh-command", Shell),
        ])
        .operands(&[Read])
        .last(Write),
    medium(&["mv", "gmv", "rename", "prename", "mmv", "vidir", "exch"]).options(&[value("-t", Write), value("--target-directory", Write), value("-S", Value), value("--suffix", Value)]).operands(&[Write]).last(Write),
    medium(&["ln", "link", "symlink"]).options(&[value("-t", Write), value("--target-directory", Write), value("-S", Value)]).operands(&[Read]).last(Write),
    medium(&["rm", "unlink", "trash", "trash-put", "grm", "rmtrash", "srm"])
        .options(&[flag("-r", Set(Mode::Recursive)), flag("-R", Set(Mode::Recursive)), flag("--recursive", Set(Mode::Recursive)), flag("-f", Set(Mode::Force)), flag("--no-preserve-root", Rule(&hazard::DELETES_EVERYTHING))])
        .operands(&[Delete])
        .special(Special::Remove),
    medium(&["rmdir"]).operands(&[Delete]),
    high(&["shred", "wipe", "scrub", "sdelete"]).options(&[value("-n", Value), value("--iterations", Value), value("-s", Value), value("--size", Value), value("--random-source", Read)]).operands(&[Delete]),
    medium(&["mkdir", "touch", "mkfifo", "mktemp", "tempfile", "mkdirhier"]).options(&[value("-m", Value), value("--mode", Value), value("-d", Value), value("--date", Value), value("-t", Value), value("-r", Read), value("--reference", Read), value("-p", Value)]).operands(&[Write]).special(Special::Test),
    medium(&["truncate", "fallocate"]).options(&[value("-s", Value), value("--size", Value), value("-r", Read), value("--reference", Read), value("-l", Value), value("-o", Value)]).operands(&[Write]),
    low(&["tee", "sponge", "gtee"]).operands(&[Write]),
    medium(&["chmod", "setfacl"]).options(&[flag("-R", Set(Mode::Recursive)), flag("--recursive", Set(Mode::Recursive)), value("--reference", Read), value("-m", Value), value("-x", Value)]).operands(&[Value, Write]).special(Special::Chmod),
    high(&["chown", "chgrp", "lchown"]).options(&[flag("-R", Set(Mode::Recursive)), flag("--recursive", Set(Mode::Recursive)), value("--reference", Read), value("--from", Value)]).operands(&[Value, Write]).always(&[EffectKind::ChangePrivilege]).special(Special::Chmod),
    high(&["chattr", "setcap", "setfattr", "chcon", "restorecon", "chflags", "xattr"]).operands(&[Value, Write]).always(&[EffectKind::ChangePrivilege]),
    medium(&["dd"]).style(Style::Plain).special(Special::Dd),
    critical(&[
        "mkfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "mkfs.fat", "mkfs.ntfs", "mkfs.exfat", "mkfs.f2fs", "mke2fs", "mkswap", "wipefs", "blkdiscard", "hdparm", "sgdisk", "sfdisk", "cfdisk",
        "fdisk", "gdisk", "parted", "cryptsetup", "lvremove", "vgremove", "pvremove", "nvme", "badblocks", "newfs", "diskutil", "zpool", "mdadm", "tune2fs",
    ])
    .operands(&[Write])
    .rule(&hazard::WRITES_DEVICE),
    low(&["tar", "gtar", "bsdtar"]).style(Style::Plain).special(Special::Tar),
    medium(&["zip", "zipsplit", "zipcloak"])
        .options(&[flag("-T", Value), value("-TT", Shell), value("--unzip-command", Shell), value("-x", Value), value("-i", Value), value("-b", Value), value("-P", Value), flag("-m", Value)])
        .style(Style::Long)
        .operands(&[Write, Read]),
    medium(&["unzip", "bsdcpio", "ar", "7z", "7za", "7zr", "unrar", "rar", "unar", "jar", "unsquashfs", "mksquashfs", "dpkg-deb", "rpm2cpio"])
        .options(&[value("-d", Write), value("-x", Value), value("-P", Value), flag("-l", Set(Mode::Show)), flag("-t", Set(Mode::Show)), flag("-Z", Set(Mode::Show)), flag("-v", Set(Mode::Show))])
        .operands(&[Read, Value]),
    medium(&["gzip", "gunzip", "bzip2", "bunzip2", "xz", "unxz", "lzma", "unlzma", "zstd", "unzstd", "lz4", "pigz", "brotli", "compress", "uncompress", "lzop", "lzip", "pbzip2", "pixz"])
        .options(&[value("-S", Value), value("--suffix", Value), value("-o", Write), flag("-c", Value), value("-T", Value), flag("-l", Set(Mode::Show)), flag("-t", Set(Mode::Show))])
        .operands(&[Write])
        .special(Special::Transform),
    medium(&["patch"]).options(&[value("-i", Read), value("--input", Read), value("-o", Write), value("--output", Write), value("-p", Value), value("-d", Value), value("-r", Write), value("--directory", Value), flag("--dry-run", Set(Mode::DryRun)), value("-B", Value), value("-D", Value)]).operands(&[Write, Read]).always(&[EffectKind::WritePath]),
    low(&["find", "gfind"]).style(Style::Plain).special(Special::Find),
    low(&["fd", "fdfind"])
        .options(&[
            value("-x", Command), value("--exec", Command), value("-X", Command), value("--exec-batch", Command), value("-e", Value), value("-t", Value), value("-d", Value), value("-E", Value), value("--type", Value), value("--extension", Value),
            value("--exclude", Value), value("--max-depth", Value), value("-S", Value), value("-j", Value), value("-c", Value), value("--ignore-file", Read), value("--base-directory", Value), value("-o", Value), value("--search-path", Read),
        ])
        .operands(&[Value, Read]),
    medium(&["entr"]).style(Style::Posix).options(&[flag("-s", Value)]).operands(&[Command]),
    high(&["mount", "umount", "losetup", "swapon", "swapoff", "fusermount", "sshfs", "mount.nfs", "pivot_root", "exportfs"]).options(&[value("-o", Value), value("-t", Value), value("-O", Value)]).operands(&[Read, Write]).always(&[EffectKind::ChangePrivilege]),
    medium(&["sqlite3", "sqlite", "duckdb"])
        .options(&[value("-cmd", Code(Language::Sql)), value("-init", Load), value("-separator", Value), value("-c", Code(Language::Sql)), flag("-readonly", Value)])
        .style(Style::Long)
        .operands(&[Write, Code(Language::Sql)]),
    high(&["psql", "mysql", "mariadb", "mongosh", "mongo", "redis-cli", "sqlcmd", "clickhouse-client", "cqlsh", "influx", "usql", "pgcli", "mycli"])
        .options(&[value("-c", Code(Language::Sql)), value("--command", Code(Language::Sql)), value("-e", Code(Language::Sql)), value("--execute", Code(Language::Sql)), value("--eval", Code(Language::Sql)), value("-f", Load), value("--file", Load), value("-h", super::Role::Host), value("-U", Value), value("-d", Value), value("-p", Value), value("-u", Value), value("-o", Write), flag("-l", Value)])
        .operands(&[Code(Language::Sql)])
        .always(&[EffectKind::OpenNetwork]),
    high(&["pg_dump", "pg_dumpall", "mysqldump", "mongodump", "pg_restore", "mongorestore", "dropdb", "createdb", "dropuser", "createuser", "mysqladmin", "mysqlimport"]).options(&[value("-h", super::Role::Host), value("-f", Write), value("-o", Write), value("-U", Value), value("-d", Value)]).always(&[EffectKind::OpenNetwork]),
    medium(&["convert", "magick", "mogrify", "ffmpeg", "ffprobe", "sox", "gs", "pandoc", "wkhtmltopdf", "latex", "pdflatex", "xelatex", "lualatex", "dot", "gnuplot", "inkscape", "tesseract", "qrencode", "optipng", "jpegoptim", "cwebp", "dos2unix", "unix2dos", "recode", "enscript", "groff", "nroff", "troff", "asciidoctor", "mdbook", "hugo", "jekyll", "sphinx-build", "mkdocs", "plantuml", "mmdc"])
        .options(&[value("-o", Write), value("--output", Write), value("-i", Read), value("--filter", Execute), value("-F", Execute), value("--lua-filter", Load), value("--pdf-engine", Execute), flag("-shell-escape", Rule(&hazard::SHELL_ARGUMENT)), flag("--shell-escape", Rule(&hazard::SHELL_ARGUMENT))])
        .style(Style::Long)
        .operands(&[Read])
        .last(Write),
    medium(&["logger", "wall", "write", "mesg", "notify-send", "osascript-notify", "say", "espeak", "xclip", "xsel", "pbcopy", "pbpaste", "wl-copy", "wl-paste"]).options(&[attached("-f", Read)]),
];
