//! A lane's quota in the daemon itself: changed by a reload, kept over a clean end.

use rustix::process::Signal;
use sealift::clock::{Clock as _, SystemClock};

use crate::serve::world::ServeWorld;

/// The same configuration with this quota.
fn with_quota(world: &ServeWorld, quota: &str) {
    let before = std::fs::read_to_string(world.path("sealift.yaml")).expect("a configuration");
    let without: Vec<&str> = before.lines().filter(|line| !line.contains("quota:")).collect();
    world.write("sealift.yaml", &format!("{}\n    quota: {quota}\n", without.join("\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_another_quota_over_whole_or_not_at_all() {
    let world = ServeWorld::new(4, 2, "");
    with_quota(&world, "{requests: 100, per: 10s, headroom: 0%}");
    let daemon = world.daemon().ready();
    let shown = || world.run(&["status"]).out;
    assert!(shown().contains("lane lab  0 of 100 calls in the last 10s"), "{}", shown());

    with_quota(&world, "{requests: 40, per: 1m, headroom: 50%}");
    daemon.signal(Signal::HUP);
    daemon.logged("the quota has changed");
    daemon.logged("configuration and plans are read again");
    assert!(shown().contains("0 of 20 calls in the last 1m"), "{}", shown());
    assert!(
        !daemon.log().contains("lanes has changed; restart"),
        "nothing else has changed:\n{}",
        daemon.log()
    );

    with_quota(&world, "{requests: none, per: 1m}");
    daemon.signal(Signal::HUP);
    daemon.logged("the one that was read before stays in force");
    // A client reads the same file; the daemon is not told of this one.
    with_quota(&world, "{requests: 40, per: 1m, headroom: 50%}");
    assert!(shown().contains("0 of 20 calls in the last 1m"), "{}", shown());

    // Another account under the same name waits for a restart, its quota with it.
    with_quota(&world, "{requests: 70, per: 1m, headroom: 0%}");
    let text = std::fs::read_to_string(world.path("sealift.yaml")).expect("a configuration");
    world.write(
        "sealift.yaml",
        &text.replace("056538411200d4cd2f79c003c7606412", "156538411200d4cd2f79c003c7606412"),
    );
    daemon.signal(Signal::HUP);
    daemon.logged("lanes has changed; restart");
    assert!(shown().contains("0 of 20 calls in the last 1m"), "{}", shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_leaves_the_level_and_after_a_kill_the_quota_counts_as_used() {
    let world = ServeWorld::new(8, 4, "job_time: 100ms");
    // The interval is longer than the test: what the first daemon used, the others still see.
    with_quota(&world, "{requests: 1000, per: 1h, headroom: 0%}");
    let daemon = world.daemon().ready();
    let plan = world.plan("small", "");
    // A thousand an hour are spaced 3.6 s apart: a few of the calls are enough.
    let applied = world.run(&["apply", plan.to_str().expect("a path"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{}", applied.err);
    world.until("small", |status| {
        status["tally"]["active"].as_u64().is_some_and(|active| active > 0)
    });
    let used = |world: &ServeWorld| -> u32 {
        let shown = world.run(&["status"]).out;
        let line = shown
            .lines()
            .find(|line| line.starts_with("lane lab"))
            .unwrap_or_else(|| panic!("{shown}"));
        line.split_whitespace()
            .nth(2)
            .and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{line}"))
    };
    for _ in 0..600 {
        if used(&world) >= 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let paused = world.run(&["pause", "small", "--reason", "drill"]);
    assert_eq!(paused.code, Some(0), "{}", paused.err);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let left = || std::fs::read_to_string(world.path("state/levels.json")).expect("the levels");
    assert!(left().contains("\"count\""), "a clean end leaves the level: {}", left());

    let daemon = world.daemon().ready();
    assert!(
        !left().contains("\"count\"") && left().contains("\"out\""),
        "it holds no longer than until the first call: {}",
        left()
    );
    let level = used(&world);
    assert!(
        (2..100).contains(&level),
        "{level} of the calls before are known, and no more are assumed"
    );
    let resumed = world.run(&["resume", "small"]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    drop(daemon);
    let _daemon = world.daemon().ready();
    assert_eq!(
        used(&world),
        1000,
        "what a killed daemon sent is not known: the quota is taken for spent"
    );
    let held = world.until("small", |status| status["holds"][0]["word"] == "quota");
    let (until, text) = (&held["holds"][0]["until"], &held["holds"][0]["text"]);
    let until: jiff::Timestamp =
        until.as_str().and_then(|until| until.parse().ok()).unwrap_or_else(|| panic!("{held}"));
    assert!(
        text.as_str().is_some_and(|text| text.contains("ended without a count of its calls")),
        "{text}"
    );
    let left = until.duration_since(SystemClock.times().wall).as_secs();
    assert!(
        (3_500..=3_600).contains(&left),
        "no more than what was in flight is waited for longer: {left} s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_s_reads_count_after_a_kill_and_a_first_start_waits_for_nothing() {
    let world = ServeWorld::new(4, 2, "");
    with_quota(&world, "{requests: 1000, per: 1h, headroom: 0%}");
    // What the status shows is renewed a moment after an answer.
    let shown = |used: &str| {
        let mut shown = String::new();
        for _ in 0..600 {
            shown = world.run(&["status"]).out;
            if shown.contains(&format!("lane lab  {used} of 1000 calls")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("never {used}: {shown}");
    };
    let daemon = world.daemon().ready();
    shown("0");
    // Nothing of it stands in the journal, and nothing was ever submitted.
    let found = world.run(&["discover", "--name", "nobody-*"]);
    assert!(found.err.contains("lab") || found.out.is_empty(), "{found:?}");
    shown("1");
    drop(daemon);
    let daemon = world.daemon().ready();
    shown("1000");
    drop(daemon);
    std::fs::remove_file(world.path("state/levels.json")).expect("the marks");
    let _daemon = world.daemon().ready();
    shown("1000");
}
