//! Lanes that change under a running rollout: one that is gone, and one whose project another lane
//! reaches.

use crate::serve::world::ServeWorld;

const PROJECT: &str = "056538411200d4cd2f79c003c7606412";
const OTHER: &str = "156538411200d4cd2f79c003c7606412";

/// The daemon's configuration with these lanes and projects.
fn configure(world: &ServeWorld, lanes: &[(&str, &str)]) {
    let endpoint = world.cloud.endpoint();
    let lane = |(name, project): &(&str, &str)| {
        format!(
            "  - name: {name}\n    endpoint: {endpoint}\n    project_id: {project}\n    credentials: {{token: {{file: token}}}}\n    \
             settle: 300ms\n    poll: 50ms\n    poll_max: 200ms\n"
        )
    };
    let lanes: String = lanes.iter().map(lane).collect();
    let text = format!(
        "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: run/api.sock}}\nlanes:\n{lanes}"
    );
    world.write("sealift.yaml", &text);
}

/// A rollout over eight proxies, two at a time, killed when two jobs are saved.
fn killed_on_the_way(world: &ServeWorld) {
    let daemon = world.daemon().ready();
    let plan = world.plan("night", "strategy: {max_in_flight: 2}\n");
    let applied =
        world.run(&["apply", plan.to_str().expect("a path of text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    for _ in 0..600 {
        if world.run(&["jobs", "night", "-o", "jsonl"]).out.lines().count() == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(daemon);
}

fn sent(world: &ServeWorld) -> u64 {
    world.cloud.with_model(|model| model.ledger().switches_total())
}

fn holds(status: &serde_json::Value, word: &str) -> bool {
    status["holds"].as_array().is_some_and(|holds| holds.iter().any(|hold| hold["word"] == word))
}

fn completes(world: &ServeWorld) {
    let _daemon = world.daemon().ready();
    world.until("night", |status| {
        status["phase"] == "completed" && status["tally"]["succeeded"] == 8
    });
    assert_eq!(sent(world), 8, "one switch for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_lane_to_one_project_is_refused_and_holds_its_switches_after_an_upgrade() {
    let world = ServeWorld::new(8, 8, "job_time: 2s");
    configure(&world, &[("lab", PROJECT)]);
    killed_on_the_way(&world);
    configure(&world, &[("main", PROJECT), ("lab", PROJECT)]);
    let refused = world.run(&["config"]);
    assert!(
        refused.code == Some(1)
            && refused.err.contains("the lanes `main` and `lab` reach the same project"),
        "{refused:?}"
    );

    let daemon = world.daemon().ready();
    daemon.logged("the other's switches are held");
    let out = sent(&world);
    let status = world.until("night", |status| {
        status["tally"]["succeeded"] == out && holds(status, "lane_shared")
    });
    assert!(
        out >= 2 && status["tally"]["active"] == 2,
        "what was out is followed, and what comes next waits: {status:#}"
    );
    let changes = world.run(&["changes", "night", "--state", "ready", "-o", "json"]).out;
    assert!(
        changes.contains("lane_shared")
            && changes.contains("lane lab reaches the same project as lane main"),
        "{changes}"
    );
    let plan = world.plan("again", "");
    let plan = plan.to_str().expect("a path of text");
    for verb in [&["check", plan][..], &["apply", plan, "--yes", "--detach"]] {
        let refused = world.run(verb);
        let told = format!("{}{}", refused.out, refused.err);
        assert!(
            refused.code == Some(1)
                && told.contains("shared-project")
                && told.contains("write `main`"),
            "{verb:?}: {refused:?}"
        );
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(sent(&world), out, "no switch goes out on the second lane");
    drop(daemon);

    configure(&world, &[("lab", PROJECT), ("main", OTHER)]);
    completes(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_gone_is_a_hold_in_status_and_a_warning_in_the_log() {
    let world = ServeWorld::new(8, 8, "job_time: 2s");
    configure(&world, &[("lab", PROJECT)]);
    killed_on_the_way(&world);
    configure(&world, &[("elsewhere", OTHER)]);
    let daemon = world.daemon().ready();
    let status = world.until("night", |status| holds(status, "lane_missing"));
    assert!(
        status["holds"].to_string().contains("the configuration has no lane lab; put it back"),
        "{status:#}"
    );
    daemon.logged("the configuration has no such lane any more");
    drop(daemon);
    configure(&world, &[("lab", PROJECT)]);
    completes(&world);
}
