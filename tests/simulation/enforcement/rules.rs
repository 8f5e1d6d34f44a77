//! What must hold of every enforcement, read off the journal alone.
//!
//! One run at a time; no tick runs twice; a survey sends nothing; what is put right was seen
//! drifted, is no more than `max_drift` unless a person released it, and never a target that
//! flipped back too often; `inform` puts nothing right, and neither does a run after one that was
//! halted, until a person releases it; after a stop nothing begins until the plan has a newer
//! revision; the record is what its entries say.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::change::{How, ReasonWord, State};
use sealift::domain::enforce::{EnforcementStage, FLIPS_MAX, FLIPS_RUNS, Mode, Record};
use sealift::domain::id::{ProxyId, RolloutId};
use sealift::domain::journal::{Entry, JournalEvent};
use sealift::domain::plan::Plan;
use sealift::store::Store;

use super::bed::EnforcementFixture;

pub fn check(entries: &[Entry], bed: &EnforcementFixture) -> Vec<String> {
    let mut rules = Rules {
        bed,
        open: BTreeMap::new(),
        last: None,
        ticks: BTreeSet::new(),
        aborted: BTreeSet::new(),
        barred: false,
        switched: BTreeMap::new(),
        broken: Vec::new(),
    };
    for entry in entries {
        rules.see(entry);
    }
    rules.end();
    rules.broken
}

struct Rules<'a> {
    bed: &'a EnforcementFixture,
    /// The runs' rollouts that are not over, by name.
    open: BTreeMap<RolloutId, String>,
    /// The stage's word and the record, as last told.
    last: Option<(String, Record)>,
    /// Ticks that began a run of this revision.
    ticks: BTreeSet<Timestamp>,
    /// The runs' rollouts that were aborted.
    aborted: BTreeSet<RolloutId>,
    /// A run that put right was halted and never went on, and no person has released the
    /// enforcement since.
    barred: bool,
    /// In which runs each target was put right, since the revision began or a person released it.
    switched: BTreeMap<ProxyId, Vec<u32>>,
    broken: Vec<String>,
}

impl Rules<'_> {
    fn broken(&mut self, what: String) {
        self.broken.push(what);
    }

    fn see(&mut self, entry: &Entry) {
        match &entry.what {
            JournalEvent::Submitted { name, .. }
                if name.as_str().ends_with("-drift") || name.as_str().ends_with("-enforce") =>
            {
                if let Some(other) = self.open.values().next() {
                    let what = format!("{name} begins while {other} is not over");
                    self.broken(what);
                }
                self.open.insert(entry.rollout, name.to_string());
            }
            JournalEvent::Rollout { to, .. }
                if ["completed", "aborted", "reverted"].contains(&to.as_ref()) =>
            {
                self.open.remove(&entry.rollout);
                if to == "aborted" {
                    self.aborted.insert(entry.rollout);
                }
            }
            JournalEvent::Change { proxy_id, record, .. } => {
                self.change(entry, *proxy_id, &record.state)
            }
            JournalEvent::Enforcement { from, to, by, record, .. } => {
                self.moved(from, to, by.is_some(), record)
            }
            JournalEvent::Submitted { .. } | JournalEvent::Rollout { .. } => {}
        }
    }

    fn change(&mut self, entry: &Entry, proxy: ProxyId, state: &State) {
        let Some(name) = self.open.get(&entry.rollout) else { return };
        if name.ends_with("-drift") && matches!(state, State::Submitting { .. }) {
            let what = format!("a survey switches {proxy}");
            return self.broken(what);
        }
        let ours =
            matches!(state, State::Succeeded { how: How::Switched | How::SwitchedJobUnknown });
        if let Some((_, Record { last: Some(run), .. })) = &self.last
            && ours
            && run.applied.is_some_and(|applied| applied.rollout == entry.rollout)
        {
            self.switched.entry(proxy).or_default().push(run.number);
        }
    }

    fn moved(&mut self, from: &str, to: &str, by_a_person: bool, record: &Record) {
        let (was, version) =
            self.last.as_ref().map_or(("none", 0), |(word, last)| (word.as_str(), last.version));
        if (was, version + 1) != (from, record.version) {
            let what =
                format!("version {} leaves {from}, after {version} that was {was}", record.version);
            self.broken(what);
        }
        let renewed = self.last.as_ref().is_none_or(|(_, last)| last.origin != record.origin);
        if renewed {
            self.ticks.clear();
            self.barred = false;
            self.switched.clear();
            if self.last.is_some() {
                self.bed.fire("renewed");
            }
        } else if from == "ended" {
            self.broken(format!("it goes on after its end, to {to}"));
        }
        if let Some((_, Record { last: Some(run), .. })) = &self.last
            && (from, to) == ("applying", "idle")
            && run.halted.is_some()
            && run.applied.is_some_and(|applied| self.aborted.contains(&applied.rollout))
        {
            self.barred = true;
            self.bed.fire("halted");
        }
        if to == "surveying" && from != "surveying" {
            self.begins(from, record);
        }
        if to == "applying" && from != "applying" {
            self.puts_right(from, by_a_person, record);
        }
        if by_a_person && record.halted.is_none() {
            self.barred = false;
        }
        if by_a_person {
            let held = |record: &Record| -> BTreeSet<u32> {
                record.held().map(|flips| flips.ordinal).collect()
            };
            let before = self.last.as_ref().map(|(_, last)| held(last)).unwrap_or_default();
            let targets = self.targets(record.origin);
            for released in before.difference(&held(record)) {
                self.switched.remove(&targets[*released as usize]);
            }
        }
        self.count(from, to, record);
        self.last = Some((to.to_owned(), record.clone()));
    }

    fn begins(&mut self, from: &str, record: &Record) {
        let Some(run) = &record.last else { return self.broken("a survey without a run".into()) };
        if from != "idle" {
            let what = format!("run {} begins while the enforcement is {from}", run.number);
            self.broken(what);
        }
        let newest = self.ticks.last().copied();
        if newest.is_some_and(|newest| newest >= run.tick) || !self.ticks.insert(run.tick) {
            let what = format!(
                "the tick of {} begins run {}, after that of {newest:?}",
                run.tick, run.number
            );
            self.broken(what);
        }
        let before = self.last.as_ref().map_or(0, |(_, last)| last.runs);
        if (run.number, record.runs) != (before + 1, before + 1) {
            let what = format!("run {} comes after run {before}", run.number);
            self.broken(what);
        }
    }

    /// A run begins to put right.
    fn puts_right(&mut self, from: &str, by_a_person: bool, record: &Record) {
        if self.barred && !by_a_person {
            self.broken("it puts right after a run that was halted, and nobody released it".into());
        }
        let plan = self.plan(record.origin);
        let (Some(enforce), Some(run)) = (&plan.enforce, &record.last) else {
            return self.broken("it applies nothing".into());
        };
        if enforce.mode == Mode::Inform {
            self.broken(format!("run {} puts right what should be told", run.number));
        }
        let drifted = self.drifted(run.survey);
        let EnforcementStage::Applying { rollout, left_out } = &record.stage else {
            return self.broken("a stage of another name".into());
        };
        let all = self.targets(record.origin);
        let left: BTreeSet<ProxyId> =
            left_out.iter().map(|ordinal| all[*ordinal as usize]).collect();
        let todo: Vec<ProxyId> =
            drifted.iter().filter(|proxy| !left.contains(proxy)).copied().collect();
        if by_a_person {
            if from != "held" {
                let what = format!("a person's word puts right what is {from}");
                self.broken(what);
            }
            return;
        }
        if todo.len() > enforce.max_drift as usize {
            let what = format!(
                "run {} puts {} right, max_drift allows {}",
                run.number,
                todo.len(),
                enforce.max_drift
            );
            self.broken(what);
        }
        for proxy in &todo {
            let runs = self.switched.get(proxy).map_or(&[][..], Vec::as_slice);
            let recent: BTreeSet<u32> =
                runs.iter().copied().filter(|put| run.number - put <= FLIPS_RUNS).collect();
            if recent.len() >= FLIPS_MAX {
                let what = format!(
                    "run {} puts {proxy} right for the {}th time of late",
                    run.number,
                    recent.len() + 1
                );
                self.broken(what);
            }
        }
        // What is in the run's rollout, if it came to be submitted, is exactly that.
        if let Some(targets) =
            self.bed.store.targets(*rollout).now_or_never().expect("ready").expect("memory")
        {
            let there: Vec<ProxyId> = targets.iter().map(|target| target.proxy_id).collect();
            if there != todo {
                let what =
                    format!("run {} puts {there:?} right, and {todo:?} had drifted", run.number);
                self.broken(what);
            }
        }
    }

    fn count(&mut self, from: &str, to: &str, record: &Record) {
        let told = |word| self.bed.fire(word);
        if let Some(run) = &record.last
            && let Some(found) = run.found
            && from == "surveying"
        {
            if found.drifted > 0 {
                told("drifted");
                told(match (to, self.barred) {
                    ("idle", true) => "only_looks",
                    ("idle", false) => "inform",
                    _ => "applied",
                });
            }
            if found.left_out > 0 {
                told("held_target");
            }
        }
        if to == "held" && from == "surveying" {
            told("drifted_beyond");
        }
        if let Some((_, last)) = &self.last
            && record.skipped > last.skipped
        {
            told(if to == "surveying" && from == "idle" { "missed" } else { "skipped" });
        }
    }

    fn end(&mut self) {
        let Some((_, told)) = &self.last else { return };
        let name = self.plan(told.origin).name.clone();
        let stored =
            self.bed.store.enforcement(&name).now_or_never().expect("ready").expect("memory");
        if stored.map(|stored| stored.record).as_ref() != Some(told) {
            self.broken("the stored record is not what the journal says".into());
        }
    }

    fn plan(&self, rollout: RolloutId) -> std::sync::Arc<Plan> {
        self.bed
            .store
            .rollout(rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("the origin is there")
            .plan
    }

    fn targets(&self, rollout: RolloutId) -> Vec<ProxyId> {
        let targets = self
            .bed
            .store
            .targets(rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("the origin is there");
        targets.iter().map(|target| target.proxy_id).collect()
    }

    /// What a survey saw drifted, in the list's order.
    fn drifted(&self, survey: RolloutId) -> Vec<ProxyId> {
        let skipped = self
            .bed
            .store
            .stored(survey, &["skipped"], 0..u32::MAX, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let drifted =
            skipped.iter().filter(|change| matches!(&change.record.state, State::Skipped { reason } if reason.word == ReasonWord::Drifted));
        drifted.map(|change| change.target.proxy_id).collect()
    }
}
