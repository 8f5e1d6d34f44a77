#!/bin/sh
# What the program is made of: licenses, sources and second versions of a library by `deny.toml`, known advisories where their
# database is at hand, and the list of all parts (scripts/sbom.sh).
# The database: `cargo deny fetch db`, wherever there is a network, into $CARGO_HOME/advisory-dbs.
set -eu
cd "$(dirname "$0")/.."

cargo="${CARGO:-cargo}"
# Built without optimisation: it runs for seconds.
"$cargo" deny --version >/dev/null 2>&1 || "$cargo" install --locked --debug cargo-deny

"$cargo" deny --locked check bans licenses sources
if [ -n "$(find "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" -maxdepth 3 -name FETCH_HEAD 2>/dev/null)" ]; then
    "$cargo" deny --locked --offline check advisories
else
    echo "advisories NOT CHECKED: no database is at hand (cargo deny fetch db)" >&2
fi

sh scripts/sbom.sh
