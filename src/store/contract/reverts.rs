//! What every store must do for a rollout that is put back.

use crate::domain::change::{self, Reason, ReasonWord, State};
use crate::domain::plan::APPROVALS_MAX;
use crate::domain::rollout::{self, Phase};
use crate::store::fixtures::*;
use crate::store::{Candidates, Commit, CommitError, Store};

pub(crate) async fn a_revert_marks_what_succeeded(store: &dyn Store) {
    // Two waves of 2 and 4 proxies, two proxies an instance; 0, 2 and 3 succeed, 4 fails, 5 is
    // never released.
    let id = started(store, submission("alpha", &[2, 4], 0)).await;
    advance(store, id, 1).await;
    for _ in 0..2 {
        for ordinal in release(store, id, 1, 3).await {
            let end = if ordinal == 4 { failed("no") } else { switched() };
            put(store, id, ordinal, end).await.expect("free");
        }
    }
    let marked = |ordinal: u32, record: &change::Record| {
        let mut moves = step(ordinal, record, State::Queued, 5);
        moves.record.before = Some(false);
        moves.record.undo = Some(change::Undo::default());
        moves
    };
    let first = change_of(store, id, 0).await.change.record;
    let now = rollout(store, id).await;
    let early = Commit { changes: vec![marked(0, &first)], ..blank(&now, 5) };
    assert!(
        matches!(store.commit(early).await, Err(CommitError::Conflict)),
        "only a rollout that is put back marks"
    );

    let back = rollout::Revert {
        wave: 1,
        stage: rollout::RevertStage::Gathering,
        more: false,
        failed: 1,
        in_doubt: 0,
        cause: rollout::Cause::Asked { mark: mark(5) },
    };
    let record = rollout::Record {
        phase: Phase::Reverting(back.into()),
        version: now.record.version + 1,
        ..now.record.clone()
    };
    store
        .commit(Commit { moves: Some(moves(record, "reverted")), ..blank(&now, 5) })
        .await
        .expect("free to move");
    let now = rollout(store, id).await;
    assert!(store.open_rollouts().await.expect("available").iter().any(|open| open.id == id));

    let found = store.stored(id, &["succeeded"], 2..6, 9).await.expect("available");
    let places: Vec<u32> = found.iter().map(|change| change.id.ordinal).collect();
    assert_eq!(places, [2, 3, 5], "only of the places asked for");
    assert_eq!(
        store.stored(id, &["succeeded"], 3..6, 1).await.expect("available")[0].id.ordinal,
        3
    );
    let skipped = State::Skipped {
        reason: Reason { word: ReasonWord::NotSurelyOurs, message: "cannot be told".into() },
    };
    let plain = step(2, &change_of(store, id, 2).await.change.record, State::Queued, 6);
    let refused = store.commit(Commit { changes: vec![plain], ..blank(&now, 6) }).await;
    assert!(
        matches!(refused, Err(CommitError::Conflict)),
        "what succeeded goes back only with its mark"
    );
    let mut changes: Vec<_> =
        found[..2].iter().map(|change| marked(change.id.ordinal, &change.record)).collect();
    changes.push(step(5, &found[2].record, skipped, 6));
    changes.push(marked(0, &first));
    store.commit(Commit { changes, ..blank(&now, 6) }).await.expect("marked");

    let shown = change_of(store, id, 2).await.change;
    assert_eq!(
        (shown.desired, shown.record.state),
        (false, State::Queued),
        "the value from before is wanted now"
    );
    assert_tallies_add_up(store).await;
    // Two proxies of one instance: the first of them, and nothing of the other wave, marked or not.
    let ordinals =
        |found: Candidates| found.free.iter().map(|change| change.id.ordinal).collect::<Vec<_>>();
    assert_eq!(ordinals(store.candidates(id, 1, 9).await.expect("available")), [2]);
    assert_eq!(ordinals(store.candidates(id, 0, 9).await.expect("available")), [0]);
    assert_eq!(release(store, id, 1, 9).await, [2]);
    let reverted = State::Reverted { how: change::How::Switched };
    put(store, id, 2, reverted).await.expect("free");
    assert_eq!(release(store, id, 1, 9).await, [3]);
    let total = rollout(store, id).await.total();
    assert_eq!(
        (total.reverted, total.skipped, total.failed, total.queued, total.active),
        (1, 1, 1, 1, 1)
    );
    let page = store
        .page(id, vec!["reverted".into(), "skipped".into()], None, 9)
        .await
        .expect("available");
    assert_eq!(page.changes.len(), 2);
    assert!(
        matches!(put(store, id, 2, State::Queued).await, Err(CommitError::Conflict)),
        "put back is settled"
    );
    assert_tallies_add_up(store).await;
}

pub(crate) async fn a_revert_keeps_to_its_groups(store: &dyn Store) {
    let mut given = submission("alpha", &[3], 0);
    given.targets = (0..3).map(|n| target(n, n)).collect();
    given.plan.strategy.max_in_flight_per =
        [(crate::domain::group::GroupBy::Lane, 1)].into_iter().collect();
    let id = started(store, given).await;
    for place in 0..3 {
        assert_eq!(release(store, id, 0, 9).await, [place]);
        put(store, id, place, switched()).await.expect("free");
    }
    let now = rollout(store, id).await;
    let back = rollout::Revert {
        wave: 0,
        stage: rollout::RevertStage::Gathering,
        more: false,
        failed: 0,
        in_doubt: 0,
        cause: rollout::Cause::Asked { mark: mark(5) },
    };
    let record = rollout::Record {
        phase: Phase::Reverting(back.into()),
        version: now.record.version + 1,
        ..now.record.clone()
    };
    store
        .commit(Commit { moves: Some(moves(record, "reverted")), ..blank(&now, 5) })
        .await
        .expect("free to move");
    let now = rollout(store, id).await;
    let mut changes = Vec::new();
    for place in 0..3 {
        let mut moves =
            step(place, &change_of(store, id, place).await.change.record, State::Queued, 5);
        moves.record.before = Some(false);
        moves.record.undo = Some(change::Undo::default());
        changes.push(moves);
    }
    store.commit(Commit { changes, ..blank(&now, 6) }).await.expect("marked");
    for place in 0..3 {
        assert_eq!(release(store, id, 0, 9).await, [place]);
        assert!(store.candidates(id, 0, 9).await.expect("available").free.is_empty());
        put(store, id, place, State::Reverted { how: change::How::Switched }).await.expect("free");
    }
}

pub(crate) async fn the_longest_reasons_fit(store: &dyn Store) {
    let id = started(store, submission("alpha", &[2], 0)).await;
    let now = rollout(store, id).await;
    // As much as the API keeps of a reason, of characters that JSON writes as two; and as many
    // approvers as a plan may ask for.
    let wordy = crate::domain::person::Attribution {
        by: "x".repeat(40),
        reason: "\"".repeat(500),
        at: at(5),
    };
    let approved = rollout::Approved { by: wordy.by.clone(), uid: Some(u32::MAX), at: at(5) };
    let revert = rollout::Revert {
        wave: 0,
        stage: rollout::RevertStage::Settling,
        more: true,
        failed: u32::MAX,
        in_doubt: u32::MAX,
        cause: rollout::Cause::Asked { mark: wordy.clone() },
    };
    let record = rollout::Record {
        phase: Phase::Halted {
            wave: 0,
            reason: rollout::Halt::Revert { failures: u32::MAX },
            revert: Some(revert.into()),
        },
        paused: Some(wordy),
        paused_until: Some(at(90)),
        approvals: vec![approved; usize::from(APPROVALS_MAX)],
        version: now.record.version + 1,
        ..now.record.clone()
    };
    store
        .commit(Commit { moves: Some(moves(record.clone(), "x")), ..blank(&now, 5) })
        .await
        .expect("fits");
    assert_eq!(rollout(store, id).await.record, record);
}
