//! A store that is copied while it works, handed over half done, finished elsewhere, and damaged
//! there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::field::FieldDay;

const FAULTS: &str = "\
error_500_before: 0.03
error_500_after: 0.05
drop_after: 0.02
latency: {min: 1ms, max: 5ms}
job_time: {min: 50ms, max: 400ms}
visibility_lag: {min: 0s, max: 200ms}
";

fn said(field: &FieldDay, args: &[&str], code: i32) -> String {
    let ran = field.run(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    ran.stdout + &ran.stderr
}

/// Every proxy was switched by one effective call, and every job id that the cloud handed out is
/// saved.
fn assert_done_once(field: &FieldDay, proxies: usize) {
    let ledger = field.ledger();
    let listed = ledger["proxies"].as_array().expect("a list");
    assert_eq!(listed.len(), proxies);
    for proxy in listed {
        assert_eq!(
            (&proxy["ssl_option"], &proxy["effective"]),
            (&true.into(), &1.into()),
            "exactly one effective call: {proxy}"
        );
    }
    let made: BTreeSet<&str> = ledger["jobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| job["job_id"].as_str().expect("an id"))
        .collect();
    let saved = field.jobs();
    assert_eq!(
        saved.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        made,
        "the saved job ids are those handed out"
    );
}

fn first_segment(store: &Path) -> std::path::PathBuf {
    let mut segments: Vec<_> = fs::read_dir(store.join("journal"))
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .collect();
    segments.sort();
    segments.remove(0)
}

/// The daemon is killed with calls out, its store is handed over and imported elsewhere, and the
/// daemon there finishes the rollout as if nothing had been. Then that store is damaged, and a
/// backup from the middle of the rollout, together with what is newer, gives everything back.
#[test]
fn a_half_done_rollout_is_handed_over_and_finished_elsewhere() {
    const PROXIES: usize = 160;
    let mut field = FieldDay::new("moved", PROXIES, 80, FAULTS);
    field.serve();
    field.submit("strategy: {max_in_flight: 20, max_failures: 80}\nretry: {max_attempts: 12, initial: 100ms, max: 2s}\n");
    field.wait_until("a quarter", |status| {
        status["tally"]["succeeded"].as_u64() >= Some(PROXIES as u64 / 4)
    });

    let (backup, copy, over) =
        (field.path("backup"), field.path("copy.tar"), field.path("over.tar"));
    said(&field, &["store", "backup", &backup], 0);
    said(&field, &["store", "export", &copy], 0);
    assert!(said(&field, &["store", "check"], 0).contains("works on it"));
    assert!(said(&field, &["store", "check", "--state", &backup], 0).contains("is a backup"));
    assert!(said(&field, &["store", "backup", &backup], 1).contains("not empty"));
    assert!(said(&field, &["store", "export", "--hand-over", &over], 1).contains("stop it"));
    let here = field.path("state/queue");
    assert!(said(&field, &["store", "compact", "--state", &here], 1).contains("another daemon"));

    field.wait_until("half of it", |status| {
        status["tally"]["succeeded"].as_u64() >= Some(PROXIES as u64 / 2)
    });
    field.kill();
    said(&field, &["store", "export", "--hand-over", &over], 0);
    assert!(said(&field, &["serve"], 1).contains("was handed over"));
    assert!(said(&field, &["serve"], 1).contains("sealift store take-back"));

    field.keep_store_at("elsewhere/queue");
    assert!(said(&field, &["store", "import", &over], 0).contains("is ready for a daemon"));
    assert!(said(&field, &["store", "import", &over], 1).contains("not empty"));
    field.serve();
    field.wait_until("the end", |status| status["phase"] == "completed");
    assert_done_once(&field, PROXIES);
    field.kill();

    let there = field.path("elsewhere/queue");
    assert!(said(&field, &["store", "check"], 0).contains("was taken over with entry"));
    let segment = first_segment(Path::new(&there));
    let text = fs::read_to_string(&segment).expect("text");
    fs::write(&segment, text.replacen("\"why\":\"", "\"why\":\"not what was written, ", 9))
        .expect("written");
    let submissions: Vec<_> =
        fs::read_dir(format!("{there}/submissions")).expect("a folder").collect();
    fs::remove_file(submissions[0].as_ref().expect("a file").path()).expect("removed");
    let told = said(&field, &["store", "check"], 3);
    assert!(
        told.contains("was changed: the line after it carries another digest")
            && told.contains("is missing"),
        "{told}"
    );
    assert!(
        said(&field, &["serve"], 1).contains("journal is damaged")
            || said(&field, &["serve"], 1).contains("submission")
    );
    assert!(said(&field, &["store", "repair"], 1).contains("nothing was changed"));
    assert!(said(&field, &["store", "repair", "--from", &copy], 0).contains("repaired"));
    said(&field, &["store", "check"], 0);
    assert!(said(&field, &["store", "compact"], 0).contains("bytes"));
    field.serve();
    assert_done_once(&field, PROXIES);
}

/// Who starts a daemon on an import of a backup, although its original has gone on, is told what
/// that means; nothing is switched a second time.
#[test]
fn an_older_copy_switches_nothing_again() {
    const PROXIES: usize = 40;
    let mut field = FieldDay::new(
        "older",
        PROXIES,
        40,
        "latency: {min: 1ms, max: 5ms}\njob_time: {min: 50ms, max: 200ms}\n",
    );
    field.serve();
    field.submit("strategy: {max_in_flight: 4, max_failures: 10}\n");
    field.wait_until("a little", |status| status["tally"]["succeeded"].as_u64() >= Some(8));
    let backup = field.path("backup");
    said(&field, &["store", "backup", &backup], 0);
    field.wait_until("the end", |status| status["phase"] == "completed");
    field.kill();
    field.keep_store_at("restored/queue");
    assert!(said(&field, &["store", "import", &backup], 0).contains("is not known here"));
    field.serve();
    field.wait_until("the end", |status| status["phase"] == "completed");
    let ledger = field.ledger();
    for proxy in ledger["proxies"].as_array().expect("a list") {
        assert_eq!(
            (&proxy["ssl_option"], &proxy["effective"]),
            (&true.into(), &1.into()),
            "{proxy}"
        );
    }
    assert_eq!(field.switches(), PROXIES as u64, "nothing is sent that was done already");
}

/// On a read-only disk a store can be checked and copied, and nothing else; a full disk takes no
/// part of a copy.
#[test]
fn a_read_only_disk_is_copied_from_and_a_full_one_left_as_it_was() {
    let may = Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a mount namespace needs root and `unshare`");
        return;
    }
    let mut field = FieldDay::new("disks", 40, 40, "job_time: {min: 50ms, max: 200ms}\n");
    field.serve();
    field.submit("strategy: {max_in_flight: 4, max_failures: 10}\n");
    field.wait_until("a little", |status| status["tally"]["succeeded"].as_u64() >= Some(8));
    field.kill();
    let script = "set -eu; cd \"$1\"; mkdir frozen full; mount -t tmpfs -o size=64m tmpfs frozen; cp -a state/queue frozen/; mount -o remount,ro frozen
        mount -t tmpfs -o size=32k tmpfs full
        refuse() { if \"$@\"; then echo \"went through: $*\"; exit 1; fi; }
        $SEALIFT store check --state frozen/queue
        $SEALIFT store export --state frozen/queue copy.tar
        $SEALIFT store backup --state frozen/queue copied
        refuse $SEALIFT store export --hand-over --state frozen/queue over.tar
        refuse $SEALIFT store compact --state frozen/queue
        refuse $SEALIFT store export --state state/queue full/copy.tar
        refuse $SEALIFT store backup --state state/queue full/copy
        refuse $SEALIFT store import copy.tar --state full/queue
        test -z \"$(ls full)\"; test ! -e over.tar
        $SEALIFT store import copy.tar --state moved/queue
        $SEALIFT store check --state moved/queue";
    let ran = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh", &field.path("")])
        .env("SEALIFT", env!("CARGO_BIN_EXE_sealift"))
        .output();
    let ran = ran.expect("unshare was there a moment ago");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    assert!(
        err.contains("Read-only file system") && err.contains("No space left on device"),
        "{err}"
    );
}
