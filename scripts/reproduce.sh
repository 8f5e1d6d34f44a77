#!/bin/sh
# Builds everything that ships twice, from two copies of the committed sources in two folders, and compares: the static binary,
# the Debian package, the container image. The parts list is made once (scripts/supply.sh); without it there is none in the package.
# Costs two release builds, or one where `make static` has built this very commit: that counts as the first, and this folder as its
# folder. What came of it is in target/reproduce/1.
set -eu
cd "$(dirname "$0")/.."

SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH
[ ! -e target/sealift.cdx.json ] || SEALIFT_SBOM="$PWD/target/sealift.cdx.json"
[ -z "${SEALIFT_SBOM:-}" ] || export SEALIFT_SBOM
static="${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/release/sealift"
whole="$PWD/target/reproduce"
rm -rf "$whole"
for round in 1 2; do
    # Names of two lengths, so that a path that stays cannot hide behind an equal one.
    folder="$whole/sources-$round$([ "$round" = 1 ] || echo -in-another-folder)"
    products="$whole/$round"
    mkdir -p "$folder" "$products"
    git archive HEAD | tar -x -C "$folder"
    if [ "$round" = 1 ] && [ "$(cat "$static.commit" 2>/dev/null)" = "$(git rev-parse HEAD)" ]; then
        cp "$static" "$products/sealift"
    else
        built="$(CARGO_TARGET_DIR="$folder/target" sh "$folder/scripts/static.sh" | tail -1)"
        mv "$built" "$products/sealift"
        rm -rf "$folder/target"
    fi
    sh "$folder/scripts/deb.sh" "$products/sealift" "$products" >/dev/null
    if command -v buildah >/dev/null; then
        sh "$folder/scripts/image.sh" "$products/sealift" "localhost/sealift:reproduced-$round" | tail -1 >"$products/image"
    fi
    rm -rf "$folder" "$products"/*.buildinfo "$products"/*.changes "$products/build.log"
    (cd "$products" && sha256sum ./*) >"$whole/$round.sha256"
done
cat "$whole/1.sha256"
if ! cmp -s "$whole/1.sha256" "$whole/2.sha256"; then
    diff "$whole/1.sha256" "$whole/2.sha256" >&2 || true
    echo "two builds of the same sources differ" >&2
    exit 1
fi
echo "two builds in two folders gave the same bytes"
