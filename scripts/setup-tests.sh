#!/bin/sh
# Installs what the tests use beside Rust: cargo-nextest runs them, systemd's analyser checks the unit, Python's croniter is
# the oracle of windows, the vendor's SDK the judge of the emulated cloud, MariaDB is what the probe looks at, faketime puts a daemon's clock wrong, ext4's tools make
# the disks whose power is cut. Does nothing where everything is there.
set -eu
cd "$(dirname "$0")/.."

packages=""
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need cc gcc
need systemd-analyze systemd
need column bsdextrautils
need faketime faketime
[ -x /usr/sbin/mkfs.ext4 ] || packages="$packages e2fsprogs"
need python3 python3
# The module that makes an environment with pip in it has a package of its own on Debian.
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages="$packages python3-venv"
# The server program alone, without the package that makes a service of it: the tests start their own.
[ -x /usr/sbin/mariadbd ] || packages="$packages mariadb-server-core"
[ -e /usr/share/zoneinfo/Europe/Berlin ] || packages="$packages tzdata"
if [ -n "$packages" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # the list is made of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest

# An environment of its own for what a test asks in Python; it goes with the build's other products.
environment() { # folder, pinned requirements, a module of them
    if ! cmp -s "$2" "$1/installed.txt" || ! "$1/bin/python" -c "import $3" >/dev/null 2>&1; then
        rm -rf "$1"
        mkdir -p target
        python3 -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$2"
        cp "$2" "$1/installed.txt"
    fi
}
# Debian's own croniter is too old: on nights when clocks change it is an hour off.
environment target/oracle tests/library/windows/requirements.txt croniter
# Takes what Sealift's webhooks are signed with.
environment target/webhooks tests/daemon/notify/requirements.txt standardwebhooks
environment target/sdk tests/sdk/requirements.txt huaweicloudsdkgaussdb
