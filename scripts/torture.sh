#!/bin/sh
# The long ordeals of store and daemon, on a release build; ends with a table of what they came to. Each count can be set
# from outside.
set -eu
cd "$(dirname "$0")/.."

export STORE_KILLS="${STORE_KILLS:-500}"
export STORE_POWER_CUTS="${STORE_POWER_CUTS:-300}"
export STORE_DAMAGES="${STORE_DAMAGES:-2000}"
export SEALIFT_DAEMON_KILLS="${SEALIFT_DAEMON_KILLS:-100}"
export SEALIFT_NOTIFY_KILLS="${SEALIFT_NOTIFY_KILLS:-200}"
export SEALIFT_SCORES="$PWD/target/torture.tsv"

mkdir -p target
rm -f "$SEALIFT_SCORES"
status=0
# One after the other: each of them loads both cores.
${CARGO:-cargo} nextest run --locked --release --lib --test daemon --no-fail-fast --test-threads 1 -E '
    test(nothing_acknowledged_is_lost) or test(damage_anywhere) or test(/crash_tests::crash::/) or test(/crash_tests::disk::a_/)
    or test(killed_ten_times) or test(notifications_outlive_kills) or test(/^end_to_end::disk::a_/)' || status=$?
echo
if [ -e "$SEALIFT_SCORES" ]; then
    { printf 'ORDEAL\tTIMES\tTOLD\tSOUND\tREBUILT\tREFUSED\tLOST OR WRONG\n'; cat "$SEALIFT_SCORES"; } | column -t -s "$(printf '\t')"
    awk -F '\t' '{ times += $2; told += $3; wrong += $7 }
        END { printf "\n%d ordeals, %d entries and job ids told, %d lost or wrong\n", times, told, wrong }' "$SEALIFT_SCORES"
fi
exit "$status"
