// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system: services, users, rights, processes, firewalls, keys.
//!
//! In: nothing. Out: the entries. **Invariant:** what switches off a protection or a record is critical.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Effect, Load, Mode as Set, Process, Read, Rule, Value, Write};
use super::{Entry, Mode, Special, Style, critical, flag, high, low, medium, value};

const SERVICE: &[Entry] = &[
    low("status show list-units list-unit-files is-active is-enabled is-failed cat list-timers list-sockets \
         list-jobs help --version --status-all get-default list-dependencies show-environment list print blame"),
    high(
        "start stop restart reload try-restart kill daemon-reload reset-failed isolate set-environment \
         import-environment bootout unload set-property edit revert add-wants set-default freeze thaw",
    )
    .always(&[EffectKind::Kill]),
    high("enable reenable link load bootstrap submit preset add").always(&[EffectKind::Persist]),
    high("disable mask unmask").rule(&hazard::WEAKENS_SECURITY),
    critical("poweroff reboot halt kexec suspend hibernate rescue emergency soft-reboot").rule(&hazard::KILLS_WIDELY),
];

pub(super) const ENTRIES: &[Entry] = &[
    high(
        "systemctl service launchctl rc-service initctl sv s6-svc supervisorctl loginctl rc-update chkconfig \
         update-rc.d systemd-analyze timedatectl-set sc",
    )
    .options(&[
        value("-H -M --host --machine", super::Role::Host),
        value("-t -p -n", Value),
        flag("--user --now --no-pager", Value),
        flag("--help --version", Set(Mode::Show)),
    ])
    .subs(SERVICE),
    low("timedatectl localectl hostnamectl").special(Special::Query),
    medium("coredumpctl").options(&[value("-o --output", Write)]).always(&[EffectKind::ExecuteText]),
    low("journalctl ausearch aureport lnav").options(&[
        value("--cursor-file", Write),
        flag(
            "--setup-keys --flush --relinquish-var --sync --update-catalog",
            Effect(EffectKind::ChangePrivilege, Risk::High),
        ),
        value("--vacuum-size --vacuum-time --vacuum-files", Rule(&hazard::HIDES_TRACES)),
        flag("--rotate", Rule(&hazard::HIDES_TRACES)),
        value("-u -n --since --until -p -o", Value),
        value("-D --file", Read),
    ]),
    critical("shutdown reboot halt poweroff init telinit kexec")
        .options(&[flag("--help --version", Set(Mode::Show))])
        .always(&[EffectKind::Kill])
        .rule(&hazard::KILLS_WIDELY),
    medium("kill pkill killall killall5 xkill skill tkill taskkill")
        .style(Style::Plain)
        .operands(&[Process])
        .special(Special::Kill),
    low("renice disown-job").options(&[value("-n -p", Value)]),
    high(
        "useradd adduser usermod userdel deluser groupadd groupdel groupmod addgroup delgroup gpasswd passwd \
         chpasswd chsh chfn chage vipw vigr visudo newusers dscl dseditgroup pwck grpck pam-auth-update \
         authconfig faillock pwconv sysadminctl smbpasswd htpasswd kadmin net",
    )
    .always(&[EffectKind::ChangePrivilege])
    .rule(&hazard::CHANGES_PRIVILEGE),
    high(
        "iptables ip6tables iptables-restore iptables-save nft ufw firewall-cmd pfctl ipset ebtables arptables \
         ipfw socketfilterfw fail2ban-client nft-restore conntrack",
    )
    .options(&[
        flag("-F --flush -X --panic-off", Rule(&hazard::WEAKENS_SECURITY)),
        flag("-L -S -d", Value),
        value("-f", Load),
    ])
    .operands(&[Rule(&hazard::CHANGES_PRIVILEGE)])
    .always(&[EffectKind::ChangePrivilege])
    .special(Special::Test),
    critical("csrutil").subs(&[
        low("status report help"),
        critical("disable enable clear netboot authenticated-root").rule(&hazard::WEAKENS_SECURITY),
    ]),
    critical(
        "setenforce aa-disable aa-teardown aa-complain spctl nvram bcdedit vssadmin wevtutil fltmc \
         mokutil setsebool semodule semanage auditctl",
    )
    .always(&[EffectKind::ChangePrivilege])
    .rule(&hazard::WEAKENS_SECURITY),
    high(
        "insmod modprobe rmmod depmod kmod dkms kextload sysctl ldconfig grub-install grub-mkconfig update-grub \
         efibootmgr dracut mkinitramfs update-initramfs bootctl setpci flashrom modinfo udevadm devmem wrmsr \
         nvidia-settings bpftool keyctl auditd criu",
    )
    .options(&[flag("-a --help", Set(Mode::Show))])
    .always(&[EffectKind::ChangePrivilege])
    .rule(&hazard::CHANGES_PRIVILEGE),
    high("gpg gpg2 gpgsm gpgconf")
        .options(&[
            flag("--export-secret-keys --export-secret-subkeys", Effect(EffectKind::ReadSecret, Risk::High)),
            value("-o --output", Write),
            value("-r -u --homedir --passphrase --recv-keys", Value),
            value("--options", Load),
            value("--passphrase-file", Read),
            value("--keyserver", super::Role::Host),
        ])
        .operands(&[Read]),
    medium(
        "openssl certtool mkcert certbot acme.sh keytool step cfssl easyrsa age-keygen ssh-keyscan minisign \
         signify cosign notation gpgv sha3sum tang clevis",
    )
    .options(&[
        value("-out -keyout -writerand", Write),
        value("-in -inkey -key -rand -CA -CAkey -cert", Read),
        value("-engine -provider -provider-path -config", Load),
        value("-connect", super::Role::Host),
        value("-accept", Rule(&hazard::LISTENS)),
        value("-pass -passin -passout -k -K -days -subj -newkey", Value),
    ])
    .style(Style::Long)
    .operands(&[Value])
    .special(Special::Transform),
    medium("sops")
        .options(&[
            value("--output", Write),
            flag("-i --in-place", Set(Mode::InPlace)),
            value("--config", Load),
            value("-k -p -a --kms --pgp --age --input-type --output-type --extract", Value),
        ])
        .subs(&[
            medium("exec-env exec-file")
                .style(Style::Posix)
                .operands(&[Read, super::Role::Shell])
                .always(&[EffectKind::ReadSecret]),
            medium("edit encrypt decrypt rotate groups updatekeys publish set unset keyservice filestatus")
                .always(&[EffectKind::ReadSecret]),
        ])
        .operands(&[Read])
        .always(&[EffectKind::ReadSecret]),
    medium("age rage ccrypt mcrypt gocryptfs encfs veracrypt")
        .options(&[value("-o --output", Write), value("-i --identity -R", Read), value("-r", Value), value("-j", Load)])
        .operands(&[Read]),
    high("ssh-keygen")
        .options(&[
            value("-f", Write),
            value("-D -w", Load),
            value("-t -b -C -N -P -I -n -V -O -R -F -m -Y", Value),
            value("-s", Read),
        ])
        .style(Style::Posix),
    high(
        "ssh-add ssh-copy-id secret-tool security kwallet-query keyring cmdkey credential gnome-keyring-daemon \
         pass-import klist kinit aws-vault chamber envchain teller summon berglas",
    )
    .options(&[value("-i", Read), value("-s -S", Load)])
    .operands(&[Value])
    .always(&[EffectKind::ReadSecret])
    .rule(&hazard::READS_SECRET),
    medium(
        "defaults gsettings dconf xdg-settings xdg-mime xdg-open open gio start plutil PlistBuddy reg schtasks \
         tccutil scutil-set pmset systemsetup xset xrandr setxkbmap loadkeys hwclock date-set tzselect setterm \
         chvt rtcwake brightnessctl amixer pactl alsamixer bluetoothctl lpr lp cups lpadmin eject cdrecord \
         growisofs scrot import screencapture gnome-screenshot arecord xdotool ydotool wmctrl xinput showkey",
    )
    .operands(&[Value])
    .always(&[EffectKind::Unknown]),
    medium("stress stress-ng fio sysbench memtester bonnie++ dd-bench")
        .options(&[value("--vm --cpu --timeout", Value)])
        .always(&[EffectKind::Exhaust]),
    high(
        "logrotate updatedb tmpreaper tmpwatch systemd-tmpfiles bleachbit aide tripwire chkrootkit rkhunter \
         lynis clamscan freshclam rsyslogd syslog-ng auditbeat osqueryi",
    )
    .options(&[value("-s -l", Write), value("-m --mail", Load)])
    .operands(&[Load]),
    low("ipcrm sync vlock lslogins lsclocks fsfreeze mountpoint e2label dumpe2fs xfs_info zdump zic \
         pmap lsinitramfs smartctl swaplabel isosize cpupower turbostat powertop numastat slabtop pidstat \
         uuidparse whereami")
    .operands(&[Read]),
];
