//! What every store must do when it is asked which changes may begin next.

use crate::domain::change::{self, State};
use crate::store::fixtures::*;
use crate::store::{Candidates, CommitError, Store};

pub(crate) async fn candidates_come_in_order(store: &dyn Store) {
    // Two proxies an instance: 0+1, 2+3, 4+5, 6+7.
    let id = started(store, submission("alpha", &[8], 0)).await;
    let found = store.candidates(id, 0, 3).await.expect("available");
    let ordinals = |changes: &[change::Change]| {
        changes.iter().map(|change| change.id.ordinal).collect::<Vec<_>>()
    };
    let passed = |found: &Candidates| {
        found.passed.iter().map(|passed| passed.change.id.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(
        (ordinals(&found.free), passed(&found), found.cursor),
        (vec![0, 2, 4], vec![1, 3], 5)
    );
    assert_eq!(release(store, id, 0, 3).await, [0, 2, 4]);
    // Passed changes are queued explicitly and wait for their instance.
    assert_eq!(change_of(store, id, 1).await.change.record.version, 1);
    let found = store.candidates(id, 0, 3).await.expect("available");
    assert_eq!((ordinals(&found.free), passed(&found), found.cursor), (vec![6], vec![5, 7], 8));
    put(store, id, 2, switched()).await.expect("free");
    // What was passed comes before what was never released, and each instance once.
    let found = store.candidates(id, 0, 1).await.expect("available");
    assert_eq!((ordinals(&found.free), passed(&found), found.cursor), (vec![3], vec![], 5));
    put(store, id, 0, State::Queued).await.expect("recalled");
    let found = store.candidates(id, 0, 9).await.expect("available");
    assert_eq!(ordinals(&found.free), [0, 3, 6]);
}

pub(crate) async fn candidates_keep_to_waves(store: &dyn Store) {
    let mut given = submission("alpha", &[2, 3], 0);
    given.targets = (0..5).map(|n| target(n, n)).collect();
    let id = started(store, given).await;
    assert_eq!(release(store, id, 0, 10).await, [0, 1]);
    assert!(store.candidates(id, 0, 10).await.expect("available").free.is_empty());
    put(store, id, 1, State::Queued).await.expect("recalled");
    advance(store, id, 1).await;
    assert_eq!(release(store, id, 1, 2).await, [1, 2]);
    assert_eq!(release(store, id, 1, 10).await, [3, 4]);
    abort(store, id).await;
    put(store, id, 3, State::Queued).await.expect("a late recall");
    assert!(
        store.candidates(id, 1, 10).await.expect("available").free.is_empty(),
        "an aborted rollout has none"
    );
}

pub(crate) async fn a_cursor_leaves_nothing_behind(store: &dyn Store) {
    let id = started(store, submission("alpha", &[8], 0)).await;
    let now = rollout(store, id).await;
    // A change passed over without a row; one beyond the cursor; one twice; one that does not
    // exist.
    for (cursor, ordinals) in [(3, &[0, 2][..]), (2, &[0, 2]), (1, &[0, 0]), (9, &[0, 2, 4, 6, 8])]
    {
        let refused =
            store.commit(first_release(&now, cursor, ordinals)).await.expect_err("makes no sense");
        assert!(matches!(refused, CommitError::Unavailable(_)), "{refused}");
    }
    assert_eq!(rollout(store, id).await.tallies[0].queued, 8);
}
