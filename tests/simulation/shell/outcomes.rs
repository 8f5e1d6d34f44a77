//! At the end: every change is settled, and every proxy is as its change says. Nobody but us
//! switches in these runs.

use futures_util::FutureExt;
use sealift::domain::change::{How, ReasonWord, State};
use sealift::simcloud::model::Model;
use sealift::store::Store;

use super::RunShared;

/// What the records claim and the cloud does not know, or the other way round.
pub fn dishonest(shared: &RunShared, cloud: &Model) -> Vec<String> {
    let page = shared
        .store
        .page(shared.rollout, Vec::new(), None, usize::MAX)
        .now_or_never()
        .expect("ready")
        .expect("memory");
    let mut found = Vec::new();
    for active in &page.changes {
        let (id, record) = (active.change.id, &active.change.record);
        let proxy = cloud.proxy(&active.change.target.proxy_id).expect("of the fleet");
        let (effective, on) = (proxy.effective, proxy.ssl_option);
        let put_back = record.undo.is_some();
        if effective > if put_back { 2 } else { 1 } {
            found.push(format!("{id} was switched {effective} times"));
        }
        let honest = if put_back {
            is_undone(&record.state, effective)
        } else {
            is_done(&record.state, effective)
        } && on == (effective == 1);
        if !honest {
            found.push(format!(
                "{id} is told as {:?}; the proxy has {on} after {effective} PUTs that took effect",
                record.state
            ));
        }
    }
    found
}

/// Whether a change that was never put back is told as it is, after so many PUTs that took effect.
fn is_done(state: &State, effective: u32) -> bool {
    match state {
        State::Succeeded { how: How::Switched | How::SwitchedJobUnknown } => effective == 1,
        State::Succeeded { how: How::AlreadyRight } => effective == 0,
        // The job did its work, and other work on the proxy, or a faulty wire, hid it for too long:
        // the reason says just that.
        State::Failed { reason }
            if matches!(reason.word, ReasonWord::Unverified | ReasonWord::NotProven) =>
        {
            effective == 1
        }
        State::Failed { .. } | State::Cancelled => effective == 0,
        // Whether the switch was this rollout's could not be told, so the revert left it alone.
        State::Skipped { reason } if reason.word == ReasonWord::NotSurelyOurs => effective == 1,
        State::Skipped { reason } if reason.word == ReasonWord::NotAsSeen => effective == 0,
        State::InDoubt { .. } => true,
        _ => false,
    }
}

/// The same of one that was to be put back: one PUT switched it, a second one puts it back.
fn is_undone(state: &State, effective: u32) -> bool {
    match state {
        State::Reverted { how: How::Switched | How::SwitchedJobUnknown } => effective == 2,
        State::Failed { reason }
            if matches!(reason.word, ReasonWord::Unverified | ReasonWord::NotProven) =>
        {
            effective == 2
        }
        // A failed try may have been Unverified before a retry put it into the queue and an abort
        // took it out.
        State::Skipped { reason } if reason.word == ReasonWord::RevertAborted => effective >= 1,
        State::Failed { .. } => effective == 1,
        State::InDoubt { .. } => true,
        _ => false,
    }
}
