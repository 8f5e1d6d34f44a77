#!/bin/sh
# Runs every fuzz target (or those named as arguments) for FUZZ_SECONDS over its committed corpus, and ends with a table of
# executions and findings; not 0 on a finding, whose input then lies in fuzz/artifacts. New inputs stay in
# target/fuzz-found: the next run goes on from them.
#
# The code of this package holds no `unsafe`, so what a finding shows is a broken property, a panic, an overflow, a hang or
# memory without bound; FUZZ_SANITIZER=address looks for more in the dependencies, at half the speed.
set -eu
cd "$(dirname "$0")/.."

seconds="${FUZZ_SECONDS:-30}"
cargo="${CARGO:-cargo}"
export TMPDIR="${FUZZ_TMPDIR:-$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp)}"
# `-Zsanitizer` is not stable; the rest of what cargo-fuzz asks of the compiler is.
[ "${FUZZ_SANITIZER:-none}" = none ] || export RUSTC_BOOTSTRAP=1

"$cargo" fuzz --version >/dev/null 2>&1 || "$cargo" install --locked cargo-fuzz
fuzz() { # verb, arguments
    verb="$1"
    shift
    "$cargo" fuzz "$verb" --sanitizer "${FUZZ_SANITIZER:-none}" --target-dir target/fuzz "$@"
}

targets="${*:-$(ls fuzz/fuzz_targets | sed 's/\.rs$//')}"
fuzz build
mkdir -p target/fuzz-logs
table=target/fuzz.tsv
printf 'TARGET\tEXECUTIONS\tA SECOND\tPEAK MIB\tINPUTS\tFINDINGS\n' >"$table"
failed=0
for target in $targets; do
    found="target/fuzz-found/$target"
    log="target/fuzz-logs/$target.log"
    mkdir -p "$found" "fuzz/artifacts/$target"
    before=$(ls "fuzz/artifacts/$target" | wc -l)
    # One input may take ten seconds and the process 512 MiB: both are far beyond what any file may cost.
    fuzz run "$target" "$found" "fuzz/corpus/$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 \
        -print_final_stats=1 -verbosity=0 -close_fd_mask=1 >"$log" 2>&1 || failed=1
    after=$(ls "fuzz/artifacts/$target" | wc -l)
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
        "$(stat peak_rss_mb)" "$(ls "$found" | wc -l)" "$((after - before))" >>"$table"
    if [ "$after" -gt "$before" ]; then
        failed=1
        tail -40 "$log"
    fi
done
column -t -s "$(printf '\t')" "$table"
exit "$failed"
