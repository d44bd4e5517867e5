#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A first look: a real program works inside, a forbidden act is stopped, recorded and explained.
# Builds the release binary, unless RINGFORT_BIN names one. Everything happens in a folder of its own, with a home and
# a key made up for the purpose; the folder is removed at the end. Fails where Ringfort does not do what it says.
set -euo pipefail

binary=${RINGFORT_BIN:-}
if [ -z "$binary" ]; then
    # shellcheck source=scripts/environment.sh
    . "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
    cargo build --release --locked --bin ringfort
    binary=$(target_folder)/release/ringfort
fi
for variable in "${!RINGFORT_@}"; do
    unset "$variable"
done

demo=$(mktemp -d)
trap 'rm -rf "$demo"' EXIT
project=$demo/home/project
output=$demo/output
mkdir -p "$demo/home/.ssh" "$project"
printf 'this is not a real key\n' >"$demo/home/.ssh/id_ed25519"
export HOME=$demo/home XDG_STATE_HOME=$demo/state XDG_CONFIG_HOME=$demo/config
cd "$project"

# What an agent might do: honest work with git, then what nobody asked for.
cat >agent.sh <<'AGENT'
echo "agent: $(id -un) in $(pwd)"
git init --quiet . && echo "one line" >notes.txt && git add notes.txt
git -c user.name=agent -c user.email=agent@example.org commit --quiet -m "Add notes" && git log --oneline
echo "agent: and now your key"
cat "$HOME/.ssh/id_ed25519"
echo "agent: and a file beside the project"
echo "I was here" >"$HOME/agent-was-here"
echo "agent: and the network"
bash -c 'exec 3<>/dev/tcp/192.0.2.1/80' 2>&1
exit 0
AGENT

fail() {
    printf '\nthe demonstration FAILED: %s\n' "$1" >&2
    exit 1
}

# show EXPECTED-STATUS ARGUMENT…: shows a command, runs it, and fails where its exit status is another.
show() {
    local expected=$1 status=0
    shift
    printf '\n$ ringfort'
    printf ' %q' "$@"
    printf '\n'
    "$binary" "$@" >"$output" 2>&1 </dev/null || status=$?
    cat "$output"
    printf '[exit status %d]\n' "$status"
    [ "$status" -eq "$expected" ] || fail "the exit status is $status, $expected was expected"
}

printf '1. A program that nobody has read works inside, and gets no further than the project.\n'
show 0 run -- sh agent.sh
grep -q 'Add notes' "$output" || fail 'git did not work inside'
git -C "$project" log --oneline | grep -q 'Add notes' || fail 'the commit is not in the project'
grep -q 'not a real key' "$output" && fail 'the key was read'
[ -e "$demo/home/agent-was-here" ] && fail 'a file was written beside the project'

printf '\n2. What is forbidden by name does not start at all.\n'
show 126 run -- cat "$demo/home/.ssh/id_ed25519"
grep -q 'not a real key' "$output" && fail 'the key was read'

printf '\n3. Why, and what would change the answer.\n'
show 1 check --explain -- cat "$demo/home/.ssh/id_ed25519"

printf '\n4. It is all on the record, and the record is whole.\n'
show 0 trail tail
grep -q 'agent.sh' "$output" || fail 'the run is not on the record'
grep -q 'id_ed25519' "$output" || fail 'the denial is not on the record'
show 0 trail verify

printf '\nthe demonstration is over: a program worked, and what was forbidden was stopped, recorded and explained\n'
