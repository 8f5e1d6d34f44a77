#!/bin/sh
# Installs what the tests use beside Rust: cargo-nextest runs them, systemd's analyser checks the unit, wrk is the
# benchmark's yardstick. Does nothing where everything is there.
set -eu

packages=""
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need cc gcc
need systemd-analyze systemd
need wrk wrk
if [ -n "$packages" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # the list is made of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest
