#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The long forms of the tests that have a short, seeded form in scripts/test.sh: writers of the trail killed at random,
# races on start-up files, property tests with many more cases. Release build, since length is the point.
#   scripts/soak.sh [SECONDS [CRATE…]]      120 seconds for each, all crates that have a long form
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

seconds=${1:-120}
case $seconds in
    '' | *[!0-9]*) printf 'usage: scripts/soak.sh [SECONDS [CRATE…]]\n' >&2; exit 2 ;;
esac
[ "$#" -eq 0 ] || shift
if [ "$#" -gt 0 ]; then
    crates=("$@")
else
    crates=(ringfort-core ringfort-policy ringfort-detect ringfort-audit ringfort-secrets ringfort-sandbox ringfort-runtime
        ringfort)
fi

# Every long test reads the first; proptest reads the second: its default of 256 cases takes about a second.
export RINGFORT_SOAK_SECONDS=$seconds
export PROPTEST_CASES=$((256 * seconds))
# How often a writer of secrets is killed.
export RINGFORT_SOAK=500
printf 'RINGFORT_SOAK_SECONDS=%s PROPTEST_CASES=%s\n' "$RINGFORT_SOAK_SECONDS" "$PROPTEST_CASES"

for crate in "${crates[@]}"; do
    stage "$crate" cargo test --release --locked -p "$crate"
done
