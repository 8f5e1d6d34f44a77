#!/bin/sh
# What the program is made of: licenses, sources and second versions of a library by `deny.toml`, known advisories where their
# database is at hand, and the list of all parts (SBOM, CycloneDX) in target/sealift.cdx.json, which the packages carry.
# The database: `cargo deny fetch db`, wherever there is a network, into $CARGO_HOME/advisory-dbs.
set -eu
cd "$(dirname "$0")/.."

cargo="${CARGO:-cargo}"
# Built without optimisation: they run for seconds.
"$cargo" deny --version >/dev/null 2>&1 || "$cargo" install --locked --debug cargo-deny
"$cargo" cyclonedx --version >/dev/null 2>&1 || "$cargo" install --locked --debug cargo-cyclonedx

"$cargo" deny --locked check bans licenses sources
if [ -n "$(find "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" -maxdepth 3 -name FETCH_HEAD 2>/dev/null)" ]; then
    "$cargo" deny --locked --offline check advisories
else
    echo "advisories NOT CHECKED: no database is at hand (cargo deny fetch db)" >&2
fi

# Without the moment and the number that are drawn for each run, and the folder, so that the same sources give the same bytes.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
"$cargo" cyclonedx --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --override-filename sealift.cdx
mkdir -p target
sed -e '/"serialNumber":/d' -e "s|file://$PWD|file:///sealift|g" sealift.cdx.json >target/sealift.cdx.json
rm sealift.cdx.json
echo "$(grep -c '"purl":' target/sealift.cdx.json) parts are listed in target/sealift.cdx.json"
