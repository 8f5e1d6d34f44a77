//! The daemon's log in systemd's own journal, in a mount namespace of its own.

use std::process::Command;

use super::world::{ServeWorld, VerbOutput};

/// A journal, the daemon with its standard error in it, and what `journalctl` finds then.
const SCRIPT: &str = r#"set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
"$JOURNALD" >/dev/null 2>&1 & journald=$!
waited=0
while ! { [ -S /run/systemd/journal/stdout ] && [ -S /run/systemd/journal/socket ]; }; do
    waited=$((waited + 1)); [ "$waited" -lt 100 ] || exit 9; sleep 0.1
done
systemd-cat sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM
    exec "$SEALIFT" serve --config "$CONFIG"' & daemon=$!
find() { journalctl --no-pager -D /run/log/journal -t sealift -o "$@" 2>/dev/null || true; }
waited=0
while ! find cat | grep -q '^ready'; do
    waited=$((waited + 1)); [ "$waited" -lt 300 ] || break; sleep 0.1
done
echo "-- warnings"; find cat -p warning
echo "-- lane"; find json LANE=lab
echo "-- all"; find short
kill -TERM "$daemon"; wait "$daemon" || true
kill "$journald"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn journalctl_finds_warnings_and_fields_and_shows_both() {
    let may = Command::new("unshare").args(["-m", "true"]).status();
    let journald = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"];
    let journald = journald.iter().find(|path| std::path::Path::new(path).exists());
    let (Ok(true), Some(journald)) = (may.map(|status| status.success()), journald) else {
        eprintln!("skipped: this needs root, `unshare` and systemd-journald");
        return;
    };
    let world = ServeWorld::new(1, 1, "{}");
    std::fs::create_dir(world.path("state")).expect("a folder");
    let mark = r#"{"by":"ada","reason":"fire drill","at":"2026-01-01T00:00:00Z"}"#;
    world.write("state/lanes.json", &format!(r#"{{"paused":{{"lab":{mark}}}}}"#));
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", SCRIPT]).env("JOURNALD", journald);
    shell.env("SEALIFT", env!("CARGO_BIN_EXE_sealift")).env("CONFIG", world.path("sealift.yaml"));
    shell.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    let ran = VerbOutput::of(shell.output().expect("unshare was there a moment ago"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (_, rest) = ran.out.split_once("-- warnings\n").expect("the first part");
    let (warnings, rest) = rest.split_once("-- lane\n").expect("the second part");
    let (lane, all) = rest.split_once("-- all\n").expect("the third part");
    let paused = "the lane is paused: nothing that changes anything is sent over it lane=lab by=\"ada\" reason=\"fire drill\"";
    assert!(warnings.lines().any(|line| line == paused), "{warnings}");
    assert!(!warnings.contains("ready"), "{warnings}");
    let entry: serde_json::Value =
        serde_json::from_str(lane.lines().next().expect("an entry")).expect("JSON");
    for (field, wanted) in [("PRIORITY", "4"), ("LANE", "lab"), ("BY", "ada"), ("MESSAGE", paused)]
    {
        assert_eq!(entry[field], wanted, "{entry}");
    }
    assert_eq!(all.lines().filter(|line| line.contains("the lane is paused")).count(), 1, "{all}");
}
