//! What every store must do when it is read: pages, filters, the journal, and the jobs of an
//! instance.

use crate::domain::change::State;
use crate::domain::id::ChangeId;
use crate::domain::journal::{Entry, JournalEvent, Trace};
use crate::domain::rollout as domain_rollout;
use crate::domain::target::Target;
use crate::store::bins::{Activity, BinCounts, TimeBin};
use crate::store::fixtures::*;
use crate::store::{ChangeFilter, ChangeMove, Commit, Durability, Store};

pub(crate) async fn pages_and_filters(store: &dyn Store) {
    let mut given = submission("alpha", &[4, 6], 0);
    given.targets = (0..10).map(|n| target(n, n)).collect();
    let id = started(store, given).await;
    release(store, id, 0, 4).await;
    put(store, id, 1, failed("no")).await.expect("free");
    put(store, id, 2, State::Queued).await.expect("recalled");
    let page = |words: &[&str], after, limit| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        async move {
            let page = store.page(id, words, after, limit).await.expect("available");
            (
                page.changes.iter().map(|active| active.change.id.ordinal).collect::<Vec<_>>(),
                page.next,
            )
        }
    };
    assert_eq!(page(&[], None, 3).await, (vec![0, 1, 2], Some(2)));
    assert_eq!(page(&[], Some(2), 4).await, (vec![3, 4, 5, 6], Some(6)));
    assert_eq!(page(&[], Some(6), 3).await, (vec![7, 8, 9], None));
    assert_eq!(page(&[], Some(9), 3).await, (vec![], None));
    assert_eq!(page(&["failed"], None, 3).await, (vec![1], None));
    assert_eq!(page(&["ready"], None, 1).await, (vec![0], Some(2)));
    assert_eq!(page(&["ready"], Some(0), 1).await, (vec![3], None));
    assert_eq!(page(&["queued", "failed"], None, 4).await, (vec![1, 2, 4, 5], Some(5)));
    assert_eq!(page(&["succeeded"], None, 4).await, (vec![], None));
    assert_eq!(page(&[], Some(u32::MAX), 4).await, (vec![], None));
    let shown = store.page(id, Vec::new(), None, 1).await.expect("available").changes.remove(0);
    assert_eq!((shown.due, shown.moved_at), (Some(at(33)), Some(at(3))));
    let nothing = submission("beta", &[1], 50).id();
    assert!(store.page(nothing, Vec::new(), None, 4).await.expect("available").changes.is_empty());
}

pub(crate) async fn pages_keep_to_a_wave_a_lane_and_an_id(store: &dyn Store) {
    let mut given = submission("alpha", &[4, 6], 0);
    let lanes = ["main", "other"].map(name);
    let of = |n: u32| Target { lane: lanes[n as usize % 2].clone(), ..target(n, n) };
    given.targets = (0..10).map(of).collect();
    let id = started(store, given).await;
    release(store, id, 1, 6).await;
    put(store, id, 5, failed("no")).await.expect("free");
    let all = ChangeFilter::default;
    let wave = |place| ChangeFilter { wave: Some(place), ..all() };
    let other = || ChangeFilter { lane: Some(lanes[1].clone()), ..all() };
    let begins = |text: String| ChangeFilter { begins: Some(text), ..all() };
    let words = |word: &str| vec![word.to_owned()];
    let page = async |filter, after, limit| {
        let page = store.filtered(id, filter, after, limit).await.expect("available");
        let ordinals = page.changes.iter().map(|active| active.change.id.ordinal);
        (ordinals.collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(wave(0), None, 9).await, (vec![0, 1, 2, 3], None), "all of it has rows");
    assert_eq!(page(wave(1), None, 3).await, (vec![4, 5, 6], Some(6)), "rows, then none");
    assert_eq!(page(wave(1), Some(6), 3).await, (vec![7, 8, 9], None));
    assert_eq!(page(wave(1), Some(1), 1).await.0, [4], "a place before it is its beginning");
    assert_eq!(page(wave(2), None, 9).await, (vec![], None), "there is no such wave");
    assert_eq!(page(other(), None, 3).await, (vec![1, 3, 5], Some(6)));
    assert_eq!(page(other(), Some(6), 3).await, (vec![7, 9], None));
    assert_eq!(page(ChangeFilter { wave: Some(1), ..other() }, None, 9).await.0, [5, 7, 9]);
    let failed = ChangeFilter { words: words("failed"), ..other() };
    assert_eq!(page(failed, None, 9).await, (vec![5], None));
    let queued = ChangeFilter { words: words("queued"), ..other() };
    assert_eq!(page(queued, None, 9).await, (vec![7, 9], None));
    for n in [2, 8] {
        let (instance, proxy) = (target(n, n).instance_id, target(n, n).proxy_id);
        for beginning in [proxy.to_string(), instance.to_string(), instance.as_str()[..32].into()] {
            assert_eq!(page(begins(beginning), None, 9).await, (vec![n], None));
        }
    }
    assert_eq!(page(begins("0000".into()), None, 10).await.0.len(), 10);
    assert_eq!(page(begins("1".into()), None, 9).await, (vec![], None));
}

pub(crate) async fn a_story_is_the_entries_of_its_change(store: &dyn Store) {
    let mut driver = Driver::new(3);
    driver.begin(store).await;
    for _ in 0..300 {
        driver.step(store).await;
    }
    let entries = store.journal(None, 0, usize::MAX).await.expect("available");
    let mut long = 0;
    for id in driver.rollouts {
        for active in all_changes(store, id).await {
            let id = active.change.id;
            let ours = |entry: &&Entry| matches!(&entry.what, JournalEvent::Change { ordinal, .. } if *ordinal == id.ordinal);
            let wanted = entries.iter().rev().filter(|entry| entry.rollout == id.rollout);
            let wanted: Vec<Entry> = wanted.filter(ours).cloned().collect();
            assert_eq!(active.entry, wanted.first().map(|entry| entry.seq));
            let found = store.story(id, None, 99).await.expect("available");
            assert_eq!((&found.entries, found.earlier, found.looked_to), (&wanted, None, None));
            if let [first, second, third, ..] = &wanted[..] {
                long += 1;
                let page = store.story(id, Some(second.seq), 1).await.expect("available");
                assert_eq!((page.entries, page.earlier), (vec![second.clone()], Some(third.seq)));
                let other = ChangeId { ordinal: id.ordinal ^ 1, ..id };
                let none = store.story(other, Some(first.seq), 9).await.expect("available");
                assert!(none.entries.is_empty(), "that entry is of another change");
            }
        }
    }
    assert!(long > 20, "{long} changes moved three times");
}

pub(crate) async fn what_happened_is_counted_by_time_and_wave(store: &dyn Store) {
    let mut given = submission("alpha", &[2, 2], 0);
    given.targets = (0..4).map(|n| target(n, n)).collect();
    let id = started(store, given).await;
    let other = started(store, submission("beta", &[2], 50)).await;
    release(store, id, 1, 4).await;
    release(store, other, 0, 1).await;
    put(store, other, 0, switched()).await.expect("free");
    let moved = async |ordinal, state, second, called: bool| {
        let (now, change) = (rollout(store, id).await, change_of(store, id, ordinal).await.change);
        let refused = Trace { call: "inspect".into(), status: Some(429), ..Trace::default() };
        let made = ChangeMove {
            call: called.then_some("inspect"),
            answer: called.then_some(refused),
            ..step(ordinal, &change.record, state, second)
        };
        let commit = Commit { changes: vec![made], ..blank(&now, second) };
        store.commit(commit).await.expect("free");
    };
    moved(0, switched(), 10, false).await;
    moved(1, failed("no"), 299, false).await;
    moved(2, State::Inspecting, 300, true).await;
    moved(2, State::Ready, 310, true).await;
    moved(3, switched(), 610, false).await;
    moved(1, State::Queued, 620, false).await;
    moved(1, State::Ready, 630, false).await;
    moved(1, switched(), 640, false).await;
    for (second, paused) in [(700, Some(mark(700))), (800, None), (900, Some(mark(900)))] {
        let now = rollout(store, id).await;
        let version = now.record.version + 1;
        let record = domain_rollout::Record { paused, version, ..now.record.clone() };
        let moves = Some(moves(record, "held"));
        store.commit(Commit { moves, ..blank(&now, second) }).await.expect("free");
    }
    let seen = async |from, to| store.activity(id, at(from), at(to)).await.expect("available");
    let none = BinCounts::default();
    let succeeded = BinCounts { succeeded: 1, ..none };
    let bins = [
        (0, 0, BinCounts { failed: 1, ..succeeded }),
        (300, 1, BinCounts { calls: 2, refused: 2, ..none }),
        (600, 0, succeeded),
        (600, 1, succeeded),
    ];
    let bins = bins.map(|(from, wave, counts)| TimeBin { at: at(from), wave, counts });
    let pauses = vec![(at(700), at(800))];
    let whole = Activity { since: None, bins: bins.to_vec(), pauses: pauses.clone() };
    assert_eq!(seen(0, 1_000).await, whole, "the pause that stands is in the record");
    assert_eq!(seen(-900, 299).await.bins, bins[..1]);
    assert_eq!(seen(310, 599).await, Activity { since: None, bins: vec![bins[1]], pauses: vec![] });
    assert_eq!(seen(750, 760).await.pauses, pauses, "it reaches into the stretch");
    assert_eq!(seen(801, 1_000).await.pauses, []);
    let nothing = store.activity(submission("gamma", &[1], 90).id(), at(0), at(9)).await;
    assert_eq!(nothing.expect("available"), Activity::default());
}

pub(crate) async fn rollouts_newest_first(store: &dyn Store) {
    let mut ids = Vec::new();
    for (title, first) in [("alpha", 0), ("beta", 10), ("gamma", 20), ("delta", 30)] {
        ids.push(started(store, submission(title, &[2], first)).await);
    }
    abort(store, ids[1]).await;
    let listed = |after, limit| async move {
        let rollouts = store.rollouts(after, limit).await.expect("available");
        rollouts.into_iter().map(|rollout| rollout.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 9).await, [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(listed(None, 2).await, [ids[3], ids[2]]);
    assert_eq!(listed(Some(ids[2]), 2).await, [ids[1], ids[0]]);
    assert_eq!(listed(Some(ids[0]), 2).await, []);
    let open = store.open_rollouts().await.expect("available");
    assert_eq!(open.iter().map(|rollout| rollout.id).collect::<Vec<_>>(), [ids[0], ids[2], ids[3]]);
}

pub(crate) async fn journal_pages(store: &dyn Store) {
    let first = started(store, submission("alpha", &[6], 0)).await;
    let second = started(store, submission("beta", &[2], 10)).await;
    release(store, first, 0, 2).await;
    let all = store.journal(None, 0, 99).await.expect("available");
    assert_eq!(
        all.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..=8).collect::<Vec<u64>>()
    );
    assert_eq!(store.journal(None, 5, 2).await.expect("available"), all[5..7]);
    assert_eq!(store.journal(None, 8, 2).await.expect("available"), []);
    assert_eq!(store.journal(Some(second), 0, 99).await.expect("available"), all[2..4]);
    assert_eq!(
        store.journal(Some(first), 1, 2).await.expect("available"),
        [all[1].clone(), all[4].clone()]
    );
    let JournalEvent::Rollout { from, to, why, record, .. } = &all[4].what else {
        panic!("a release is the rollout's move first")
    };
    assert_eq!(
        (from.as_ref(), to.as_ref(), why.as_str(), record.cursor),
        ("advancing", "advancing", "release", 3)
    );
    let JournalEvent::Change { ordinal: 2, from, to, proxy_id, .. } = &all[6].what else {
        panic!("the changes in the order given")
    };
    assert_eq!((from.as_ref(), to.as_ref(), *proxy_id), ("queued", "ready", target(1, 2).proxy_id));
}

pub(crate) async fn jobs_are_remembered(store: &dyn Store) {
    let id = started(store, submission("alpha", &[2], 0)).await;
    let instance = target(0, 0).instance_id;
    assert!(store.known_jobs(&instance).await.expect("available").is_empty());
    release(store, id, 0, 1).await;
    let mut expected = Vec::new();
    for n in 0..10 {
        put(store, id, 0, State::Following { job: job(n) }).await.expect("free");
        put(store, id, 0, State::Ready).await.expect("again");
        expected.push(job(n));
    }
    expected.drain(..2);
    assert_eq!(
        store.known_jobs(&instance).await.expect("available"),
        expected,
        "the latest eight, oldest first"
    );
    put(store, id, 0, failed("no")).await.expect("free");
    assert_eq!(
        store.known_jobs(&instance).await.expect("available"),
        expected,
        "they outlive the change"
    );
    assert!(store.known_jobs(&target(1, 2).instance_id).await.expect("available").is_empty());
}

pub(crate) async fn reads_see_what_was_acknowledged(store: &dyn Store) {
    let id = started(store, submission("alpha", &[50], 0)).await;
    release(store, id, 0, 25).await;
    for ordinal in (0..50).step_by(2) {
        put(store, id, ordinal, if ordinal % 4 == 0 { switched() } else { failed("no") })
            .await
            .expect("free");
        let page = store.page(id, Vec::new(), ordinal.checked_sub(1), 1).await.expect("available");
        assert!(page.changes[0].change.record.state.is_settled(), "target {ordinal}");
        let listed = store.rollouts(None, 1).await.expect("available");
        assert_eq!(listed[0].total().settled(), ordinal / 2 + 1);
        let last = store.journal(Some(id), store.health().seq - 1, 9).await.expect("available");
        assert_eq!(last.len(), 1, "the journal ends with the commit just acknowledged");
    }
    // An ordered commit is read back too, though it may not be durable when it is acknowledged.
    let now = rollout(store, id).await;
    let record = change_of(store, id, 2).await.change.record;
    let commit = Commit {
        changes: vec![step(2, &record, State::Queued, 4)],
        durability: Durability::Ordered,
        ..blank(&now, 4)
    };
    store.commit(commit).await.expect("a retry");
    assert_eq!(change_of(store, id, 2).await.change.record.state, State::Queued);
    let page = store.page(id, vec!["queued".into()], None, 1).await.expect("available");
    assert_eq!(page.changes[0].change.id.ordinal, 1);
    let page = store.page(id, vec!["queued".into()], Some(1), 1).await.expect("available");
    assert_eq!(page.changes[0].change.id.ordinal, 2);
}
