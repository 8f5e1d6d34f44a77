//! Three daemons over one PostgreSQL and three lanes, each at an emulated cloud of its own, which is
//! the judge: one effective switch a proxy, whoever was killed or left.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use super::postgres::cluster::Cluster;
use super::world::{ServeWorld, ServedDaemon, VerbOutput, sealift};

/// Proxies of each lane.
const FLEET: usize = 14;

/// One daemon's folder, and the cloud of the lane with the same letter.
struct SeveralWorlds {
    cluster: Cluster,
    worlds: Vec<ServeWorld>,
}

impl SeveralWorlds {
    async fn start() -> Self {
        let cluster = Cluster::start(&["fsync=off"]).await;
        let faults = "{job_time: 1500ms, drop_after: 0.1}";
        let worlds: Vec<ServeWorld> =
            (1..=3).map(|seed| ServeWorld::with_fleet(FLEET, 7, seed, faults)).collect();
        let mut lanes = String::new();
        for (letter, world) in ["a", "b", "c"].iter().zip(&worlds) {
            lanes.push_str(&format!(
                "  - name: lane-{letter}\n    endpoint: {}\n    project_id: 05653841120{letter}d4cd2f79c003c7606412\n    \
                 credentials: {{token: {{file: token}}}}\n    settle: 300ms\n    poll: 100ms\n    poll_max: 300ms\n    \
                 call_timeout: 2s\n",
                world.cloud.endpoint()
            ));
        }
        let targets = ["a", "b", "c"].iter().zip(&worlds).map(|(letter, world)| {
            let text = std::fs::read_to_string(world.path("fleet.csv")).expect("written");
            text.replace(",lab", &format!(",lane-{letter}"))
                .replace("lab,", &format!("lane-{letter},"))
        });
        let targets: Vec<String> = targets.collect();
        for (letter, world) in ["a", "b", "c"].iter().zip(&worlds) {
            world.write(
                "sealift.yaml",
                &format!(
                    "daemon: db-{letter}\nplans: plans.d\nstore: {{postgres: {{url: \"host={} dbname=postgres user=owner\", \
                     allow_no_fsync: true, folder: state/database}}}}\napi: {{socket: run/api.sock}}\nlanes:\n{lanes}",
                    cluster.host().display()
                ),
            );
            for (of, text) in ["a", "b", "c"].iter().zip(&targets) {
                world.write(&format!("{of}.csv"), text);
            }
        }
        Self { cluster, worlds }
    }

    /// Which daemon keeps each lane, in the order of the lanes.
    async fn keepers(&self) -> Vec<String> {
        let owner = self.cluster.connect("owner").await.expect("it runs");
        let sql = "SELECT coalesce(content::json->'keeper'->>'name', '-') \
            FROM sealift.keepers ORDER BY lane";
        let rows = owner.query(sql, &[]).await.unwrap_or_default();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until all lanes are kept, by these daemons.
    async fn kept_by(&self, daemons: &[&str]) -> Vec<String> {
        let wanted: BTreeSet<&str> = daemons.iter().copied().collect();
        let mut last = Vec::new();
        for _ in 0..600 {
            last = self.keepers().await;
            let found: BTreeSet<&str> = last.iter().map(String::as_str).collect();
            if last.len() == 3 && found == wanted {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never kept by {daemons:?}: {last:?}");
    }

    fn switches(&self) -> Vec<u64> {
        let of =
            |world: &ServeWorld| world.cloud.with_model(|model| model.ledger().switches_total());
        self.worlds.iter().map(of).collect()
    }

    fn jobs_handed_out(&self) -> BTreeSet<String> {
        let of = |world: &ServeWorld| -> Vec<String> {
            world.cloud.with_model(|model| model.jobs().map(|job| job.job_id.to_string()).collect())
        };
        self.worlds.iter().flat_map(of).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_a_killed_daemon_and_of_one_that_ends_go_on_with_the_others() {
    let several = SeveralWorlds::start().await;
    let worlds = &several.worlds;
    let mut daemons: Vec<Option<ServedDaemon>> =
        worlds.iter().map(|world| Some(world.daemon().ready())).collect();
    let keepers = several.kept_by(&["db-a", "db-b", "db-c"]).await;

    let plan = "strategy: {max_in_flight: 9, max_failures: 20, waves: [{name: all, size: rest}]}\n";
    let path = worlds[0].plan("night", plan);
    let text = std::fs::read_to_string(&path).expect("written");
    worlds[0].write("night.yaml", &text.replace("[fleet.csv]", "[a.csv, b.csv, c.csv]"));
    let applied = worlds[0].run(&["apply", path.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    worlds[1].until("night", |status| status["tally"]["succeeded"].as_u64() >= Some(3));

    // The one that took the rollout is killed in the middle of it.
    let killed = daemons[0].take().expect("it runs");
    killed.signal(Signal::KILL);
    killed.wait();
    let before = several.switches();
    assert!(before.iter().sum::<u64>() < 3 * FLEET as u64, "it was killed too late: {before:?}");
    several.kept_by(&["db-b", "db-c"]).await;
    let orphan = keepers.iter().position(|keeper| keeper == "db-a").expect("it kept one");
    let heir = several.keepers().await[orphan].clone();
    let heir = daemons[if heir == "db-b" { 1 } else { 2 }].as_ref().expect("it runs");
    heir.logged("taken_over=true");

    let done = worlds[1].until("night", |status| status["final"] == true);
    assert_eq!(done["tally"]["active"], 0, "{done:#}");
    assert_eq!(done["tally"]["succeeded"], 3 * FLEET, "{done:#}");
    assert_eq!(several.switches(), [FLEET as u64; 3], "one effective call a proxy");
    let jobs = worlds[2].run(&["jobs", "night", "-o", "csv"]).out;
    let saved = jobs.lines().skip(1).filter_map(|line| Some(line.split(',').next()?.to_owned()));
    assert_eq!(saved.collect::<BTreeSet<String>>(), several.jobs_handed_out());
    let checked = worlds[1].run(&["store", "check"]);
    assert_eq!((checked.code, checked.out.ends_with("sound\n")), (Some(0), true), "{checked:?}");

    // Two of one name are told apart while the first one lives.
    let text = std::fs::read_to_string(worlds[2].path("sealift.yaml")).expect("our own file");
    let text = text.replace("run/api.sock", "run/second.sock").replace("state/", "second/");
    let second = worlds[2].write("second.yaml", &text);
    let refused = sealift().arg("serve").arg("--config").arg(second).output();
    let refused = VerbOutput::of(refused.expect("the binary runs"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("a daemon named db-c works on this store already"), "{refused:?}");

    // One that ends gives its lanes up: they are nobody's, and not taken over.
    let left = daemons[1].take().expect("it runs");
    left.signal(Signal::TERM);
    assert_eq!(left.wait(), Some(0));
    let gone = several.cluster.connect("owner").await.expect("it runs");
    let rows = gone.query("SELECT 1 FROM sealift.daemons WHERE name = 'db-b'", &[]).await;
    assert!(rows.expect("an answer").is_empty(), "who ends takes its row with it");
    let keepers = several.keepers().await;
    assert!(!keepers.iter().any(|keeper| keeper == "db-b"), "a lane was not given up: {keepers:?}");
    several.kept_by(&["db-c"]).await;
}
