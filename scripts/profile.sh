#!/bin/sh
# Where the processor time of the carried path goes: perf samples the benchmark's own run of it (as shipped, with names), and
# what comes of it is written to target/bench/profile: shares.txt by kind of cost, flame.svg to look at.
# Arguments go to the benchmark: `scripts/profile.sh --changes 20000 --in-flight 256 --servers emulator`.
set -eu
cd "$(dirname "$0")/.."
out=target/bench/profile
mkdir -p "$out"

if ! command -v perf >/dev/null 2>&1; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends linux-perf
fi
command -v inferno-flamegraph >/dev/null 2>&1 || cargo install --locked inferno

# The engine's and the store's threads; the server and the bench itself are left out.
threads='^(tokio-|store-w|store-q|main_job)'

cargo bench --locked --bench main_job --no-run
# The clock of the processor, because virtual machines have no counters; whole stacks, because nothing keeps frame pointers.
perf record --quiet -o "$out/perf.data" -e cpu-clock -F 499 --call-graph dwarf,16384 -- \
    cargo bench --quiet --locked --bench main_job -- --only-carry --short --servers nginx --in-flight 64 --changes 20000 "$@"
# Without the frames that the compiler inlined: to find them takes minutes.
perf script --no-inline -i "$out/perf.data" -F comm,tid,time,event,ip,sym,dso 2>/dev/null >"$out/stacks.txt"
python3 benches/profile_shares.py "$threads" <"$out/stacks.txt" | tee "$out/shares.txt"
inferno-collapse-perf <"$out/stacks.txt" | grep -E "$threads" | inferno-flamegraph --title 'the carried path' >"$out/flame.svg"
echo "written to $out"
