#!/bin/sh
# Installs what the benchmark uses beside what the tests do, and builds what it is held against: wrk is the yardstick, nginx the
# cheapest server there is. Does nothing where everything is there.
set -eu
cd "$(dirname "$0")/.."

packages=""
command -v wrk >/dev/null 2>&1 || packages="$packages wrk"
nginx=""
[ -x /usr/sbin/nginx ] || nginx="nginx-light"
if [ -n "$packages$nginx" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # the list is made of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages $nginx
    # The package starts a web server on port 80, which nobody asked for: the benchmark starts its own.
    if [ -n "$nginx" ] && command -v systemctl >/dev/null 2>&1; then
        $as_root systemctl disable --now --quiet nginx || true
    fi
fi
cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers
