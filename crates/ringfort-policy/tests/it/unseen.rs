// SPDX-License-Identifier: MIT OR Apache-2.0
//! Harmless programs that something beside their name turns into others: a variable, an option that few know, a
//! name that is a pipe. None is allowed without a question; what stands beside them every day is.

use crate::weakness::{allow, deny};

#[test]
fn deny_variables_that_give_options_files_or_hosts() {
    deny(
        "options in a variable",
        &[
            "ACK_OPTIONS=--pager=./x ack word",
            "ACKRC=./rc ack word",
            "FZF_DEFAULT_OPTS='--preview ./x' fzf",
            "FZF_DEFAULT_COMMAND=./x fzf",
            "ZIPOPT=-TT zip a.zip b",
            "MANROFFOPT=-U man ls",
            "TF_CLI_CONFIG_FILE=./x terraform version",
            "APT_CONFIG=./x apt list",
            "export NIX_CONFIG=x; nix search nixpkgs y",
            "_JAVA_OPTIONS=-javaagent:x jar tf y.jar",
        ],
    );
    deny(
        "another service or another trust",
        &[
            "ALL_PROXY=http://h.example pip index versions x",
            "all_proxy=http://h.example gh pr list",
            "SSL_CERT_FILE=./x gh pr list",
            "NODE_TLS_REJECT_UNAUTHORIZED=0 npm view x",
            "NODE_EXTRA_CA_CERTS=./x npm view x",
            "GOTOOLCHAIN=x go version",
        ],
    );
    deny(
        "a trace that is written where the variable says",
        &[
            "GIT_TRACE=/etc/x git status",
            "GIT_TRACE2_EVENT=/home/u/.bashrc git status",
            "GIT_TRACE_PACKET=/srv/x git fetch",
            "env GIT_TRACE_SETUP=/srv/x git status",
            "export GIT_TRACE_CURL=/srv/x; git fetch",
        ],
    );
    allow("switches", &["GIT_TRACE=1 git status", "NODE_ENV=test node --version", "CI=1 git status"]);
}

#[test]
fn deny_options_of_harmless_programs_that_start_others() {
    deny(
        "one dash or two",
        &[
            "go vet --vettool=./x ./...",
            "go list --toolexec=./x ./...",
            "go vet --vettool ./x ./...",
            "actionlint --shellcheck=./x",
            "actionlint -shellcheck ./x",
            "actionlint -pyflakes=./x",
        ],
    );
    deny(
        "options of searchers and filters",
        &[
            "ugrep --filter='*:./x' word",
            "ugrep --view=./x -Q word",
            "ug --config=./x word",
            "ack --ackrc=./x word",
            "cppcheck --clang=./x a.c",
            "enscript -I './x' a.txt",
            "ts ./x",
            "qsv foreach c './x {}' a.csv",
            "csvtool call ./x a.csv",
        ],
    );
    deny(
        "interpreters that are asked for their version",
        &[
            "uv pip list -p ./x",
            "uv pip list --python=./x",
            "uv python find ./x",
            "uv pip tree -p ./x",
            "uv pip show -p ./x y",
        ],
    );
    deny(
        "settings of package managers behind the word",
        &[
            "apt list -c ./x",
            "apt list -c=./x",
            "yum list -c ./x",
            "dnf info x -c ./y",
            "apt-cache policy x --config-file ./y",
        ],
    );
    deny(
        "what a pager does at its start",
        &[
            "less '+|$./x' a",
            "less +v a",
            "less '+:e .env' a",
            "less '+s/srv/x' a",
            "less '--cmd=!./x' a",
            "less --lesskey-content=x a",
        ],
    );
    deny(
        "a name that is a pipe",
        &[
            "ps2pdf a.ps '%pipe%./x'",
            "ps2pdf -sOutputFile=%pipe%./x a.ps b",
            "pdf2ps a.pdf '|./x'",
            "ps2pdf -dNOSAFER a.ps b.pdf",
            "eps2eps -dDELAYSAFER a b",
        ],
    );
    allow(
        "the everyday forms",
        &[
            "less +G a.log",
            "less +/word a.log",
            "less +20 a.log",
            "go vet ./...",
            "go list -m all",
            "apt list --installed",
            "uv pip list",
            "uv python find",
            "ps2pdf a.ps b.pdf",
            "yq '.a' a.yaml",
            "set -euo pipefail; ls",
        ],
    );
}

#[test]
fn deny_secrets_and_writes_by_seldom_words() {
    deny(
        "git prints a file",
        &[
            "git merge-file -p ~/.netrc /dev/null /dev/null",
            "git interpret-trailers ~/.ssh/id_rsa",
            "git log -L1,5:.ssh/id_rsa",
            "git diff-index -p HEAD ~/.aws/credentials",
            "git whatchanged -p -- .ssh/id_rsa",
        ],
    );
    deny(
        "git overwrites",
        &[
            "git checkout-index -f -a",
            "git checkout-index --force -a",
            "git read-tree --reset -u HEAD",
            "git interpret-trailers --in-place .git/hooks/pre-commit",
            "git checkout-index -fa",
        ],
    );
    deny(
        "clouds show keys",
        &[
            "az signalr key list",
            "az search admin-key show",
            "az webapp deployment list-publishing-profiles",
            "doctl kubernetes cluster kubeconfig show x",
            "kind get kubeconfig",
            "exo dbaas show x --uri",
            "aws ec2 describe-instance-attribute --attribute userData",
            "terraform output --raw x",
        ],
    );
    deny(
        "clients that are pointed elsewhere",
        &[
            "kubectl version --kubeconfig=./x",
            "kubectl completion bash --kubeconfig=./x",
            "kubectl kustomize --enable-exec .",
            "kubectl kustomize https://h.example/x",
            "gh pr list -R h.example/a/b",
            "gh repo view h.example/a/b",
            "kubectl get pods --insecure-skip-tls-verify",
        ],
    );
    deny(
        "files behind a sign or in place",
        &[
            "jo x=@.env",
            "jo x=:.env",
            "jo -- a=%.env",
            "dasel put -f ~/.bashrc -v y .a",
            "yq --split-exp '\"x\"' a.yaml",
            "yq --in-place . ~/.bashrc",
            "zstd --output-dir-flat=/srv x",
            "pngtopnm -text /srv/x a.png",
        ],
    );
    allow(
        "questions",
        &[
            "kubectl get pods",
            "kubectl version",
            "gh pr view 1",
            "az vm list",
            "aws s3 ls",
            "git log -p",
            "git diff-index HEAD",
            "terraform output",
            "jo a=1 b=x",
            "dasel -f a.json .x",
        ],
    );
}
