#!/bin/sh
# Lists all parts of the program (SBOM, CycloneDX) in target/sealift.cdx.json, which the packages carry.
set -eu
cd "$(dirname "$0")/.."

cargo="${CARGO:-cargo}"
# Built without optimisation: it runs for a second.
"$cargo" cyclonedx --version >/dev/null 2>&1 || "$cargo" install --locked --debug cargo-cyclonedx

# Without the moment and the number that are drawn for each run, and the folder, so that the same sources give the same bytes.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
"$cargo" cyclonedx --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --override-filename sealift.cdx
mkdir -p target
sed -e '/"serialNumber":/d' -e "s|file://$PWD|file:///sealift|g" sealift.cdx.json >target/sealift.cdx.json
rm sealift.cdx.json
echo "$(grep -c '"purl":' target/sealift.cdx.json) parts are listed in target/sealift.cdx.json"
