// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system: services, users, rights, processes, firewalls, keys.
//!
//! In: nothing. Out: the entries. **Invariant:** what switches off a protection or a record is critical.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Effect, Load, Mode as Set, Process, Read, Rule, Value, Write};
use super::{critical, flag, high, low, medium, value, Entry, Mode, Special, Style};

const SERVICE: &[Entry] = &[
    low(&["status", "show", "list-units", "list-unit-files", "is-active", "is-enabled", "is-failed", "cat", "list-timers", "list-sockets", "list-jobs", "help", "--version", "--status-all", "get-default", "list-dependencies", "show-environment", "list", "print", "blame"]),
    high(&["start", "stop", "restart", "reload", "try-restart", "kill", "daemon-reload", "reset-failed", "isolate", "set-environment", "import-environment", "bootout", "unload", "set-property", "edit", "revert", "add-wants", "set-default", "freeze", "thaw"]).always(&[EffectKind::Kill]),
    high(&["enable", "reenable", "link", "load", "bootstrap", "submit", "preset", "add"]).always(&[EffectKind::Persist]),
    high(&["disable", "mask", "unmask"]).rule(&hazard::WEAKENS_SECURITY),
    critical(&["poweroff", "reboot", "halt", "kexec", "suspend", "hibernate", "rescue", "emergency", "soft-reboot"]).rule(&hazard::KILLS_WIDELY),
];

pub(super) const ENTRIES: &[Entry] = &[
    high(&["systemctl", "service", "launchctl", "rc-service", "initctl", "sv", "s6-svc", "supervisorctl", "loginctl", "rc-update", "chkconfig", "update-rc.d", "systemd-analyze", "timedatectl-set", "sc"])
        .options(&[value("-H", Value), value("-M", Value), value("-t", Value), value("-p", Value), value("-n", Value), flag("--user", Value), flag("--now", Value), flag("--no-pager", Value), flag("--help", Set(Mode::Show)), flag("--version", Set(Mode::Show))])
        .subs(SERVICE),
    low(&["journalctl", "timedatectl", "localectl", "coredumpctl", "ausearch", "aureport", "lnav"])
        .options(&[value("--vacuum-size", Rule(&hazard::HIDES_TRACES)), value("--vacuum-time", Rule(&hazard::HIDES_TRACES)), value("--vacuum-files", Rule(&hazard::HIDES_TRACES)), flag("--rotate", Rule(&hazard::HIDES_TRACES)), value("-u", Value), value("-n", Value), value("--since", Value), value("--until", Value), value("-p", Value), value("-o", Value), value("-D", Read), value("--file", Read)]),
    critical(&["shutdown", "reboot", "halt", "poweroff", "init", "telinit", "kexec"]).options(&[flag("--help", Set(Mode::Show)), flag("--version", Set(Mode::Show))]).always(&[EffectKind::Kill]).rule(&hazard::KILLS_WIDELY),
    medium(&["kill", "pkill", "killall", "killall5", "xkill", "skill", "tkill", "taskkill"]).style(Style::Plain).operands(&[Process]).special(Special::Kill),
    low(&["renice", "disown-job"]).options(&[value("-n", Value), value("-p", Value)]),
    high(&["useradd", "adduser", "usermod", "userdel", "deluser", "groupadd", "groupdel", "groupmod", "addgroup", "delgroup", "gpasswd", "passwd", "chpasswd", "chsh", "chfn", "chage", "vipw", "vigr", "visudo", "newusers", "dscl", "dseditgroup", "pwck", "grpck", "pam-auth-update", "authconfig", "faillock", "pwconv", "sysadminctl", "smbpasswd", "htpasswd", "kadmin", "net"]).always(&[EffectKind::ChangePrivilege]).rule(&hazard::CHANGES_PRIVILEGE),
    high(&["iptables", "ip6tables", "iptables-restore", "iptables-save", "nft", "ufw", "firewall-cmd", "pfctl", "ipset", "ebtables", "arptables", "ipfw", "socketfilterfw", "fail2ban-client", "nft-restore", "conntrack"])
        .options(&[flag("-F", Rule(&hazard::WEAKENS_SECURITY)), flag("--flush", Rule(&hazard::WEAKENS_SECURITY)), flag("-X", Rule(&hazard::WEAKENS_SECURITY)), flag("-L", Value), flag("-S", Value), value("-f", Load), flag("--panic-off", Rule(&hazard::WEAKENS_SECURITY)), flag("-d", Value)])
        .operands(&[Rule(&hazard::CHANGES_PRIVILEGE)])
        .always(&[EffectKind::ChangePrivilege])
        .special(Special::Test),
    critical(&["setenforce", "aa-disable", "aa-teardown", "aa-complain", "spctl", "csrutil", "nvram", "bcdedit", "vssadmin", "wevtutil", "fltmc", "mokutil", "setsebool", "semodule", "semanage", "auditctl"]).always(&[EffectKind::ChangePrivilege]).rule(&hazard::WEAKENS_SECURITY),
    high(&["insmod", "modprobe", "rmmod", "depmod", "kmod", "dkms", "kextload", "sysctl", "ldconfig", "grub-install", "grub-mkconfig", "update-grub", "efibootmgr", "dracut", "mkinitramfs", "update-initramfs", "bootctl", "setpci", "flashrom", "modinfo", "udevadm", "devmem", "wrmsr", "nvidia-settings", "bpftool", "keyctl", "auditd", "criu"])
        .options(&[flag("-a", Set(Mode::Show)), flag("-n", Set(Mode::Show)), flag("-p", Set(Mode::Show)), flag("--help", Set(Mode::Show))])
        .always(&[EffectKind::ChangePrivilege])
        .rule(&hazard::CHANGES_PRIVILEGE),
    high(&["gpg", "gpg2", "gpgsm", "gpgconf"])
        .options(&[flag("--export-secret-keys", Effect(EffectKind::ReadSecret, Risk::High)), flag("--export-secret-subkeys", Effect(EffectKind::ReadSecret, Risk::High)), value("-o", Write), value("--output", Write), value("-r", Value), value("-u", Value), value("--homedir", Value), value("--options", Load), value("--passphrase", Value), value("--passphrase-file", Read), value("--recv-keys", Value), value("--keyserver", super::Role::Host)])
        .operands(&[Read]),
    medium(&["openssl", "certtool", "mkcert", "certbot", "acme.sh", "keytool", "step", "cfssl", "easyrsa", "age-keygen", "ssh-keyscan", "minisign", "signify", "cosign", "notation", "gpgv", "sha3sum", "argon2", "tang", "clevis"])
        .options(&[value("-out", Write), value("-keyout", Write), value("-in", Read), value("-inkey", Read), value("-key", Read), value("-engine", Load), value("-provider", Load), value("-provider-path", Load), value("-config", Load), value("-rand", Read), value("-connect", super::Role::Host), value("-accept", Rule(&hazard::LISTENS)), value("-writerand", Write), value("-pass", Value), value("-passin", Value), value("-passout", Value), value("-k", Value), value("-K", Value), value("-days", Value), value("-subj", Value), value("-newkey", Value), value("-CA", Read), value("-CAkey", Read), value("-cert", Read)])
        .style(Style::Long)
        .operands(&[Value])
        .special(Special::Transform),
    medium(&["age", "rage", "sops", "ansible-vault-file", "ccrypt", "mcrypt", "gocryptfs", "encfs", "veracrypt"]).options(&[value("-o", Write), value("--output", Write), value("-i", Read), value("--identity", Read), value("-r", Value), value("-R", Read), flag("-i", Set(Mode::InPlace)), value("-j", Load)]).operands(&[Read]),
    high(&["ssh-keygen"])
        .options(&[value("-f", Write), value("-D", Load), value("-w", Load), value("-t", Value), value("-b", Value), value("-C", Value), value("-N", Value), value("-P", Value), value("-s", Read), value("-I", Value), value("-n", Value), value("-V", Value), value("-O", Value), value("-R", Value), value("-F", Value), value("-m", Value), value("-Y", Value)])
        .style(Style::Posix),
    high(&["ssh-add", "ssh-copy-id", "secret-tool", "security", "kwallet-query", "keyring", "cmdkey", "credential", "gnome-keyring-daemon", "pass-import", "klist", "kinit", "aws-vault", "chamber", "envchain", "teller", "summon", "berglas"]).options(&[value("-i", Read), value("-s", Load), value("-S", Load)]).operands(&[Value]).always(&[EffectKind::ReadSecret]).rule(&hazard::READS_SECRET),
    medium(&["defaults", "gsettings", "dconf", "xdg-settings", "xdg-mime", "xdg-open", "open", "gio", "start", "plutil", "PlistBuddy", "reg", "schtasks", "tccutil", "scutil-set", "pmset", "systemsetup", "xset", "xrandr", "setxkbmap", "loadkeys", "hwclock", "date-set", "tzselect", "setterm", "chvt", "rtcwake", "brightnessctl", "amixer", "pactl", "alsamixer", "bluetoothctl", "lpr", "lp", "cups", "lpadmin", "eject", "cdrecord", "growisofs", "scrot", "import", "screencapture", "gnome-screenshot", "arecord", "xdotool", "ydotool", "wmctrl", "xinput", "showkey"]).operands(&[Value]).always(&[EffectKind::Unknown]),
    medium(&["stress", "stress-ng", "fio", "sysbench", "memtester", "bonnie++", "dd-bench"]).options(&[value("--vm", Value), value("--cpu", Value), value("--timeout", Value)]).always(&[EffectKind::Exhaust]),
    high(&["logrotate", "updatedb", "tmpreaper", "tmpwatch", "systemd-tmpfiles", "bleachbit", "aide", "tripwire", "chkrootkit", "rkhunter", "lynis", "clamscan", "freshclam", "rsyslogd", "syslog-ng", "auditbeat", "osqueryi"]).options(&[value("-s", Write), value("-m", Load), value("--mail", Load), value("-l", Write)]).operands(&[Load]),
    low(&["ipcrm", "sync", "vlock", "lslogins", "lsclocks", "fsfreeze", "mountpoint", "e2label", "dumpe2fs", "xfs_info", "zdump", "zic", "ldd", "pldd", "pmap", "lsinitramfs", "smartctl", "swaplabel", "isosize", "cpupower", "turbostat", "powertop", "numastat", "slabtop", "pidstat", "uuidparse", "whereami"]).operands(&[Read]),
];
