//! What is over costs the daemon no memory: the short version of `make bench ARGS='--parts over'`.

use sealift::clock::{Clock as _, SystemClock};
use sealift::domain::id::Name;
use sealift::planfile;
use sealift::store::sled::{SledOptions, SledStore};

use crate::serve::finished::finish;
use crate::serve::world::{ServeWorld, ServedDaemon};

/// Rollouts that are over, and the targets of each.
const ROLLOUTS: usize = 24;
const TARGETS: usize = 2_000;

/// Most that they may take, in MiB: what they took when their rows stayed in sled and their targets
/// in memory was 20 and more.
const MORE_MAX: f64 = 10.0;

fn memory_mib(daemon: &ServedDaemon) -> f64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).expect("it runs");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// The daemon's memory after a listing of each of these plans.
fn after_listings(world: &ServeWorld, plans: &[String]) -> f64 {
    let daemon = world.daemon().ready();
    for plan in plans {
        let ran = world.run(&["changes", plan, "-o", "csv"]);
        assert_eq!(
            (ran.code, ran.out.lines().count()),
            (Some(0), TARGETS + 1),
            "{plan}: {}",
            ran.err
        );
    }
    let told = memory_mib(&daemon);
    drop(daemon);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_what_is_over() {
    let world = ServeWorld::new(TARGETS, TARGETS, "");
    let file = world.plan("over", "strategy: {waves: [{name: all, size: rest}]}\n");
    let loaded = planfile::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let names: Vec<String> = (0..ROLLOUTS).map(|number| format!("over-{number}")).collect();
    let make = async |names: &[String]| {
        let store = SledStore::open(&world.path("state/queue"), SledOptions::default())
            .expect("nobody works on it");
        for name in names {
            let mut plan = loaded.plan.clone();
            plan.name = Name::parse(name, "plan").expect("letters");
            finish(&store, plan, loaded.targets.clone(), SystemClock.times().wall)
                .await
                .expect("it can be made");
        }
        store.close().expect("nothing failed");
    };
    // The listing of one is the measure for those of all: what the daemon takes to answer is no
    // growth.
    make(&names[..1]).await;
    let few = after_listings(&world, &names[..1]);
    make(&names[1..]).await;
    let many = after_listings(&world, &names);
    println!("{few:.1} MiB with one rollout that is over, {many:.1} MiB with {ROLLOUTS}");
    assert!(
        many - few < MORE_MAX,
        "{few:.1} MiB with one rollout that is over, {many:.1} MiB with {ROLLOUTS}"
    );
}
