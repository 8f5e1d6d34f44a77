//! A PUT leaves only while the store holds this change's intent.

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::change::State;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::Fact;

pub struct SimIntentFirst;

impl SimInvariant for SimIntentFirst {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Wire { sent, store } = fact else { return Ok(()) };
        let (id, Call::Submit { .. }) = (sent.id, sent.call) else { return Ok(()) };
        let stored = store.change(id).now_or_never().expect("ready").expect("memory").expect("a change of the rollout");
        match stored.change.record.state {
            State::Submitting { .. } if stored.change.record.attempts > 0 => Ok(()),
            state => Err(format!("a PUT for {id} left while the store has it as {}", state.as_str())),
        }
    }
}
