//! What every store must do, as one suite that each of them passes.

mod candidates;
mod enforcements;
mod groups;
mod reads;
mod reverts;
mod submissions;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub(crate) use self::candidates::*;
pub(crate) use self::enforcements::*;
pub(crate) use self::groups::*;
pub(crate) use self::reads::*;
pub(crate) use self::reverts::*;
pub(crate) use self::submissions::*;

use crate::domain::change::{self, State};
use crate::domain::id::ChangeId;
use crate::domain::journal::JournalEvent;
use crate::domain::plan::Promote;
use crate::domain::rollout::{self, Phase};
use crate::domain::target::Target;

use super::fixtures::*;
use super::{Commit, CommitError, Store, SubmitError};

/// Hands the names of all clauses to another macro, behind what else it is given.
macro_rules! clauses {
    ($with:ident; $($given:tt)*) => {
        $with! { $($given)*;
            submitting_twice_is_one_rollout, other_content_is_refused, an_edit_is_refused_with_its_keys, of_two_at_once_one_is_taken, a_shared_proxy_is_refused_until_the_end, nothing_is_touched_at_first,
            a_stale_commit_is_refused_whole, a_stale_release_is_refused, a_verb_keeps_the_cursor, an_instance_has_one_active_change, an_instance_and_a_proxy_are_one_whatever_the_lane,
            one_commit_may_hand_an_instance_on, candidates_come_in_order, candidates_keep_to_waves, a_cursor_leaves_nothing_behind,
            due_is_as_the_last_move_says, an_abort_withdraws, settled_changes_move_only_back, a_record_too_big_is_refused, the_longest_reasons_fit, pages_and_filters, pages_keep_to_a_wave_a_lane_and_an_id,
            rollouts_newest_first, journal_pages, jobs_are_remembered, a_story_is_the_entries_of_its_change, what_happened_is_counted_by_time_and_wave, a_busy_life_adds_up, a_revert_marks_what_succeeded, an_enforcement_is_one_a_name, a_long_enforcement_is_kept, the_targets_are_those_submitted,
            a_revert_keeps_to_its_groups, a_full_group_is_passed_over,
            every_limit_counts, two_releases_never_share_a_place, a_long_list_is_looked_through_in_stretches, reads_see_what_was_acknowledged,
        }
    };
}
pub(crate) use clauses;

/// Writes one test a clause for the store that `$make` builds; the second part of its value is kept
/// until the end.
macro_rules! suite {
    ($make:expr) => {
        use $crate::store::contract::suite;
        $crate::store::contract::clauses! { suite; $make }
    };
    ($make:expr; $($clause:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $clause() {
            let (store, _keep) = $make;
            $crate::store::contract::$clause(&store).await;
        })*
    };
}
pub(crate) use suite;

/// One clause, asked of a store.
pub(crate) type Clause = for<'s> fn(&'s dyn Store) -> BoxFuture<'s, ()>;

/// The clauses with their names, for a store that is dear to make.
macro_rules! named {
    (; $($clause:ident),* $(,)?) => {
        &[$((stringify!($clause), |store| Box::pin($clause(store)))),*]
    };
}

/// Every clause with its name.
pub(crate) const CLAUSES: &[(&str, Clause)] = clauses! { named; };

pub(crate) async fn a_shared_proxy_is_refused_until_the_end(store: &dyn Store) {
    let first = started(store, submission("alpha", &[4], 0)).await;
    let Err(SubmitError::Overlap { proxy, name, rollout: other, more }) =
        store.submit(submission("beta", &[4], 2)).await
    else {
        panic!("two proxies are shared");
    };
    assert_eq!((proxy, name.as_str(), other), (target(1, 2).proxy_id.to_string(), "alpha", first));
    assert_eq!(more, " and 1 more of its proxies");
    assert_eq!(release(store, first, 0, 1).await, [0]);
    abort(store, first).await;
    // It is over for people, but a change of it is still in flight.
    assert!(matches!(
        store.submit(submission("beta", &[4], 2)).await,
        Err(SubmitError::Overlap { .. })
    ));
    assert_eq!(store.open_rollouts().await.expect("available").len(), 1);
    put(store, first, 0, switched()).await.expect("free");
    assert!(store.submit(submission("beta", &[4], 2)).await.expect("free now").new);
    assert!(store.open_rollouts().await.expect("available").iter().all(|open| open.id != first));
}

pub(crate) async fn of_two_at_once_one_is_taken(store: &dyn Store) {
    for round in 0..10 {
        let (left, right) = (
            submission(&format!("l-{round}"), &[300], round * 1_000),
            submission(&format!("r-{round}"), &[300], round * 1_000),
        );
        let again = left.clone();
        let (left, right, again) = futures_util::future::join3(
            store.submit(left),
            store.submit(right),
            store.submit(again),
        )
        .await;
        let taken = [&left, &right, &again]
            .iter()
            .filter(|taken| taken.as_ref().is_ok_and(|taken| taken.new))
            .count();
        assert_eq!(taken, 1, "{left:?} {right:?} {again:?}");
        assert!(
            left.is_ok() == again.is_ok() && left.is_ok() != right.is_ok(),
            "{left:?} {right:?} {again:?}"
        );
    }
    assert_eq!(store.open_rollouts().await.expect("available").len(), 10);
    assert_eq!(store.journal(None, 0, 99).await.expect("available").len(), 10);
}

pub(crate) async fn nothing_is_touched_at_first(store: &dyn Store) {
    let mut given = submission("alpha", &[2, 4], 0);
    given.plan.strategy.waves[0].promote = Promote::Manual;
    let id = store.submit(given.clone()).await.expect("taken").id;
    let found = rollout(store, id).await;
    assert_eq!((*found.plan).clone(), given.plan);
    assert_eq!((found.targets, found.submitted_at, found.moved_at), (6, at(0), at(0)));
    assert_eq!(found.record, rollout::Record::submitted());
    assert_eq!(found.tallies.iter().map(|tally| tally.queued).collect::<Vec<_>>(), [2, 4]);
    let last = change_of(store, id, 5).await;
    assert_eq!(
        (last.change.target, last.change.wave, last.change.desired),
        (target(2, 5), 1, true)
    );
    assert_eq!(
        (last.change.record, last.due, last.moved_at),
        (change::Record::queued(), None, None)
    );
    assert_eq!(store.change(ChangeId { rollout: id, ordinal: 6 }).await.expect("available"), None);
    let entries = store.journal(Some(id), 0, 10).await.expect("available");
    let [entry] = &entries[..] else { panic!("one entry") };
    assert!(
        matches!(&entry.what, JournalEvent::Submitted { targets: 6, change_ref, .. } if change_ref == "CHG-1")
    );
    assert_eq!((entry.seq, entry.at), (1, at(0)));
}

pub(crate) async fn a_stale_commit_is_refused_whole(store: &dyn Store) {
    let id = started(store, submission("alpha", &[6], 0)).await;
    release(store, id, 0, 2).await;
    let now = rollout(store, id).await;
    let ready = change_of(store, id, 0).await.change.record;
    put(store, id, 0, State::Inspecting).await.expect("free");
    let before = store.health().seq;

    // One change of two has moved: neither is applied.
    let other = change_of(store, id, 2).await.change.record;
    let changes =
        vec![step(2, &other, State::Inspecting, 4), step(0, &ready, State::Inspecting, 4)];
    assert!(matches!(
        store.commit(Commit { changes, ..blank(&now, 4) }).await,
        Err(CommitError::Conflict)
    ));
    assert_eq!(change_of(store, id, 2).await.change.record, other);

    // The rollout has moved: its changes' decisions are stale too.
    let stale = rollout(store, id).await;
    advance(store, id, 0).await;
    let changes = vec![step(2, &other, State::Inspecting, 4)];
    assert!(matches!(
        store.commit(Commit { changes, ..blank(&stale, 4) }).await,
        Err(CommitError::Conflict)
    ));
    assert_eq!(store.health().seq, before + 1);
}

pub(crate) async fn a_stale_release_is_refused(store: &dyn Store) {
    let id = started(store, submission("alpha", &[6], 0)).await;
    let stale = rollout(store, id).await;
    release(store, id, 0, 1).await;
    let record =
        rollout::Record { releases: stale.record.releases + 1, cursor: 3, ..stale.record.clone() };
    let queued = change::Record::queued();
    let changes = vec![step(2, &queued, State::Ready, 4)];
    let commit = Commit {
        releases: Some(stale.record.releases),
        moves: Some(moves(record, "release")),
        changes,
        ..blank(&stale, 4)
    };
    assert!(matches!(store.commit(commit).await, Err(CommitError::Conflict)));
}

pub(crate) async fn a_verb_keeps_the_cursor(store: &dyn Store) {
    let id = started(store, submission("alpha", &[6], 0)).await;
    let stale = rollout(store, id).await;
    release(store, id, 0, 2).await;
    let mut record = rollout::Record { version: stale.record.version + 1, ..stale.record.clone() };
    record.paused = Some(mark(5));
    store
        .commit(Commit { moves: Some(moves(record, "paused")), ..blank(&stale, 5) })
        .await
        .expect("a pause does not depend on releases");
    let now = rollout(store, id).await;
    assert_eq!((now.record.cursor, now.record.releases), (3, 1));
    assert!(now.record.paused.is_some());
}

pub(crate) async fn an_instance_has_one_active_change(store: &dyn Store) {
    let first = started(store, submission("alpha", &[1], 0)).await;
    let mut other = submission("beta", &[3], 1);
    other.targets = [target(0, 1), target(5, 10), target(5, 11)].into();
    let second = started(store, other).await;
    assert_eq!(release(store, first, 0, 1).await, [0]);

    let now = rollout(store, second).await;
    let take = |ordinals: &[u32]| {
        first_release(&now, u32::try_from(ordinals.len()).expect("few"), ordinals)
    };
    assert!(matches!(
        store.commit(take(&[0])).await,
        Err(CommitError::InstanceTaken { ordinal: 0 })
    ));
    let instance = target(0, 1).instance_id;
    assert_eq!(
        store.holder(&instance).await.expect("available"),
        Some(ChangeId { rollout: first, ordinal: 0 })
    );
    put(store, first, 0, switched()).await.expect("free");
    assert_eq!(store.holder(&instance).await.expect("available"), None);
    // Two changes of one commit may not take one instance either.
    assert!(matches!(
        store.commit(take(&[0, 1, 2])).await,
        Err(CommitError::InstanceTaken { ordinal: 2 })
    ));
    store.commit(take(&[0])).await.expect("the instance is free now");
}

pub(crate) async fn an_instance_and_a_proxy_are_one_whatever_the_lane(store: &dyn Store) {
    let by_other = |target: Target| Target { lane: name("other"), ..target };
    let first = started(store, submission("alpha", &[1], 0)).await;
    let mut shares = submission("beta", &[2], 0);
    shares.targets = [by_other(target(9, 18)), by_other(target(0, 0))].into();
    let Err(SubmitError::Overlap { proxy, name: of, .. }) = store.submit(shares.clone()).await
    else {
        panic!("a proxy is shared")
    };
    assert_eq!((proxy, of), (target(0, 0).proxy_id.to_string(), name("alpha")));
    shares.targets = [by_other(target(0, 1)), by_other(target(9, 18))].into();
    let second = started(store, shares).await;
    assert_eq!(release(store, first, 0, 1).await, [0]);
    let now = rollout(store, second).await;
    let take = Commit {
        releases: Some(0),
        moves: Some(moves(
            rollout::Record { releases: 1, cursor: 1, ..now.record.clone() },
            "release",
        )),
        changes: vec![step(0, &change::Record::queued(), State::Ready, 4)],
        ..blank(&now, 4)
    };
    assert!(matches!(store.commit(take).await, Err(CommitError::InstanceTaken { ordinal: 0 })));
    assert_eq!(
        release(store, second, 0, 2).await,
        [1],
        "passed over as long as the other lane's change works on it"
    );
    put(store, first, 0, State::Following { job: job(1) }).await.expect("free");
    put(store, first, 0, switched()).await.expect("free");
    put(store, second, 0, State::Ready).await.expect("the instance is free now");
    put(store, second, 0, State::Following { job: job(2) }).await.expect("free");
    let known = store.known_jobs(&target(0, 1).instance_id).await.expect("available");
    assert_eq!(known, [job(1), job(2)], "a job that one lane saved is explained to the other");
}

pub(crate) async fn one_commit_may_hand_an_instance_on(store: &dyn Store) {
    let id = started(store, submission("alpha", &[2], 0)).await;
    release(store, id, 0, 1).await;
    let now = rollout(store, id).await;
    let first = change_of(store, id, 0).await.change.record;
    let record =
        rollout::Record { releases: now.record.releases + 1, cursor: 2, ..now.record.clone() };
    let changes =
        vec![step(0, &first, switched(), 4), step(1, &change::Record::queued(), State::Ready, 4)];
    let commit = Commit {
        releases: Some(now.record.releases),
        moves: Some(moves(record, "release")),
        changes,
        ..blank(&now, 4)
    };
    store.commit(commit).await.expect("freed and taken in one stroke");
    assert_eq!(change_of(store, id, 1).await.change.record.state, State::Ready);
}

pub(crate) async fn due_is_as_the_last_move_says(store: &dyn Store) {
    let mut given = submission("alpha", &[3], 0);
    given.targets = (0..3).map(|n| target(n, n)).collect();
    let id = started(store, given).await;
    release(store, id, 0, 3).await;
    let due = |now, limit| async move {
        let due = store.due(now, None, limit).await.expect("available");
        due.into_iter().map(|active| active.change.id.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(due(at(32), 9).await, [0_u32; 0]);
    assert_eq!(due(at(33), 9).await, [0, 1, 2]);
    assert_eq!(due(at(33), 2).await, [0, 1]);
    let first = store.due(at(33), None, 1).await.expect("available")[0].due_place();
    let behind = store.due(at(33), first, 1).await.expect("available");
    assert_eq!(behind[0].change.id.ordinal, 1, "a page goes on where the last one ended");

    put(store, id, 0, State::Queued).await.expect("free");
    put(store, id, 1, failed("no")).await.expect("free");
    assert_eq!(due(Timestamp::MAX, 9).await, [2]);
    for ordinal in [0, 1] {
        assert_eq!(change_of(store, id, ordinal).await.due, None, "only active changes are due");
    }
}

pub(crate) async fn an_abort_withdraws(store: &dyn Store) {
    // Proxies 0+1, 2+3, 4+5, 6+7 share instances; 0 and 2 become active, 1 is passed.
    let id = started(store, submission("alpha", &[3, 5], 0)).await;
    assert_eq!(release(store, id, 1, 2).await, [0, 2]);
    abort(store, id).await;
    let now = rollout(store, id).await;
    let counts: Vec<_> =
        now.tallies.iter().map(|tally| (tally.queued, tally.active, tally.cancelled)).collect();
    assert_eq!(counts, [(1, 2, 0), (0, 0, 5)]);
    let withdrawn = change_of(store, id, 7).await;
    assert_eq!(
        (withdrawn.change.record.state, withdrawn.due, withdrawn.moved_at),
        (State::Cancelled, None, None)
    );
    // What was queued explicitly is withdrawn explicitly; until then the rollout stays open.
    assert_eq!(store.open_rollouts().await.expect("available").len(), 1);
    let waiting = store.page(id, vec!["queued".into()], None, 9).await.expect("available").changes;
    assert_eq!(waiting.iter().map(|active| active.change.id.ordinal).collect::<Vec<_>>(), [1]);
    let waiting = store.stored(id, &["queued"], 0..u32::MAX, 9).await.expect("available");
    assert_eq!(waiting.iter().map(|change| change.id.ordinal).collect::<Vec<_>>(), [1]);
    for (ordinal, end) in [(1, State::Cancelled), (0, switched()), (2, State::Cancelled)] {
        put(store, id, ordinal, end).await.expect("free");
    }
    assert!(store.open_rollouts().await.expect("available").is_empty());
    assert_tallies_add_up(store).await;
    let cancelled =
        store.page(id, vec!["cancelled".into()], None, 99).await.expect("available").changes;
    assert_eq!(
        cancelled.iter().map(|active| active.change.id.ordinal).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7]
    );
    assert!(store.candidates(id, 1, 9).await.expect("available").free.is_empty());
}

pub(crate) async fn settled_changes_move_only_back(store: &dyn Store) {
    let mut given = submission("alpha", &[4], 0);
    given.targets = (0..4).map(|n| target(n, n)).collect();
    let id = started(store, given).await;
    release(store, id, 0, 4).await;
    let in_doubt = State::InDoubt {
        reason: change::Reason { word: change::ReasonWord::Unreadable, message: "?".into() },
    };
    for (ordinal, end) in [(0, switched()), (1, failed("no")), (2, in_doubt), (3, State::Cancelled)]
    {
        put(store, id, ordinal, end).await.expect("free");
    }
    for ordinal in 0..4 {
        assert!(matches!(put(store, id, ordinal, State::Ready).await, Err(CommitError::Conflict)));
    }
    for ordinal in [0, 3] {
        assert!(matches!(put(store, id, ordinal, State::Queued).await, Err(CommitError::Conflict)));
    }
    let failures =
        store.stored(id, &["failed", "in_doubt"], 0..u32::MAX, 9).await.expect("available");
    assert_eq!(failures.iter().map(|change| change.id.ordinal).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        store.stored(id, &["in_doubt"], 0..u32::MAX, 9).await.expect("available")[0].id.ordinal,
        2
    );
    assert_eq!(
        store.stored(id, &["failed", "in_doubt"], 0..u32::MAX, 1).await.expect("available").len(),
        1
    );
    assert_eq!(
        store.stored(id, &["succeeded"], 0..u32::MAX, 9).await.expect("available")[0].id.ordinal,
        0
    );
    for ordinal in [1, 2] {
        put(store, id, ordinal, State::Queued).await.expect("a retry");
    }
    assert!(
        store
            .stored(id, &["failed", "in_doubt"], 0..u32::MAX, 9)
            .await
            .expect("available")
            .is_empty()
    );
    let queued = store.stored(id, &["queued"], 0..u32::MAX, 9).await.expect("available");
    assert_eq!(
        queued.iter().map(|change| change.id.ordinal).collect::<Vec<_>>(),
        [1, 2],
        "what was put back is stored as queued"
    );
    let total = rollout(store, id).await.total();
    assert_eq!(
        (total.queued, total.failed, total.in_doubt, total.succeeded, total.cancelled),
        (2, 0, 0, 1, 1)
    );
    assert_eq!(release(store, id, 0, 9).await, [1, 2]);
    assert_tallies_add_up(store).await;
}

pub(crate) async fn a_record_too_big_is_refused(store: &dyn Store) {
    let id = started(store, submission("alpha", &[2], 0)).await;
    release(store, id, 0, 1).await;
    let refused = put(store, id, 0, failed(&"x".repeat(5_000))).await.expect_err("too big");
    assert!(refused.to_string().contains("the most is"), "{refused}");
    put(store, id, 0, failed(&"x".repeat(3_000))).await.expect("fits");
}

pub(crate) async fn a_busy_life_adds_up(store: &dyn Store) {
    let mut driver = Driver::new(1);
    driver.begin(store).await;
    for _ in 0..600 {
        driver.step(store).await;
    }
    abort(store, driver.rollouts[0]).await;
    assert_tallies_add_up(store).await;

    // The last entry of a change is its record; a change without one was never touched.
    let entries = store.journal(None, 0, usize::MAX).await.expect("available");
    assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "dense from 1");
    let (mut milestones, mut upto) = (Vec::new(), 0);
    while upto < entries.len() as u64 {
        let found = store.milestones(upto, 7).await.expect("available");
        assert!(found.upto > upto && found.entries.len() <= 7, "{upto}");
        milestones.extend(found.entries);
        upto = found.upto;
    }
    let wanted: Vec<_> = entries.iter().filter(|entry| entry.is_milestone()).cloned().collect();
    assert!(milestones == wanted && wanted.len() < entries.len(), "the journal without its steps");
    let steps = wanted.iter().map(|entry| &entry.what);
    let doubts = steps.filter(|what| matches!(what, JournalEvent::Change { .. })).count();
    assert!(doubts > 0, "a doubt is none");
    for id in driver.rollouts {
        let mine = || entries.iter().filter(|entry| entry.rollout == id);
        let last = mine().rev().find_map(|entry| {
            if let JournalEvent::Rollout { record, .. } = &entry.what { Some(record) } else { None }
        });
        let now = rollout(store, id).await;
        assert_eq!(Some(&now.record), last);
        for active in all_changes(store, id).await {
            let last = mine().rev().find_map(|entry| match &entry.what {
                JournalEvent::Change { ordinal, record, .. }
                    if *ordinal == active.change.id.ordinal =>
                {
                    Some(record.clone())
                }
                _ => None,
            });
            let untouched = if matches!(now.record.phase, Phase::Aborted { .. }) {
                State::Cancelled
            } else {
                State::Queued
            };
            let expected =
                last.unwrap_or(change::Record { state: untouched, ..change::Record::queued() });
            assert_eq!(active.change.record, expected, "target {}", active.change.id.ordinal);
        }
    }
}
