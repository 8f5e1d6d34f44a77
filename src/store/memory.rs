//! The store in memory: for simulation, rehearsal and tests. Every future is ready at once.
//!
//! Invariant: it behaves as the store on disk, with which it shares state, checks and pages;
//! nothing here decides. A lost write is modelled by not calling; a second daemon by a second
//! handle on the same store.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::collections::BTreeMap;

use futures_util::future::ready;
use jiff::Timestamp;

use crate::domain::change::Change;
use crate::domain::group::FullGroup;
use crate::domain::histogram::Histogram;
use crate::domain::id::{ChangeId, Digest, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::target::Target;

use super::bins::{Activity, ActivityQuery, FreshBins};
use super::instances::remember;
use super::page::{PageQuery, ShownRollout, page};
use super::pending::PendingRecord;
use super::pending::{FrozenRollout, NewRollout};
use super::record::JournalRecord;
use super::row::{StoredChange, change};
use super::state::StoreState;
use super::targets::{Fingerprints, FrozenTargets, all};
use super::{
    Active, Candidates, ChangeFilter, ChangeStory, Commit, CommitError, DuePlace, Enforcement,
    EnforcementCommit, Health, Page, Pending, Rollout, SYNC_BOUNDS, Store, Submission, SubmitError,
    Submitted, Unavailable,
};

/// A store that lives as long as its process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    state: StoreState,
    settled: BTreeMap<ChangeId, StoredChange>,
    jobs: BTreeMap<InstanceId, Vec<JobId>>,
    journal: Vec<JournalRecord>,
    bins: FreshBins,
    /// Entries are counted and not kept: what nobody will read is the most of what a long run
    /// holds.
    forgets: bool,
    /// The chain is computed only when somebody asks for it: lines hashed so far, and the last
    /// one's digest.
    head: (usize, Option<Digest>),
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that keeps no journal: it reads as empty, and its head as zero.
    pub fn without_journal() -> Self {
        Self { inner: Mutex::new(State { forgets: true, ..State::default() }) }
    }

    /// A copy of everything as it is now; the two go separate ways from here on.
    pub fn fork(&self) -> Self {
        Self { inner: Mutex::new(self.inner().clone()) }
    }

    /// Only a defect of ours panics under this lock, and the run that saw it has failed already.
    fn inner(&self) -> MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn submit(&mut self, submission: Submission) -> Result<Submitted, SubmitError> {
        let id = submission.id();
        let Submission { plan, targets, by, at, note } = submission;
        let prints = Fingerprints::of(targets.iter());
        if let Some(known) = self.state.admit(id, &plan, &targets, &prints)? {
            return Ok(known);
        }
        let seq = self.state.seq() + 1;
        let what = JournalEvent::Submitted {
            name: plan.name.clone(),
            revision: plan.revision,
            ssl_option: plan.ssl_option,
            targets: targets.count(),
            submission: id_digest(id),
            change_ref: plan.change_ref.clone(),
            by: by.name.clone(),
            via: by.via.as_deref().map(str::to_owned),
            note,
        };
        self.note(JournalRecord {
            entry: Entry { seq, at, rollout: id, what },
            due: None,
            more: 0,
        });
        let new_rollout = NewRollout {
            frozen: FrozenRollout {
                plan: Arc::new(plan),
                targets: Arc::new(targets),
                by,
                submitted_at: at,
            },
            prints: Some(prints),
        };
        self.state.submitted(id, seq, new_rollout);
        Ok(Submitted { id, new: true, comments: false })
    }

    fn note(&mut self, record: JournalRecord) {
        if !self.forgets {
            self.journal.push(record);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), CommitError> {
        let id = commit.rollout;
        let prepared = self.state.check(commit, &self.settled)?;
        let paused =
            self.state.rollout(id).and_then(|rollout| rollout.progress.record.paused.clone());
        let records = self.state.apply(prepared)?;
        if let Some(rollout) = self.state.rollout(id).filter(|_| !self.forgets) {
            for pending in &records {
                let entry = &pending.record.entry;
                self.bins.count(entry, &rollout.frozen.plan, paused.as_ref());
            }
        }
        for PendingRecord { record: line, learnt, .. } in records {
            if let JournalEvent::Change { ordinal, record, .. } = &line.entry.what {
                if !record.state.is_settled() {
                    self.settled
                        .remove(&ChangeId { rollout: line.entry.rollout, ordinal: *ordinal });
                }
                if let (Some(instance), Some(job)) = (learnt, record.jobs.last()) {
                    remember(self.jobs.entry(instance.instance_id).or_default(), job);
                }
            }
            self.note(line);
        }
        self.settled.extend(self.state.applied(u64::MAX));
        Ok(())
    }

    fn enforce(&mut self, commit: EnforcementCommit) -> Result<(), CommitError> {
        let PendingRecord { record, .. } = self.state.enforce(commit)?;
        self.note(record);
        Ok(())
    }

    fn rows_from(&self, id: RolloutId, first: u32) -> impl Iterator<Item = (u32, StoredChange)> {
        let settled = self.settled.range(
            ChangeId { rollout: id, ordinal: first }..=ChangeId { rollout: id, ordinal: u32::MAX },
        );
        let mut settled = settled.map(|(id, row)| (id.ordinal, row)).peekable();
        let mut open = self.state.rows_from(id, first).peekable();
        std::iter::from_fn(move || {
            let next = match (settled.peek(), open.peek()) {
                (Some((left, _)), Some((right, _))) if left < right => settled.next(),
                (Some(_), None) => settled.next(),
                (Some(_) | None, _) => open.next(),
            };
            next.map(|(ordinal, row)| (ordinal, row.clone()))
        })
    }

    fn change(&self, id: ChangeId) -> Result<Option<Active>, Unavailable> {
        let Some(rollout) = self.state.rollout(id.rollout) else { return Ok(None) };
        if let Some(active) = self.state.active(id) {
            return Ok(Some(active));
        }
        if let Some(row) = self.settled.get(&id) {
            return Ok(Some(row.clone().active(id, &rollout.frozen.plan)));
        }
        if id.ordinal >= rollout.frozen.targets.count() {
            return Ok(None);
        }
        let change = change(
            id,
            rollout.frozen.targets.get(id.ordinal)?,
            rollout.untouched(),
            &rollout.frozen.plan,
        );
        Ok(Some(Active { change, due: None, moved_at: None, entry: None }))
    }

    fn stored(
        &self,
        id: RolloutId,
        words: &[&str],
        places: Range<u32>,
        limit: usize,
    ) -> Vec<Change> {
        let Some(rollout) = self.state.rollout(id) else { return Vec::new() };
        let inside =
            self.rows_from(id, places.start).take_while(|(ordinal, _)| *ordinal < places.end);
        let wanted =
            inside.filter(|(_, row)| words.contains(&row.record.state.as_str())).take(limit);
        wanted
            .map(|(ordinal, row)| {
                change(
                    ChangeId { rollout: id, ordinal },
                    row.target,
                    row.record,
                    &rollout.frozen.plan,
                )
            })
            .collect()
    }

    fn page(&self, query: &PageQuery) -> Result<Page, Unavailable> {
        let Some(rollout) = self.state.rollout(query.id) else { return Ok(Page::default()) };
        let shown = ShownRollout {
            plan: &rollout.frozen.plan,
            targets: rollout.frozen.targets.as_ref(),
            cursor: rollout.progress.record.cursor,
            untouched: rollout.untouched(),
        };
        let first = query.places(shown.plan).start;
        page(query, &shown, self.rows_from(query.id, first).map(Ok))
    }

    fn journal(&self, rollout: Option<RolloutId>, after: u64, limit: usize) -> Vec<Entry> {
        let first = usize::try_from(after).unwrap_or(usize::MAX).min(self.journal.len());
        let entries = self.journal[first..].iter().map(|record| &record.entry);
        entries
            .filter(|entry| rollout.is_none_or(|rollout| entry.rollout == rollout))
            .take(limit)
            .cloned()
            .collect()
    }

    fn story(&self, id: ChangeId, from: Option<u64>, limit: usize) -> ChangeStory {
        let row = self.state.row(id).or_else(|| self.settled.get(&id));
        let mut story = ChangeStory {
            earlier: from.or_else(|| row.and_then(|row| row.entry)),
            ..ChangeStory::default()
        };
        while let Some(seq) = story.earlier
            && story.entries.len() < limit
        {
            let place = seq.checked_sub(1).and_then(|place| usize::try_from(place).ok());
            let found = place.and_then(|place| self.journal.get(place)).map(|line| &line.entry);
            let Some(entry) = found.filter(|entry| entry.rollout == id.rollout) else { break };
            let JournalEvent::Change { ordinal, earlier, .. } = &entry.what else { break };
            if *ordinal != id.ordinal {
                break;
            }
            story.earlier = *earlier;
            story.entries.push(entry.clone());
        }
        story
    }

    fn health(&mut self) -> Health {
        let (hashed, head) = self.head;
        let mut head = head.unwrap_or(Digest::ZERO);
        let mut line = Vec::new();
        for written in &self.journal[hashed..] {
            line.clear();
            head = written.write(head, &mut line);
        }
        self.head = (self.journal.len(), Some(head));
        Health {
            kind: "memory",
            seq: self.state.seq(),
            head,
            failed: None,
            refusing: None,
            free_bytes: None,
            syncs: Histogram::new(&SYNC_BOUNDS),
            journal_bytes: 0,
            queue_bytes: 0,
            rebuilt: None,
        }
    }
}

/// Nothing is written here, so there is no file to be the digest of; the rollout's identity stands
/// in its place.
fn id_digest(id: RolloutId) -> Digest {
    Digest::of(id.as_bytes())
}

impl Store for MemoryStore {
    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        Box::pin(ready(self.inner().submit(submission)))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(ready(self.inner().commit(commit)))
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.due(now, after, limit))))
    }

    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.open_rollouts())))
    }

    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        let inner = self.inner();
        let found = inner
            .state
            .newest(after)
            .take(limit)
            .filter_map(|id| Some(inner.state.rollout(id)?.snapshot(id)))
            .collect();
        Box::pin(ready(Ok(found)))
    }

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.rollout(id).map(|rollout| rollout.snapshot(id)))))
    }

    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        Box::pin(ready(self.inner().change(id)))
    }

    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>> {
        Box::pin(ready(self.inner().state.candidates(id, wave, limit)))
    }

    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().stored(id, words, places, limit))))
    }

    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.holder(instance))))
    }

    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.full_group(id, target))))
    }

    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().jobs.get(instance).cloned().unwrap_or_default())))
    }

    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        Box::pin(ready(self.inner().page(&PageQuery { id, filter, after, limit })))
    }

    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>> {
        Box::pin(ready(Ok(self.inner().story(id, from, limit))))
    }

    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().journal(rollout, after, limit))))
    }

    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>> {
        Box::pin(ready(Ok(self.inner().bins.activity(ActivityQuery { id, from, to }))))
    }

    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        Box::pin(ready(
            self.inner()
                .state
                .rollout(id)
                .map(|rollout| all(rollout.frozen.targets.as_ref()))
                .transpose(),
        ))
    }

    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.enforcements())))
    }

    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        Box::pin(ready(Ok(self.inner().state.enforcement(name))))
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(ready(self.inner().enforce(commit)))
    }

    fn health(&self) -> Health {
        self.inner().health()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{Driver, picture};

    crate::store::contract::suite!((MemoryStore::new(), ()));

    #[tokio::test]
    async fn a_fork_goes_its_own_way() {
        let store = MemoryStore::new();
        let mut driver = Driver::new(7);
        driver.begin(&store).await;
        let fork = store.fork();
        let before = picture(&fork).await;
        for _ in 0..20 {
            driver.step(&store).await;
        }
        assert_eq!(picture(&fork).await, before);
        assert_ne!(picture(&store).await, before);
        assert_ne!(store.health().head, fork.health().head);
    }

    #[tokio::test]
    async fn the_head_is_the_chain_over_every_line() {
        let store = MemoryStore::new();
        let mut driver = Driver::new(3);
        driver.begin(&store).await;
        let early = store.health();
        driver.step(&store).await;
        let late = store.health();
        let twin = MemoryStore::new();
        let mut driver = Driver::new(3);
        driver.begin(&twin).await;
        driver.step(&twin).await;
        assert_eq!(twin.health(), late, "computed in one go or in two");
        assert_ne!(early.head, late.head);
    }
}
