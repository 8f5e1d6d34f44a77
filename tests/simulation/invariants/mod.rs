//! What must hold, one file each.

use crate::oracle::{Fact, OracleSetting};

mod acknowledged_verbs;
mod answered_verbs;
mod attempts;
mod calls_in_flight;
mod clock_at_wire;
mod failure_budget;
mod final_is_final;
mod fold_gives_state;
mod gates;
pub mod group_limits;
mod half_failed_waits;
mod halts_have_cause;
mod in_flight;
mod intent_first;
mod job_id_first;
mod job_ids_kept;
mod never_idle;
mod never_silent;
mod no_needless_repeat;
mod quota;
mod reverts;
mod seen;
mod tallies_add_up;
mod truth;
mod verified_means_shown;
mod wave_order;
mod window_at_wire;
mod windows_counted_once;

/// One thing that must hold, watching a run.
pub trait SimInvariant: Send {
    /// Says what is wrong with this fact, if anything.
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String>;
}

/// Every invariant, by its name.
pub fn all(setting: &OracleSetting<'_>) -> Vec<(&'static str, Box<dyn SimInvariant>)> {
    vec![
        ("acknowledged_verbs", Box::new(acknowledged_verbs::AcknowledgedVerbs::default())),
        ("answered_verbs", Box::new(answered_verbs::AnsweredVerbs::default())),
        ("attempts", Box::new(attempts::Attempts::new(setting))),
        ("calls_in_flight", Box::new(calls_in_flight::CallsInFlight::new(setting))),
        ("clock_at_wire", Box::new(clock_at_wire::ClockAtWire::new(setting))),
        ("failure_budget", Box::new(failure_budget::FailureBudget::new(setting))),
        ("final_is_final", Box::new(final_is_final::FinalIsFinal::default())),
        ("fold_gives_state", Box::new(fold_gives_state::FoldGivesState::new(setting))),
        ("gates", Box::new(gates::Gates::new(setting))),
        ("group_limits", Box::new(group_limits::SimGroupLimitsKept::new(setting))),
        ("half_failed_waits", Box::new(half_failed_waits::HalfFailedWaits::new(setting))),
        ("halts_have_cause", Box::new(halts_have_cause::HaltsHaveCause::new(setting))),
        ("in_flight", Box::new(in_flight::InFlight::new(setting))),
        ("intent_first", Box::new(intent_first::SimIntentFirst)),
        ("job_id_first", Box::new(job_id_first::SimJobIdFirst::default())),
        ("job_ids_kept", Box::new(job_ids_kept::JobIdsKept::new(setting))),
        ("never_idle", Box::new(never_idle::NeverIdle::new(setting))),
        ("never_silent", Box::new(never_silent::NeverSilent::new(setting))),
        ("no_needless_repeat", Box::new(no_needless_repeat::NoNeedlessRepeat)),
        ("quota", Box::new(quota::QuotaAtWireAndServer::new(setting))),
        ("reverts", Box::new(reverts::Reverts::new(setting))),
        ("seen", Box::new(seen::SeenIsCompared::new(setting))),
        ("tallies_add_up", Box::new(tallies_add_up::TalliesAddUp::new(setting))),
        ("truth", Box::new(truth::Truth::new(setting))),
        ("verified_means_shown", Box::new(verified_means_shown::VerifiedMeansShown::new(setting))),
        ("wave_order", Box::new(wave_order::SimWaveOrder::new(setting))),
        ("window_at_wire", Box::new(window_at_wire::WindowAtWire::new(setting))),
        ("windows_counted_once", Box::new(windows_counted_once::WindowsCountedOnce::new(setting))),
    ]
}
