//! What the journal says of one rollout between two instants: the reads behind the morning's
//! report.
//!
//! Invariants: nothing is guessed from what is not read; a walk that did not reach the end says so;
//! it takes [`BATCHES_MAX`] reads at most, whatever the length of the journal, and keeps what they
//! gave.
//!
//! Deliberately not here: which instants make a night (`domain::nights`), and how a report looks
//! (`page`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::ApiError;
use super::wire::{ChangeRow, JournalRow};
use super::{Api, describe};
use crate::domain::change::{Record, State};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::proof::TlsVersion;
use crate::store::{Rollout, Unavailable};

/// How long the journal is read for one report, on a disk that is slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Entries read at once.
const BATCH: usize = 1000;

/// Batches read for one report: the whole lives of some ten thousand changes, in half a second and
/// some megabytes.
const BATCHES_MAX: usize = 60;

/// What people decided, in one report.
const DECISIONS_MAX: usize = 500;

/// Changes of one outcome that are listed in one report.
const LISTED_MAX: usize = 1000;

/// Rows of the store looked through for the changes of one outcome.
const PAGES_MAX: usize = 100;

/// What became of a rollout in a stretch of time.
#[derive(Debug, Default)]
pub struct Period {
    /// The first and the last entry of the rollout in it.
    pub entries: Option<(u64, u64)>,
    /// How many of them there are.
    pub count: u64,
    /// What people did, oldest first; each with how many more changes it moved at once.
    pub decisions: Vec<(JournalRow, u32)>,
    /// What guards did to the rollout, oldest first.
    pub guards: Vec<JournalRow>,
    /// When it was paused and when it went on; `None`: it still was at the end.
    pub pauses: Vec<(Timestamp, Option<Timestamp>)>,
    /// Every change that moved, by its place.
    pub changes: BTreeMap<u32, MovedChange>,
    /// When a change settled, by its outcome.
    pub settles: Vec<(Timestamp, u32, SettleKind)>,
    /// Whether the journal was read to the end of the stretch.
    pub whole: bool,
    /// The last entry that was read, and its instant.
    pub read_to: Option<(u64, Timestamp)>,
}

/// How a change settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleKind {
    /// It shows the wanted value.
    Well,
    Failed,
    InDoubt,
    /// Left alone, or withdrawn before anything was sent.
    Left,
}

/// What one change did in a stretch of time.
#[derive(Debug, Clone)]
pub struct MovedChange {
    /// When it moved first and last.
    pub first: Timestamp,
    pub last: Timestamp,
    /// The word of its state at the end of the stretch.
    pub state: String,
    /// The proxy.
    pub proxy_id: String,
    /// The journal's words for how it came to its state.
    pub why: String,
    /// Switches that left in the stretch.
    pub switches: u16,
    /// The cloud gave a job.
    pub accepted: bool,
    /// Its job ended well.
    pub completed: bool,
    /// The version of TLS that the wire showed; `None`: the wire was not asked, or showed none.
    pub proven: Option<&'static str>,
}

impl Period {
    fn take(&mut self, entry: &Entry) {
        let first = self.entries.map_or(entry.seq, |(first, _)| first);
        self.entries = Some((first, entry.seq));
        self.count += 1;
        let by_person = match &entry.what {
            JournalEvent::Submitted { .. } => true,
            JournalEvent::Rollout { by, record, from, to, .. } => {
                let paused = record.paused.is_some();
                match self.pauses.last_mut() {
                    Some((_, end @ None)) if !paused => *end = Some(entry.at),
                    Some((_, None)) => {}
                    _ if paused => self.pauses.push((entry.at, None)),
                    _ => {}
                }
                let guard = by.is_none() && from != to && matches!(&**to, "halted" | "reverting");
                if guard && self.guards.len() < DECISIONS_MAX {
                    self.guards.push(describe::entry(entry));
                }
                by.is_some()
            }
            JournalEvent::Enforcement { by, .. } => by.is_some(),
            JournalEvent::Change { ordinal, proxy_id, from, to, why, by, record, .. } => {
                let moved = self.changes.entry(*ordinal).or_insert_with(|| MovedChange {
                    first: entry.at,
                    last: entry.at,
                    state: String::new(),
                    proxy_id: proxy_id.to_string(),
                    why: String::new(),
                    switches: 0,
                    accepted: false,
                    completed: false,
                    proven: None,
                });
                moved.read(entry.at, (from.as_ref(), to.as_ref()), why, record);
                if let Some(outcome) = outcome(&record.state) {
                    self.settles.push((entry.at, *ordinal, outcome));
                }
                by.is_some()
            }
        };
        if by_person {
            self.decide(describe::entry(entry));
        }
    }

    /// What one person does to many changes at once is one decision.
    fn decide(&mut self, row: JournalRow) {
        let same = |last: &JournalRow| {
            let moves_change = last.ordinal.is_some() && row.ordinal.is_some();
            moves_change && (&last.by, &last.to, &last.why) == (&row.by, &row.to, &row.why)
        };
        if let Some((_, more)) = self.decisions.last_mut().filter(|(last, _)| same(last)) {
            *more += 1;
        } else if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push((row, 0));
        }
    }
}

impl MovedChange {
    fn read(&mut self, at: Timestamp, (from, to): (&str, &str), why: &str, record: &Record) {
        self.last = at;
        self.state = to.to_owned();
        self.why = why.to_owned();
        self.switches += u16::from(to == "submitting");
        self.accepted |= to == "following";
        self.completed |= from == "following" && to == "verifying";
        let version = record.proof.as_ref().and_then(|proof| proof.version);
        self.proven = version.map(TlsVersion::as_str);
    }
}

fn outcome(state: &State) -> Option<SettleKind> {
    match state {
        State::Succeeded { .. } | State::Reverted { .. } => Some(SettleKind::Well),
        State::Failed { .. } => Some(SettleKind::Failed),
        State::InDoubt { .. } => Some(SettleKind::InDoubt),
        State::Skipped { .. } | State::Cancelled => Some(SettleKind::Left),
        State::Queued
        | State::Ready
        | State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Following { .. }
        | State::Verifying { .. } => None,
    }
}

impl Api {
    /// What the journal says of this rollout from one instant until before another.
    pub async fn period(
        &self,
        rollout: &Rollout,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Period, ApiError> {
        let mut period = Period::default();
        let walked = async {
            let mut walk = PeriodWalk::new(self.entry_before(from).await?, (from, to));
            while let Some(after) = walk.next() {
                walk.take(&self.store.journal(Some(rollout.id), after, BATCH).await?, &mut period);
            }
            Ok::<_, Unavailable>(())
        };
        if let Ok(walked) = tokio::time::timeout(PATIENCE, walked).await {
            walked?;
        }
        Ok(period)
    }

    /// The last entry of the journal before this instant, found by halving; 0: there is none.
    async fn entry_before(&self, at: Timestamp) -> Result<u64, Unavailable> {
        let (mut low, mut high) = (0, self.store.health().seq);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let entry = self.store.journal(None, middle - 1, 1).await?.pop();
            match entry.filter(|entry| entry.at < at) {
                Some(_) => low = middle,
                None => high = middle - 1,
            }
        }
        Ok(low)
    }

    /// The changes that stand as `word` and came to it from one instant until before another, in
    /// the list's order; and whether there are more.
    pub async fn came_to(
        &self,
        rollout: &Rollout,
        word: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(Vec<ChangeRow>, bool), ApiError> {
        let (mut rows, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.store.page(rollout.id, vec![word.to_owned()], after, BATCH).await?;
            let within = |at: Timestamp| from <= at && at < to;
            let found = page.changes.iter().filter(|one| one.moved_at.is_some_and(within));
            rows.extend(found.map(|one| describe::change(one, rollout, None)));
            after = page.next;
            if after.is_none() || rows.len() > LISTED_MAX {
                break;
            }
        }
        let more = after.is_some() || rows.len() > LISTED_MAX;
        rows.truncate(LISTED_MAX);
        Ok((rows, more))
    }
}

/// A walk along the journal over a stretch of time, by so many reads at most.
struct PeriodWalk {
    /// Behind which entry the next read begins; `None`: there is none.
    after: Option<u64>,
    left: usize,
    span: (Timestamp, Timestamp),
}

impl PeriodWalk {
    fn new(after: u64, span: (Timestamp, Timestamp)) -> Self {
        Self { after: Some(after), left: BATCHES_MAX, span }
    }

    /// Behind which entry to read [`BATCH`] of them.
    fn next(&mut self) -> Option<u64> {
        let left = self.left.checked_sub(1)?;
        self.after.inspect(|_| self.left = left)
    }

    /// Takes in what was read.
    fn take(&mut self, batch: &[Entry], period: &mut Period) {
        let (from, to) = self.span;
        self.after = None;
        for entry in batch {
            if entry.at >= to {
                period.whole = true;
                return;
            }
            if entry.at >= from {
                period.take(entry);
            }
            period.read_to = Some((entry.seq, entry.at));
        }
        match batch.last().filter(|_| batch.len() == BATCH) {
            Some(last) => self.after = Some(last.seq),
            None => period.whole = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RolloutId;
    use crate::store::fixtures::target;

    /// Entries of a change's life.
    const LIFE: u64 = 6;

    fn moved(seq: u64) -> Entry {
        let target = target(0, 0);
        let what = JournalEvent::Change {
            ordinal: u32::try_from(seq / LIFE).expect("few"),
            instance_id: target.instance_id,
            proxy_id: target.proxy_id,
            from: "ready".into(),
            to: "inspecting".into(),
            why: String::new(),
            call: None,
            answer: None,
            by: None,
            via: None,
            earlier: None,
            record: Record::queued(),
        };
        let at = Timestamp::from_second(1_800_000_000).expect("within range");
        Entry { seq, at, rollout: RolloutId::from_bytes([1; 16]), what }
    }

    fn report(changes: u64) -> (Period, usize) {
        let (mut period, mut reads) = (Period::default(), 0);
        let mut walk = PeriodWalk::new(0, (Timestamp::MIN, Timestamp::MAX));
        while let Some(after) = walk.next() {
            reads += 1;
            let seqs = after + 1..=(changes * LIFE).min(after + BATCH as u64);
            walk.take(&seqs.map(moved).collect::<Vec<Entry>>(), &mut period);
        }
        (period, reads)
    }

    #[test]
    fn a_report_of_many_changes_takes_no_more_reads_than_its_bound() {
        let (small, reads) = report(100);
        assert_eq!((small.whole, small.count, reads), (true, 600, 1));
        let (large, reads) = report(100_000);
        assert_eq!((large.whole, reads), (false, BATCHES_MAX));
        let read = (BATCHES_MAX * BATCH) as u64;
        assert_eq!((large.count, large.read_to.map(|(seq, _)| seq)), (read, Some(read)));
        assert!(large.changes.len() as u64 <= read / LIFE + 1, "what is kept is what was read");
        let (larger, again) = report(1_000_000);
        assert_eq!((larger.changes.len(), again), (large.changes.len(), reads), "flat");
    }
}
