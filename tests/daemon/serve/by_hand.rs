//! What is in doubt, and one change among many: a person retries it, names its job, or gives it up.

use sealift::simcloud::faults::Faults;
use serde_json::Value;

use crate::serve::world::ServeWorld;

/// The canary's budget lets all of it begin at once; half of it in doubt keeps it from being left.
const REST: &str = "verify: {timeout: 1s}\nstrategy: {max_failures: {wave: 4}, waves: [{name: canary, size: 4, promote: manual}, {name: rest, size: rest}]}\n";

fn changes(world: &ServeWorld) -> Vec<Value> {
    let listed = world.run(&["changes", "doubt", "-o", "jsonl"]).out;
    listed.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn field<'r>(row: &'r Value, name: &str) -> &'r str {
    row[name].as_str().unwrap_or_else(|| panic!("{name}: {row:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_settles_what_is_in_doubt() {
    let world = ServeWorld::new(5, 5, "job_time: 100ms\nssl_option: absent");
    let plan = world.plan("doubt", REST);
    let _daemon = world.daemon().ready();
    let applied =
        world.run(&["apply", plan.to_str().expect("a path of text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    world.until("doubt", |status| status["phase"] == "halted" && status["tally"]["in_doubt"] == 4);
    world.cloud.with_model(|model| {
        model.set_faults(Faults::from_yaml("job_time: 100ms").expect("a fault file"))
    });
    let rows = changes(&world);
    let proxies: Vec<&str> = rows.iter().map(|row| field(row, "proxy_id")).collect();
    let jobs: Vec<&str> = rows[..4].iter().map(|row| field(row, "job_id")).collect();
    let sent = world.cloud.with_model(|model| model.ledger().switches_total());
    assert_eq!(sent, 4);

    // What is not its job is not believed.
    let unknown = "00000000-0000-0000-0000-000000000000";
    for (proxy, job, told) in [
        (proxies[0], jobs[1], "works on instance"),
        (proxies[0], unknown, "the cloud knows no job"),
        (proxies[4], jobs[0], "no change of a proxy"),
    ] {
        let refused = world.run(&["resolve", "doubt", "--proxy", proxy, "--job", job]);
        assert!(refused.code == Some(1) && refused.err.contains(told), "{told}: {refused:?}");
    }
    let neither = world.run(&["resolve", "doubt", "--proxy", proxies[0]]);
    assert!(neither.code == Some(1) && neither.err.contains("--job"), "{neither:?}");
    let many = world.run(&["retry", "doubt", "--proxy", ""]);
    assert!(many.code == Some(1) && many.err.contains("more than one proxy"), "{many:?}");

    let named = world.run(&[
        "resolve",
        "doubt",
        "--proxy",
        &proxies[0][..12],
        "--job",
        jobs[0],
        "--reason",
        "seen in the console",
    ]);
    assert_eq!(named.code, Some(0), "{named:?}");
    world.until("doubt", |status| status["phase"] == "halted" && status["tally"]["succeeded"] == 1);
    let given_up = world.run(&[
        "resolve",
        "doubt",
        "--proxy",
        proxies[1],
        "--give-up",
        "--reason",
        "the instance is gone",
    ]);
    assert_eq!(given_up.code, Some(0), "{given_up:?}");
    let again = world.run(&["resolve", "doubt", "--proxy", proxies[1], "--give-up"]);
    assert_eq!(again.code, Some(1), "it is in doubt no more: {again:?}");
    // One of the two that are left: it shows the value, so nothing is sent. The other stays as it
    // is.
    let retried = world.run(&["retry", "doubt", "--proxy", proxies[2]]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    world.until("doubt", |status| status["phase"] == "halted" && status["tally"]["succeeded"] == 2);
    let rows = changes(&world);
    let states: Vec<&str> = rows.iter().map(|row| field(row, "state")).collect();
    assert_eq!(states, ["succeeded", "failed", "succeeded", "in_doubt", "queued"], "{rows:#?}");
    assert_eq!((field(&rows[0], "how"), field(&rows[0], "job_id")), ("switched", jobs[0]));
    assert_eq!(field(&rows[1], "reason_word"), "given_up");
    assert!(field(&rows[1], "reason").contains("the instance is gone"), "{:#}", rows[1]);
    assert_eq!(
        world.cloud.with_model(|model| model.ledger().switches_total()),
        sent,
        "nothing was sent twice"
    );
    let journal = world.run(&["journal", "doubt", "-o", "jsonl"]).out;
    let by_hand: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an entry"))
        .filter(|entry| entry["proxy_id"] == proxies[0] && entry["by"].is_string())
        .collect();
    assert!(
        by_hand.iter().any(|entry| field(entry, "why").contains("seen in the console")),
        "who and why are kept: {by_hand:#?}"
    );
}
