//! One page of a rollout's changes.
//!
//! Invariant: the list's order, each change once. Before the cursor every change has a row; from
//! the cursor on none has, so a page is a stretch of rows followed by a stretch of the frozen list.

use std::ops::ControlFlow;

use crate::domain::change;
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::plan::Plan;

use super::row::{StoredChange, change};
use super::targets::FrozenTargets;
use super::{Active, Page, Unavailable};

pub(crate) struct PageQuery {
    pub id: RolloutId,
    /// States asked for; empty: all.
    pub words: Vec<String>,
    /// Place before the first one wanted.
    pub after: Option<u32>,
    /// Most changes on the page.
    pub limit: usize,
}

impl PageQuery {
    /// Place of the first change that may be on the page.
    pub fn first(&self) -> u32 {
        self.after.map_or(0, |after| after.saturating_add(1))
    }

    /// Whether a state is asked for.
    pub fn wants(&self, word: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|wanted| wanted == word)
    }
}

/// The rollout as the page shows it.
pub(crate) struct ShownRollout<'a> {
    pub plan: &'a Plan,
    pub targets: &'a dyn FrozenTargets,
    /// Place of the first change without a row.
    pub cursor: u32,
    /// The record of those without a row.
    pub untouched: change::Record,
}

/// Fills a page from the rows at and after [`PageQuery::first`], which come in their order.
pub(crate) fn page<E: From<Unavailable>>(
    query: &PageQuery,
    shown: &ShownRollout<'_>,
    rows: impl Iterator<Item = Result<(u32, StoredChange), E>>,
) -> Result<Page, E> {
    let mut page = Page::default();
    let id_of = |ordinal| ChangeId { rollout: query.id, ordinal };
    for row in rows {
        let (ordinal, row) = row?;
        if !query.wants(row.record.state.as_str()) {
            continue;
        }
        if full(&mut page, query.limit) {
            return Ok(page);
        }
        page.changes.push(row.active(id_of(ordinal), shown.plan));
    }
    if query.wants(shown.untouched.state.as_str()) {
        shown.targets.scan(query.first().max(shown.cursor), &mut |ordinal, target| {
            if full(&mut page, query.limit) {
                return ControlFlow::Break(());
            }
            let change =
                change(id_of(ordinal), target.clone(), shown.untouched.clone(), shown.plan);
            page.changes.push(Active { change, due: None, moved_at: None });
            ControlFlow::Continue(())
        })?;
    }
    Ok(page)
}

/// Called when there is one more: says whether it goes to the next page, and where that one begins.
fn full(page: &mut Page, limit: usize) -> bool {
    if page.changes.len() < limit {
        return false;
    }
    page.next = page.changes.last().map(|last| last.change.id.ordinal);
    true
}
