#!/bin/sh
# Builds the binary that carries all it needs: static, at any address (static-pie), with the list of its dependencies inside,
# where `cargo audit bin` and Trivy look for it. The last line is its path; beside it `.commit` says of which sources it was made,
# where all of them are committed.
# SEALIFT_PROFILE: another than release, to try it out.
# The target is named, so that the flags are not those of macros and build scripts, which cannot be static.
set -eu
cd "$(dirname "$0")/.."

cargo="${CARGO:-cargo}"
target="${CARGO_TARGET_DIR:-target}"
profile="${SEALIFT_PROFILE:-release}"
host="$(rustc -vV | sed -n 's/^host: //p')"
"$cargo" auditable --version >/dev/null 2>&1 || "$cargo" install --locked cargo-auditable
folder="$profile"
[ "$profile" != dev ] || folder=debug
binary="$target/$host/$folder/sealift"
rm -f "$binary.commit"
RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-C target-feature=+crt-static" CARGO="$cargo auditable" \
    sh scripts/build.sh "$profile" --target "$host" --bin sealift

wrong() {
    echo "$binary: $1" >&2
    exit 1
}
if readelf --dynamic "$binary" | grep NEEDED; then wrong "it needs a library"; fi
if readelf --program-headers "$binary" | grep INTERP; then wrong "it needs a loader"; fi
readelf --file-header "$binary" | grep -q 'Type: *DYN' || wrong "it lies at a fixed address"
readelf --section-headers --wide "$binary" | grep -q '\.dep-v0' || wrong "it does not list its dependencies"
if git diff --quiet HEAD 2>/dev/null; then git rev-parse HEAD >"$binary.commit"; fi
echo "$binary"
