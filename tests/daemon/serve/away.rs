//! Verbs that outlive a restart of the daemon, a `watch` that ends where a person is needed, and
//! the journal as it is read meanwhile.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::serve::world::{ServeWorld, VerbOutput};

#[tokio::test(flavor = "multi_thread")]
async fn watch_and_a_verb_outlive_a_restart() {
    let world = ServeWorld::new(24, 24, "job_time: 200ms");
    let mut daemon = world.daemon().ready();
    let plan = world.plan("night", "strategy: {max_in_flight: 2, max_failures: 2}\n");
    let plan = plan.to_str().expect("a path of text");
    assert_eq!(world.run(&["apply", plan, "--yes", "--detach"]).code, Some(0));
    let mut watch = world.command(&["watch", "night", "--wait", "30s"]);
    let mut watch = watch
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut ticks = BufReader::new(watch.stdout.take().expect("piped"));
    let mut tick = String::new();
    ticks.read_line(&mut tick).expect("a tick");
    assert!(tick.contains("night"), "{tick}");
    daemon.child.kill().expect("killed");
    daemon.child.wait().expect("reaped");
    drop(daemon);
    let mut verb =
        world.command(&["pause", "night", "--reason", "over a restart", "--wait", "30s"]);
    let verb = std::thread::spawn(move || {
        VerbOutput::of(verb.stdin(Stdio::null()).output().expect("it runs"))
    });
    std::thread::sleep(Duration::from_millis(1_200));
    let _daemon = world.daemon().ready();
    let paused = verb.join().expect("it ends");
    assert!(paused.code == Some(0) && paused.err.contains("is away since "), "{paused:?}");
    assert!(paused.err.contains("the daemon answers again"), "{paused:?}");
    // What is paused without an end waits for a person.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut ticks, &mut rest).expect("its output");
    let watched = VerbOutput::of(watch.wait_with_output().expect("it ends"));
    assert_eq!(watched.code, Some(7), "{watched:?}\n{rest}");
    assert!(
        watched.err.contains("is away since ") && watched.err.contains("the daemon answers again"),
        "{watched:?}"
    );
    assert!(
        watched.err.contains("over a restart") && watched.err.contains("sealift resume night"),
        "{watched:?}"
    );
    let timed = world.run(&["resume", "night"]);
    assert_eq!(timed.code, Some(0), "{timed:?}");
    assert_eq!(world.run(&["watch", "night"]).code, Some(0), "resumed, it is followed to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_read_by_proxy_by_time_and_as_it_goes_on() {
    let world = ServeWorld::new(8, 8, "job_time: 300ms");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "strategy: {max_in_flight: 2, max_failures: 2}\n");
    let plan = plan.to_str().expect("a path of text");
    assert_eq!(world.run(&["apply", plan, "--yes", "--detach"]).code, Some(0));
    let followed = world.run(&["journal", "night", "--follow", "-o", "jsonl"]);
    assert_eq!(followed.code, Some(0), "{followed:?}");
    let whole = world.run(&["journal", "night", "-o", "jsonl"]);
    assert_eq!(followed.out, whole.out, "each entry once, to the end of the rollout");
    assert_eq!(
        world.run(&["journal", "night", "--follow", "-o", "json"]).code,
        Some(1),
        "no single document"
    );

    let changes = world.run(&["changes", "night", "-o", "jsonl"]);
    let row: serde_json::Value =
        serde_json::from_str(changes.out.lines().nth(3).expect("a row")).expect("JSON");
    let proxy = row["proxy_id"].as_str().expect("an id");
    let of_one = world.run(&["journal", "night", "--proxy", &proxy[..20], "-o", "jsonl"]);
    let expected: Vec<&str> = whole.out.lines().filter(|line| line.contains(proxy)).collect();
    assert_eq!(of_one.out.lines().collect::<Vec<_>>(), expected);
    assert!(expected.len() >= 4, "{expected:?}");

    let at = |line: &str| -> jiff::Timestamp {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        row["at"].as_str().expect("a time").parse().expect("an instant")
    };
    let middle = at(whole.out.lines().nth(20).expect("many entries"));
    let since = world.run(&["journal", "night", "--since", &middle.to_string(), "-o", "jsonl"]);
    assert_eq!(
        since.out.lines().count(),
        whole.out.lines().filter(|line| at(line) >= middle).count(),
        "{since:?}"
    );
    let table = world.run(&["journal", "night", "--since", "1h", "--limit", "1"]);
    assert!(
        table.out.contains(&middle.strftime("%Y-%m-%d ").to_string()),
        "a date stands with the time: {table:?}"
    );
    let nothing = world.run(&["journal", "night", "--proxy", "no-such"]);
    assert!(nothing.out.is_empty() && nothing.err.contains("nothing such happened"), "{nothing:?}");
    assert_eq!(
        world.run(&["journal", "night", "--since", "2100-01-01T00:00Z"]).code,
        Some(1),
        "it has not come yet"
    );
}
