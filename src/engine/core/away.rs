//! A store that is away: nothing begins, and what comes is kept.
//!
//! Job: while the store cannot be reached, hold every timer, permit and call, and refuse verbs; go
//! on when it is back.
//!
//! Invariants: while the store is away no call leaves, not even one whose commit was acknowledged
//! before; answers to calls that are out are decided on, and their commits wait in the store,
//! bounded by what is in hand. Time in which it is away is nobody's stall, and no window is missed
//! by it without a word.
//!
//! Deliberately not here: finding out whether the store is there (`store`), and a store that has
//! failed, which ends the process.

use super::Core;
use crate::engine::effect::Effect;
use crate::store::Away;

impl Core {
    /// The store is away from now on, or it is back.
    pub(super) fn store_away(&mut self, away: Option<Away>, out: &mut Vec<Effect>) {
        let was = std::mem::replace(&mut self.away, away.clone()).is_some();
        self.fence.set_away(away.is_some());
        match away {
            Some(away) => {
                if !was {
                    self.count("store_away");
                }
                self.dismiss_verbs(&away, out);
                for tracked in self.rollouts.values_mut() {
                    tracked.store_away();
                }
            }
            None if was => {
                self.stirred.extend(self.lanes.keys().cloned());
                self.look_at_all(out);
            }
            None => {}
        }
    }
}
