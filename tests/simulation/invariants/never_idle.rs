//! While a rollout may release, it does: an open window with free places and ready work is never
//! idle for long. Work is ready when its instance is free and none of its groups is full. And a
//! revert for which nothing is left to wait goes on.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::change::Change;
use sealift::domain::group::GroupLimits;
use sealift::domain::id::RolloutId;
use sealift::domain::plan::Plan;
use sealift::domain::rollout::{Phase, ReleaseRoom, RevertStage};
use sealift::domain::target::Target;
use sealift::domain::window::Opening;
use sealift::rehearse::observation::Observation;
use sealift::store::{Rollout, Store};

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::world::{Nanos, S};

/// A scan or a look, a slow commit, a conflict and another.
const IDLE_MAX: Nanos = 4 * S;
/// After a crash, a step of the clock or a standstill, what was under way may first have to fall
/// due.
const SETTLED_AFTER: Nanos = 25 * S;

pub struct NeverIdle {
    rollout: RolloutId,
    plan: Plan,
    limits: GroupLimits,
    /// Commits of this run may take long, so places may be free and taken at once.
    stuck: bool,
    stopped: bool,
    up: bool,
    /// The clock may have been stepped within the window that is open: it shuts as soon as one of
    /// the clocks says so.
    stepped_within: bool,
    quiet_from: Nanos,
    idle_since: Option<Nanos>,
}

impl NeverIdle {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self {
            rollout: setting.rollout,
            plan: setting.submission.plan.clone(),
            limits: setting.scenario.groups.limits(),
            stuck: setting.scenario.stuck_store > 0.0,
            stopped: false,
            up: false,
            stepped_within: false,
            quiet_from: 0,
            idle_since: None,
        }
    }

    /// Whether a revert could go on.
    fn may_put_back(&self, rollout: &Rollout, store: &impl Store, wall: Timestamp) -> bool {
        let Phase::Reverting(revert) = &rollout.record.phase else { return false };
        if self.stopped || rollout.record.requeue.is_some() {
            return false;
        }
        let total = rollout.total();
        let idle = total.queued + total.active == 0;
        match revert.stage {
            RevertStage::Settling => idle,
            RevertStage::Gathering => false,
            RevertStage::Releasing
                if rollout.record.paused.is_some() || revert.failures(&total) > 0 =>
            {
                false
            }
            RevertStage::Releasing if idle => true,
            RevertStage::Releasing => {
                let room = total.active < self.plan.strategy.max_in_flight;
                let open = matches!(self.plan.opening(wall, true), Opening::Open { .. });
                room && open
                    && self.is_next(store, |change| {
                        change.record.undo.is_some() && change.wave == revert.wave
                    })
            }
        }
    }

    /// The groups of this target: the limit's place, and the lane or the tag's value.
    fn groups<'s>(&'s self, target: &'s Target) -> impl Iterator<Item = (usize, String)> + 's {
        let values =
            self.limits.iter().enumerate().map(|(place, (by, _))| (place, by.value(target)));
        values.filter_map(|(place, value)| Some((place, value?.to_owned())))
    }

    /// The groups of which nothing more may begin.
    fn full_groups(&self, store: &impl Store) -> BTreeSet<(usize, String)> {
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        for active in store
            .due(Timestamp::MAX, None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory")
        {
            self.groups(&active.change.target)
                .for_each(|group| *counts.entry(group).or_default() += 1);
        }
        let most = |place| self.limits.iter().nth(place).map_or(u32::MAX, |(_, most)| most);
        counts
            .into_iter()
            .filter(|((place, _), count)| *count >= most(*place))
            .map(|(group, _)| group)
            .collect()
    }

    /// Whether one of these queued changes has its instance for itself and a place in each of its
    /// groups.
    fn is_next(&self, store: &impl Store, wanted: impl Fn(&Change) -> bool) -> bool {
        let queued = store
            .page(self.rollout, vec!["queued".into()], None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let full = self.full_groups(store);
        queued.changes.iter().map(|active| &active.change).filter(|change| wanted(change)).any(
            |change| {
                let taken = store
                    .holder(&change.target.instance_id)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory");
                taken.is_none() && self.groups(&change.target).all(|group| !full.contains(&group))
            },
        )
    }

    fn may_release(&self, rollout: &Rollout, wall: Timestamp) -> Option<u16> {
        let Phase::Advancing { wave } = rollout.record.phase else { return None };
        let free =
            rollout.record.paused.is_none() && rollout.record.requeue.is_none() && !self.stopped;
        let room = ReleaseRoom::of(&self.plan, &rollout.tallies, wave).places() > 0;
        let open = || matches!(self.plan.calendar.at(wall), Opening::Open { .. });
        (free && room && open()).then_some(wave)
    }
}

impl WorldInvariant for NeverIdle {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::Disturbed { now }) => {
                self.stepped_within = true;
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
            }
            Fact::Observed(Observation::Started { .. }, Around { now, .. }) => {
                self.up = true;
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
            }
            Fact::Observed(Observation::Died, Around { now, .. }) => {
                self.up = false;
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
            }
            Fact::Seen(SeenFact::Stopped { stands }) => self.stopped = *stands,
            Fact::Observed(Observation::Committed { commit, .. }, _) if commit.moves.is_some() => {
                self.idle_since = None
            }
            Fact::Instant { now, wall, store } if !self.stuck => {
                let within =
                    matches!(self.plan.calendar.at(*wall), Opening::Open { until: Some(_) });
                self.stepped_within &= within;
                let rollout = store
                    .rollout(self.rollout)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory")
                    .expect("submitted");
                let forward = || {
                    self.may_release(&rollout, *wall).is_some_and(|wave| {
                        self.is_next(*store, |change| {
                            change.wave <= wave && change.record.undo.is_none()
                        })
                    })
                };
                let settled = *now >= self.quiet_from && !self.stepped_within;
                let ready =
                    settled && self.up && (forward() || self.may_put_back(&rollout, *store, *wall));
                if !ready {
                    self.idle_since = None;
                    return Ok(());
                }
                let since = *self.idle_since.get_or_insert(*now);
                if *now > since + IDLE_MAX {
                    return Err(format!(
                        "places are free and work is ready since {} s, and nothing is released at {} s",
                        since / S,
                        now / S
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
