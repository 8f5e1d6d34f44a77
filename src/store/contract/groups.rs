//! What every store must do for a plan that limits what is in flight of one group.

use std::collections::BTreeMap;

use crate::domain::change::State;
use crate::domain::group::GroupBy;
use crate::domain::id::RolloutId;
use crate::domain::target::{Tags, Target, TargetList};
use crate::store::fixtures::*;
use crate::store::{Candidates, CommitError, Obstacle, Store, Submission};

/// Each target on an instance of its own, in these tiers; empty: without the tag.
fn tiered(tiers: &[&str], limits: &[(GroupBy, u32)]) -> Submission {
    let count = u32::try_from(tiers.len()).expect("few");
    let mut given = submission("alpha", &[count], 0);
    given.targets = tiers.iter().zip(0..).map(|(tier, n)| tagged(n, tier)).collect();
    given.plan.strategy.max_in_flight_per = limits.iter().cloned().collect();
    given
}

fn tagged(n: u32, tier: &str) -> Target {
    let tags = (!tier.is_empty())
        .then(|| Tags::from(BTreeMap::from([("tier".to_owned(), tier.to_owned())])));
    Target { tags, ..target(n, n) }
}

fn tier() -> GroupBy {
    GroupBy::Tag("tier".into())
}

fn free(found: &Candidates) -> Vec<u32> {
    found.free.iter().map(|change| change.id.ordinal).collect()
}

async fn asked(store: &dyn Store, id: RolloutId, limit: usize) -> Candidates {
    store.candidates(id, 0, limit).await.expect("available")
}

pub(crate) async fn a_full_group_is_passed_over(store: &dyn Store) {
    let id =
        started(store, tiered(&["gold", "gold", "gold", "", "iron", "gold", ""], &[(tier(), 2)]))
            .await;
    let found = asked(store, id, 4).await;
    assert_eq!((free(&found), found.cursor), (vec![0, 1, 3, 4], 5));
    let passed: Vec<_> =
        found.passed.iter().map(|passed| (passed.change.id.ordinal, passed.obstacle)).collect();
    assert_eq!(passed, [(2, Obstacle::Group)]);
    assert_eq!(release(store, id, 0, 4).await, [0, 1, 3, 4]);
    let full =
        |target: Target| async move { store.full_group(id, &target).await.expect("available") };
    let gold = full(tagged(9, "gold")).await.expect("both places are taken");
    assert_eq!((gold.by, gold.value.as_str(), gold.active, gold.most), (tier(), "gold", 2, 2));
    assert_eq!((full(tagged(9, "iron")).await, full(tagged(9, "")).await), (None, None));
    // A place that frees goes to the first that waits, passed over or not; one that is taken back
    // frees it, too.
    put(store, id, 1, State::Queued).await.expect("recalled");
    assert_eq!(free(&asked(store, id, 9).await), [1, 6]);
    assert_eq!(release(store, id, 0, 1).await, [1]);
    put(store, id, 0, switched()).await.expect("free");
    assert_eq!(release(store, id, 0, 1).await, [2]);
    assert_eq!(release(store, id, 0, 9).await, [6]);
    put(store, id, 1, failed("no")).await.expect("free");
    put(store, id, 2, switched()).await.expect("free");
    assert_eq!(release(store, id, 0, 9).await, [5]);
    assert_tallies_add_up(store).await;
}

pub(crate) async fn every_limit_counts(store: &dyn Store) {
    let mut given =
        tiered(&["gold", "gold", "iron", "iron", ""], &[(tier(), 1), (GroupBy::Lane, 2)]);
    let other = Target { lane: name("other"), ..tagged(4, "iron") };
    given.targets = given.targets.iter().take(4).cloned().chain([other]).collect();
    let id = started(store, given).await;
    // One gold and one iron fill the lane; the other lane's iron is full by its tag.
    assert_eq!(release(store, id, 0, 9).await, [0, 2]);
    put(store, id, 2, switched()).await.expect("free");
    let found = asked(store, id, 9).await;
    assert_eq!(free(&found), [3], "in the list's order");
    assert_eq!(release(store, id, 0, 9).await, [3]);
    put(store, id, 0, switched()).await.expect("free");
    assert_eq!(release(store, id, 0, 9).await, [1]);
    put(store, id, 3, switched()).await.expect("free");
    assert_eq!(release(store, id, 0, 9).await, [4]);
}

pub(crate) async fn two_releases_never_share_a_place(store: &dyn Store) {
    let id = started(store, tiered(&["gold"; 4], &[(tier(), 2)])).await;
    assert_eq!(release(store, id, 0, 1).await, [0]);
    // Two daemons read the same single place.
    let before = rollout(store, id).await;
    assert_eq!(free(&asked(store, id, 9).await), [1]);
    assert_eq!(release(store, id, 0, 9).await, [1]);
    let record = crate::domain::rollout::Record {
        cursor: 2,
        releases: before.record.releases + 1,
        ..before.record.clone()
    };
    let late = crate::store::Commit {
        releases: Some(before.record.releases),
        moves: Some(moves(record, "release")),
        changes: vec![step(1, &crate::domain::change::Record::queued(), State::Ready, 4)],
        ..blank(&before, 4)
    };
    assert!(matches!(store.commit(late).await, Err(CommitError::Conflict)));
    assert!(free(&asked(store, id, 9).await).is_empty());
}

/// A full group writes down nothing that no release needs, however long the list is; and what lies
/// far behind is found.
pub(crate) async fn a_long_list_is_looked_through_in_stretches(store: &dyn Store) {
    const FAR: u32 = 9_000;
    let tiers: Vec<&str> = (0..FAR).map(|_| "gold").chain(["iron"]).collect();
    let id = started(store, tiered(&tiers, &[(tier(), 2)])).await;
    assert_eq!(release(store, id, 0, 9).await, [0, 1]);
    let mut questions = 0;
    let found = loop {
        let found = asked(store, id, 9).await;
        questions += 1;
        assert!(questions < 9, "it ends");
        if !found.more {
            break found;
        }
        assert!(
            found.free.is_empty() && found.passed.is_empty() && found.cursor == 2,
            "nothing is passed for nothing"
        );
    };
    assert!(questions > 1, "not in one go");
    assert_eq!(
        (free(&found), found.passed.len(), found.cursor),
        (vec![], 9, 11),
        "now it is known that one lies there"
    );
    // On the way there it is passed over in stretches.
    let mut released = release(store, id, 0, 9).await;
    while released.is_empty() {
        released = release_at(store, id, 0, 4_000, 4, crate::store::Durability::Ordered).await;
    }
    assert_eq!(released, [FAR]);
    put(store, id, 0, switched()).await.expect("free");
    assert_eq!(release(store, id, 0, 9).await, [2]);
    let none = asked(store, id, 9).await;
    assert_eq!((none.free.len(), none.passed.len(), none.more), (0, 0, false));
    let targets: TargetList = tiers.iter().zip(0..).map(|(tier, n)| tagged(n, tier)).collect();
    assert!(store.full_group(id, &targets[5]).await.expect("available").is_some());
}
