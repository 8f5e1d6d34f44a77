//! At the end: every change is settled, and every proxy is as its change says. Nobody but us switches in these runs.

use futures_util::FutureExt;
use sealift::cloud::model::Model;
use sealift::domain::change::{How, ReasonWord, State};
use sealift::store::Store;

use super::Shared;

/// What the records claim and the cloud does not know, or the other way round.
pub fn dishonest(shared: &Shared, cloud: &Model) -> Vec<String> {
    let page = shared.store.page(shared.rollout, Vec::new(), None, usize::MAX).now_or_never().expect("ready").expect("memory");
    let mut found = Vec::new();
    for active in &page.changes {
        let (id, record) = (active.change.id, &active.change.record);
        let proxy = cloud.proxy(&active.change.target.proxy_id).expect("of the fleet");
        let (effective, on) = (proxy.effective, proxy.ssl_option);
        if effective > 1 {
            found.push(format!("{id} was switched {effective} times"));
        }
        let honest = match &record.state {
            State::Succeeded { how: How::Switched | How::SwitchedJobUnknown } => on && effective == 1,
            State::Succeeded { how: How::AlreadyRight } => on && effective == 0,
            // The job did its work, and other work on the proxy hid it for too long: the reason says just that.
            State::Failed { reason } if reason.word == ReasonWord::Unverified => effective == 1,
            State::Failed { .. } | State::Cancelled => !on,
            State::InDoubt { .. } => true,
            _ => false,
        };
        if !honest {
            found.push(format!("{id} is told as {:?}; the proxy has {on} after {effective} PUTs that took effect", record.state));
        }
    }
    found
}
