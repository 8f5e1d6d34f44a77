#!/bin/sh
# Writes the store of a rollout that waits in its middle, as BINARY leaves it, into FILE: what later versions must open. A release
# checks it in as tests/data/stores/VERSION.tar.
# Usage: scripts/store-fixture.sh BINARY FILE
set -eu
binary="$(realpath "$1")"
file="$(realpath -m "$2")"
work="$(mktemp -d)"
started=""
end() {
    # shellcheck disable=SC2086 # the list is made of numbers
    [ -z "$started" ] || kill $started 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap end EXIT
cd "$work"
unset SEALIFT_ADDR
export SEALIFT_CONFIG="$work/sealift.yaml"

"$binary" init . >/dev/null 2>&1
"$binary" emulate --listen 127.0.0.1:0 >emulate.log 2>&1 &
started="$!"
until grep -q http:// emulate.log; do sleep 0.1; done
sed -i "s|http://127.0.0.1:7634|$(grep -o 'http://[0-9.:]*' emulate.log | head -1)|" sealift.yaml
sed -i 's/soak: 5s/soak: 1s/' first.yaml
"$binary" serve >serve.log 2>&1 &
daemon="$!"
started="$started $daemon"
"$binary" status --wait 30s >/dev/null
# Its canary is done, and a person is waited for.
"$binary" apply first.yaml --yes >apply.log 2>&1 || [ "$?" -eq 7 ] || { cat apply.log >&2; exit 1; }
kill "$daemon"
wait "$daemon" || true
mkdir -p "$(dirname "$file")"
rm -f "$file"
"$binary" store export "$file"
