//! Enforcements, and the targets that they are about.

use super::super::fixtures::*;
use super::super::{CommitError, Store};
use crate::domain::enforce::{EnforcementStage, FLIPS_KEPT, Flips};
use crate::domain::id::RolloutId;
use crate::domain::journal::JournalEvent;

pub(crate) async fn an_enforcement_is_one_a_name(store: &dyn Store) {
    let id = store.submit(submission("alpha", &[3], 0)).await.expect("taken").id;
    assert_eq!(store.enforcements().await.expect("available"), []);
    let begun = enforced(id, 5);
    store.enforce(enforcement("alpha", 0, begun.clone(), 5)).await.expect("there was none");
    assert!(
        matches!(
            store.enforce(enforcement("alpha", 0, begun.clone(), 6)).await,
            Err(CommitError::Conflict)
        ),
        "it has begun"
    );
    let mut next = begun.clone();
    (next.stage, next.version) = (EnforcementStage::Held { drifted: 3, allowed: 1 }, 2);
    assert!(
        matches!(
            store.enforce(enforcement("alpha", 2, next.clone(), 6)).await,
            Err(CommitError::Conflict)
        ),
        "another version"
    );
    store
        .enforce(enforcement("alpha", 1, next.clone(), 7))
        .await
        .expect("what was read still stands");
    let found = store.enforcement(&name("alpha")).await.expect("available").expect("there");
    assert_eq!((&found.record, found.moved_at), (&next, at(7)));
    assert_eq!(store.enforcements().await.expect("available"), [found]);
    assert_eq!(store.enforcement(&name("beta")).await.expect("available"), None);

    let foreign = enforced(RolloutId::from_bytes([9; 16]), 7);
    assert!(
        matches!(
            store.enforce(enforcement("beta", 0, foreign, 7)).await,
            Err(CommitError::Unavailable(_))
        ),
        "of no rollout"
    );
    let entries = store.journal(Some(id), 0, 10).await.expect("available");
    let moves: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            if let JournalEvent::Enforcement { from, to, record, .. } = &entry.what {
                Some((from.as_ref(), to.as_ref(), record.version))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(moves, [("none", "idle", 1), ("idle", "held", 2)]);
}

pub(crate) async fn a_long_enforcement_is_kept(store: &dyn Store) {
    let id = store.submit(submission("alpha", &[3], 0)).await.expect("taken").id;
    let mut record = enforced(id, 5);
    record.flips = (0..FLIPS_KEPT as u32)
        .map(|ordinal| Flips { ordinal, runs: vec![7, 8, 9], held: ordinal % 3 == 0 })
        .collect();
    store.enforce(enforcement("alpha", 0, record.clone(), 5)).await.expect("there was none");
    assert_eq!(
        store.enforcement(&name("alpha")).await.expect("available").expect("there").record,
        record
    );
    // Lists show what the queue has, so this waits until it has taken the entry in.
    store.rollouts(None, 1).await.expect("available");
    record.flips.truncate(1);
    record.version = 2;
    store
        .enforce(enforcement("alpha", 1, record.clone(), 6))
        .await
        .expect("what was read still stands");
    store.rollouts(None, 1).await.expect("available");
    assert_eq!(
        store.enforcement(&name("alpha")).await.expect("available").expect("there").record,
        record
    );
}

pub(crate) async fn the_targets_are_those_submitted(store: &dyn Store) {
    let given = submission("alpha", &[2, 300], 7);
    let id = store.submit(given.clone()).await.expect("taken").id;
    assert_eq!(store.targets(id).await.expect("available").expect("there"), given.targets.to_vec());
    assert_eq!(store.targets(RolloutId::from_bytes([9; 16])).await.expect("available"), None);
}
