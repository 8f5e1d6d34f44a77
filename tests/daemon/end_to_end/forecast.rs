//! What `plan`, `rehearse` and `status` say beforehand against what then happens: the real daemon,
//! the emulated cloud.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::end_to_end::field::FieldDay;

/// Jobs so long that they outweigh what a busy host adds to each step.
const FAULTS: &str = "\
job_time: {min: 3s, max: 5s}
latency: {min: 1ms, max: 20ms}
";

/// How far a forecast may be from what happens.
const TOLERANCE: f64 = 0.10;

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no instant: {value}")).parse().expect("an instant")
}

#[track_caller]
fn close(what: &str, told: SignedDuration, happened: SignedDuration) {
    let off = (told.as_secs_f64() - happened.as_secs_f64()) / happened.as_secs_f64();
    println!("{what}: told {told:#}, happened {happened:#}, off by {:.1} %", off * 100.0);
    assert!(
        off.abs() <= TOLERANCE,
        "{what}: told {told:#}, happened {happened:#}: off by {:.1} %",
        off * 100.0
    );
}

#[test]
fn what_is_forecast_happens() {
    const PROXIES: usize = 200;
    let mut field = FieldDay::new("forecast", PROXIES, 100, FAULTS);
    field.serve();
    let strategy = "strategy: {max_in_flight: 25, max_failures: 200, waves: [{name: early, size: 50}, {name: rest, size: rest}]}\n";
    let plan = field.write_plan(strategy);
    let faults = field.faults();

    let ran = field.run(&["plan", &plan, "--faults", &faults, "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let preview: Value = serde_json::from_str(&ran.stdout).expect("a preview");
    let forecast = &preview["forecast"];
    let told = instant(&forecast["p50"]).duration_since(instant(&forecast["as_of"]));

    let ran = field.run(&["rehearse", &plan, "--faults", &faults, "-o", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let verdict: Value = serde_json::from_str(&ran.stdout).expect("a verdict");
    assert_eq!(
        (&verdict["ending"], &verdict["tally"]["succeeded"]),
        (&"completed".into(), &PROXIES.into())
    );
    let rehearsed = instant(&verdict["ended_at"]).duration_since(instant(&verdict["from"]));

    field.submit(strategy);
    // Enough has been measured by then; what is left is more than half.
    field.wait_until("a forecast from measured jobs", |status| {
        let measured =
            status["forecast"]["basis"][0].as_str().is_some_and(|basis| basis.contains("measured"));
        measured && status["tally"]["succeeded"].as_u64() >= Some(60)
    });
    let running = field.status();
    field.wait_until("the end", |status| status["phase"] == "completed");

    let journal = field.run(&["journal", "drill", "-o", "jsonl"]);
    let at = |line: &str| instant(&serde_json::from_str::<Value>(line).expect("a row")["at"]);
    let began = at(journal.stdout.lines().next().expect("a journal"));
    let ended = at(journal.stdout.lines().last().expect("a journal"));
    let happened = ended.duration_since(began);
    close("plan", told, happened);
    close("rehearse", rehearsed, happened);
    // The end as it was told in the middle, from the same beginning.
    close("status", instant(&running["forecast"]["p50"]).duration_since(began), happened);
    let names: Vec<_> = running["forecast"]["waves"]
        .as_array()
        .expect("waves")
        .iter()
        .map(|wave| wave["name"].clone())
        .collect();
    assert_eq!(names, ["rest"], "what is done is not forecast");
}
