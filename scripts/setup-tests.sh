#!/bin/sh
# Installs what the tests use beside Rust: cargo-nextest runs them, systemd's analyser checks the unit and its journal takes the
# logs, Python's croniter is the oracle of windows, the vendor's SDK the judge of the emulated cloud, schemathesis asks the API,
# Prometheus and the classes of Grafana and OpenTelemetry read what is measured, the probe looks at MariaDB, faketime puts a
# daemon's clock wrong, a store lies in PostgreSQL, ext4's tools make the disks whose power is cut, Debian's own tools make, judge and boot the package;
# zsh and fish are asked what they offer; Chromium, with two fonts and three packages of npm's, is the browser in front of the operator's page. Does nothing where
# everything is there.
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
# PostgreSQL's programs: as above, and its package is told to make no server of its own.
if ! ls /usr/lib/postgresql/1[5-9]/bin/initdb >/dev/null 2>&1; then
    packages="$packages postgresql"
    no_cluster=/etc/postgresql-common/createcluster.d/sealift-tests.conf
fi
[ -e /usr/share/zoneinfo/Europe/Berlin ] || packages="$packages tzdata"
# What makes the Debian package and judges it, and what boots one.
need dh debhelper
need lintian lintian
need dpkg-buildpackage dpkg-dev
need mmdebstrap mmdebstrap
need systemd-nspawn systemd-container
need man man-db
# The completions of each shell are tried in it.
need zsh zsh
need fish fish
need chromium chromium
need node nodejs
need npm npm
need pdftotext poppler-utils
[ -d /usr/share/fonts/opentype/inter ] || [ -d /usr/share/fonts/truetype/inter ] || packages="$packages fonts-inter"
[ -d /usr/share/fonts/truetype/jetbrains-mono ] || packages="$packages fonts-jetbrains-mono"

without() { # what cannot be had
    echo "setup: $1 cannot be installed; the tests need it: install it by hand, or give this machine a way to its source" >&2
    exit 1
}
if [ -n "$packages" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    if [ -n "${no_cluster:-}" ]; then
        $as_root mkdir -p "$(dirname "$no_cluster")"
        echo "create_main_cluster = false" | $as_root tee "$no_cluster" >/dev/null
    fi
    # shellcheck disable=SC2086 # the list is made of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages || without "of Debian's packages:$packages"
fi
# Without root, and mounts of its own, nothing is booted, and the test says so. Where it could be, and no Debian can be unpacked,
# the other tests are run all the same, and that of the package fails with the reason (scripts/setup-boot.sh leaves it).
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
    sh scripts/setup-boot.sh || echo "setup: no Debian could be unpacked to boot; the test of the package will fail" >&2
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
environment target/contract tests/contract/requirements.txt schemathesis
# What drives the browser; for tests alone, nothing of it ships.
if ! cmp -s tests/page/package-lock.json tests/page/node_modules/installed.json; then
    (cd tests/page && npm ci --ignore-scripts --no-audit --no-fund --silent) || without "npm's packages of tests/page/package-lock.json"
    cp tests/page/package-lock.json tests/page/node_modules/installed.json
fi
environment target/judges tests/metrics/requirements.txt grafana_foundation_sdk

# Debian's Prometheus, unpacked and never installed: the package would start a server.
if [ ! -x target/prometheus/usr/bin/promtool ]; then
    rm -rf target/prometheus
    mkdir -p target/prometheus/package
    (cd target/prometheus/package && { apt-get download -qq prometheus 2>/dev/null ||
        { as_root="$([ "$(id -u)" -eq 0 ] || echo sudo)"; $as_root apt-get update -qq; apt-get download -qq prometheus; }; })
    dpkg-deb -x target/prometheus/package/prometheus_*.deb target/prometheus
    rm -rf target/prometheus/package target/prometheus/usr/share
fi
