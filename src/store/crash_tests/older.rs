//! Stores that an older program has written: what is refused by now opens all the same and goes on.

use super::reopened;
use crate::domain::change::{self, State};
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::rollout;
use crate::domain::target::Target;
use crate::store::failpoint::Failpoint;
use crate::store::fixtures::*;
use crate::store::journal::Journal;
use crate::store::maintenance::check::check;
use crate::store::record::JournalRecord;
use crate::store::sled::SledStore;
use crate::store::value::{seal, unseal};
use crate::store::{Commit, Store, Submission};

fn by_lane(lane: &str, title: &str, proxy: u32) -> Submission {
    Submission {
        targets: [Target { lane: name(lane), ..target(7, proxy) }].into(),
        ..submission(title, &[1], 0)
    }
}

/// Instances were locked for each lane once: this is how a release looked that is refused now.
async fn released_before(store: SledStore, dir: &std::path::Path, id: RolloutId) {
    let now = rollout(&store, id).await;
    let moved = rollout::Record { cursor: 1, releases: 1, ..now.record.clone() };
    let of = store.targets(id).await.expect("available").expect("there").remove(0);
    store.close().expect("nothing failed");
    drop(store);
    let (mut journal, _) =
        Journal::open(&dir.join("journal"), 1 << 20, Failpoint::default()).expect("sound");
    let seq = journal.mark().seq;
    let entry = |place: u64, what| Entry { seq: seq + place, at: at(3), rollout: id, what };
    let phase = || moved.phase.as_str().into();
    let move_of_rollout = JournalEvent::Rollout {
        from: phase(),
        to: phase(),
        why: "release".into(),
        by: None,
        via: None,
        record: moved.clone(),
    };
    let ready = change::Record { state: State::Ready, version: 1, ..change::Record::queued() };
    let move_of_change = JournalEvent::Change {
        ordinal: 0,
        instance_id: of.instance_id,
        proxy_id: of.proxy_id,
        from: "queued".into(),
        to: "ready".into(),
        why: "released".into(),
        call: None,
        answer: None,
        by: None,
        via: None,
        earlier: None,
        record: ready,
    };
    let lines = [
        JournalRecord { entry: entry(1, move_of_rollout), due: None, more: 1 },
        JournalRecord { entry: entry(2, move_of_change), due: Some(at(33)), more: 0 },
    ];
    journal.append(lines.iter()).expect("room on disk");
    journal.sync().expect("a disk");
}

#[tokio::test]
async fn a_store_in_which_two_lanes_work_on_one_instance_opens_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let instance = target(7, 0).instance_id;
    let first = started(&store, by_lane("main", "alpha", 14)).await;
    let second = started(&store, by_lane("other", "beta", 15)).await;
    let third = started(&store, by_lane("third", "gamma", 16)).await;
    assert_eq!(release(&store, first, 0, 1).await, [0]);
    put(&store, first, 0, State::Following { job: job(1) }).await.expect("free");
    let free = async |store: &SledStore, id| {
        store.candidates(id, 0, 1).await.expect("available").free.len()
    };
    assert_eq!(free(&store, second).await, 0, "an instance is one, whatever the lane");
    released_before(store, dir.path(), second).await;

    let store = reopened(dir.path());
    assert_eq!((store.health().rebuilt, store.torn()), (None, None), "nothing is wrong with it");
    let due = store.due(at(1_000), None, 9).await.expect("available");
    assert_eq!(due.len(), 2, "both are followed: {due:?}");
    put(&store, second, 0, State::Following { job: job(2) }).await.expect("who is in stays in");
    store.close().expect("nothing failed");
    drop(store);

    let store = reopened(dir.path());
    assert_eq!(store.health().rebuilt, None, "nothing is wrong with its queue either");
    assert_eq!(
        store.known_jobs(&instance).await.expect("available"),
        [job(1), job(2)],
        "explained, whatever the lane"
    );
    for (rollout, left) in [(first, Some(second)), (second, None)] {
        assert_eq!(free(&store, third).await, 0, "nobody else is let in");
        put(&store, rollout, 0, switched()).await.expect("free");
        let holder = left.map(|rollout| ChangeId { rollout, ordinal: 0 });
        assert_eq!(store.holder(&instance).await.expect("available"), holder);
    }
    assert_eq!(release(&store, third, 0, 1).await, [0]);
    store.close().expect("nothing failed");
    drop(store);
    let report = check(dir.path()).expect("it can be checked");
    assert!(report.sound, "{report:#?}");
}

/// A version that counts nothing leaves a gap, wherever it wrote: before it, or between.
#[tokio::test]
async fn what_an_earlier_version_did_not_count_is_told_as_not_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let mut given = submission("alpha", &[4], 0);
    given.targets = (0..4).map(|n| target(n, n)).collect();
    let id = started(&store, given).await;
    assert_eq!(release(&store, id, 0, 4).await, [0, 1, 2, 3]);
    put(&store, id, 0, switched()).await.expect("free");
    store.close().expect("nothing failed");
    drop(store);
    let uncounted = |counted: &::sled::Tree| counted.remove("counted").map(drop).expect("sound");
    let behind = |counted: &::sled::Tree| {
        let value = counted.get("counted").expect("sound").expect("there");
        let mut body = unseal("it", &value).expect("sound").to_vec();
        // It has reached one entry less than the rest of the queue.
        let last = body.len() - 2;
        body[last] -= 1;
        counted.insert("counted", seal("it", body).expect("short")).map(drop).expect("sound")
    };
    for (second, gap) in [(2, &uncounted as &dyn Fn(&::sled::Tree)), (4, &behind)] {
        let db = ::sled::Config::new().path(dir.path().join("queue")).open().expect("sound");
        gap(&db.open_tree("bins").expect("there"));
        db.flush().expect("room on disk");
        drop(db);
        let store = reopened(dir.path());
        assert_eq!(store.health().rebuilt, None, "nothing is wrong with it");
        if second == 2 {
            let seen = store.activity(id, at(0), at(1_000)).await.expect("available");
            assert_eq!(seen.since, Some(at(1_000)), "nothing is known before it counts");
        }
        let (now, change) = (rollout(&store, id).await, change_of(&store, id, 1).await.change);
        let moved = vec![step(1, &change.record, State::Inspecting, second)];
        store.commit(Commit { changes: moved, ..blank(&now, second) }).await.expect("free");
        let seen = store.activity(id, at(0), at(1_000)).await.expect("available");
        assert_eq!(seen.since, Some(at(second)), "it counts anew from there");
        store.close().expect("nothing failed");
        drop(store);
        let report = check(dir.path()).expect("it can be checked");
        assert!(report.sound, "{report:#?}");
    }
}
