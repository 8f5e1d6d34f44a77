//! What an entry of the journal tells: the word, the sentence and the verb to type.
//!
//! Invariants: pure; the same entry and plan give the same notices. An entry tells one thing to a
//! receiver: the gravest that it listens to, for an id belongs to an entry. A survey tells nothing
//! of its own: its enforcement tells what it found.
//!
//! Deliberately not here: who listens, and how often the same doubt is told (`notify::worker`).

use jiff::Timestamp;

use super::lanes::{HeldLane, LaneCause};
use crate::domain::count::count;
use crate::domain::enforce;
use crate::domain::hold::{Lift, halt_text};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::notify::NoticeWord;
use crate::domain::person::Person;
use crate::domain::plan::Plan;
use crate::domain::rollout::{Phase, Record, wave_is_done};
use crate::domain::tally::Tally;
use crate::domain::window_log::tells_of_a_miss;
use crate::store::Rollout;
use crate::words::hold::remedy;
use crate::words::rollout::{Reached, goal, ssl};

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub word: NoticeWord,
    /// When it happened, by the wall clock of then.
    pub at: Timestamp,
    /// The journal's sequence; of a lane that of the lanes' log; 0 for a test.
    pub sequence: u64,
    /// One sentence.
    pub summary: String,
    /// The verb to type; empty where none helps.
    pub command: String,
    /// What was said, by a person or by the engine.
    pub why: String,
    /// The person who did it.
    pub by: String,
    /// Path of the page about it.
    pub path: String,
    /// What else it is about.
    pub about: Subject,
    /// How the rollout's changes stood when it was sent; empty where it is not about a rollout.
    pub counts: String,
}

/// What a notice is about; what is nothing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub plan: String,
    pub revision: u32,
    /// Its full id.
    pub rollout: String,
    pub phase: String,
    pub wave: String,
    pub lane: String,
    pub change_ref: String,
    pub owner: String,
}

/// What an entry is read with: all of it was frozen when the rollout was submitted.
#[derive(Debug, Clone, Copy)]
pub struct DrawnWith<'a> {
    pub plan: &'a Plan,
    pub submitter: &'a Person,
    /// How many proxies it has.
    pub targets: u32,
}

impl<'a> DrawnWith<'a> {
    pub fn of(rollout: &'a Rollout) -> Self {
        Self { plan: &rollout.plan, submitter: &rollout.by, targets: rollout.targets }
    }
}

/// What an entry tells, the gravest first; most tell nothing.
pub fn notices(entry: &Entry, with: &DrawnWith<'_>) -> Vec<Notification> {
    let drawn = Drawing { entry, with };
    match &entry.what {
        JournalEvent::Enforcement { from, to, why, by, record, .. } => {
            drawn.enforcement(from, to, why, by.as_deref(), record)
        }
        _ if with.plan.survey => Vec::new(),
        JournalEvent::Submitted { by, note, .. } => drawn.submitted(by, note),
        JournalEvent::Change { to, why, .. } if to == "in_doubt" => vec![drawn.in_doubt(why)],
        JournalEvent::Change { .. } => Vec::new(),
        JournalEvent::Rollout { from, to, why, by, record, .. } => {
            drawn.rollout(from, to, why, by.as_deref(), record)
        }
    }
}

struct Drawing<'a> {
    entry: &'a Entry,
    with: &'a DrawnWith<'a>,
}

impl Drawing<'_> {
    fn notice(&self, word: NoticeWord, says: &str, command: String) -> Notification {
        let Plan { name, revision, change_ref, owner, .. } = self.with.plan;
        let rollout = self.entry.rollout.to_string();
        Notification {
            word,
            at: self.entry.at,
            sequence: self.entry.seq,
            summary: format!("{name}: {says}"),
            command,
            why: String::new(),
            by: String::new(),
            path: format!("/rollouts/{rollout}"),
            about: Subject {
                plan: name.to_string(),
                revision: *revision,
                rollout,
                change_ref: change_ref.clone(),
                owner: owner.clone(),
                ..Subject::default()
            },
            counts: String::new(),
        }
    }

    fn lifted(&self, lift: &Lift) -> String {
        remedy(lift, self.with.plan, self.with.submitter).command
    }

    fn verb(&self, verb: &str) -> String {
        format!("sealift {verb} {}", self.with.plan.name)
    }

    fn scope(&self) -> String {
        format!(
            "{} for {}",
            ssl(self.with.plan.ssl_option),
            count(self.with.targets, "proxy", "proxies")
        )
    }

    fn wave(&self, wave: u16) -> String {
        self.with
            .plan
            .strategy
            .waves
            .get(usize::from(wave))
            .map_or_else(String::new, |wave| wave.name.to_string())
    }

    fn submitted(&self, by: &str, note: &str) -> Vec<Notification> {
        let (plan, scope) = (self.with.plan, self.scope());
        let said = |notice: Notification| Notification {
            by: by.to_owned(),
            why: note.to_owned(),
            about: Subject { phase: "scheduled".into(), ..notice.about },
            ..notice
        };
        let mut told = Vec::new();
        if plan.approval.required > 0 {
            let wanted = count(u32::from(plan.approval.required), "approval", "approvals");
            let says = format!("waits for {wanted}; {scope}, submitted by {by}");
            told.push(said(self.notice(
                NoticeWord::AwaitingApproval,
                &says,
                self.lifted(&Lift::Approve),
            )));
        }
        let says = format!("revision {} was submitted by {by}: {scope}", plan.revision);
        told.push(said(self.notice(NoticeWord::Submitted, &says, self.verb("status"))));
        told
    }

    fn in_doubt(&self, why: &str) -> Notification {
        let says = format!("a change is in doubt, nobody knows whether the cloud did it: {why}");
        let notice = self.notice(
            NoticeWord::InDoubt,
            &says,
            format!("{} --state in_doubt", self.verb("changes")),
        );
        Notification {
            why: why.to_owned(),
            path: format!("{}?state=in_doubt", notice.path),
            ..notice
        }
    }

    fn rollout(
        &self,
        from: &str,
        to: &str,
        why: &str,
        by: Option<&str>,
        record: &Record,
    ) -> Vec<Notification> {
        let mut told = Vec::new();
        let phase = &record.phase;
        if from != to {
            told.extend(self.entered(from, why, record));
        }
        if let Some(wave) = self.wave_done(from, to, why, by, phase) {
            let soaks = match phase {
                Phase::Soaking { until, .. } => format!(" and soaks until {}", second(*until)),
                _ => String::new(),
            };
            let notice = self.notice(
                NoticeWord::WaveDone,
                &format!("wave {} is done{soaks}", self.wave(wave)),
                self.verb("status"),
            );
            told.push(Notification {
                about: Subject { wave: self.wave(wave), ..notice.about },
                ..notice
            });
        }
        if by.is_some() && record.paused.is_some() && why.starts_with("paused") {
            told.push(self.notice(NoticeWord::Paused, why, self.lifted(&Lift::Resume)));
        }
        let resumed = by.is_some() && why.starts_with("resumed by ")
            || by.is_none() && why.starts_with("the pause ended at ");
        if record.paused.is_none() && resumed {
            told.push(self.notice(
                NoticeWord::Resumed,
                &format!("goes on: {why}"),
                self.verb("status"),
            ));
        }
        if record.windows.last_missed.is_some() && tells_of_a_miss(why) {
            told.push(self.notice(NoticeWord::WindowMissed, why, self.verb("journal")));
        }
        told.into_iter().map(|notice| self.moved(notice, why, by, phase)).collect()
    }

    /// What every notice of a rollout's own entry has beside its sentence.
    fn moved(
        &self,
        notice: Notification,
        why: &str,
        by: Option<&str>,
        phase: &Phase,
    ) -> Notification {
        let wave = phase.wave().map_or_else(String::new, |wave| self.wave(wave));
        let wave = if notice.about.wave.is_empty() { wave } else { notice.about.wave };
        let about = Subject { phase: phase.as_str().to_owned(), wave, ..notice.about };
        Notification { why: why.to_owned(), by: by.unwrap_or_default().to_owned(), about, ..notice }
    }

    /// What the new phase itself tells.
    fn entered(&self, from: &str, why: &str, record: &Record) -> Option<Notification> {
        let told = |word, says: String, command| Some(self.notice(word, &says, command));
        let status = || self.verb("status");
        match &record.phase {
            Phase::Advancing { .. } if from == "scheduled" => {
                told(NoticeWord::Started, format!("begins: {}", self.scope()), status())
            }
            Phase::Awaiting { wave } => {
                let says = format!("wave {} is done and waits for a promotion", self.wave(*wave));
                told(NoticeWord::AwaitingPromotion, says, self.lifted(&Lift::Promote))
            }
            Phase::Halted { wave, reason, .. } => told(
                NoticeWord::Halted,
                format!("{}, in wave {}", halt_text(reason), self.wave(*wave)),
                self.lifted(&Lift::Retry),
            ),
            // A retry goes on with what was halted; a verb of a person begins it.
            Phase::Reverting(_) if from == "halted" && !why.starts_with("reverted") => None,
            Phase::Reverting(_) => {
                told(NoticeWord::Reverting, format!("puts back what it changed: {why}"), status())
            }
            Phase::Completed => {
                told(NoticeWord::Completed, format!("completed: {}", self.scope()), status())
            }
            Phase::Aborted { .. } => told(NoticeWord::Aborted, why.to_owned(), status()),
            Phase::Reverted => told(
                NoticeWord::Reverted,
                "reverted: what it changed is put back".to_owned(),
                status(),
            ),
            Phase::Scheduled | Phase::Advancing { .. } | Phase::Soaking { .. } => None,
        }
    }

    /// The wave whose last change this entry says has its outcome.
    fn wave_done(
        &self,
        from: &str,
        to: &str,
        why: &str,
        by: Option<&str>,
        phase: &Phase,
    ) -> Option<u16> {
        if from != "advancing" || by.is_some() {
            return None;
        }
        match phase {
            Phase::Soaking { wave, .. } | Phase::Awaiting { wave } => Some(*wave),
            // Without a soak and a promotion the phase keeps its word; the entry says it.
            Phase::Advancing { wave } if to == "advancing" => {
                let before = wave.checked_sub(1)?;
                let done = self.with.plan.strategy.waves.get(usize::from(before))?;
                (why == wave_is_done(&done.name)).then_some(before)
            }
            Phase::Completed => {
                u16::try_from(self.with.plan.strategy.waves.len().checked_sub(1)?).ok()
            }
            _ => None,
        }
    }

    fn enforcement(
        &self,
        from: &str,
        to: &str,
        why: &str,
        by: Option<&str>,
        record: &enforce::Record,
    ) -> Vec<Notification> {
        let mut told = Vec::new();
        if to == "held" && from != "held" {
            told.push(self.notice(
                NoticeWord::Held,
                &format!("its enforcement waits for a person: {why}"),
                self.verb("enforce release"),
            ));
        }
        let found = record
            .last
            .as_ref()
            .and_then(|run| run.found)
            .filter(|_| from == "surveying" && !matches!(to, "surveying" | "ended"));
        if let Some(found) = found.filter(|found| found.drifted > 0) {
            let all = found.right + found.drifted + found.unseen;
            let says = format!("{} of {} drifted", found.drifted, count(all, "proxy", "proxies"));
            told.push(self.notice(NoticeWord::Drifted, &says, self.verb("enforce")));
        }
        let path = format!("/enforcement/{}", self.with.plan.name);
        let said = |notice: Notification| Notification {
            why: why.to_owned(),
            by: by.unwrap_or_default().to_owned(),
            path: path.clone(),
            about: Subject { phase: to.to_owned(), ..notice.about },
            ..notice
        };
        told.into_iter().map(said).collect()
    }
}

impl Notification {
    /// What a lane that is held tells.
    pub fn of_lane(held: &HeldLane) -> Self {
        let HeldLane { number, at, lane, cause, since, why, .. } = held;
        let says = match cause {
            LaneCause::Clock => format!("no switch is sent, the clocks are too far apart: {why}"),
            LaneCause::Credentials => format!("the cloud refuses its credentials: {why}"),
            LaneCause::Unreachable => format!("out of reach since {}: {why}", second(*since)),
        };
        Self {
            word: NoticeWord::LaneHeld,
            at: *at,
            sequence: *number,
            summary: format!("lane {lane}: {says}"),
            command: "sealift status".to_owned(),
            why: why.clone(),
            by: String::new(),
            path: "/lanes".to_owned(),
            about: Subject { lane: lane.to_string(), ..Subject::default() },
            counts: String::new(),
        }
    }

    /// What somebody sends to try a receiver.
    pub fn test(by: &str, at: Timestamp) -> Self {
        Self {
            word: NoticeWord::Test,
            at,
            sequence: 0,
            summary: format!("a test, sent by {by}: nothing happened"),
            command: "sealift notify".to_owned(),
            why: String::new(),
            by: by.to_owned(),
            path: "/".to_owned(),
            about: Subject::default(),
            counts: String::new(),
        }
    }

    /// With how the rollout's changes stand.
    #[must_use]
    pub fn counted(self, rollout: &Rollout) -> Self {
        Self { counts: counts(&rollout.total(), &rollout.record, rollout.plan.ssl_option), ..self }
    }

    /// What holds notices of one thing together: the rollout, the lane, or the test.
    pub fn thread(&self) -> String {
        match (&self.about.rollout, &self.about.lane) {
            (rollout, _) if !rollout.is_empty() => format!("sealift-{rollout}"),
            (_, lane) if !lane.is_empty() => format!("sealift-lane-{lane}"),
            _ => "sealift-test".to_owned(),
        }
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn counts(all: &Tally, record: &Record, ssl_option: bool) -> String {
    let (reached, what) = goal(record.phase.as_str(), record.revert().is_some(), ssl_option);
    let done = match reached {
        Reached::Succeeded => all.succeeded,
        Reached::Reverted => all.reverted,
    };
    let mut parts = vec![format!("{done} of {} {what}", all.total())];
    for (n, word) in [
        (all.failed, "failed"),
        (all.in_doubt, "in doubt"),
        (all.active, "in flight"),
        (all.queued, "queued"),
    ] {
        parts.extend((n > 0).then(|| format!("{n} {word}")));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests;
