//! What must hold beyond the promises of [`sealift::rehearse::invariants`], because only a
//! simulated world shows whether it does: one file each.

use crate::oracle::{Fact, OracleSetting};

mod acknowledged_verbs;
mod answered_verbs;
mod attempts;
mod calls_in_flight;
mod clock_at_wire;
mod final_is_final;
mod fold_gives_state;
mod gates;
mod half_failed_waits;
mod halts_have_cause;
mod job_ids_kept;
mod never_idle;
mod never_silent;
mod no_needless_repeat;
mod nothing_leaves_away;
mod quota_refusals;
mod reverts;
mod seen;
mod truth;
mod windows_counted_once;

/// One thing that must hold in a simulated world.
pub trait WorldInvariant: Send {
    /// Says what is wrong with this fact, if anything.
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String>;
}

/// Every invariant of this folder, by its name.
pub fn all(setting: &OracleSetting<'_>) -> Vec<(&'static str, Box<dyn WorldInvariant>)> {
    vec![
        ("acknowledged_verbs", Box::new(acknowledged_verbs::AcknowledgedVerbs::default())),
        ("answered_verbs", Box::new(answered_verbs::AnsweredVerbs::default())),
        ("attempts", Box::new(attempts::Attempts::new(setting))),
        ("calls_in_flight", Box::new(calls_in_flight::CallsInFlight::new(setting))),
        ("clock_at_wire", Box::new(clock_at_wire::ClockAtWire::new(setting))),
        ("final_is_final", Box::new(final_is_final::FinalIsFinal::default())),
        ("fold_gives_state", Box::new(fold_gives_state::FoldGivesState::new(setting))),
        ("gates", Box::new(gates::Gates::new(setting))),
        ("half_failed_waits", Box::new(half_failed_waits::HalfFailedWaits::new(setting))),
        ("halts_have_cause", Box::new(halts_have_cause::HaltsHaveCause::new(setting))),
        ("job_ids_kept", Box::new(job_ids_kept::JobIdsKept::new(setting))),
        ("never_idle", Box::new(never_idle::NeverIdle::new(setting))),
        ("never_silent", Box::new(never_silent::NeverSilent::new(setting))),
        ("no_needless_repeat", Box::new(no_needless_repeat::NoNeedlessRepeat)),
        ("nothing_leaves_away", Box::new(nothing_leaves_away::NothingLeavesAway::default())),
        ("quota_refusals", Box::new(quota_refusals::QuotaRefusals::new(setting))),
        ("reverts", Box::new(reverts::Reverts::new(setting))),
        ("seen", Box::new(seen::SeenIsCompared::new(setting))),
        ("truth", Box::new(truth::Truth::new(setting))),
        ("windows_counted_once", Box::new(windows_counted_once::WindowsCountedOnce::new(setting))),
    ]
}
