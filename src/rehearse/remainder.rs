//! What is left of a rollout that runs, as a scenario of its own: for the forecast while it runs.
//!
//! Invariant: only what the store tells goes in: the changes without an outcome, the waves that are
//! not done, what is left of the budgets. A change in flight begins anew in it, so the forecast
//! errs to the late side by at most one job.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::forecast::promotion_of;
use super::scenario::Scenario;
use crate::domain::lane::Lane;
use crate::domain::plan::{Plan, Promote, Wave};
use crate::domain::rollout::Phase;
use crate::domain::target::Target;
use crate::domain::window::Calendar;
use crate::store::Rollout;

/// The rest of a rollout from `now` on; `left` are its changes without an outcome, by their places.
/// `None` while only a person can move it, and when nothing is left.
pub fn remainder(
    rollout: &Rollout,
    left: &BTreeMap<u32, Target>,
    lanes: &[Lane],
    now: Timestamp,
) -> Option<Scenario> {
    if rollout.record.paused.is_some() || left.is_empty() {
        return None;
    }
    let strategy = &rollout.plan.strategy;
    let promotion = |wave: u16| {
        strategy
            .waves
            .get(usize::from(wave))
            .filter(|wave| wave.promote == Promote::Manual)
            .map(promotion_of)
    };
    let unapproved = rollout.record.approvals_given(&rollout.by) < rollout.plan.approval.required;
    let (first, not_before, after) = match rollout.record.phase {
        Phase::Scheduled => (0, None, unapproved.then(|| "the approval".to_owned())),
        Phase::Advancing { wave } => (wave, None, None),
        Phase::Soaking { wave, until } => (wave + 1, Some(until), promotion(wave)),
        // As if a person promoted it now, as the forecast of every manual wave takes it.
        Phase::Awaiting { wave } => (wave + 1, None, promotion(wave)),
        _ => return None,
    };
    let last = u16::try_from(strategy.waves.len()).ok()?.checked_sub(1)?;
    let mut groups: BTreeMap<u16, Vec<Target>> = BTreeMap::new();
    for (ordinal, target) in left {
        // What a retry put back from an earlier wave is done with the present one.
        groups
            .entry(strategy.wave_of(*ordinal).max(first).min(last))
            .or_default()
            .push(target.clone());
    }
    let mut waves = Vec::new();
    let mut targets = Vec::new();
    for (index, group) in groups {
        let wave = &strategy.waves[usize::from(index)];
        let spent = rollout.tallies[usize::from(index)].failures();
        waves.push(Wave {
            first: u32::try_from(targets.len()).ok()?,
            size: u32::try_from(group.len()).ok()?,
            max_failures: wave.max_failures.saturating_sub(spent).max(1),
            ..wave.clone()
        });
        targets.extend(group);
    }
    let mut plan = Plan::clone(&rollout.plan);
    plan.strategy.max_failures =
        strategy.max_failures.saturating_sub(rollout.total().failures()).max(1);
    plan.strategy.waves = waves;
    let calendar = &rollout.plan.calendar;
    let start = calendar.not_before().max(not_before);
    plan.calendar = Calendar::new(calendar.windows().to_vec(), calendar.freezes().to_vec(), start);
    Some(Scenario { after, ..Scenario::new(plan, targets.into(), lanes, now) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::Attribution;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    fn left(stage: &StagedRun, ordinals: &[u32]) -> BTreeMap<u32, Target> {
        ordinals
            .iter()
            .map(|ordinal| (*ordinal, stage.scenario.targets[*ordinal as usize].clone()))
            .collect()
    }

    #[test]
    fn what_is_done_is_left_out_and_budgets_shrink() {
        let mut stage = StagedRun::new();
        stage.tally(0, |tally| (tally.queued, tally.failed, tally.active) = (0, 1, 1));
        let scenario = remainder(
            &stage.rollout,
            &left(&stage, &[1, 2, 3]),
            &stage.scenario.lanes,
            after(60_000),
        )
        .expect("it runs");
        let sizes: Vec<_> = scenario
            .plan
            .strategy
            .waves
            .iter()
            .map(|wave| (wave.first, wave.size, wave.max_failures))
            .collect();
        assert_eq!(sizes, [(0, 1, 3), (1, 2, 4)]);
        assert_eq!((scenario.plan.strategy.max_failures, scenario.from), (3, after(60_000)));
        assert_eq!(scenario.targets[0], stage.scenario.targets[1]);
    }

    #[test]
    fn a_soak_is_waited_for_and_a_retried_change_joins_the_present_wave() {
        let mut stage = StagedRun::new();
        stage.rollout.record.phase = Phase::Soaking { wave: 0, until: after(90_000) };
        let scenario =
            remainder(&stage.rollout, &left(&stage, &[0, 2, 3]), &stage.scenario.lanes, after(0))
                .expect("it runs");
        assert_eq!(scenario.plan.calendar.not_before(), Some(after(90_000)));
        assert_eq!(scenario.after, None);
        assert_eq!(
            scenario
                .plan
                .strategy
                .waves
                .iter()
                .map(|wave| (wave.name.as_str(), wave.size))
                .collect::<Vec<_>>(),
            [("rest", 3)]
        );
    }

    #[test]
    fn what_a_person_must_do_first_is_named() {
        let mut stage = StagedRun::new();
        let mut plan = Plan::clone(&stage.rollout.plan);
        plan.strategy.waves[0].promote = Promote::Manual;
        plan.approval.required = 1;
        stage.rollout.plan = plan.into();
        let after = |stage: &StagedRun| {
            remainder(&stage.rollout, &left(stage, &[2, 3]), &stage.scenario.lanes, after(0))
                .expect("it runs")
                .after
        };
        for (phase, expected) in [
            (Phase::Scheduled, Some("the approval")),
            (Phase::Advancing { wave: 0 }, None),
            (
                Phase::Soaking { wave: 0, until: self::after(90_000) },
                Some("the promotion of wave canary"),
            ),
            (Phase::Awaiting { wave: 0 }, Some("the promotion of wave canary")),
            (Phase::Advancing { wave: 1 }, None),
        ] {
            stage.rollout.record.phase = phase.clone();
            assert_eq!(after(&stage).as_deref(), expected, "{phase:?}");
        }
    }

    #[test]
    fn what_waits_for_a_person_has_no_end() {
        let mut stage = StagedRun::new();
        assert!(remainder(&stage.rollout, &BTreeMap::new(), &[], after(0)).is_none());
        stage.rollout.record.paused =
            Some(Attribution { by: "ada".into(), reason: String::new(), at: after(0) });
        assert!(remainder(&stage.rollout, &left(&stage, &[0]), &[], after(0)).is_none());
        stage.rollout.record.paused = None;
        stage.rollout.record.phase = Phase::Completed;
        assert!(remainder(&stage.rollout, &left(&stage, &[0]), &[], after(0)).is_none());
    }
}
