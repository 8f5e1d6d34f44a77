#!/bin/sh
# All that a release is judged by and that is too long for the test run; on Debian 12, as root. It ends with a table, and with
# an error when a line of it is one. Each part can be left out: SKIP="piuparts trixie".
# Costs two release builds and half an hour.
set -u
cd "$(dirname "$0")/.." || exit 1
out="$PWD/target/release-check"
rm -rf "$out"
mkdir -p "$out"
table="$out/table.tsv"
: >"$table"

packages=""
for pair in dh:debhelper lintian:lintian mmdebstrap:mmdebstrap systemd-nspawn:systemd-container buildah:buildah rpmbuild:rpm piuparts:piuparts; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair##*:}"
done
if [ -n "$packages" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # the list is made of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi

part() { # name, what it shows, command…
    name="$1" what="$2"
    shift 2
    case " ${SKIP:-} " in
        *" $name "*)
            printf '%s\tLEFT OUT\t\t%s\n' "$name" "$what" >>"$table"
            return
            ;;
    esac
    began=$(date +%s)
    echo "--- $name: $what"
    if "$@" >"$out/$name.log" 2>&1; then outcome=passed; else outcome=FAILED; fi
    tail -3 "$out/$name.log"
    printf '%s\t%s\t%s s\t%s\n' "$name" "$outcome" "$(($(date +%s) - began))" "$what" >>"$table"
}
# What the packages carry, once `supply` has made it.
export SEALIFT_SBOM=
deb() { ls target/reproduce/1/*.deb; }

static_and_package() { # without the comparison, one build is enough
    binary="$(sh scripts/static.sh | tail -1)"
    mkdir -p target/reproduce/1
    cp "$binary" target/reproduce/1/sealift
    sh scripts/deb.sh target/reproduce/1/sealift target/reproduce/1
}
judged() { lintian --profile debian --fail-on error,warning "$(deb)"; }
booted() { # suite
    sh scripts/setup-boot.sh "$1"
    packages="$out/packages-$1" found="$out/boot-$1"
    mkdir -p "$packages" "$found"
    sh scripts/deb.sh target/reproduce/1/sealift "$packages/1" && mv "$packages"/1/*.deb "$packages/1.deb"
    version="$(dpkg-deb --field "$packages/1.deb" Version)"
    sh scripts/deb.sh target/reproduce/1/sealift "$packages/2" "$version.1" && mv "$packages"/2/*.deb "$packages/2.deb"
    sh tests/daemon/boot/outer.sh "target/boot/$1" "$packages" "$found"
    cat "$found/found"
    grep -q "came to its end" "$found/found" && ! grep -q FAILED "$found/found"
}
image() {
    sh scripts/image.sh target/reproduce/1/sealift localhost/sealift:check
    made="$(buildah from --pull=never localhost/sealift:check)"
    buildah run --isolation chroot "$made" /usr/bin/sealift --version &&
        buildah run --isolation chroot "$made" /usr/bin/sealift demo | grep 'proven on the wire'
    outcome=$?
    buildah rm "$made"
    return "$outcome"
}
installed_and_purged() {
    tar -C target/boot/bookworm -cz . >"$out/base.tgz"
    piuparts --basetgz "$out/base.tgz" --distribution bookworm --warn-on-leftovers-after-purge \
        --skip-logrotatefiles-test "$(deb)"
}
packed_as_rpm() {
    sh scripts/setup-boot.sh bookworm
    sh scripts/rpm.sh target/reproduce/1/sealift "$out/rpm" && sh scripts/rpm-install.sh "$out"/rpm/*.rpm target/boot/bookworm
}
left() { # what the next versions must open
    version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
    sh scripts/store-fixture.sh target/reproduce/1/sealift "$out/$version.tar" &&
        echo "check it in with the release: cp $out/$version.tar tests/data/stores/"
}
bare() { # all of a rollout in a root with nothing but the binary
    root="$(mktemp -d)"
    install -D target/reproduce/1/sealift "$root/sealift"
    mkdir -m 1777 "$root/tmp"
    chroot "$root" /sealift demo | grep 'proven on the wire'
    outcome=$?
    rm -rf "$root"
    return "$outcome"
}

part supply "licenses, sources, second versions, advisories, the list of parts" sh scripts/supply.sh
[ ! -e target/sealift.cdx.json ] || SEALIFT_SBOM="$PWD/target/sealift.cdx.json"
case " ${SKIP:-} " in
    *" reproduce "*) part static "the static binary and its package" static_and_package ;;
esac
part reproduce "two builds in two folders: binary, package, image" sh scripts/reproduce.sh
part lintian "the release package" judged
part bare "a whole rollout in an empty root" bare
part store "a store in the middle of a rollout, for the tests of later versions" left
part image "the image is built and a rollout runs in it" image
part rpm "the same files as rpm, installed, installed over and removed" packed_as_rpm
part bookworm "Debian 12: installed, upgraded over, killed, frozen, removed" booted bookworm
part trixie "Debian 13: the same" booted trixie
part piuparts "installed, removed and purged without a trace" installed_and_purged
echo
column -t -s "$(printf '\t')" "$table"
! grep -q FAILED "$table"
