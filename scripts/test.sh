#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The one command for all tests; .ci/run calls it. Formatting, lints, the release build, every test of the workspace
# (the tidy tests among them) with the end-to-end tests against the release binary, the demonstration, and, when root
# runs it, the end-to-end tests, those of the secrets and the demonstration once more as an ordinary user.
# Network is used for Debian packages (as root), for crates, and for the agents' packages from npm, nothing else.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

# A test that skips because something is not installed fails; only what the kernel lacks may be skipped.
export RINGFORT_TEST_NO_SKIP=1

build_release() {
    # Of that package alone: others may want features of its crates for their tests.
    cargo build --release --locked -p ringfort --bin ringfort
    release=$(target_folder)/release/ringfort
    export RINGFORT_BIN=$release
    "$release" --version
}

# Where cargo put the integration tests of a package.
integration_tests() {
    cargo test -p "$1" --test it --locked --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\/it-[^"]*\)".*/\1/p' | tail -n 1
}

# A container engine of the tests' own; only root can start one.
start_engine() {
    if [ "$(id -u)" -ne 0 ]; then
        printf 'skipped: only root starts a Docker daemon\n'
        export RINGFORT_TEST_DOCKER_HOST=skip
        return 0
    fi
    engine=$(mktemp -d /tmp/ringfort-engine.XXXXXX)
    RINGFORT_TEST_DOCKER_HOST=$(scripts/engine.sh start "$engine")
    export RINGFORT_TEST_DOCKER_HOST
}

engine=
user=
place=
cleanup() {
    stop_user
    if [ -n "$engine" ]; then
        scripts/engine.sh stop "$engine"
        engine=
    fi
}

stop_user() {
    if [ -n "$user" ]; then
        pkill -KILL -u "$user" || true
        userdel --remove "$user" >/dev/null 2>&1 || true
        user=
    fi
    if [ -n "$place" ]; then
        rm -rf "$place"
        place=
    fi
}

# The user's own toolchain: hard links where the file system allows them, since a copy costs a gigabyte.
give_toolchain() {
    local home=$1 from to
    from=$(rustc --print sysroot)
    to=$home/.rustup/toolchains/tests
    mkdir -p "$to" "$home/.cargo/bin"
    cp -al "$from/bin" "$from/lib" "$to/" 2>/dev/null || cp -a "$from/bin" "$from/lib" "$to/"
    for program in cargo rustc rustdoc; do
        ln -s "../../.rustup/toolchains/tests/bin/$program" "$home/.cargo/bin/$program"
    done
    chmod -R a+rX "$home/.rustup" "$home/.cargo"
    chown "$user:" "$home/.rustup" "$home/.rustup/toolchains" "$home/.cargo" "$home/.cargo/bin"
}

# Groups of the user's own on a host with the old control groups, entered by this process: so the limits of an ordinary
# user are tried as well. With the unified ones alone, and without the right, there are none.
enter_groups() {
    local controller group
    for controller in memory pids cpu; do
        group=/sys/fs/cgroup/$controller/$user
        mkdir -p "$group/tests" 2>/dev/null || continue
        chown -R "$user" "$group"
        printf '%s\n' "$BASHPID" >"$group/tests/cgroup.procs" || return
    done
}

leave_groups() {
    local controller
    for controller in memory pids cpu; do
        rmdir "/sys/fs/cgroup/$controller/$user/tests" "/sys/fs/cgroup/$controller/$user" 2>/dev/null || true
    done
}

as_ordinary_user() {
    local home tests secrets status=0
    tests=$(integration_tests ringfort)
    secrets=$(integration_tests ringfort-secrets)
    [ -x "$tests" ] && [ -x "$secrets" ] || { printf 'the tests were not built\n' >&2; return 1; }
    user=ringfort-t$$
    useradd --create-home --shell /bin/bash "$user"
    home=$(getent passwd "$user" | cut -d: -f6)
    give_toolchain "$home"
    place=$(mktemp -d /tmp/ringfort-tests.XXXXXX)
    chmod 755 "$place"
    install -m 755 "$release" "$place/ringfort"
    install -m 755 "$tests" "$place/it"
    install -m 755 "$secrets" "$place/secrets-it"
    cp -R crates/ringfort-secrets/tests "$place/secrets"
    chmod -R a+rX "$place/secrets"
    install -m 755 scripts/demo.sh "$place/demo.sh"
    # For as long as this stage takes, the engine is this user's as well.
    chown "$user" "$engine/socket"
    # shellcheck disable=SC2016 # $1 to $3 are the inner shell's
    (enter_groups; exec runuser -u "$user" -- env -i HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash LANG=C.UTF-8 TERM=xterm \
        PATH="$home/.cargo/bin:/usr/local/bin:/usr/bin:/bin" RINGFORT_BIN="$place/ringfort" \
        RINGFORT_TEST_NO_SKIP="$RINGFORT_TEST_NO_SKIP" RINGFORT_AGENTS=skip \
        RINGFORT_TEST_SECRETS="$place/secrets" \
        RINGFORT_TEST_DOCKER_HOST="$RINGFORT_TEST_DOCKER_HOST" RUST_BACKTRACE="${RUST_BACKTRACE:-1}" \
        sh -c 'cd && id && "$1" && "$2" && "$3"' - "$place/demo.sh" "$place/secrets-it" "$place/it" </dev/null) || status=$?
    leave_groups
    # What a test leaves for the background (git tidies up so) may take a moment to end; nothing may stay.
    for _ in $(seq 50); do
        pgrep -u "$user" >/dev/null || break
        sleep 0.1
    done
    if pgrep -u "$user" -l; then
        printf 'the processes above are still there after the tests\n' >&2
        status=1
    fi
    stop_user
    return "$status"
}

stage 'setup' scripts/setup.sh
RINGFORT_AGENTS=$(target_folder)/agents
export RINGFORT_AGENTS
stage 'agents' scripts/agents.sh "$RINGFORT_AGENTS"
stage 'formatting' cargo fmt --all --check
stage 'lints' cargo clippy --workspace --all-targets --locked -- -D warnings
stage 'fuzz targets' cargo check --manifest-path fuzz/Cargo.toml --locked --target-dir "$(target_folder)"
stage 'release build' build_release
stage 'container engine' start_engine
stage 'tests' cargo test --workspace --locked --no-fail-fast
if [ -d "${RINGFORT_CORPORA:-}" ]; then
    stage 'figures over corpora' cargo run --quiet --locked -p ringfort-testkit -- corpora --ratchet
fi
stage 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
stage 'demonstration' scripts/demo.sh
if [ "$(id -u)" -eq 0 ]; then
    stage 'end to end as an ordinary user' as_ordinary_user
fi
stage 'what is long' cargo run --quiet --locked -p ringfort-testkit -- report
printf '\nall tests passed: %d s\n' "$SECONDS"
