//! A plan that is submitted again: the same is the same rollout, and an edit is refused.

use super::super::fixtures::*;
use super::super::{Store, SubmitError};
use crate::domain::id::Digest;

pub(crate) async fn submitting_twice_is_one_rollout(store: &dyn Store) {
    let first = store.submit(submission("alpha", &[2, 4], 0)).await.expect("taken");
    assert!(first.new);
    assert_eq!(first.id, submission("alpha", &[2, 4], 0).id());
    let mut again = submission("alpha", &[2, 4], 0);
    again.by = "bob".into();
    again.at = at(50);
    let second = store.submit(again).await.expect("idempotent");
    assert_eq!((second.id, second.new), (first.id, false));
    assert_eq!(rollout(store, first.id).await.by, "ada".into());
    assert_eq!(store.journal(None, 0, 10).await.expect("available").len(), 1);
}

pub(crate) async fn other_content_is_refused(store: &dyn Store) {
    store.submit(submission("alpha", &[2], 0)).await.expect("taken");
    for (waves, first) in [(&[3_u32][..], 0), (&[2][..], 100)] {
        let refused =
            store.submit(submission("alpha", waves, first)).await.expect_err("other content");
        assert!(matches!(refused, SubmitError::Changed { revision: 1, .. }), "{refused}");
    }
    let mut off = submission("alpha", &[2], 0);
    off.plan.ssl_option = false;
    assert!(matches!(store.submit(off).await, Err(SubmitError::Changed { .. })));
    let mut again = submission("alpha", &[2], 100);
    again.plan.revision = 2;
    assert!(store.submit(again).await.expect("another revision").new);
}

pub(crate) async fn an_edit_is_refused_with_its_keys(store: &dyn Store) {
    let of = |text: &str, owner: &str| {
        let mut given = submission("alpha", &[2], 0);
        given.plan.source = Digest::of(text.as_bytes());
        given.plan.written = [("owner".to_owned(), owner.to_owned())].into_iter().collect();
        given
    };
    let first = store.submit(of("a", "ada")).await.expect("taken");
    assert_eq!((first.new, first.comments), (true, false));
    let mut resolved_otherwise = of("a", "ada");
    resolved_otherwise.plan.strategy.waves[0].max_failures = 1;
    let again = store.submit(resolved_otherwise).await.expect("the same bytes");
    assert_eq!((again.id, again.new, again.comments), (first.id, false, false));
    let again = store.submit(of("# note\na", "ada")).await.expect("an edit of comments");
    assert_eq!((again.id, again.new, again.comments), (first.id, false, true));

    let refused = store.submit(of("b", "bob")).await.expect_err("an edit").to_string();
    for part in [
        "owner (`ada`, now `bob`) differ",
        "`sealift pause alpha`",
        "`sealift abort alpha`",
        "`revision: 2`",
        "goes on",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let mut second = of("b", "bob");
    second.plan.revision = 2;
    second.targets = targets(100, 2);
    store.submit(second).await.expect("another revision");
    abort(store, first.id).await;
    let refused = store.submit(of("b", "bob")).await.expect_err("still an edit").to_string();
    assert!(
        refused.contains("is over; with `revision: 3`") && !refused.contains("abort"),
        "{refused}"
    );
    assert!(!store.submit(of("a", "ada")).await.expect("the same bytes").new);
}
