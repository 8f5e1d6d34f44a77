//! Heartbeats in the database: what they mean, and whose commits count.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cluster, QUICK, close};
use crate::domain::change::State;
use crate::domain::id::Name;
use crate::domain::keeper::{
    DaemonNote, DaemonRow, DaemonRun, Heartbeat, KeeperTables, LaneOffer, LaneTake,
};
use crate::store::CommitError;
use crate::store::fixtures::{put, release, started, submission};
use crate::store::postgres::PostgresStore;
use crate::store::running::DaemonRows as _;

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("sound")
}

fn beat(run: &DaemonRun, number: u64) -> Heartbeat {
    let lanes = ["main", "other"].map(|lane| (name(lane), LaneOffer::Willing)).into();
    let row = DaemonRow { run: run.run, beat: number, leaving: false, lanes, lapsed: false };
    Heartbeat {
        name: run.name.clone(),
        row,
        over: None,
        epoch: Some(1),
        gives: Vec::new(),
        takes: BTreeMap::new(),
        last: false,
    }
}

async fn open_as(cluster: &Cluster, run: &DaemonRun, folder: &std::path::Path) -> PostgresStore {
    let mut options = cluster.options("owner", "night", folder);
    options.daemon = Some(run.clone());
    PostgresStore::open(options).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_means_in_the_database_what_it_means_everywhere() {
    let cluster = Cluster::start(QUICK).await;
    let folder = tempfile::tempdir().expect("a directory");
    let run = |who: &str, run| DaemonRun { name: name(who), run };
    let store = open_as(&cluster, &run("x", u64::MAX), folder.path()).await;
    let mut tables = KeeperTables { epoch: 1, ..KeeperTables::default() };
    let mut random = fastrand::Rng::with_seed(86);
    let (mut taken, mut over, mut gone) = (0, 0, 0);
    for number in 1..400 {
        // Runs of two names; the first number has the highest bit set, as half of all have.
        let me = run(["x", "y"][random.usize(..2)], [u64::MAX, 7][random.usize(..2)]);
        let mut beat = beat(&me, number);
        let row = tables.daemons.get(&me.name);
        beat.over = row.map(|row| (row.run, row.beat)).filter(|_| random.f64() < 0.3);
        beat.last = random.f64() < 0.1;
        for lane in [name("main"), name("other")] {
            let row = tables.lanes.get(&lane).cloned().unwrap_or_default();
            if random.f64() < 0.3 {
                beat.gives.push(lane);
            } else if random.f64() < 0.6 {
                let at = |keeper| tables.beat_of(keeper).unwrap_or(0);
                let from = row.keeper.as_ref().map(|keeper| (keeper.clone(), at(keeper)));
                let version = row.version + u64::from(random.f64() < 0.1);
                beat.takes.insert(lane, LaneTake { version, from });
            }
        }
        let before = tables.clone();
        tables.apply(&beat);
        taken += usize::from(before.lanes != tables.lanes);
        over += usize::from(tables.daemons.values().any(|row| row.lapsed));
        gone += usize::from(before.daemons.len() > tables.daemons.len());
        let answer = store.beat(beat, DaemonNote::default()).await.expect("it runs");
        assert_eq!(answer.tables, tables, "heartbeat {number}");
        let told: BTreeSet<&Name> = answer.notes.keys().collect();
        assert_eq!(told, tables.daemons.keys().collect());
    }
    assert!(taken > 40 && over > 10 && gone > 10, "{taken} {over} {gone}");
    close(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_a_run_that_lost_a_lane_or_its_name_lose_whole() {
    let cluster = Cluster::start(QUICK).await;
    let folders = [tempfile::tempdir(), tempfile::tempdir()].map(|dir| dir.expect("a directory"));
    let (x, y) = (DaemonRun { name: name("x"), run: 1 }, DaemonRun { name: name("y"), run: 2 });
    let store = open_as(&cluster, &x, folders[0].path()).await;
    let other = open_as(&cluster, &y, folders[1].path()).await;
    let note = DaemonNote::default;
    let mut first = beat(&x, 1);
    first.takes.insert(name("main"), LaneTake { version: 0, from: None });
    store.beat(first, note()).await.expect("it runs");
    other.beat(beat(&y, 1), note()).await.expect("it runs");
    let id = started(&store, submission("alpha", &[40], 0)).await;
    let released = release(&store, id, 0, 6).await;
    put(&store, id, released[0], State::Inspecting).await.expect("its row stands");

    let mut take = beat(&y, 2);
    take.takes.insert(name("main"), LaneTake { version: 1, from: Some((x.clone(), 1)) });
    let taken = other.beat(take, note()).await.expect("it runs").tables;
    assert_eq!(taken.lanes[&name("main")].keeper.as_ref(), Some(&y));
    let late = put(&store, id, released[1], State::Inspecting).await;
    assert!(matches!(late, Err(CommitError::Conflict)), "a late commit: {late:?}");
    put(&other, id, released[1], State::Inspecting).await.expect("the keeper's counts");

    store.beat(beat(&x, 2), note()).await.expect("it runs");
    put(&store, id, released[2], State::Inspecting)
        .await
        .expect("it has seen that it lost the lane");

    // Another run of its name: there is no way back for this one.
    let again = DaemonRun { name: name("x"), run: 3 };
    let replaced = Heartbeat { over: Some((1, 2)), ..beat(&again, 1) };
    other.beat(replaced, note()).await.expect("it runs");
    store.beat(beat(&x, 3), note()).await.expect("it runs");
    let late = put(&store, id, released[3], State::Inspecting).await;
    assert!(matches!(late, Err(CommitError::Conflict)), "another run's commit: {late:?}");
    close(store).await;
    close(other).await;
}
