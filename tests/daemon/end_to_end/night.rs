//! A whole night in a few minutes: a canary, a share and the rest of two thousand proxies, through
//! windows of a minute every two minutes; jobs begin to fail, the budget halts it, a person retries
//! and then has it all put back. `rehearse` tells beforehand what then happens, and `status` tells
//! why at every station.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan, Unit};
use sealift::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::end_to_end::field::FieldDay;

const PROXIES: u64 = 2_000;
const BUDGET: u64 = 60;

const CALM: &str = "\
job_time: 2s
latency: {min: 1ms, max: 20ms}
";

/// How far what was told may be from what happens.
const TOLERANCE: f64 = 0.10;

/// From the second opening until jobs begin to fail: the last wave is at work by then.
const FAILS_AFTER: SignedDuration = SignedDuration::from_secs(8);

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no instant: {value}")).parse().expect("an instant")
}

fn now() -> Timestamp {
    SystemClock.times().wall
}

/// The next full minute, and the windows that begin with it. The one before must be shut by now, so
/// a minute that is almost over is waited out.
fn next_opening() -> (Timestamp, &'static str) {
    let minute = jiff::TimestampRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Ceil);
    let next = || now().round(minute).expect("a minute");
    if next().duration_since(now()) < SignedDuration::from_secs(20) {
        sleep_until(next() + 1.millisecond());
    }
    let opening = next();
    let odd = opening.as_second() / 60 % 2 == 1;
    (opening, if odd { "1-59/2 * * * *" } else { "*/2 * * * *" })
}

/// Sleeps until then. Nothing is asserted about how late it wakes.
fn sleep_until(then: Timestamp) {
    while let Ok(wait) = std::time::Duration::try_from(then.duration_since(now()))
        && !wait.is_zero()
    {
        std::thread::sleep(wait);
    }
}

fn hold(status: &Value) -> (&str, &str) {
    let hold = &status["holds"][0];
    (hold["word"].as_str().unwrap_or(""), hold["help"].as_str().unwrap_or(""))
}

struct FleetNight {
    field: FieldDay,
    opening: Timestamp,
}

impl FleetNight {
    /// Whether a window of the plan is open then, and how long it has been.
    fn since_opening(&self, at: Timestamp) -> Option<SignedDuration> {
        let since = at.duration_since(self.opening).as_nanos().rem_euclid(120 * 1_000_000_000);
        let since = SignedDuration::from_nanos(i64::try_from(since).expect("below two minutes"));
        (at >= self.opening && since < SignedDuration::from_mins(1)).then_some(since)
    }

    /// When the cloud made its jobs, in their order.
    fn jobs_made(&self) -> Vec<Timestamp> {
        let ledger = self.field.ledger();
        let began = instant(&ledger["began"]);
        let jobs = ledger["jobs"].as_array().expect("a list").iter();
        let mut made: Vec<_> = jobs
            .map(|job| {
                began
                    + i64::try_from(job["created_ns"].as_u64().expect("a number"))
                        .expect("fits")
                        .nanoseconds()
            })
            .collect();
        made.sort();
        made
    }

    fn tally(&self, word: &str) -> u64 {
        self.field.status()["tally"][word].as_u64().expect("a number")
    }
}

#[test]
fn a_night_is_rehearsed_and_then_happens() {
    let mut field = FieldDay::new("night", PROXIES as usize, 1_000, CALM);
    field.serve();
    let (opening, cron) = next_opening();
    let plan = field.write_plan(&format!(
        "windows: [{{cron: \"{cron}\", duration: 1m, time_zone: UTC}}]\n\
         strategy:\n  max_in_flight: 40\n  max_failures: {{wave: {BUDGET}, rollout: {BUDGET}}}\n  \
         waves: [{{name: canary, size: 5}}, {{name: early, size: 5%}}, {{name: rest, size: rest}}]\n\
         retry: {{max_attempts: 2, initial: 1s}}\n"
    ));
    let fails_from = opening + 2.minutes() + FAILS_AFTER;

    // What is told beforehand.
    let from = now();
    let told = {
        let fault = format!(
            "job_fails=[{{on: 1, from: {:.3}}}]",
            fails_from.duration_since(from).as_secs_f64()
        );
        let (from, faults) = (from.to_string(), field.faults());
        let ran = field.run(&[
            "rehearse", &plan, "--faults", &faults, "--fault", &fault, "--from", &from, "-o",
            "json",
        ]);
        assert_eq!(ran.code, 4, "stopped by a guard: {}{}", ran.stdout, ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).expect("a verdict")
    };
    assert_eq!(
        (&told["ending"], &told["windows_opened"]),
        (&"halted".into(), &2.into()),
        "{told:#}"
    );

    field.run(&["apply", &plan, "--yes", "--detach"]);
    assert!(now() < opening, "submitted before the window opens");
    let night = FleetNight { field, opening };
    let field = &night.field;
    // Why not now, until when.
    field.wait_until("the hold before the opening", |status| hold(status).0 == "window");
    let waits = field.status();
    assert_eq!(
        (&waits["phase"], instant(&waits["holds"][0]["until"])),
        (&"advancing".into(), opening),
        "{waits:#}"
    );
    assert_eq!(night.jobs_made(), [], "nothing is switched before the window opens");

    // The first window: the canary, then a share, then the rest.
    let in_wave = |name: &str| {
        let name = name.to_owned();
        move |status: &Value| {
            status["waves"].as_array().is_some_and(|waves| {
                waves.iter().any(|wave| wave["name"] == name && wave["state"] == "current")
            })
        }
    };
    field.wait_until("the canary", |status| status["tally"]["active"].as_u64() > Some(0));
    field.wait_until("the last wave", in_wave("rest"));
    field.wait_until("the first window's end", |status| hold(status).0 == "window");
    let shut = field.status();
    assert_eq!(instant(&shut["holds"][0]["until"]), opening + 2.minutes(), "{shut:#}");
    field.wait_until("what is in flight to be followed to its end", |status| {
        status["tally"]["active"] == 0
    });

    // The second: jobs begin to fail.
    sleep_until(fails_from);
    field.set_faults(&format!("{CALM}job_fails: 1\n"));
    field.wait_until("the halt", |status| status["phase"] == "halted");
    let halted = field.status();
    field.set_faults(CALM);
    assert_eq!(
        (&halted["halt"]["guard"], hold(&halted).0),
        (&"failures".into(), "halted"),
        "{halted:#}"
    );
    assert!(hold(&halted).1.contains("sealift retry"), "{halted:#}");
    assert_eq!(
        (night.tally("failed"), night.tally("active")),
        (BUDGET, 0),
        "the budget is reached and not overshot"
    );
    let (happened, rehearsed) =
        (night.tally("succeeded"), told["tally"]["succeeded"].as_u64().expect("a number"));
    let off = (rehearsed as f64 - happened as f64) / happened as f64;
    println!(
        "succeeded until the halt: told {rehearsed}, happened {happened}, off by {:.1} %",
        off * 100.0
    );
    assert!(off.abs() <= TOLERANCE, "told {rehearsed}, happened {happened}");

    // A person retries, and it goes on.
    let retried = field.run(&["retry", "drill", "--reason", "the cloud is well again"]);
    assert_eq!(retried.code, 0, "{}{}", retried.stdout, retried.stderr);
    field.wait_until("what had failed to succeed", |status| {
        status["tally"]["failed"] == 0
            && status["tally"]["succeeded"].as_u64() > Some(happened + BUDGET)
    });
    let made = night.jobs_made();
    let outside: Vec<_> = made.iter().filter(|at| night.since_opening(**at).is_none()).collect();
    assert!(outside.is_empty(), "switched outside of the windows: {outside:?}");
    for window in 0..2 {
        let opened = opening + SignedDuration::from_mins(2 * window);
        let first = made.iter().find(|at| **at >= opened).expect("switched in this window");
        println!(
            "window {}: the first job {} ms after the opening",
            window + 1,
            first.duration_since(opened).as_millis()
        );
    }

    // Then it is wanted back. A revert need not wait for a window.
    let reverted = field.run(&["revert", "drill", "--yes", "--reason", "old drivers"]);
    assert_eq!(reverted.code, 0, "{}{}", reverted.stdout, reverted.stderr);
    field.wait_until("the revert", |status| status["phase"] == "reverted");
    let done = field.status();
    assert_eq!(
        (&done["tally"]["failed"], &done["tally"]["in_doubt"], &done["tally"]["succeeded"]),
        (&0.into(), &0.into(), &0.into()),
        "{done:#}"
    );
    let back = done["tally"]["reverted"].as_u64().expect("a number");
    let ledger = field.ledger();
    assert_eq!((&ledger["ssl_on"], &ledger["proxies_total"]), (&0.into(), &PROXIES.into()));

    // The journal has it in this order, with who and why.
    let journal = field.run(&["journal", "drill", "-o", "jsonl"]);
    let rows: Vec<Value> =
        journal.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    let reverting = rows
        .iter()
        .position(|row| row["kind"] == "rollout" && row["to"] == "reverting")
        .expect("it was reverted");
    let calls = rows[reverting..].iter().filter(|row| row["call"] == "submit");
    let proxies: BTreeSet<&str> =
        calls.clone().map(|row| row["proxy_id"].as_str().expect("an id")).collect();
    assert_eq!(
        (calls.count() as u64, proxies.len() as u64),
        (back, back),
        "one call for each that is put back, and none for the others"
    );
    let story: Vec<(String, String)> = rows
        .iter()
        .filter(|row| row["kind"] == "rollout" && row["from"] != row["to"])
        .map(|row| {
            (
                row["to"].as_str().expect("a phase").to_owned(),
                row["why"].as_str().expect("a reason").to_owned(),
            )
        })
        .collect();
    let phases: Vec<&str> = story.iter().map(|(phase, _)| phase.as_str()).collect();
    assert_eq!(phases, ["advancing", "halted", "advancing", "reverting", "reverted"], "{story:#?}");
    assert!(
        story[2].1.ends_with("the cloud is well again") && story[3].1.ends_with("old drivers"),
        "{story:#?}"
    );
}
