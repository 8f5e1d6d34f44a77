//! The built binary: the daemon under a supervisor, the verbs against it, and how each of them
//! ends.

mod away;
mod by_hand;
mod clients;
mod clock;
mod complete;
mod demo_page;
mod discover;
pub mod door;
mod edits;
mod finished;
mod init;
mod journald;
mod lanes;
mod look;
mod manners;
mod over;
mod plan_discovers;
mod postgres;
mod preflight;
mod prometheus;
mod quota;
mod reads;
mod several;
mod store;
mod top;
mod traces;
mod wire;
pub mod world;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use self::world::{ServeWorld, VerbOutput, exists, sealift};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_sees_ready_alive_reloading_and_stopping() {
    let world = ServeWorld::new(2, 2, "");
    let daemon = world.daemon();
    daemon.told("READY=1");
    assert!(
        exists(&world.path("state/queue")) && exists(&world.path("run/api.sock")),
        "ready before store and socket"
    );
    daemon.told("WATCHDOG=1");
    daemon.told("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    let reloading = daemon.told("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    daemon.told("READY=1");
    daemon.signal(Signal::TERM);
    daemon.told("STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
    assert!(!exists(&world.path("run/api.sock")), "the socket stays behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_applied_followed_and_listed() {
    let world = ServeWorld::new(8, 4, "job_time: 100ms");
    let daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    let plan = plan.to_str().expect("a path of text");

    let refused = world.run(&["apply", plan]);
    assert_eq!(refused.code, Some(7), "nobody can be asked: {refused:?}");
    assert!(refused.err.contains("--yes"), "{refused:?}");
    let preview = world.run(&["plan", plan, "-o", "json", "--detailed-exitcode"]);
    assert_eq!(preview.code, Some(2));
    let preview: serde_json::Value = serde_json::from_str(&preview.out).expect("a preview");
    let members = world.run(&["plan", plan, "--members", "-o", "jsonl"]);
    assert_eq!((members.code, members.out.lines().count()), (Some(0), 8));
    let first: serde_json::Value =
        serde_json::from_str(members.out.lines().next().unwrap_or_default()).expect("a row");
    assert_eq!(
        (&first["ordinal"], &first["wave"]),
        (&serde_json::json!(0), &serde_json::json!("all"))
    );
    assert_eq!(world.run(&["plan", plan, "--members", "--all"]).code, Some(1), "one or the other");
    let digest = preview["digest"].as_str().expect("a digest");
    let other = world.run(&["apply", plan, "--yes", "--digest", &"0".repeat(64)]);
    assert_eq!(other.code, Some(1), "{other:?}");

    let applied = world.run(&["apply", plan, "--yes", "--digest", digest, "-o", "json"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let status: serde_json::Value =
        serde_json::from_str(&applied.out).expect("the result is one document");
    assert_eq!(status["phase"], "completed");
    assert!(
        applied.err.lines().any(|line| line.contains("8 of 8 show SSL on, 100%")),
        "no ticks: {}",
        applied.err
    );

    let jobs = world.run(&["jobs", "night", "-o", "csv"]);
    let saved: BTreeSet<String> = jobs
        .out
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap_or_default().to_owned())
        .collect();
    let handed_out: BTreeSet<String> =
        world.cloud.with_model(|model| model.jobs().map(|job| job.job_id.to_string()).collect());
    assert_eq!(saved, handed_out);
    assert_eq!(saved.len(), 8);
    assert_eq!(world.run(&["watch", "night"]).code, Some(0), "a rollout that is over is over");
    assert!(world.run(&["list"]).out.contains("night"));
    let changes = world.run(&["changes", "night", "--state", "succeeded", "-o", "jsonl"]);
    assert_eq!(changes.out.lines().count(), 8);
    assert!(world.run(&["journal", "night", "-o", "csv"]).out.contains("submitting"));
    let late = world.run(&["pause", "night", "--reason", "too late"]);
    assert_eq!(late.code, Some(1));
    assert!(late.err.contains("completed"), "{late:?}");
    assert_eq!(world.run(&["status", "nobody"]).code, Some(1));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let gone = world.run(&["status"]);
    assert_eq!(gone.code, Some(8));
    assert!(gone.err.contains("sealift serve"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_say_autostart_are_picked_up_when_they_appear() {
    let world = ServeWorld::new(4, 4, "job_time: 100ms");
    let daemon = world.daemon().ready();
    std::fs::copy(world.path("fleet.csv"), world.path("plans.d/fleet.csv")).expect("copied");
    let text = |name: &str, rest: &str| {
        format!(
            "version: 1\nname: {name}\nssl_option: true\ntargets: {{files: [fleet.csv]}}\n{rest}"
        )
    };
    // Another may write it: not even read.
    let open = world.write("plans.d/open.yaml", &text("open", "autostart: true\n"));
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).expect("a mode");
    std::os::unix::fs::symlink(
        world.plan("linked", "autostart: true\n"),
        world.path("plans.d/linked.yaml"),
    )
    .expect("a link");
    world.write(
        "plans.d/off.yaml",
        &text("dark", "autostart: true\n").replace("ssl_option: true", "ssl_option: false"),
    );
    world.write("plans.d/bad.yaml", "version: 1\nname: bad\nssl_optoin: true\n");
    world.write("plans.d/waits.yaml", &text("waits", ""));
    daemon.logged("unknown key `ssl_optoin`");
    daemon.logged("others may write it");
    daemon.logged("it is no regular file");
    daemon.logged("sealift apply --confirm dark");
    daemon.logged("the plan is well");
    assert_eq!(world.run(&["list", "-o", "json"]).out.trim(), "[]", "nothing was started");
    world.write("plans.d/good.yaml", &text("good", "autostart: true\n"));
    let done = world.until("good", |status| status["phase"] == "completed");
    assert!(done["by"].as_str().is_some_and(|by| by.ends_with("(plans folder)")), "{done}");
    let told = daemon.log().matches("ssl_optoin").count();
    daemon.signal(Signal::HUP);
    daemon.logged("configuration and plans are read again");
    daemon.logged("ready");
    assert!(told >= 1);
    assert_eq!(world.run(&["list", "-o", "jsonl"]).out.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_file_stops_also_over_a_restart() {
    let world = ServeWorld::new(4, 4, "job_time: 100ms");
    std::fs::create_dir(world.path("state")).expect("a folder");
    world.write("state/STOP", "fire drill\n");
    let daemon = world.daemon().ready();
    let plan = world.plan("stopped", "");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let held = world.until("stopped", |status| status["holds"][0]["word"] == "stop_file");
    let file = world.path("state/STOP").display().to_string();
    let told = format!("everything is stopped by the file {file}: fire drill; remove it to go on");
    assert_eq!(held["holds"][0]["text"], told.as_str());
    daemon.logged(&format!("stop_file={file}"));
    let config = world.run(&["config", "-o", "jsonl"]).out;
    assert!(config.contains(&format!("\"key\":\"stop_file\",\"value\":\"{file}\"")), "{config}");
    let status = world.run(&["status"]).out;
    assert_eq!(
        status.lines().next(),
        Some(format!("STOPPED by the file {file}: fire drill; remove it to go on").as_str())
    );
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let daemon = world.daemon().ready();
    world.until("stopped", |status| status["holds"][0]["word"] == "stop_file");
    assert_eq!(
        world.cloud.with_model(|model| model.ledger().switches_total()),
        0,
        "a switch was sent under STOP"
    );
    std::fs::remove_file(world.path("state/STOP")).expect("gone");
    world.until("stopped", |status| status["phase"] == "completed");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_stopped_stays_so_over_a_kill() {
    let world = ServeWorld::new(2, 1, "");
    let gone = world.run(&["stop", "--reason", "incident in the region"]);
    let file = world.path("state/STOP").display().to_string();
    assert_eq!(gone.code, Some(8), "{gone:?}");
    assert!(gone.err.contains(&format!("a file {file} stops everything")), "{gone:?}");

    let daemon = world.daemon().ready();
    let stopped = world.run(&["stop", "--reason", "incident in the region"]);
    assert_eq!(
        (stopped.code, stopped.out.starts_with("stopped: nothing")),
        (Some(0), true),
        "{stopped:?}"
    );
    daemon.signal(Signal::KILL);
    assert_eq!(daemon.wait(), None, "killed by the signal");
    let daemon = world.daemon().ready();
    daemon.logged("everything is stopped");
    let status = world.run(&["status"]).out;
    let first = status.lines().next().expect("a line although no rollout is open");
    assert!(
        first.starts_with("STOPPED by ")
            && first.ends_with(": incident in the region; `sealift start` goes on"),
        "{first}"
    );
    let plan = world.plan("held", "");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    world.until("held", |status| status["holds"][0]["word"] == "stopped");
    assert_eq!(
        world.cloud.with_model(|model| model.ledger().switches_total()),
        0,
        "a switch was sent while everything was stopped"
    );
    assert_eq!(world.run(&["start"]).code, Some(0));
    world.until("held", |status| status["phase"] == "completed");
    assert_eq!(world.run(&["start"]).code, Some(1), "nothing is stopped any more");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_a_person_paused_stays_so_over_a_kill() {
    let world = ServeWorld::new(2, 1, "");
    let daemon = world.daemon().ready();
    let lane = "lab";
    let paused = world.run(&["pause", "--lane", lane, "--reason", "incident in the region"]);
    assert_eq!((paused.code, paused.out.contains("paused")), (Some(0), true), "{paused:?}");
    assert_eq!(
        world.run(&["pause", "--lane", lane, "--until", "06:00"]).code,
        Some(1),
        "a lane's pause has no end"
    );
    daemon.signal(Signal::KILL);
    assert_eq!(daemon.wait(), None, "killed by the signal");
    let daemon = world.daemon().ready();
    let plan = world.plan("held", "");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let held = world.until("held", |status| status["holds"][0]["word"] == "lane_held");
    assert!(
        held["holds"][0]["why"]
            .as_str()
            .is_some_and(|text| text.contains("incident in the region")),
        "{held:#}"
    );
    assert_eq!(
        world.cloud.with_model(|model| model.ledger().switches_total()),
        0,
        "a switch was sent over a paused lane"
    );
    assert_eq!(world.run(&["resume", "--lane", lane]).code, Some(0));
    world.until("held", |status| status["phase"] == "completed");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_state_is_refused() {
    let world = ServeWorld::new(1, 1, "");
    let daemon = world.daemon().ready();
    let second = world.run(&["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another daemon"), "{second:?}");
    assert!(world.run(&["list"]).code == Some(0), "the first one still answers");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_costs_nothing() {
    let world = ServeWorld::new(12, 6, "{job_time: 300ms, error_500_after: 0.2, drop_after: 0.1}");
    let plan = world.plan("killed", "strategy: {max_in_flight: 4, max_failures: 10}\nretry: {max_attempts: 10, initial: 100ms, max: 1s}\n");
    let daemon = world.daemon().ready();
    assert_eq!(
        world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]).code,
        Some(0)
    );
    world.until("killed", |status| status["tally"]["succeeded"].as_u64() >= Some(2));
    daemon.signal(Signal::KILL);
    assert_eq!(daemon.wait(), None, "killed by the signal");
    let daemon = world.daemon().ready();
    let done = world.until("killed", |status| status["final"] == true);
    assert_eq!(done["tally"]["succeeded"], 12, "{done:#}");
    let repeated =
        world.cloud.with_model(|model| model.proxies().filter(|proxy| !proxy.ssl_option).count());
    assert_eq!(repeated, 0);
    drop(daemon);
}

#[test]
fn the_demo_ends_by_itself_with_the_saved_job_ids() {
    let output = sealift().arg("demo").stdin(Stdio::null()).output().expect("it runs");
    let ran = VerbOutput::of(output);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    assert!(
        ran.out.contains("24 of 24 proxies show SSL on")
            && ran.out.contains("exactly the saved ones"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("superseded"), "the failed job shows: {}", ran.out);
    assert!(ran.out.contains("What to try next"));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/demo.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let typed = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("$ ")).map(ToOwned::to_owned).collect()
    };
    let (said, here) = (typed(&page), typed(&ran.out));
    assert!(!said.is_empty(), "docs/demo.md types nothing");
    assert!(said.iter().all(|line| here.contains(line)), "docs/demo.md: {said:?}; typed: {here:?}");
    let left: Vec<_> = std::fs::read_dir(std::env::temp_dir())
        .expect("readable")
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("sealift-demo-"))
        .collect();
    let own =
        left.iter().filter(|entry| ran.out.contains(&*entry.file_name().to_string_lossy())).count();
    assert_eq!(own, 0, "the demo leaves its folder behind");
}

#[test]
fn usage_and_pipes_end_as_promised() {
    let code =
        |arguments: &[&str]| sealift().args(arguments).output().expect("it runs").status.code();
    assert_eq!(code(&["bogus"]), Some(1), "2 means pending changes");
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["check", "/nowhere.yaml"]), Some(1));
    assert_eq!(code(&["status", "--addr", "/nowhere/api.sock"]), Some(8));
    assert_eq!(code(&["status", "--addr", "http://x"]), Some(1));
    for shell in ["bash", "zsh", "fish"] {
        assert_eq!(code(&["completions", shell]), Some(0));
    }
    let schema = VerbOutput::of(sealift().args(["schema", "plan"]).output().expect("it runs"));
    assert!(
        serde_json::from_str::<serde_json::Value>(&schema.out)
            .is_ok_and(|schema| schema["properties"]["ssl_option"].is_object())
    );
    // The reader goes away after the first bytes: no panic, no complaint.
    let mut child = sealift()
        .args(["schema", "plan"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let ended = VerbOutput::of(child.wait_with_output().expect("it ends"));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

#[test]
fn mistakes_of_a_configuration_are_told_in_its_lines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sealift.yaml");
    std::fs::write(&path, "lanse: []\n").expect("a file");
    let ran = VerbOutput::of(
        sealift().args(["config", "--config"]).arg(&path).output().expect("it runs"),
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("sealift.yaml:1:1") && ran.err.contains("lanes"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_told_which_enforcement_undoes_it() {
    let world = ServeWorld::new(4, 4, "job_time: 100ms");
    let daemon = world.daemon().ready();
    let rest = "enforce: {cron: \"0 2 1 1 *\", time_zone: UTC, mode: apply}\nstrategy: {max_failures: 4}\n";
    let night = world.plan("night", rest);
    assert_eq!(world.run(&["apply", night.to_str().expect("text"), "--yes"]).code, Some(0));
    world.until("night", |status| status["enforcement"]["stage"] == "idle");

    let text = "version: 1\nname: off\nssl_option: false\ntargets: {files: [fleet.csv]}\nstrategy: {max_failures: 4}\n";
    let off = world.write("off.yaml", text);
    let off = off.to_str().expect("text");
    let first = std::fs::read_to_string(world.path("fleet.csv")).expect("the fleet");
    let first =
        first.lines().nth(1).and_then(|line| line.split(',').nth(2)).expect("a proxy").to_owned();
    let told = "the enforcement night keeps 4 targets of this plan at ssl on; its next run, ";
    let planned = world.run(&["plan", off, "--no-forecast"]);
    assert!(planned.out.contains(told) && planned.out.contains(&first), "{planned:?}");
    let checked = world.run(&["preflight", off, "--no-ports"]);
    assert!(
        checked.out.contains(told) && checked.out.contains("`sealift enforce stop night`"),
        "{checked:?}"
    );
    let applied = world.run(&["apply", off, "--yes", "--confirm", "off"]);
    assert!(
        applied.code == Some(0) && applied.err.contains(&format!("warning: {told}")),
        "{applied:?}"
    );
    let journal = world.run(&["journal", "off", "-o", "csv"]).out;
    assert!(journal.contains("the enforcement night keeps 4 of them at ssl on"), "{journal}");
    // Of what it keeps anyway nothing is said.
    let same = world.plan("same", "");
    let planned = world.run(&["plan", same.to_str().expect("text"), "--no-forecast"]);
    assert!(
        planned.code == Some(0)
            && !planned.out.contains("the enforcement")
            && planned.err.is_empty(),
        "{planned:?}"
    );
    drop(daemon);
    let alone = world.run(&["plan", off, "--no-forecast"]);
    assert_eq!(alone.code, Some(0), "a plan is previewed without a daemon: {alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_puts_back_what_is_enforced_is_warned() {
    let world = ServeWorld::new(4, 2, "job_time: 100ms");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "enforce: {cron: \"0 2 1 1 *\", time_zone: UTC, mode: apply}\n");
    assert_eq!(world.run(&["apply", plan.to_str().expect("text"), "--yes"]).code, Some(0));
    world.until("night", |status| status["enforcement"]["stage"] == "idle");
    let back = world.path("back.yaml");
    let back = back.to_str().expect("a path of text");
    let written = world.run(&["revert", "night", "--write", back]);
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(
        written.err.contains("plan night is enforced: its next run switches them again"),
        "{}",
        written.err
    );
    assert_eq!(world.run(&["enforce", "stop", "night", "--reason", "put back"]).code, Some(0));
    std::fs::remove_file(back).expect("it was written");
    let written = world.run(&["revert", "night", "--write", back]);
    assert!(written.code == Some(0) && !written.err.contains("enforced"), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_plan_carries_verify_strategy_and_windows_over() {
    let world = ServeWorld::new(6, 3, "job_time: 100ms");
    let _daemon = world.daemon().ready();
    let plan = world.plan(
        "night",
        "windows: [{cron: \"0 * * * *\", duration: 2h, time_zone: Asia/Singapore}]\nverify: {timeout: 2m, wire: {ca_file: ca.pem}}\n\
         strategy: {max_in_flight: 3, on_failure: revert, waves: [{name: canary, size: 2}, {name: rest, size: rest}]}\n",
    );
    assert_eq!(world.run(&["apply", plan.to_str().expect("text"), "--yes"]).code, Some(0));
    let back = world.path("back.yaml");
    let back = back.to_str().expect("a path of text");
    let written = world.run(&["revert", "night", "--write", back]);
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(
        written.err.contains("carried over from night revision 1: windows, strategy, verify"),
        "{}",
        written.err
    );
    let text = std::fs::read_to_string(back).expect("it was written");
    for left_out in [
        "verify.wire.ca_file: \"ca.pem\"; it asks something of TLS",
        "strategy.on_failure: revert; where too much",
    ] {
        assert!(
            written.err.contains(&format!("left out: {left_out}"))
                && text.contains(&format!("# Left out: {left_out}")),
            "{text}"
        );
    }
    let checked = world.run(&["check", back]);
    assert!(checked.code == Some(0) && checked.out.contains("6 proxies in 2 waves"), "{checked:?}");
    let applied = world.run(&["apply", back, "--yes", "--confirm", "revert-night"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let status = world.status("revert-night");
    assert_eq!(
        (&status["wire"]["min_tls"], &status["max_in_flight"]),
        (&"1.2".into(), &3.into()),
        "{status}"
    );
    assert_eq!(
        (&status["waves"][0]["name"], &status["waves"][0]["size"]),
        (&"rest".into(), &4.into()),
        "{status}"
    );
}
