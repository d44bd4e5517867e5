#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes sure that everything the tests need is there: programs from Debian packages, rustfmt and clippy.
# As root it installs what is missing; as an ordinary user it says exactly what is missing and what root has to run.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# Looked for where every user finds them: a program in root's home does not serve the ordinary user of the tests.
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# program:package, the program as the tests start it.
wanted=(
    age:age age-keygen:age bash:bash busybox:busybox-static bwrap:bubblewrap cc:gcc dbus-daemon:dbus-daemon dbus-send:dbus-bin gcc:gcc
    git:git gnome-keyring-daemon:gnome-keyring ip:iproute2 make:make nft:nftables node:nodejs npm:npm ps:procps
    python3:python3 runuser:util-linux script:bsdutils setpriv:util-linux setsid:util-linux softhsm2-util:softhsm2
    ssh-keygen:openssh-client swtpm:swtpm tmux:tmux unshare:util-linux useradd:passwd vi:vim-tiny
)

missing=()
for entry in "${wanted[@]}"; do
    PATH=$system_path command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry#*:}")
done
# By their paths: another client of Docker may come first in PATH.
for program in /usr/bin/docker /usr/sbin/dockerd; do
    [ -x "$program" ] || missing+=(docker.io)
done
PATH=$system_path python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)

if [ "${#missing[@]}" -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    install=(apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -y --no-install-recommends install "${missing[@]}")
    if [ "$(id -u)" -ne 0 ]; then
        printf 'missing Debian packages: %s\nas root, run: apt-get update && apt-get install --no-install-recommends %s\n' \
            "${missing[*]}" "${missing[*]}" >&2
        exit 1
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        printf 'missing: the programs of the Debian packages %s; there is no apt-get here, install them by hand\n' \
            "${missing[*]}" >&2
        exit 1
    fi
    printf 'installing: %s\n' "${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -qq update
    "${install[@]}" </dev/null
fi

if ! command -v cargo >/dev/null 2>&1; then
    printf 'missing: a Rust toolchain (cargo is in no folder of PATH and not in CARGO_HOME)\n' >&2
    exit 1
fi
for component in rustfmt:fmt clippy:clippy; do
    if ! cargo "${component#*:}" --version >/dev/null 2>&1; then
        rustup component add "${component%%:*}"
    fi
done
printf 'everything is there: %s\n' "$(rustc --version)"
