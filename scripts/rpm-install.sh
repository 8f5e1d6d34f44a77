#!/bin/sh
# Installs an rpm in a throw-away copy of an unpacked system, looks at it, installs it once more over an edited configuration,
# and removes it; ends with 1 at the first thing that is not as it must be. As root. No systemd runs there: that the service is
# brought up by the same lines as the Debian package's is tried with that (tests/daemon/boot).
# Usage: scripts/rpm-install.sh RPM BASE
set -eu
package="$(realpath "$1")"
base="$(realpath "$2")"
if [ "${3:-}" != inside ]; then
    # Everything that is mounted goes with the namespace.
    exec unshare --mount --propagation private sh "$0" "$package" "$base" inside
fi

mount -t tmpfs -o size=1g tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$base,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
root=/mnt/root
# Debian's rpm wants to be told that it is meant; what the package requires is there without rpm's knowledge.
rpm_there() { rpm --root "$root" --force-debian --nodeps "$@"; }
there() { chroot "$root" "$@"; }
must() { # what, command…
    what="$1"
    shift
    if "$@"; then echo "ok	$what"; else
        echo "FAILED	$what" >&2
        exit 1
    fi
}
not() { ! "$@"; }
config="$root/etc/sealift/sealift.yaml"

rpmdb --root "$root" --initdb
must "it is installed" rpm_there -i "$package"
must "no file differs from the package" rpm_there -V sealift
must "its user is there" there id -u sealift
must "the configuration is good, read by that user" there runuser -u sealift -- /usr/bin/sealift config
must "the configuration is no secret" [ "$(stat -c %a "$config")" = 644 ]
must "the unit is good" there systemd-analyze verify --man=no sealift.service
must "the manual of a verb is there" [ -s "$root/usr/share/man/man1/sealift-apply.1" ]
must "what zsh offers is where rpm's systems look" [ -s "$root/usr/share/zsh/site-functions/_sealift" ]

echo '# mine' >>"$config"
mkdir -p "$root/var/lib/sealift/queue/journal"
echo '{}' >"$root/var/lib/sealift/queue/journal/000000000001.jsonl"
must "it is installed over itself" rpm_there -U --force "$package"
must "an edited configuration is kept" grep -q '^# mine' "$config"

must "it is removed" rpm_there -e sealift
must "the program is gone" not test -e "$root/usr/bin/sealift"
must "the edited configuration is kept aside" grep -q '^# mine' "$config.rpmsave"
must "the journal stays" test -s "$root/var/lib/sealift/queue/journal/000000000001.jsonl"
must "the user stays" there id -u sealift
