#!/bin/sh
# Makes the Debian package of a binary that is built already, in FOLDER.
# Usage: scripts/deb.sh BINARY FOLDER [VERSION]
# SEALIFT_SBOM: the list of the binary's parts, to be installed with it.
# SEALIFT_COMPRESSION: how the package is packed, as dpkg-deb takes it; -Zxz unless told.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)"
binary="$(realpath "$1")"
mkdir -p "$2"
out="$(cd "$2" && pwd)"
released="$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -1)"
version="${3:-$released-1}"
# When this state of the sources was committed: the same sources make the same bytes.
: "${SOURCE_DATE_EPOCH:=$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH

stage="$out/sealift-$version"
rm -rf "$stage"
mkdir -p "$stage"
trap 'rm -rf "$stage"' EXIT
cp -r "$here/packaging/debian" "$stage/debian"
cp -r "$here/packaging" "$here/scripts" "$here/systemd" "$here/docs" "$here/plans" "$here/README.md" "$here/CHANGELOG.md" "$stage"

for script in "$stage"/debian/sealift.p*inst; do
    sed -i "/^#BRING_UP#/{r $here/packaging/bring-up.sh
        d}" "$script"
done
cat >"$stage/debian/changelog" <<EOF
sealift ($version) unstable; urgency=medium

  * Version $released; what changed stands in /usr/share/doc/sealift/changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' "$here/packaging/debian/control")  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
[ -z "${SEALIFT_SBOM:-}" ] || SEALIFT_SBOM="$(realpath "$SEALIFT_SBOM")"
cd "$stage"
export SEALIFT_BINARY="$binary" SEALIFT_COMPRESSION="${SEALIFT_COMPRESSION:--Zxz}"
log="$out/build.log"
dpkg-buildpackage --build=binary --no-sign >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
echo "$out/sealift_${version}_$(dpkg --print-architecture).deb"
