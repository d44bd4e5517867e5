#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A private Docker daemon for the tests, as root: its own folder, no bridge, no rules in the host's tables, no registry.
#   scripts/engine.sh start FOLDER     starts it, makes the image of the tests, prints its address for DOCKER_HOST
#   scripts/engine.sh stop FOLDER      ends it and removes the folder
# The image is a static busybox, each of its programs a link, and nothing else.
set -euo pipefail

usage='usage: scripts/engine.sh start|stop FOLDER'
action=${1:?$usage}
folder=${2:?$usage}
daemon=/usr/sbin/dockerd
client=/usr/bin/docker
image=ringfort-test:1
wait_s=60

# A root file system with nothing but busybox: `busybox --list` names busybox itself, which is no link.
make_root() {
    local root=$1 program
    mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,var,usr/bin}
    install -m 755 "$(command -v busybox)" "$root/bin/busybox"
    while read -r program; do
        [ "$program" = busybox ] || ln -s busybox "$root/bin/$program"
    done < <(busybox --list)
    ln -s ../../bin/env "$root/usr/bin/env"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

start() {
    mkdir -p "$folder"
    chmod 711 "$folder"
    local host=unix://$folder/socket
    setsid "$daemon" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "$host" \
        --bridge none --iptables=false --ip-forward=false >"$folder/log" 2>&1 </dev/null &
    export DOCKER_HOST=$host
    local tries=0
    until timeout 10 "$client" version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -ge "$wait_s" ]; then
            tail -n 20 "$folder/log" >&2
            printf 'the Docker daemon did not answer within %d s\n' "$wait_s" >&2
            stop
            return 1
        fi
        sleep 1
    done
    make_root "$folder/root"
    tar -C "$folder/root" -c . | timeout 60 "$client" import --change 'ENV PATH=/usr/bin:/bin' - "$image" >/dev/null
    printf '%s\n' "$host"
}

stop() {
    local pid
    pid=$(cat "$folder/pid" 2>/dev/null || true)
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        for _ in $(seq "$wait_s"); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
        if kill -0 "$pid" 2>/dev/null; then
            kill -KILL "$pid" || true
        fi
    fi
    rm -rf "$folder"
}

case $action in
    start) start ;;
    stop) stop ;;
    *) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
