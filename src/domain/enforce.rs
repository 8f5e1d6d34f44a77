//! Recurring enforcement: a plan that runs again at each tick, and what each run finds, does and
//! leaves alone.
//!
//! Job: [`decide`]. It takes the record, an event and the context, and returns the next record.
//! What must be done is read off the record: in [`EnforcementStage::Surveying`] and
//! [`EnforcementStage::Applying`] the rollout that is named there is submitted if it is not there
//! yet. So a crash between the commit and the submission leads to the same rollout, never to two
//! runs.
//!
//! Invariants: one run at a time; no tick begins two runs, whatever the clock does; after a run
//! that was halted the next ones look and report, and put nothing right until a person releases it;
//! a run is a rollout like any other, so that windows, quota, journal and restarts are not built
//! twice; only targets that we put right have an entry.
//!
//! Deliberately not here: submitting, reading what a run found, and the verbs' authors' rights.

mod flips;
pub(super) mod schedule;
#[cfg(test)]
mod tests;
mod types;

use jiff::Timestamp;

pub use self::flips::{FLIPS_KEPT, FLIPS_MAX, FLIPS_RUNS, Flips};
pub use self::schedule::{Enforce, Mode, NAME_MAX, applying_name, surveying_name};
pub use self::types::{
    AppliedRun, Context, Decision, Drifted, EnforcementEnd, EnforcementRun, EnforcementStage,
    Event, Record, STOPPED, SurveyResult, VerbRefusal,
};

use super::id::{Digest, Name, RolloutId};
use super::person::Attribution;
use super::plan::Plan;
use super::target::{self, Target};

impl Record {
    /// The enforcement of a plan whose rollout has just completed. Ticks up to `now` are not looked
    /// at.
    pub fn begun(origin: RolloutId, revision: u32, targets: Digest, now: Timestamp) -> Self {
        Self {
            origin,
            revision,
            targets,
            runs: 0,
            handled: now,
            skipped: 0,
            stage: EnforcementStage::Idle,
            last: None,
            halted: None,
            flips: Vec::new(),
            version: 1,
        }
    }

    /// When the next tick comes; `None` when it is over, or no tick comes any more.
    pub fn next_tick(&self, enforce: &Enforce, now: Timestamp) -> Option<Timestamp> {
        if matches!(self.stage, EnforcementStage::Ended { .. }) {
            None
        } else {
            enforce.next(now.max(self.handled))
        }
    }

    /// Whether a tick has come that was not dealt with.
    pub fn is_due(&self, enforce: &Enforce, now: Timestamp) -> bool {
        enforce.due(self.handled, now).is_some()
    }

    /// Places of the targets that are held.
    pub fn held(&self) -> impl Iterator<Item = &Flips> {
        self.flips.iter().filter(|flips| flips.held)
    }
}

/// The table. `Ok(None)`: nothing moves.
///
/// # Errors
/// Only a person's verb is refused.
pub fn decide(
    record: &Record,
    event: &Event,
    ctx: &Context<'_>,
) -> Result<Option<Decision>, VerbRefusal> {
    let step = EnforcementDecision { record, ctx };
    Ok(match (&record.stage, event) {
        (EnforcementStage::Ended { .. }, Event::Stop { .. } | Event::Release { .. }) => {
            return Err(VerbRefusal::Ended);
        }
        (
            EnforcementStage::Idle | EnforcementStage::Held { .. } | EnforcementStage::Ended { .. },
            Event::Renewed { origin, revision, targets },
        ) => step.renewed(*origin, *revision, *targets),
        (EnforcementStage::Ended { .. }, Event::Looked) => None,
        (_, Event::Looked) => step.looked(),
        (EnforcementStage::Surveying { .. }, Event::Surveyed { drifted, right, unseen, phase }) => {
            Some(step.surveyed(drifted, *right, *unseen, phase))
        }
        (EnforcementStage::Applying { .. }, Event::Applied { switched, failed, phase }) => {
            Some(step.applied(switched, *failed, phase))
        }
        (
            EnforcementStage::Surveying { .. } | EnforcementStage::Applying { .. },
            Event::Halted { why },
        ) => step.halted(why.as_ref()),
        (
            EnforcementStage::Surveying { .. } | EnforcementStage::Applying { .. },
            Event::Refused { why },
        ) => Some(step.ends(format!("not begun: {why}"))),
        (_, Event::Stop { mark }) => Some(step.stopped(mark)),
        (_, Event::Release { only, drifted, mark }) => Some(step.released(*only, drifted, mark)?),
        // A run at hand comes to its end first; everything else came late or twice.
        (
            EnforcementStage::Surveying { .. } | EnforcementStage::Applying { .. },
            Event::Renewed { .. },
        )
        | (
            EnforcementStage::Idle
            | EnforcementStage::Applying { .. }
            | EnforcementStage::Held { .. }
            | EnforcementStage::Ended { .. },
            Event::Surveyed { .. },
        )
        | (
            EnforcementStage::Idle
            | EnforcementStage::Surveying { .. }
            | EnforcementStage::Held { .. }
            | EnforcementStage::Ended { .. },
            Event::Applied { .. },
        )
        | (
            EnforcementStage::Idle | EnforcementStage::Held { .. } | EnforcementStage::Ended { .. },
            Event::Refused { .. } | Event::Halted { .. },
        ) => None,
    })
}

/// One decision in the making.
struct EnforcementDecision<'a> {
    record: &'a Record,
    ctx: &'a Context<'a>,
}

impl EnforcementDecision<'_> {
    fn next(&self) -> Record {
        Record { version: self.record.version + 1, ..self.record.clone() }
    }

    /// The number of the run at hand, or of the latest.
    fn number(&self) -> u32 {
        self.record.last.as_ref().map_or(0, |run| run.number)
    }

    /// The run at hand is over.
    fn ends(&self, result: String) -> Decision {
        let mut record = self.next();
        record.stage = EnforcementStage::Idle;
        end_run(&mut record, &result);
        Decision { record, why: format!("run {}: {result}", self.number()) }
    }

    /// The run says so; whether the next tick ends it is not decided here, for a rollout is aborted
    /// by a verb.
    fn halted(&self, why: Option<&String>) -> Option<Decision> {
        let mut record = self.next();
        let run = record.last.as_mut().filter(|run| run.halted.as_ref() != why)?;
        run.halted = why.cloned();
        let effect = why.map_or_else(
            || "its rollout goes on".to_owned(),
            |why| format!("{why}; the next tick ends its rollout"),
        );
        Some(Decision { record, why: format!("run {}: {effect}", self.number()) })
    }

    /// Why the rollout of the run at hand was halted.
    fn was_halted(&self) -> Option<&str> {
        self.record.last.as_ref()?.halted.as_deref()
    }

    fn looked(&self) -> Option<Decision> {
        let enforce = self.ctx.plan.enforce.as_ref()?;
        let due = enforce.due(self.record.handled, self.ctx.now)?;
        let mut record = self.next();
        record.handled = due.tick;
        let missed = match due.missed {
            0 => String::new(),
            n => format!("; {n} earlier {} missed", if n == 1 { "tick was" } else { "ticks were" }),
        };
        let busy = match &self.record.stage {
            EnforcementStage::Held { .. } => Some("it is held".to_owned()),
            EnforcementStage::Surveying { .. } | EnforcementStage::Applying { .. } => {
                Some(format!("run {} is under way", self.number()))
            }
            EnforcementStage::Idle | EnforcementStage::Ended { .. } => None,
        };
        if let Some(busy) = busy {
            record.skipped = record.skipped.saturating_add(due.missed).saturating_add(1);
            return Some(Decision {
                record,
                why: format!("the tick of {} is skipped: {busy}{missed}", due.tick),
            });
        }
        let number = record.runs.saturating_add(1);
        let plan = self.ctx.plan;
        let survey = RolloutId::derive(
            &surveying_name(&plan.name),
            number,
            plan.ssl_option,
            &record.targets,
        );
        record.runs = number;
        record.skipped = due.missed;
        record.stage = EnforcementStage::Surveying { rollout: survey };
        record.last = Some(EnforcementRun {
            number,
            tick: due.tick,
            began: self.ctx.now,
            survey,
            found: None,
            applied: None,
            halted: None,
            result: None,
        });
        Some(Decision {
            record,
            why: format!("run {number} begins, for the tick of {}{missed}", due.tick),
        })
    }

    fn surveyed(
        &self,
        drifted: &[Drifted],
        right: u32,
        unseen: u32,
        phase: &'static str,
    ) -> Decision {
        if phase != "completed" {
            let halted = self.was_halted().map(|why| format!(" ({why})")).unwrap_or_default();
            return self.ends(format!("its survey is {phase}{halted}; nothing was put right"));
        }
        let mut record = self.next();
        let number = self.number();
        let newly =
            flips::hold(&mut record.flips, number, drifted.iter().map(|drifted| drifted.ordinal));
        let left_out = flips::left_out(&record.flips, drifted);
        let found = SurveyResult {
            right,
            drifted: count(drifted.len()),
            left_out: count(left_out.len()),
            unseen,
        };
        if let Some(run) = &mut record.last {
            run.found = Some(found);
        }
        let mut words = if found.drifted == 0 {
            "nothing drifted".to_owned()
        } else {
            format!("{} drifted", found.drifted)
        };
        if found.unseen > 0 {
            words.push_str(&format!(", {} could not be looked at", found.unseen));
        }
        if found.left_out > 0 {
            words.push_str(&format!(", {} of them held", found.left_out));
        }
        if newly > 0 {
            words.push_str(&format!(
                " ({newly} newly: flipped back {FLIPS_MAX} times within {FLIPS_RUNS} runs)"
            ));
        }
        let Some(enforce) = &self.ctx.plan.enforce else { return self.close(record, words) };
        let todo = found.drifted - found.left_out;
        if todo == 0 {
            return self.close(record, words);
        }
        match enforce.mode {
            Mode::Inform => self.close(record, format!("{words}; only reported")),
            Mode::Apply if record.halted.is_some() => {
                let why = record.halted.clone().unwrap_or_default();
                self.close(record, format!("{words}; only reported, because {why}"))
            }
            Mode::Apply if todo > enforce.max_drift => {
                let allowed = enforce.max_drift;
                record.stage = EnforcementStage::Held { drifted: todo, allowed };
                let words = format!(
                    "{words}: more than the {allowed} that max_drift allows, nothing is put right"
                );
                end_run(&mut record, &words);
                Decision {
                    record,
                    why: format!("run {number}: {words} until somebody releases it"),
                }
            }
            Mode::Apply => {
                self.apply(record, drifted, left_out, &format!("run {number}: {words}; put right"))
            }
        }
    }

    fn close(&self, mut record: Record, words: String) -> Decision {
        record.stage = EnforcementStage::Idle;
        flips::forget(&mut record.flips, self.number());
        end_run(&mut record, &words);
        Decision { why: format!("run {}: {words}", self.number()), record }
    }

    fn apply(
        &self,
        mut record: Record,
        drifted: &[Drifted],
        left_out: Vec<u32>,
        why: &str,
    ) -> Decision {
        let targets = chosen(drifted, &left_out);
        let plan = self.ctx.plan;
        let rollout = RolloutId::derive(
            &applying_name(&plan.name),
            self.number(),
            plan.ssl_option,
            &target::digest(&targets),
        );
        if let Some(run) = &mut record.last {
            run.applied = Some(AppliedRun { rollout, switched: 0, failed: 0 });
            run.result = None;
        }
        record.stage = EnforcementStage::Applying { rollout, left_out };
        Decision { record, why: why.to_owned() }
    }

    fn applied(&self, switched: &[u32], failed: u32, phase: &'static str) -> Decision {
        let mut record = self.next();
        let number = self.number();
        flips::put_right(&mut record.flips, number, switched);
        if let Some(applied) = record.last.as_mut().and_then(|run| run.applied.as_mut()) {
            (applied.switched, applied.failed) = (count(switched.len()), failed);
        }
        let mut words = format!("{} put right", switched.len());
        if failed > 0 {
            words.push_str(&format!(", {failed} could not be"));
        }
        if phase == "completed" {
            record.halted = None;
        } else {
            words.push_str(&format!("; its rollout is {phase}"));
            // Another try would only spend the next budget on what a person has not looked at.
            if let Some(why) = self.was_halted() {
                record.halted = Some(format!("run {number} {why}"));
                words.push_str(&format!(" ({why})"));
            }
        }
        self.close(record, words)
    }

    fn renewed(
        &self,
        origin: RolloutId,
        revision: u32,
        targets: Option<Digest>,
    ) -> Option<Decision> {
        if revision <= self.record.revision {
            return None;
        }
        let over = matches!(self.record.stage, EnforcementStage::Ended { .. });
        let Some(targets) = targets else {
            if over {
                return None;
            }
            let record = Record {
                stage: EnforcementStage::Ended { end: EnforcementEnd::Superseded { revision } },
                ..self.next()
            };
            return Some(Decision {
                record,
                why: format!(
                    "revision {revision} of the plan completed and asks for no enforcement"
                ),
            });
        };
        // Whoever raises the revision has looked: what was held begins again, and the numbers of
        // the runs go on, because they are revisions of rollouts.
        let (runs, version) = (self.record.runs, self.record.version + 1);
        let record =
            Record { runs, version, ..Record::begun(origin, revision, targets, self.ctx.now) };
        Some(Decision {
            record,
            why: format!("revision {revision} of the plan completed: it is enforced from now on"),
        })
    }

    fn stopped(&self, mark: &Attribution) -> Decision {
        let mut record = self.next();
        let at_hand = record.stage.rollout().is_some();
        record.stage =
            EnforcementStage::Ended { end: EnforcementEnd::Stopped { mark: mark.clone() } };
        if at_hand {
            end_run(&mut record, STOPPED);
        }
        Decision { record, why: because("stopped", mark) }
    }

    fn released(
        &self,
        only: Option<u32>,
        drifted: &[Drifted],
        mark: &Attribution,
    ) -> Result<Decision, VerbRefusal> {
        let mut record = self.next();
        if let Some(ordinal) = only {
            if !self.record.held().any(|flips| flips.ordinal == ordinal) {
                return Err(VerbRefusal::NotHeld);
            }
            record.flips.retain(|flips| flips.ordinal != ordinal);
            return Ok(Decision { record, why: because("one target released", mark) });
        }
        let held = matches!(self.record.stage, EnforcementStage::Held { .. });
        let targets = self.record.held().count();
        if !held && targets == 0 && record.halted.is_none() {
            return Err(VerbRefusal::NothingHeld { stage: self.record.stage.as_str() });
        }
        record.flips.retain(|flips| !flips.held);
        let halted = record.halted.take().is_some();
        if !held {
            let what = match (halted, targets) {
                (true, 0) => "released".to_owned(),
                (_, targets) => format!("{targets} held targets released"),
            };
            return Ok(Decision { record, why: because(&what, mark) });
        }
        // The targets that were held beside the enforcement are released with it.
        if drifted.is_empty() {
            record.stage = EnforcementStage::Idle;
            return Ok(Decision { record, why: because("released", mark) });
        }
        Ok(self.apply(
            record,
            drifted,
            Vec::new(),
            &format!("{}; {} are put right", because("released", mark), drifted.len()),
        ))
    }
}

/// The drifted targets without those that are left out.
pub fn chosen(drifted: &[Drifted], left_out: &[u32]) -> Vec<Target> {
    let wanted = drifted.iter().filter(|drifted| left_out.binary_search(&drifted.ordinal).is_err());
    wanted.map(|drifted| drifted.target.clone()).collect()
}

/// The plan that the run numbered `run` looks with. It sends nothing, so it is bound to no window.
pub fn surveying_plan(plan: &Plan, run: u32, targets: u32) -> Plan {
    run_plan(plan, surveying_name(&plan.name), run, targets, true)
}

/// The plan that the run numbered `run` puts right with: the approved plan, on what drifted.
pub fn applying_plan(plan: &Plan, run: u32, targets: u32) -> Plan {
    run_plan(plan, applying_name(&plan.name), run, targets, false)
}

fn run_plan(plan: &Plan, name: Name, run: u32, targets: u32, survey: bool) -> Plan {
    use super::plan::{Approval, Promote, Wave};
    use super::window::Calendar;
    use super::written::WrittenPlan;
    let mut strategy = plan.strategy.clone();
    if survey {
        // A look that fails harms nothing and is counted.
        strategy.max_failures = targets.max(1);
    }
    let all = Name::parse("all", "wave").expect("three letters");
    strategy.waves = vec![Wave {
        name: all,
        first: 0,
        size: targets,
        soak_ms: 0,
        promote: Promote::Auto,
        max_failures: strategy.max_failures,
    }];
    let calendar = if survey {
        Calendar::always()
    } else {
        Calendar::new(plan.calendar.windows().to_vec(), plan.calendar.freezes().to_vec(), None)
    };
    // Drift is what the API tells; what is put right is proven as the plan says.
    let wire = plan.wire.clone().filter(|_| !survey);
    Plan {
        name,
        revision: run,
        calendar,
        strategy,
        wire,
        approval: Approval::default(),
        survey,
        enforce: None,
        written: WrittenPlan::default(),
        ..plan.clone()
    }
}

fn end_run(record: &mut Record, result: &str) {
    if let Some(run) = &mut record.last {
        run.result = Some(result.to_owned());
    }
}

fn because(what: &str, mark: &Attribution) -> String {
    format!("{what} by {mark}")
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
