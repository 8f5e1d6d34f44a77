//! How long to wait before the next attempt: exponential, with jitter from a hash of the change's
//! id.
//!
//! Invariant: the delay is a function of policy, attempt and salt alone, so a run replays exactly;
//! yet two changes that fail together do not come back together.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::ChangeId;

/// The plan's `retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How many PUTs one change may spend, 1 to 100.
    pub max_attempts: u16,
    /// Wait after the first failed attempt, in milliseconds.
    pub initial_ms: u64,
    /// Longest wait, in milliseconds.
    pub max_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_attempts: 6, initial_ms: 2_000, max_ms: 300_000 }
    }
}

impl Policy {
    /// The wait after `attempt` attempts (from 1): `initial × 2^(attempt-1)`, capped, of which the
    /// upper half is jitter.
    pub fn delay(&self, attempt: u32, change: ChangeId) -> Duration {
        let doublings = attempt.saturating_sub(1).min(32);
        let full = self.initial_ms.saturating_mul(1u64 << doublings).min(self.max_ms);
        let half = full / 2;
        Duration::from_millis(half + salt(change, attempt) % (full - half + 1))
    }
}

fn salt(change: ChangeId, attempt: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(change.rollout.as_bytes());
    hash.update(change.ordinal.to_be_bytes());
    hash.update(attempt.to_be_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes of thirty-two"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::RolloutId;

    proptest! {
        #[test]
        fn delays_stay_between_half_and_full(attempt in 1u32..200, ordinal: u32, initial in 1u64..10_000, max in 1u64..600_000) {
            let policy = Policy { max_attempts: 6, initial_ms: initial, max_ms: max };
            let change = ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal };
            let full = initial.saturating_mul(1u64 << (attempt - 1).min(32)).min(max);
            let delay = u64::try_from(policy.delay(attempt, change).as_millis()).expect("small");
            prop_assert!(delay >= full / 2 && delay <= full);
            prop_assert_eq!(policy.delay(attempt, change), policy.delay(attempt, change));
        }
    }
}
