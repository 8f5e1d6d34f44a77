//! The daemon under `faketime`: its wall clock is wrong, is set right, or is stepped, and its boot
//! clock is not touched.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::serve::world::{ServeWorld, ServedDaemon};

/// Every switch is executed and its answer lost.
const ANSWERS_LOST: &str = "job_time: 200ms\ndrop_after: [{on: 1, call: switch}]\n";

/// The library that fakes the clock, wherever this machine's architecture has it.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a folder").flatten();
    let mut found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .filter(|path| path.exists());
    found.next().expect("faketime is installed: `make setup`")
}

/// A daemon whose wall clock is off by what [`set_clock`] wrote last.
fn daemon(world: &ServeWorld, off: &str) -> ServedDaemon {
    set_clock(world, off);
    let environment = [
        ("LD_PRELOAD", faketime()),
        ("FAKETIME_TIMESTAMP_FILE", world.path("clock")),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    ServedDaemon::start(world, &["serve"], &environment).ready()
}

/// Steps the daemon's wall clock: `+90` seconds, `-3h`, `+1d` from the right time.
fn set_clock(world: &ServeWorld, off: &str) {
    let fresh = world.write("clock.new", &format!("{off}\n"));
    std::fs::rename(fresh, world.path("clock")).expect("renamed");
}

fn apply(world: &ServeWorld, plan: &str, rest: &str) {
    let plan = world.plan(plan, rest);
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
}

/// Every proxy was switched once, and every id that the cloud handed out is saved.
fn all_done_once(world: &ServeWorld, rollout: &str) {
    world.until(rollout, |status| status["phase"] == "completed");
    let jobs = world.run(&["jobs", rollout, "-o", "csv"]);
    let saved: BTreeSet<String> = jobs
        .out
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap_or_default().to_owned())
        .collect();
    world.cloud.with_model(|model| {
        let handed_out: BTreeSet<String> = model.jobs().map(|job| job.job_id.to_string()).collect();
        assert_eq!(saved, handed_out);
        assert!(
            model.proxies().all(|proxy| proxy.ssl_option && proxy.executed == 1),
            "one effective call a proxy"
        );
    });
}

fn switches(world: &ServeWorld) -> u64 {
    world.cloud.with_model(|model| model.ledger().switches_total())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_clock_ninety_seconds_fast_every_lost_job_is_found() {
    let world = ServeWorld::new(6, 3, ANSWERS_LOST);
    let _daemon = daemon(&world, "+90");
    apply(&world, "fast", "");
    all_done_once(&world, "fast");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_clock_hours_slow_nothing_is_switched_until_it_is_set_right() {
    let world = ServeWorld::new(3, 1, ANSWERS_LOST);
    let configuration = std::fs::read_to_string(world.path("sealift.yaml")).expect("read");
    world.write("sealift.yaml", &configuration.replace("settle: 300ms", "settle: 3s"));
    let daemon = daemon(&world, "-3h");
    apply(&world, "slow", "");
    let held = world.until("slow", |status| status["holds"][0]["word"] == "clock");
    let text = held["holds"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert!(
        text.contains("3 h 0 min behind the cloud's") && text.contains("timedatectl"),
        "{text}"
    );
    daemon.logged("no switch is sent: this machine's clock is 3 h 0 min behind the cloud's");
    let preflight = world.run(&["preflight", world.path("slow.yaml").to_str().expect("text")]);
    assert!(preflight.out.contains("3 h 0 min behind the cloud's"), "{preflight:?}");
    assert_eq!(switches(&world), 0);

    set_clock(&world, "+0");
    daemon.logged("switches are sent again");
    // The first answer is lost; in the middle of the doubt the clock is wrong once more, and set
    // right.
    world.until("slow", |_| switches(&world) == 1);
    set_clock(&world, "-3h");
    daemon.logged("no switch is sent: this machine's clock is 3 h 0 min behind the cloud's");
    set_clock(&world, "+0");
    all_done_once(&world, "slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_by_a_day_ends_no_soak() {
    let world = ServeWorld::new(4, 4, ANSWERS_LOST);
    let _daemon = daemon(&world, "+0");
    apply(
        &world,
        "soak",
        "strategy:\n  waves:\n    - {name: canary, size: 2, soak: 20s}\n    - {name: rest, size: rest}\n",
    );
    world.until("soak", |status| status["phase"] == "soaking");
    set_clock(&world, "+1d");
    let stepped = |_: &serde_json::Value| {
        world.run(&["journal", "soak"]).out.contains("the soak goes on by the other clocks")
    };
    world.until("soak", stepped);
    assert_eq!(world.status("soak")["phase"], "soaking", "a day has not passed");
    assert_eq!(switches(&world), 2);
    set_clock(&world, "+0");
    all_done_once(&world, "soak");
}
