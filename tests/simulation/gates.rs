//! What a scenario asks of people and of guards beyond waves and budgets: reverts, approvals,
//! pauses with an end.
//!
//! Drawn from a sequence of its own, so that a seed without any of it is the run that it was
//! before.

use fastrand::Rng;
use sealift::domain::plan::{OnFailure, RevertPolicy};

/// What one run has of it.
#[derive(Debug, Clone, Default)]
pub struct ClearanceTally {
    pub revert: RevertPolicy,
    /// Times at which somebody asks for a revert, in virtual seconds.
    pub reverts: Vec<u64>,
    /// Approvals that the plan asks for.
    pub approvals: u16,
    /// Pauses with an end: when, and how many seconds ahead it lies.
    pub pauses: Vec<(u64, u64)>,
    /// Times at which somebody else switches some proxy, in virtual seconds.
    pub foreign: Vec<u64>,
}

impl ClearanceTally {
    pub fn draw(seed: u64, calm_at: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6a7e_5000_0000_0001);
        let times = |rng: &mut Rng, most: usize| -> Vec<u64> {
            (0..rng.usize(1..=most)).map(|_| rng.u64(2..calm_at)).collect()
        };
        let mut gates = Self::default();
        if rng.f64() < 0.3 {
            let on_failure = if rng.bool() { OnFailure::Revert } else { OnFailure::Halt };
            gates.revert = RevertPolicy { on_failure, in_window: rng.bool() };
            gates.reverts = times(&mut rng, 3);
            if rng.bool() {
                gates.foreign = times(&mut rng, 8);
            }
        }
        if rng.f64() < 0.15 {
            gates.approvals = rng.u16(1..=2);
        }
        if rng.f64() < 0.2 {
            gates.pauses = times(&mut rng, 3).into_iter().map(|at| (at, rng.u64(1..120))).collect();
        }
        gates
    }

    /// Of every three small worlds one is put back, when its first wave is done.
    pub fn small(world: u64) -> Self {
        if world % 3 != 2 {
            return Self::default();
        }
        Self { reverts: vec![30], ..Self::default() }
    }
}
