#!/bin/sh
# Boots systemd in a throw-away copy of an unpacked Debian and lets `inner.sh` work there; what it found is in OUT then.
# Ends with 77 and the reason where that cannot be done, with 1 where it could be and its set-up failed.
# Usage: outer.sh BASE PACKAGES OUT
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
base="$(realpath -m "$1")"
packages="$(realpath "$2")"
out="$(realpath "$3")"
docs="$(realpath "$here/../../../docs")"

if [ "${4:-}" != inside ]; then
    skip() {
        echo "$1" >&2
        exit 77
    }
    [ "$(id -u)" -eq 0 ] || skip "it needs root"
    unshare --mount true 2>/dev/null || skip "no mounts of its own are allowed here (CAP_SYS_ADMIN)"
    if [ -e "$base.failed" ]; then
        echo "no Debian could be unpacked in $base, as \`sh scripts/setup-boot.sh\` does:" >&2
        cat "$base.failed" >&2
        exit 1
    fi
    command -v systemd-nspawn >/dev/null || skip "there is no systemd-nspawn (package systemd-container)"
    [ -e "$base/usr/lib/systemd/systemd" ] || skip "no Debian is unpacked in $base; \`make setup\` does it"
    # Everything that is mounted goes with the namespace.
    exec unshare --mount --propagation private sh "$0" "$base" "$packages" "$out" inside
fi

# Where no systemd runs, nspawn takes no folder of /run for its own.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/boot
mount -t tmpfs -o size=2g tmpfs /run/boot
mkdir /run/boot/upper /run/boot/work /run/boot/root
mount -t overlay overlay -o "lowerdir=$base,upperdir=/run/boot/upper,workdir=/run/boot/work" /run/boot/root
root=/run/boot/root
nspawn() {
    systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$root" "$@" </dev/null
}
if ! said=$(nspawn /bin/true 2>&1); then
    echo "systemd-nspawn cannot run here: $said" >&2
    exit 77
fi
install -D -m 0755 "$here/inner.sh" "$root/usr/local/sbin/inner"
cat >"$root/etc/systemd/system/inner.service" <<'EOF'
[Unit]
Description=tries the package
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/inner
StandardOutput=append:/out/log
StandardError=inherit
TimeoutStartSec=5min
EOF
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../inner.service "$root/etc/systemd/system/multi-user.target.wants/inner.service"
# A unit of the base that is of no use here only takes time.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer getty.target systemd-timesyncd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
nspawn --boot --bind="$out:/out" --bind-ro="$packages:/packages" --bind-ro="$docs:/docs" >"$out/console" 2>&1 || true
