# SPDX-License-Identifier: MIT OR Apache-2.0
# What every script of this folder starts from: the root of the project, a home, a cargo, stages with their seconds.
# Sourced, never run. Works with HOME unset, and with CARGO_HOME and RUSTUP_HOME anywhere.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

if [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
    export HOME
fi
if ! command -v cargo >/dev/null 2>&1; then
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi

# Removes what a script has made; a script that makes something defines its own.
cleanup() { :; }

current=
at_exit() {
    local status=$?
    cleanup
    if [ "$status" -ne 0 ] && [ -n "$current" ]; then
        printf '==== %s: FAILED with status %d after %d s\n' "$current" "$status" "$((SECONDS - started))" >&2
    fi
}
trap at_exit EXIT

# stage NAME COMMAND…: runs one step and says how long it took; the first failure ends the script.
# The command stands alone on its line: inside `if` or `||` bash would ignore failures within it.
stage() {
    current=$1 started=$SECONDS
    shift
    printf '\n==== %s\n' "$current"
    "$@"
    printf '==== %s: %d s\n' "$current" "$((SECONDS - started))"
    current=
}

# The folder that cargo builds in.
target_folder() {
    cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
