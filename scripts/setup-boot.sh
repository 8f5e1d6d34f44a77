#!/bin/sh
# Unpacks the Debian that the package is tried in, once: a minimal one with systemd, in target/boot. Needs root; what must be
# there to boot it is looked at by the test itself (tests/daemon/boot/outer.sh). What went wrong is in target/boot/SUITE.failed
# then, and the test fails by it: nothing is skipped where it could be done.
# Usage: scripts/setup-boot.sh [SUITE]
set -eu
cd "$(dirname "$0")/.."
suite="${1:-bookworm}"
base="target/boot/$suite"
# Whatever the package depends on or is tried with, for no network is there later.
include=systemd,systemd-sysv,dbus,libc6,libgcc-s1,init-system-helpers,iproute2,curl,ca-certificates

[ "$(cat "$base.include" 2>/dev/null)" != "$include" ] || exit 0
mkdir -p target/boot
rm -rf "$base"
# Once more, since what it fetches comes from afar.
for _ in 1 2; do
    if mmdebstrap --quiet --variant=minbase --include="$include" "$suite" "$base" 2>"$base.failed"; then
        rm "$base.failed"
        echo "$include" >"$base.include"
        exit 0
    fi
    rm -rf "$base"
done
cat "$base.failed" >&2
exit 1
