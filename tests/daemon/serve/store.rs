//! The daemon and its store: taken away under it, and built anew by a start.

use sealift::cli::Exit;

use crate::serve::world::{ServeWorld, exists};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_vanishes_ends_the_daemon_and_a_person_decides() {
    let world = ServeWorld::new(8, 8, "{job_time: 60s}");
    let plan = world.plan("gone", "strategy: {max_in_flight: 2}\n");
    let daemon = world.daemon().ready();
    assert!(exists(&world.path("state/queue.id")), "nothing tells which store belongs here");
    assert_eq!(
        world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]).code,
        Some(0)
    );
    world.until("gone", |status| status["tally"]["active"].as_u64() >= Some(2));
    std::fs::rename(world.path("state/queue"), world.path("away")).expect("there");
    let paused = world.run(&["pause", "gone", "--reason", "test"]);
    assert_ne!(paused.code, Some(0), "a pause was acknowledged that nobody will find: {paused:?}");
    daemon.logged("removed, moved or replaced");
    assert_eq!(daemon.wait(), Some(Exit::Error as i32));

    let refused = world.run(&["serve"]);
    assert_eq!(refused.code, Some(Exit::StoreRefused as i32), "{refused:?}");
    assert!(
        refused.err.contains("store import") && refused.err.contains("store new"),
        "{refused:?}"
    );
    assert!(!exists(&world.path("state/queue")), "a refused start began a store");

    let begun = world.run(&["store", "new"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    assert!(begun.err.contains("belonged here before"), "{begun:?}");
    let daemon = world.daemon().ready();
    assert_eq!(
        world.run(&["status", "gone"]).code,
        Some(Exit::Error as i32),
        "a new store knows nothing"
    );
    drop(daemon);

    // The one that was moved is put back under its own name again.
    std::fs::remove_dir_all(world.path("state/queue")).expect("there");
    std::fs::rename(world.path("away"), world.path("state/queue")).expect("there");
    let refused = world.run(&["serve"]);
    assert_eq!(refused.code, Some(Exit::StoreRefused as i32), "{refused:?}");
    std::fs::remove_file(world.path("state/queue.id")).expect("there");
    let daemon = world.daemon().ready();
    assert_eq!(world.status("gone")["tally"]["total"], 8);
    drop(daemon);
}

/// A queue of a million changes takes minutes to build; a supervisor that is not told would kill
/// the start, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_builds_the_queue_anew_asks_for_time() {
    let world = ServeWorld::new(4, 4, "");
    let plan = world.plan("whole", "");
    let daemon = world.daemon().ready();
    assert_eq!(
        world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]).code,
        Some(0)
    );
    // A supervisor reads what it is told; the daemon would wait for one that does not.
    while world.status("whole")["final"] != true {
        daemon.told("WATCHDOG=1");
    }
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    std::fs::remove_dir_all(world.path("state/queue/queue")).expect("there");
    let daemon = world.daemon();
    let told = daemon.told("EXTEND_TIMEOUT_USEC=60000000");
    assert!(told.contains("STATUS=brings the queue after the journal: entry "), "{told}");
    daemon.told("READY=1");
    assert_eq!(world.status("whole")["tally"]["succeeded"], 4);
}
