//! The program as its users run it: the real binary, the emulated cloud in a process of its own, a
//! store on the real disk.

mod accounts;
mod credentials;
mod definitions;
mod disk;
mod field;
mod first_night;
mod forecast;
mod gateway;
mod lanes;
#[path = "../../../src/store/crash_tests/mounts.rs"]
mod mounts;
mod moved;
mod night;
#[path = "../../../src/store/crash_tests/score.rs"]
mod score;
mod sdk;

use std::time::Duration;

use self::field::FieldDay;
pub use self::score::Score;

const FAULTS: &str = "\
error_500_before: 0.05
error_500_after: 0.05
drop_before: 0.01
drop_after: 0.01
latency: {min: 1ms, max: 5ms}
job_time: {min: 50ms, max: 400ms}
visibility_lag: {min: 0s, max: 200ms}
";

/// A thousand targets, one call in ten a 500 (half of them after the effect), one answer in fifty
/// dropped, and the daemon killed ten times while it works: in the end every proxy is switched by
/// exactly one effective call, and the saved job ids are precisely those that the cloud handed out.
#[test]
fn killed_ten_times_and_nothing_is_lost_or_repeated() {
    const PROXIES: usize = 1_000;
    let kills: usize =
        std::env::var("SEALIFT_DAEMON_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut field = FieldDay::new("killed", PROXIES, 500, FAULTS);
    field.serve();
    field.submit("strategy: {max_in_flight: 60, max_failures: 200}\nretry: {max_attempts: 12, initial: 100ms, max: 2s}\n");
    for kill in 1..=kills {
        // By progress, not by the clock: each kill meets a busy daemon.
        let enough = (PROXIES * kill / (kills + 2)) as u64;
        field.wait_until("progress before a kill", |status| {
            status["tally"]["succeeded"].as_u64() >= Some(enough)
        });
        field.kill();
        field.serve();
    }
    field.wait_until("the end", |status| status["phase"] == "completed");

    let acknowledged = field.assert_nothing_is_lost_or_repeated(PROXIES);
    let ledger = field.ledger();
    let fired = &ledger["fired"];
    for fault in ["error_500_before", "error_500_after", "drop_before", "drop_after"] {
        assert!(fired[fault].as_u64() > Some(0), "{fault} never fired: {fired}");
    }
    Score { times: kills, acknowledged, sound: kills, ..Score::of("SIGKILL of a busy daemon") }
        .settle();
}

/// At a limit of 100 calls a second the server's own log never has more than 100 in any sliding
/// second, over a restart too.
#[test]
fn the_servers_log_never_shows_more_than_the_quota() {
    let mut field = FieldDay::with_lane(
        "quota",
        120,
        120,
        "latency: {min: 0s, max: 3ms}\njob_time: {min: 20ms, max: 100ms}\n",
        "quota: {requests: 100, per: 1s, headroom: 0%}",
    );
    field.serve();
    field.submit("strategy: {max_in_flight: 100, max_failures: 100}\n");
    field.wait_until("half of it", |status| status["tally"]["succeeded"].as_u64() >= Some(60));
    field.kill();
    field.serve();
    field.wait_until("the end", |status| status["phase"] == "completed");
    let worst = field.worst_second();
    assert!(worst <= 100, "{worst} calls within one second");
    assert!(worst >= 50, "only {worst} calls within the busiest second: the quota was not tested");
}

/// The operator's verbs, as typed: each is durable, and refused with a reason where it means
/// nothing.
#[test]
fn verbs_hold_over_a_kill() {
    let mut field = FieldDay::new(
        "verbs",
        60,
        60,
        "latency: {min: 5ms, max: 20ms}\njob_time: {min: 200ms, max: 400ms}\n",
    );
    field.serve();
    field.submit("strategy: {max_in_flight: 4, max_failures: 4}\n");
    field.wait_until("some progress", |status| status["tally"]["succeeded"].as_u64() >= Some(4));

    assert_eq!(field.run(&["pause", "drill", "--reason", "network trouble"]).code, 0);
    let refused = field.run(&["pause", "drill", "--reason", "again"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("already paused"), "{}", refused.stderr);
    field.wait_until("what is in flight to end", |status| status["tally"]["active"] == 0);
    let calls = field.switches();
    field.kill();
    field.serve();
    let status = field.status();
    assert_eq!(status["paused"]["reason"], "network trouble", "the pause survived: {status}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(field.switches(), calls, "no PUT while paused");

    assert_eq!(field.run(&["resume", "drill"]).code, 0);
    field.wait_until("more progress", |status| status["tally"]["succeeded"].as_u64() >= Some(12));
    assert_eq!(field.run(&["abort", "drill", "--yes", "--reason", "enough"]).code, 0);
    field.wait_until("the rest to be over", |status| {
        status["tally"]["active"] == 0 && status["phase"] == "aborted"
    });
    let tally = field.status()["tally"].clone();
    let sum: u64 = ["queued", "active", "succeeded", "failed", "in_doubt", "cancelled"]
        .iter()
        .filter_map(|word| tally[*word].as_u64())
        .sum();
    assert_eq!(sum, 60, "outcomes add up: {tally}");
    assert!(tally["cancelled"].as_u64() > Some(0), "{tally}");
    let refused = field.run(&["resume", "drill"]);
    assert!(refused.code != 0 && refused.stderr.contains("aborted"), "{}", refused.stderr);
}

/// The kill switch needs no daemon: while the file stands, no PUT leaves.
#[test]
fn the_stop_file_stops_every_put() {
    let mut field = FieldDay::new(
        "stopfile",
        40,
        40,
        "latency: {min: 5ms, max: 20ms}\njob_time: {min: 100ms, max: 200ms}\n",
    );
    field.serve();
    field.submit("strategy: {max_in_flight: 4, max_failures: 4}\n");
    field.wait_until("some progress", |status| status["tally"]["succeeded"].as_u64() >= Some(4));
    field.write_stop_file("bad vibes in the change board");
    field.wait_until("the hold to be told", |status| {
        status["holds"].to_string().contains("bad vibes")
    });
    let calls = field.switches();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(field.switches(), calls, "no PUT under the kill switch");
    field.remove_stop_file();
    field.wait_until("the end", |status| status["phase"] == "completed");
}

/// A plan in the plans folder that says `autostart: true` is picked up when it appears; one with a
/// mistake is told and left.
#[test]
fn a_plan_that_appears_is_picked_up() {
    let mut field = FieldDay::new("autostart", 6, 6, "job_time: {min: 20ms, max: 50ms}\n");
    field.serve();
    field.drop_plan("broken.yaml", "version: 1\nname: broken\nssl_optoin: true\n");
    field.drop_plan("appeared.yaml", &field.plan("appeared", "autostart: true\n"));
    field.wait_for("appeared", "the end", |status| status["phase"] == "completed");
    assert_ne!(field.run(&["status", "broken"]).code, 0, "nothing was queued for the broken plan");
}
