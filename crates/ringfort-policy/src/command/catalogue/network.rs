// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network: programs that reach hosts, wait for connections, copy over the network or call services.
//!
//! In: nothing. Out: the entries. **Invariant:** every entry opens the network, whatever its arguments are.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Data, Effect, Execute, Host, Load, Mode as Set, Read, RemoteRead, RemoteWrite, Rule, Shell, Upload, Value, Write};
use super::{attached, flag, high, low, medium, value, Entry, Mode, Special, Style};

const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];

const CLOUD: &[Entry] = &[
    low(&["help", "version", "--version", "--help", "completion"]),
    medium(&["get", "describe", "list", "ls", "show", "status", "logs", "top", "explain", "api-resources", "api-versions", "cluster-info", "wait", "diff", "view"]).always(NETWORK),
    high(&["delete", "destroy", "remove", "rm", "drain", "terminate", "purge"]).always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
    high(&["apply", "create", "replace", "patch", "edit", "scale", "rollout", "set", "label", "annotate", "cordon", "uncordon", "taint", "expose", "autoscale", "run", "debug", "attach", "port-forward", "proxy", "cp", "auth", "config", "certificate", "login", "install", "upgrade", "uninstall", "rollback"]).always(NETWORK),
    high(&["exec"]).style(Style::Posix).options(&[value("-n", Value), value("--namespace", Value), value("-c", Value), value("--container", Value)]).operands(&[Value, Command]).always(NETWORK),
];

const TERRAFORM: &[Entry] = &[
    low(&["fmt", "validate", "version", "output", "show", "graph", "providers", "console", "workspace", "metadata"]),
    medium(&["init", "plan", "get", "refresh", "test", "login", "logout"]).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    high(&["apply", "import", "taint", "untaint", "state", "force-unlock", "up", "preview"]).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::Spend]),
    high(&["destroy", "down"]).always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
];

const GH: &[Entry] = &[
    low(&["help", "version", "completion", "alias-list"]),
    medium(&["status", "browse", "search", "repo", "pr", "issue", "run", "workflow", "cache", "label", "project", "ruleset", "org", "config", "gpg-key", "codespace", "attestation"]).always(NETWORK),
    high(&["api", "auth", "secret", "variable", "ssh-key", "release", "gist", "alias", "extension"]).always(NETWORK),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium(&["curl"])
        .options(&[
            value("-o", Write), value("--output", Write), value("--output-dir", Write), flag("-O", Effect(EffectKind::WritePath, Risk::Medium)), flag("--remote-name", Effect(EffectKind::WritePath, Risk::Medium)), value("-d", Data), value("--data", Data), value("--data-binary", Data), value("--data-ascii", Data), value("--data-raw", Value),
            value("--data-urlencode", Data), value("--json", Data), value("-F", Data), value("--form", Data), value("--form-string", Value), value("-T", Upload), value("--upload-file", Upload), value("-H", Data), value("--header", Data), value("-K", Load), value("--config", Load), value("-b", Read), value("--cookie", Read),
            value("-c", Write), value("--cookie-jar", Write), value("-D", Write), value("--dump-header", Write), value("--trace", Write), value("--trace-ascii", Write), value("--stderr", Write), value("-E", Read), value("--cert", Read), value("--key", Read), value("--cacert", Read), value("--netrc-file", Read), value("--proto", Value),
            value("-X", Value), value("--request", Value), value("-A", Value), value("--user-agent", Value), value("-e", Value), value("--referer", Value), value("-u", Value), value("--user", Value), value("-x", Host), value("--proxy", Host), value("--url", Host), value("-m", Value), value("--max-time", Value), value("--connect-timeout", Value),
            value("--retry", Value), value("--retry-delay", Value), value("-r", Value), value("--range", Value), value("-w", Value), value("--write-out", Value), value("--resolve", Value), value("--connect-to", Value), value("-y", Value), value("-Y", Value), value("-z", Value), value("-C", Value), value("--limit-rate", Value), value("--max-redirs", Value),
            value("--unix-socket", Read), value("--engine", Load), value("--interface", Value), value("-Q", Value), value("--max-filesize", Value), value("--etag-save", Write), value("--etag-compare", Read), value("--libcurl", Write), value("--doh-url", Host), value("--dns-servers", Host), value("-P", Value), value("-t", Value), value("--oauth2-bearer", Value),
        ])
        .operands(&[Host])
        .always(NETWORK),
    medium(&["wget", "wget2", "aria2c", "axel", "http", "https", "xh", "httpie", "lynx", "links", "elinks", "w3m", "youtube-dl", "yt-dlp", "gallery-dl", "fetch", "lftpget"])
        .options(&[
            value("-O", Write), value("--output-document", Write), value("-o", Write), value("--output-file", Write), value("-P", Write), value("--directory-prefix", Write), value("-a", Write), value("-i", Read), value("--input-file", Read), value("--post-file", Upload), value("--body-file", Upload), value("--post-data", Data), value("--body-data", Data),
            value("-e", Load), value("--execute", Load), value("--use-askpass", Execute), value("--config", Load), value("--load-cookies", Read), value("--save-cookies", Write), value("-U", Value), value("--user-agent", Value), value("-t", Value), value("-T", Value), value("--timeout", Value), value("-w", Value), value("--header", Value), value("-d", Value),
            value("--dir", Write), value("-l", Value), value("-A", Value), value("-R", Value), value("-D", Value), value("--exec", Shell), value("--on-download-complete", Execute), value("-Q", Value), value("--limit-rate", Value), value("-B", Value), value("--method", Value), value("--user", Value), value("--password", Value),
        ])
        .operands(&[Host])
        .always(NETWORK),
    high(&["nc", "ncat", "netcat", "nc.traditional", "nc.openbsd", "socat", "socket", "cryptcat", "sbd", "rcat", "websocat"])
        .options(&[value("-e", Shell), value("--exec", Shell), value("-c", Shell), value("--sh-exec", Shell), flag("-l", Rule(&hazard::LISTENS)), flag("--listen", Rule(&hazard::LISTENS)), value("-p", Value), value("-w", Value), value("-s", Value), value("-x", Value), value("-X", Value), value("-q", Value), value("-i", Value), value("-o", Write), value("--lua-exec", Load), value("-I", Value), value("-O", Value)])
        .operands(&[Host, Value])
        .always(NETWORK)
        .special(Special::Netcat),
    high(&["ssh", "mosh", "autossh", "dropbear", "dbclient", "sshpass", "plink", "rsh", "rlogin", "rexec", "slogin"])
        .style(Style::Posix)
        .options(&[
            value("-o", Value), value("-i", Value), value("-p", Value), value("-l", Value), value("-F", Load), value("-J", Host), value("-L", Value), value("-R", Value), value("-D", Value), value("-W", Host), value("-b", Value), value("-c", Value), value("-E", Write), value("-e", Value), value("-m", Value), value("-O", Value), value("-S", Value),
            value("-w", Value), value("-B", Value), value("-I", Load), value("-Q", Value), value("-P", Value),
        ])
        .operands(&[Host, Command])
        .always(NETWORK)
        .special(Special::Ssh),
    high(&["scp", "sftp", "pscp", "rcp", "rclone", "croc", "magic-wormhole", "wormhole", "s3cmd", "s5cmd", "mc", "ftp", "tftp", "lftp", "ncftp", "ncftpput", "ncftpget", "bbcp", "gsutil", "azcopy", "transfer", "ffsend", "unison"])
        .options(&[value("-S", Execute), value("-i", Value), value("-P", Value), value("-o", Value), value("-F", Load), value("-l", Value), value("-c", Value), value("-J", Host), value("-b", Load), value("-B", Value), value("-e", Shell), value("-D", Value), value("-X", Value)])
        .operands(&[RemoteRead])
        .last(RemoteWrite)
        .always(NETWORK)
        .special(Special::Ssh),
    medium(&["rsync", "rrsync"])
        .options(&[
            value("-e", Shell), value("--rsh", Shell), value("--rsync-path", Shell), value("--exclude", Value), value("--include", Value), value("--exclude-from", Read), value("--include-from", Read), value("--files-from", Read), value("-f", Value), value("--filter", Value), value("--log-file", Write), value("--password-file", Read), value("--port", Value),
            flag("--delete", Effect(EffectKind::DeleteTree, Risk::Medium)), flag("--remove-source-files", Effect(EffectKind::DeletePath, Risk::Medium)), flag("--daemon", Rule(&hazard::LISTENS)), value("--config", Load), flag("-n", Set(Mode::DryRun)), flag("--dry-run", Set(Mode::DryRun)), value("-T", Value), value("--temp-dir", Value), value("--backup-dir", Write), value("--bwlimit", Value), value("--max-size", Value),
            value("--link-dest", Read), value("--compare-dest", Read), value("-M", Value), value("--chmod", Value), value("--chown", Value), value("--partial-dir", Write), value("--timeout", Value), value("-B", Value),
        ])
        .operands(&[RemoteRead])
        .last(RemoteWrite)
        .special(Special::Ssh),
    high(&["telnet", "openvpn", "wg", "wg-quick", "ngrok", "cloudflared", "chisel", "bore", "localtunnel", "lt", "frpc", "frps", "tor", "torsocks-raw", "tailscale", "zerotier-cli", "iodine", "stunnel", "proxytunnel", "3proxy", "dnscat", "msfconsole", "msfvenom", "sqlmap", "hydra", "nikto", "masscan", "zmap", "hping3", "ettercap", "responder", "aircrack-ng", "john", "hashcat", "mimikatz", "crackmapexec", "gobuster", "ffuf", "wfuzz", "dirb"])
        .options(&[value("--config", Load), value("-f", Value), value("-p", Value), value("--up", Shell), value("--script-security", Value), value("-e", Value), value("-r", Load)])
        .operands(&[Host])
        .always(NETWORK),
    medium(&["nmap", "tcpdump", "tshark", "wireshark", "ngrep", "arp-scan", "dumpcap", "bettercap", "netdiscover", "p0f"])
        .options(&[value("--script", Load), value("-iL", Read), value("-oN", Write), value("-oX", Write), value("-oA", Write), value("-oG", Write), value("-p", Value), value("-w", Write), value("-r", Read), value("-z", Execute), value("-i", Value), value("-c", Value), value("-X", Load), value("-W", Value), value("-G", Value)])
        .style(Style::Long)
        .operands(&[Host])
        .always(NETWORK),
    medium(&["ping", "ping6", "fping", "traceroute", "tracepath", "mtr", "dig", "nslookup", "host", "whois", "drill", "resolvectl", "arping", "kdig", "dog", "nping", "speedtest", "speedtest-cli", "iperf", "iperf3", "ab", "wrk", "hey", "siege", "vegeta", "httping", "telnet-probe", "finger", "curlie", "grpcurl", "ntpdate", "rdate", "sntp", "chronyc"])
        .options(&[value("-c", Value), value("-i", Value), value("-w", Value), value("-W", Value), value("-s", Value), value("-t", Value), value("-p", Value), value("-f", Read), value("-k", Read), value("-I", Value), value("-m", Value), value("-q", Value)])
        .operands(&[Host])
        .always(NETWORK),
    low(&["ip", "ifconfig", "netstat", "ss", "route", "arp", "iwconfig", "iw", "ethtool", "nmcli", "networkctl", "bridge", "tc", "netplan", "rfkill", "networksetup", "scutil", "airport"])
        .options(&[value("-b", Load), value("-batch", Load), value("-n", Value), value("-netns", Value)])
        .style(Style::Long),
    high(&["mail", "mailx", "sendmail", "mutt", "msmtp", "swaks", "telegram-send", "twilio", "sendemail", "ssmtp", "exim", "exim4", "postqueue", "neomutt"]).options(&[value("-a", Upload), value("-A", Upload), value("-s", Value), value("-q", Read), value("-i", Read), value("-F", Load)]).always(&[EffectKind::OpenNetwork, EffectKind::Publish]),
    high(&["kubectl", "oc", "k3s", "k9s", "helm", "kustomize", "minikube", "kind", "eksctl", "argocd", "flux", "istioctl", "kubeadm", "kops"]).style(Style::Posix).options(&[value("-n", Value), value("--namespace", Value), value("--context", Value), value("--kubeconfig", Load), value("-l", Value), value("--cluster", Value)]).subs(CLOUD).always(NETWORK),
    high(&["aws", "gcloud", "az", "doctl", "hcloud", "linode-cli", "oci", "ibmcloud", "flyctl", "fly", "heroku", "vercel", "netlify", "firebase", "wrangler", "railway", "supabase", "scw", "exo", "vultr-cli", "serverless", "sam", "cdk", "amplify", "eb", "copilot", "vault", "consul", "nomad", "op", "bw", "lpass", "gopass", "pass", "doppler"]).style(Style::Posix).options(&[value("--profile", Value), value("--region", Value), value("--project", Value), value("--output", Value)]).always(NETWORK),
    high(&["terraform", "tofu", "terragrunt", "pulumi", "ansible", "packer"]).style(Style::Posix).options(&[attached("-chdir", Value)]).subs(TERRAFORM).always(NETWORK),
    high(&["ansible-playbook", "ansible-galaxy", "ansible-vault", "salt", "salt-ssh", "puppet", "chef-client", "knife", "fab", "cap", "pssh", "pdsh", "clush", "mussh", "parallel-ssh"]).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    medium(&["gh", "glab", "hub", "tea", "jira", "linear", "acli"]).style(Style::Posix).options(&[value("-R", Value), value("--repo", Value)]).subs(GH).always(NETWORK),
];
