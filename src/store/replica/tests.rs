//! Two daemons over one shared journal, in every order, with answers that are lost.

use std::collections::BTreeMap;

use super::*;
use crate::domain::change::State;
use crate::domain::rollout::{self, Phase};
use crate::domain::tally::Standing;
use crate::store::fixtures::*;
use crate::store::row::{StoredChange, is_settled};
use crate::store::{ChangeMove, Rollout};

/// What a daemon is made to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlantedBug {
    None,
    /// It checks its batch, and folds what others appended afterwards.
    TailAfterCheck,
    /// It appends beside another batch, without the lock.
    NoLock,
    /// A commit whose answer was lost counts as one that failed.
    DoubtIsFailed,
    /// It counts as one that was done.
    DoubtIsDone,
    /// The rows of settled changes are those that it read a while ago.
    OldRows,
}

/// How an append ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AppendEnding {
    Answered,
    /// It is done, and the answer is lost.
    DoneUnheard,
    /// It was never done, and the answer is lost.
    NeverDone,
}

/// The journal that all share, and its index.
#[derive(Default)]
struct SharedLog {
    lines: Vec<SharedLine>,
    settled: SettledRows,
    uploads: BTreeMap<Digest, NewRollout>,
}

impl SharedLog {
    fn tail(&self, from: u64) -> Vec<SharedLine> {
        let last = self.lines.last().map_or(0, |line| line.seq);
        let from = from.min(last);
        self.lines.iter().filter(|line| line.seq >= from).cloned().collect()
    }

    fn append(&mut self, batch: LineBatch) {
        self.lines.extend(batch.lines);
        for pending in batch.records {
            let entry = &pending.record.entry;
            if let (JournalEvent::Submitted { submission, .. }, Some(new)) =
                (&entry.what, &pending.new_rollout)
            {
                self.uploads.insert(*submission, new.as_ref().clone());
            }
            let JournalEvent::Change { ordinal, record, .. } = &entry.what else { continue };
            let id = ChangeId { rollout: entry.rollout, ordinal: *ordinal };
            self.settled.remove(&id);
            if is_settled(Standing::of(&record.state)) {
                let frozen = self.uploads.values().find(|new| {
                    let frozen = &new.frozen;
                    RolloutId::derive(
                        &frozen.plan.name,
                        frozen.plan.revision,
                        frozen.plan.ssl_option,
                        &crate::domain::target::digest(
                            &crate::store::targets::all(frozen.targets.as_ref()).expect("there"),
                        ),
                    ) == entry.rollout
                });
                let targets = &frozen.expect("submitted").frozen.targets;
                let row = StoredChange {
                    target: targets.get(*ordinal).expect("in memory"),
                    record: record.clone(),
                    due: None,
                    moved_at: entry.at,
                    entry: Some(entry.seq),
                };
                self.settled.insert(id, row);
            }
        }
    }

    fn fold(&self, replica: &mut Replica, tail: &[SharedLine]) -> Result<(), Unavailable> {
        let news = replica.news(tail).to_vec();
        replica.fold(&news, &|digest| self.uploads.get(&digest).cloned())
    }

    fn anew(&self) -> Result<Replica, Unavailable> {
        let mut replica = Replica::default();
        self.fold(&mut replica, &self.lines)?;
        Ok(replica)
    }
}

/// One daemon's side.
struct SharingDaemon {
    replica: Replica,
    bug: PlantedBug,
    old_rows: SettledRows,
}

impl SharingDaemon {
    /// What every daemon does before it reads or commits, while nobody else appends.
    fn catch_up(&mut self, log: &SharedLog) -> Result<(), Unavailable> {
        let tail = log.tail(self.replica.head().seq);
        match self.replica.head().presence(tail.first()) {
            Presence::There => log.fold(&mut self.replica, &tail),
            Presence::Forgotten { .. } | Presence::Replaced => {
                self.replica = log.anew()?;
                Ok(())
            }
        }
    }

    /// One piece of work, until there is an answer.
    fn carry_out(
        &mut self,
        log: &mut SharedLog,
        work: &SharedWork,
        ending: AppendEnding,
        between: &mut dyn FnMut(&mut SharedLog),
    ) -> Result<bool, Unavailable> {
        let rows = std::mem::replace(&mut self.old_rows, log.settled.clone());
        let rows = if self.bug == PlantedBug::OldRows { rows } else { log.settled.clone() };
        if !matches!(self.bug, PlantedBug::TailAfterCheck | PlantedBug::NoLock) {
            self.catch_up(log)?;
        }
        let wanted = self.replica.wants(std::iter::once(work));
        let rows: SettledRows = rows.into_iter().filter(|(id, _)| wanted.contains(id)).collect();
        let before = self.replica.clone();
        let mut batch = LineBatch::default();
        match self.replica.take(work.clone(), &rows, &mut batch) {
            Ok(AcceptedWork::Lines(mark)) => assert_eq!(mark, self.replica.head()),
            Ok(AcceptedWork::Known(_)) => return Ok(false),
            Err(
                RefusedWork::Broken(error) | RefusedWork::Commit(CommitError::Unavailable(error)),
            ) => return Err(error),
            Err(RefusedWork::Commit(_) | RefusedWork::Submit(_)) => return Ok(false),
        }
        if self.bug == PlantedBug::NoLock {
            between(log);
        }
        match ending {
            AppendEnding::Answered | AppendEnding::DoneUnheard => log.append(batch),
            AppendEnding::NeverDone => {}
        }
        if self.bug == PlantedBug::TailAfterCheck {
            self.catch_up(log)?;
        }
        if ending == AppendEnding::Answered {
            return Ok(true);
        }
        between(log);
        let ours = self.replica.head();
        match self.bug {
            PlantedBug::DoubtIsDone => return Ok(true),
            PlantedBug::DoubtIsFailed => self.replica = before,
            _ if ours.presence(log.tail(ours.seq).first()) == Presence::There => return Ok(true),
            _ => {}
        }
        self.carry_out(log, work, AppendEnding::Answered, between)
    }
}

/// All that a state says, as text.
fn said(state: &StoreState) -> String {
    let rollouts: Vec<Rollout> =
        state.newest(None).filter_map(|id| Some(state.rollout(id)?.snapshot(id))).collect();
    let rows: Vec<_> = rollouts
        .iter()
        .flat_map(|rollout| state.rows_from(rollout.id, 0).map(|(at, row)| (at, row.clone())))
        .collect();
    let open: Vec<RolloutId> = state.open_rollouts().iter().map(|open| open.id).collect();
    format!("{rollouts:?} {rows:?} {open:?} {:?} {}", state.enforcements(), state.seq())
}

/// A piece of work that this daemon would do, by what it has folded; each says its own `why`.
fn next_work(
    random: &mut fastrand::Rng,
    replica: &mut Replica,
    settled: &SettledRows,
    number: i64,
) -> Option<SharedWork> {
    let why = format!("work {number}");
    let ids: Vec<RolloutId> = replica.state.newest(None).collect();
    if ids.len() < 3 && random.u8(..4) == 0 {
        let first = random.u32(..3) * 30;
        let mut given = submission(["alpha", "beta", "gamma"][random.usize(..3)], &[8, 16], first);
        given.note = why;
        let frozen = Arc::new(given.targets.clone());
        let prints = Fingerprints::of(given.targets.iter());
        let digest = Digest::of(given.id().as_bytes());
        let upload = StoredUpload { submission: given, digest, targets: frozen, prints };
        return Some(SharedWork::Submit(Box::new(upload)));
    }
    let id = *ids.get(random.usize(..ids.len().max(1)))?;
    let now = replica.state.rollout(id)?.snapshot(id);
    let of = |changes: Vec<ChangeMove>| {
        let changes = changes.into_iter().map(|moves| ChangeMove { why: why.clone(), ..moves });
        SharedWork::Commit(Commit { changes: changes.collect(), ..blank(&now, number) })
    };
    if now.record.phase == Phase::Scheduled {
        let (phase, version) = (Phase::Advancing { wave: 1 }, now.record.version + 1);
        let record = rollout::Record { phase, version, ..now.record.clone() };
        let moves = Some(moves(record, &why));
        return Some(SharedWork::Commit(Commit { moves, ..blank(&now, number) }));
    }
    match random.u8(..8) {
        0 => {
            let known = replica.state.enforcement(&now.plan.name);
            let version = known.as_ref().map_or(0, |known| known.record.version);
            let mut record = known.map_or_else(|| enforced(id, number), |known| known.record);
            record.version = version + 1;
            let mut commit = enforcement(now.plan.name.as_str(), version, record, number);
            commit.why = why;
            Some(SharedWork::Enforce(commit))
        }
        1 | 2 => {
            let found = replica.state.candidates(id, 1, 3).ok()?;
            let (cursor, releases) = (found.cursor, now.record.releases + 1);
            let record = rollout::Record { cursor, releases, ..now.record.clone() };
            let free = found.free.iter().map(|change| (change, State::Ready));
            let passed = found.passed.iter().map(|passed| (&passed.change, State::Queued));
            let changes = free
                .chain(passed)
                .map(|(change, state)| step(change.id.ordinal, &change.record, state, number));
            let changes: Vec<_> = changes.collect();
            let SharedWork::Commit(commit) = of(changes) else { return None };
            let (releases, moves) = (Some(now.record.releases), Some(moves(record, &why)));
            Some(SharedWork::Commit(Commit { releases, moves, ..commit }))
        }
        3 => {
            let back = settled
                .iter()
                .filter(|(of, row)| of.rollout == id && row.standing() == Standing::Failed);
            let back: Vec<_> = back.take(2).collect();
            let queued = |(of, row): &(&ChangeId, &StoredChange)| {
                step(of.ordinal, &row.record, State::Queued, number)
            };
            let changes: Vec<_> = back.iter().map(queued).collect();
            (!changes.is_empty()).then(|| of(changes))
        }
        _ => {
            let rows = replica.state.rows_from(id, 0);
            let active: Vec<_> =
                rows.filter(|(_, row)| row.standing() == Standing::Active).collect();
            let (ordinal, row) = active.get(random.usize(..active.len().max(1)))?;
            let next = match (&row.record.state, random.u8(..4)) {
                (State::Ready, 0) => State::Queued,
                (State::Ready, _) => State::Inspecting,
                (State::Inspecting, 0) => failed("no"),
                (State::Inspecting, _) => State::Following { job: job(number.unsigned_abs()) },
                (_, 0) => failed("no"),
                (_, _) => switched(),
            };
            Some(of(vec![step(*ordinal, &row.record, next, number)]))
        }
    }
}

/// A run of two daemons from one seed; says what is wrong in the end, if anything.
fn run(seed: u64, bug: PlantedBug) -> Result<usize, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut log = SharedLog::default();
    let of = |bug| SharingDaemon { replica: Replica::default(), bug, old_rows: BTreeMap::new() };
    let mut daemons = [of(bug), of(PlantedBug::None)];
    let mut answers = BTreeMap::new();
    for number in 1..=120 {
        let place = random.usize(..2);
        let ending = match random.u8(..6) {
            0 => AppendEnding::DoneUnheard,
            1 => AppendEnding::NeverDone,
            _ => AppendEnding::Answered,
        };
        // Some decide by what they saw last, and are refused or still right.
        if random.bool() {
            daemons[place].catch_up(&log).map_err(|error| error.to_string())?;
        }
        let settled = log.settled.clone();
        let replica = &mut daemons[place].replica;
        let Some(work) = next_work(&mut random, replica, &settled, number) else { continue };
        let [first, second] = &mut daemons;
        let (this, other) = if place == 0 { (first, second) } else { (second, first) };
        let mut nested = random.fork();
        let mut between = |log: &mut SharedLog| {
            // The other one commits while this one waits for its answer.
            let _ = other.catch_up(log);
            let settled = log.settled.clone();
            let number = number + 1_000;
            let work = next_work(&mut nested, &mut other.replica, &settled, number);
            let Some(work) = work else { return };
            if let Ok(done) =
                other.carry_out(log, &work, AppendEnding::Answered, &mut |_: &mut SharedLog| {})
            {
                answers.insert(format!("work {number}"), done);
            }
        };
        let done = this.carry_out(&mut log, &work, ending, &mut between);
        answers.insert(format!("work {number}"), done.map_err(|error| error.to_string())?);
    }
    let whole = log.anew().map_err(|error| format!("from the first line on: {error}"))?;
    for daemon in &mut daemons {
        daemon.catch_up(&log).map_err(|error| error.to_string())?;
        if said(&daemon.replica.state) != said(&whole.state) {
            return Err("two daemons hold different states".into());
        }
    }
    let mut landed: BTreeMap<String, usize> = BTreeMap::new();
    let mut at = Mark::BEGIN;
    for line in &log.lines {
        let record = line.read(at).map_err(|error| error.to_string())?;
        at = line.mark();
        let why = match record.entry.what {
            JournalEvent::Submitted { note, .. } => note,
            JournalEvent::Rollout { why, .. }
            | JournalEvent::Change { why, .. }
            | JournalEvent::Enforcement { why, .. } => why,
        };
        // The lines of one commit follow each other.
        if record.more == 0 {
            *landed.entry(why).or_default() += 1;
        }
    }
    for (why, done) in &answers {
        if landed.get(why).copied().unwrap_or(0) != usize::from(*done) {
            return Err(format!("{why} was answered {done} and is there {:?}", landed.get(why)));
        }
    }
    whole.state.adds_up()?;
    Ok(log.lines.len())
}

#[test]
fn two_daemons_over_one_journal_agree() {
    let lines: usize = (0..40)
        .map(|seed| run(seed, PlantedBug::None).unwrap_or_else(|error| panic!("{seed}: {error}")))
        .sum();
    assert!(lines > 2_000, "{lines} lines");
}

#[test]
fn what_a_daemon_may_do_wrong_is_found() {
    for bug in [
        PlantedBug::TailAfterCheck,
        PlantedBug::NoLock,
        PlantedBug::DoubtIsFailed,
        PlantedBug::DoubtIsDone,
        PlantedBug::OldRows,
    ] {
        let found = (0..20).find_map(|seed| run(seed, bug).err());
        assert!(found.is_some(), "{bug:?} is not found");
    }
}

fn written(seq: u64, before: Mark) -> SharedLine {
    let what = JournalEvent::Rollout {
        from: "advancing".into(),
        to: "advancing".into(),
        why: "test".into(),
        by: None,
        via: None,
        record: rollout::Record::submitted(),
    };
    let entry = Entry { seq, at: at(0), rollout: RolloutId::from_bytes([7; 16]), what };
    let mut bytes = Vec::new();
    let digest = JournalRecord { entry, due: None, more: 0 }.write(before.head, &mut bytes);
    bytes.pop();
    SharedLine { seq, bytes, digest }
}

#[test]
fn a_line_that_was_altered_is_named() {
    let first = written(1, Mark::BEGIN);
    let second = written(2, first.mark());
    assert!(second.read(first.mark()).is_ok());
    let told = |line: &SharedLine, before| line.read(before).expect_err("altered").to_string();
    assert!(told(&second, Mark::BEGIN).contains("follows entry 0"));
    let other = Mark { seq: 1, head: Digest::of(b"other") };
    assert!(told(&second, other).contains("digest of the entry before"));
    let mut bytes = second.clone();
    bytes.bytes[10] ^= 1;
    assert!(told(&bytes, first.mark()).contains("entry 2 is damaged: its digest"));
    let moved = SharedLine { seq: 3, ..second.clone() };
    assert!(told(&moved, Mark { seq: 2, ..first.mark() }).contains("says that it is entry 2"));
}

#[test]
fn a_journal_that_forgot_is_told_from_one_that_went_another_way() {
    let (first, other) =
        (written(1, Mark::BEGIN), written(1, Mark { seq: 0, head: Digest::of(b"x") }));
    let second = written(2, first.mark());
    let ours = second.mark();
    assert_eq!(ours.presence(Some(&second)), Presence::There);
    assert_eq!(ours.presence(Some(&first)), Presence::Forgotten { ends: 1 });
    assert_eq!(ours.presence(None), Presence::Forgotten { ends: 0 });
    assert_eq!(ours.presence(Some(&written(2, other.mark()))), Presence::Replaced);
    assert_eq!(Mark::BEGIN.presence(None), Presence::There);
    assert_eq!(Mark::BEGIN.presence(Some(&first)), Presence::There);
}

#[test]
fn half_a_commit_is_not_folded() {
    let mut log = SharedLog::default();
    let mut daemon = SharingDaemon {
        replica: Replica::default(),
        bug: PlantedBug::None,
        old_rows: BTreeMap::new(),
    };
    let mut random = fastrand::Rng::with_seed(1);
    for number in 1..60 {
        let settled = log.settled.clone();
        let work = next_work(&mut random, &mut daemon.replica, &settled, number);
        let Some(work) = work else { continue };
        daemon.carry_out(&mut log, &work, AppendEnding::Answered, &mut |_| {}).expect("sound");
    }
    let more = |line: &SharedLine| line.read_alone().expect("sound").0.more;
    let cut = log.lines.iter().position(|line| more(line) > 0).expect("a release moves several");
    let mut replica = Replica::default();
    log.fold(&mut replica, &log.lines[..=cut]).expect("sound");
    assert_eq!(replica.head().seq, cut as u64, "the line before it");
    log.fold(&mut replica, &log.lines).expect("sound");
    assert_eq!(said(&replica.state), said(&daemon.replica.state));
}
