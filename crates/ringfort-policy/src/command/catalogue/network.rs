// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network: programs that reach hosts, wait for connections, copy over the network or call services.
//!
//! In: nothing. Out: the entries. **Invariant:** every entry opens the network, whatever its arguments are.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{
    Command, Data, Effect, Execute, Host, Load, Mode as Set, Read, RemoteRead, RemoteWrite, Rule, Shell, Upload, Value,
    Write,
};
use super::{Entry, Mode, Special, Style, flag, high, low, medium, value};

const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];

pub(super) const ENTRIES: &[Entry] = &[
    medium("curl")
        .options(&[
            value(
                "-o --output --output-dir -c --cookie-jar -D --dump-header --trace --trace-ascii --stderr \
             --etag-save --libcurl",
                Write,
            ),
            flag("-O --remote-name", Effect(EffectKind::WritePath, Risk::Medium)),
            value("-d --data --data-binary --data-ascii --data-urlencode --json -F --form -H --header", Data),
            value(
                "--data-raw --form-string --proto -X --request -A --user-agent -e --referer -u --user -m --max-time \
             --connect-timeout --retry --retry-delay -r --range -w --write-out --resolve --connect-to -y -Y -z \
             -C --limit-rate --max-redirs --interface -Q --max-filesize -P -t --oauth2-bearer",
                Value,
            ),
            value("-T --upload-file", Upload),
            value("-K --config --engine", Load),
            value("-b --cookie -E --cert --key --cacert --netrc-file --unix-socket --etag-compare", Read),
            value("-x --proxy --url --doh-url --dns-servers", Host),
        ])
        .operands(&[Host])
        .always(NETWORK),
    medium(
        "wget wget2 aria2c axel http https xh httpie lynx links elinks w3m youtube-dl yt-dlp gallery-dl fetch \
         lftpget",
    )
    .options(&[
        value("-O --output-document -o --output-file -P --directory-prefix -a --save-cookies --dir", Write),
        value("-i --input-file --load-cookies", Read),
        value("--post-file --body-file", Upload),
        value("--post-data --body-data", Data),
        value("-e --execute --config", Load),
        value("--use-askpass --on-download-complete", Execute),
        value(
            "-U --user-agent -t -T --timeout -w --header -d -l -A -R -D -Q --limit-rate -B --method --user \
             --password",
            Value,
        ),
        value("--exec", Shell),
    ])
    .operands(&[Host])
    .always(NETWORK),
    high("nc ncat netcat nc.traditional nc.openbsd socat socket cryptcat sbd rcat websocat")
        .options(&[
            value("-e --exec -c --sh-exec", Shell),
            flag("-l --listen", Rule(&hazard::LISTENS)),
            value("-p -w -s -x -X -q -i -I -O", Value),
            value("-o", Write),
            value("--lua-exec", Load),
        ])
        .operands(&[Host, Value])
        .always(NETWORK)
        .special(Special::Netcat),
    high("ssh mosh autossh dropbear dbclient sshpass plink rsh rlogin rexec slogin")
        .style(Style::Posix)
        .options(&[
            value("-o -i -p -l -L -R -D -b -c -e -m -O -S -w -B -Q -P", Value),
            value("-F -I", Load),
            value("-J -W", Host),
            value("-E", Write),
        ])
        .operands(&[Host, Command])
        .always(NETWORK)
        .special(Special::Ssh),
    high(
        "scp sftp pscp rcp rclone croc magic-wormhole wormhole s3cmd s5cmd mc ftp tftp lftp ncftp ncftpput \
         ncftpget bbcp gsutil azcopy transfer ffsend unison",
    )
    .options(&[
        value("-S", Execute),
        value("-i -P -o -l -c -B -D -X", Value),
        value("-F -b", Load),
        value("-J", Host),
        value("-e", Shell),
    ])
    .operands(&[RemoteRead])
    .last(RemoteWrite)
    .always(NETWORK)
    .special(Special::Ssh),
    medium("rsync rrsync")
        .options(&[
            value("-e --rsh --rsync-path", Shell),
            value(
                "--exclude --include -f --filter --port --bwlimit --max-size -M --chmod --chown \
             --timeout -B",
                Value,
            ),
            value("--exclude-from --include-from --files-from --password-file --link-dest --compare-dest", Read),
            value("-T --temp-dir --log-file --backup-dir --partial-dir --write-batch --only-write-batch", Write),
            flag("--delete", Effect(EffectKind::DeleteTree, Risk::Medium)),
            flag("--remove-source-files", Effect(EffectKind::DeletePath, Risk::Medium)),
            flag("--daemon", Rule(&hazard::LISTENS)),
            value("--config", Load),
            flag("-n --dry-run", Set(Mode::DryRun)),
        ])
        .operands(&[RemoteRead])
        .last(RemoteWrite)
        .special(Special::Ssh),
    high(
        "telnet openvpn wg wg-quick ngrok cloudflared chisel bore localtunnel lt frpc frps tor torsocks-raw \
         tailscale zerotier-cli iodine stunnel proxytunnel 3proxy dnscat msfconsole msfvenom sqlmap hydra nikto \
         masscan zmap hping3 ettercap responder aircrack-ng john hashcat mimikatz crackmapexec gobuster ffuf \
         wfuzz dirb",
    )
    .options(&[value("--config -r", Load), value("-f -p --script-security -e", Value), value("--up", Shell)])
    .operands(&[Host])
    .always(NETWORK),
    medium("nmap tcpdump tshark wireshark ngrep arp-scan dumpcap bettercap netdiscover p0f")
        .options(&[
            value("--script -X", Load),
            value("-iL -r", Read),
            value("-oN -oX -oA -oG -w", Write),
            value("-p -i -c -W -G", Value),
            value("-z", Execute),
        ])
        .style(Style::Long)
        .operands(&[Host])
        .always(NETWORK),
    medium(
        "ping ping6 fping traceroute tracepath mtr dig nslookup host whois drill resolvectl arping kdig dog \
         nping speedtest speedtest-cli iperf iperf3 ab wrk hey siege vegeta httping telnet-probe curlie \
         grpcurl ntpdate rdate sntp chronyc",
    )
    .options(&[value("-c -i -w -W -s -t -p -I -m -q", Value), value("-f -k", Read)])
    .operands(&[Host])
    .always(NETWORK),
    low("finger pinky").operands(&[super::Role::Account]),
    low("ip ifconfig netstat ss route arp iwconfig iw ethtool nmcli networkctl bridge tc netplan rfkill \
         networksetup scutil airport")
    .options(&[value("-b -batch", Load)])
    .style(Style::Long)
    .special(Special::Query),
    high("mail mailx sendmail mutt msmtp swaks telegram-send twilio sendemail ssmtp exim exim4 postqueue neomutt")
        .options(&[value("-a -A", Upload), value("-s", Value), value("-q -i", Read), value("-F", Load)])
        .always(&[EffectKind::OpenNetwork, EffectKind::Publish]),
    high(
        "ansible-playbook ansible-galaxy ansible-vault salt salt-ssh puppet chef-client knife fab cap pssh pdsh \
         clush mussh parallel-ssh",
    )
    .always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
];
