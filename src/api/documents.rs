//! What is read, as documents: the same for JSON and for the page.
//!
//! Invariant: every document comes from the store and the engine's snapshot at that moment, and
//! shows nothing that a power cut could take back.
//!
//! Deliberately not here: routes, and how a document is shown.

use std::sync::Arc;

use super::caller::Caller;
use super::fault::ApiError;
use super::wire::{ChangeRow, JournalRow, Listing, RolloutDoc, RolloutRow, VerbsDoc};
use super::{Api, describe, find, hold, outlook};
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::plan::Plan;
use crate::store::{ChangeFilter, Rollout};

/// Entries of one change that are shown.
pub const STORY_MAX: usize = 500;

/// The entries of one change, oldest first.
#[derive(Debug)]
pub struct Story {
    pub entries: Vec<JournalRow>,
    /// Whether these are all of them.
    pub whole: bool,
}

/// A rollout that is not over.
#[derive(Debug)]
pub struct OpenRollout {
    pub document: RolloutDoc,
    pub plan: Arc<Plan>,
}

impl Api {
    /// The rollouts that are not over, newest first, at most so many of them.
    pub async fn open_rollouts(&self, most: usize) -> Result<Vec<OpenRollout>, ApiError> {
        let mut documents = Vec::new();
        for rollout in find::open_rollouts(&*self.store).await?.iter().rev().take(most) {
            documents.push(OpenRollout {
                document: self.describe(rollout).await?,
                plan: rollout.plan.clone(),
            });
        }
        Ok(documents)
    }

    /// One rollout, by its name or the beginning of its id.
    pub async fn rollout(&self, reference: &str) -> Result<(Rollout, RolloutDoc), ApiError> {
        let rollout = find::rollout(&*self.store, reference).await?;
        let document = self.describe(&rollout).await?;
        Ok((rollout, document))
    }

    /// One page of all rollouts, newest first.
    pub async fn rollout_rows(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Result<Listing<RolloutRow>, ApiError> {
        let found = self.store.rollouts(after, limit).await?;
        let next =
            if found.len() == limit { found.last().map(|last| last.id.to_string()) } else { None };
        Ok(Listing { rows: found.iter().map(describe::row).collect(), next })
    }

    /// One page of a rollout's changes in these states; none: in any.
    pub async fn change_rows(
        &self,
        rollout: &Rollout,
        words: Vec<String>,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Listing<ChangeRow>, ApiError> {
        let filter = ChangeFilter { words, ..ChangeFilter::default() };
        self.changes_fitting(rollout, filter, after, limit).await
    }

    /// The same of changes that fit a filter. A page may have fewer rows than asked for, or none,
    /// and a next one all the same, where few of many fit.
    pub async fn changes_fitting(
        &self,
        rollout: &Rollout,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Listing<ChangeRow>, ApiError> {
        let page = self.store.filtered(rollout.id, filter, after, limit).await?;
        let holds =
            hold::of_changes(&page.changes, rollout, &self.engine(), &*self.store, self.now())
                .await?;
        let rows = page
            .changes
            .iter()
            .zip(holds)
            .map(|(active, hold)| describe::change(active, rollout, hold))
            .collect();
        Ok(Listing { rows, next: page.next.map(|next| next.to_string()) })
    }

    /// One change; `None`: the rollout has no such place.
    pub async fn change_row(
        &self,
        rollout: &Rollout,
        ordinal: u32,
    ) -> Result<Option<ChangeRow>, ApiError> {
        let found = self.store.change(ChangeId { rollout: rollout.id, ordinal }).await?;
        self.store.durable().await?;
        let Some(active) = found else { return Ok(None) };
        let hold = hold::of_changes(
            std::slice::from_ref(&active),
            rollout,
            &self.engine(),
            &*self.store,
            self.now(),
        )
        .await?;
        Ok(Some(describe::change(&active, rollout, hold.into_iter().next().flatten())))
    }

    /// What the journal says of one change: its latest entries, a bounded number of them.
    pub async fn story(&self, rollout: &Rollout, ordinal: u32) -> Result<Story, ApiError> {
        let id = ChangeId { rollout: rollout.id, ordinal };
        let found = self.store.story(id, None, STORY_MAX).await?;
        let whole = found.earlier.is_none() && found.looked_to.is_none();
        Ok(Story { entries: found.entries.iter().rev().map(describe::entry).collect(), whole })
    }

    /// The latest entries of the journal, newest first: those before `before`, where it is given.
    pub async fn latest_entries(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<JournalRow>, ApiError> {
        let end = before.map_or_else(|| self.store.health().seq, |before| before.saturating_sub(1));
        let from = end.saturating_sub(limit as u64);
        let mut entries = self.store.journal(None, from, limit).await?;
        entries.retain(|entry| entry.seq <= end);
        Ok(entries.iter().rev().map(describe::entry).collect())
    }

    /// Entries of one rollout, oldest first, after `after`.
    pub async fn entries_of(
        &self,
        rollout: &Rollout,
        after: u64,
        limit: usize,
    ) -> Result<Vec<JournalRow>, ApiError> {
        Ok(self
            .store
            .journal(Some(rollout.id), after, limit)
            .await?
            .iter()
            .map(describe::entry)
            .collect())
    }

    /// What could be done to a rollout now, for this caller.
    pub fn possible(&self, rollout: &Rollout, caller: &Caller) -> VerbsDoc {
        outlook::document(rollout, caller, self.now())
    }
}
