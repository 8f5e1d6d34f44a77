#!/bin/sh
# Makes the rpm of a binary that is built already, in FOLDER; the last line is its path.
# Usage: scripts/rpm.sh BINARY FOLDER
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)"
binary="$(realpath "$1")"
mkdir -p "$2"
out="$(cd "$2" && pwd)"
: "${SOURCE_DATE_EPOCH:=$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH SEALIFT_ZSH=usr/share/zsh/site-functions
[ -z "${SEALIFT_SBOM:-}" ] || SEALIFT_SBOM="$(realpath "$SEALIFT_SBOM")"
watched=0
for file in "$here"/packaging/prometheus/*.y*ml "$here"/packaging/grafana/*.json; do
    [ ! -e "$file" ] || watched=1
done
log="$out/build.log"
rpmbuild -bb --define "_topdir $out/rpmbuild" --define "_rpmdir $out" --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" --define "_buildhost sealift" \
    --define "released $(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -1)" \
    --define "source $here" --define "binary $binary" --define "watched $watched" \
    "$here/packaging/rpm/sealift.spec" >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
rm -rf "$out/rpmbuild"
ls "$out"/*.rpm
