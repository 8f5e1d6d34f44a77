//! One page of a rollout's changes.
//!
//! Invariants: the list's order, each change once. Before the cursor every change has a row; from
//! the cursor on none has, so a page is a stretch of rows followed by a stretch of the frozen list.
//! A page that asks for little ends after [`PASSED_MAX`] changes that do not fit, and goes on from
//! there.

use std::ops::{ControlFlow, Range};

use crate::domain::change;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::plan::Plan;
use crate::domain::target::Target;

use super::row::{StoredChange, change};
use super::targets::FrozenTargets;
use super::{Active, Page, Unavailable};

/// Changes that are passed over for one page: reading so many takes less than a tenth of a second.
pub(crate) const PASSED_MAX: u32 = 20_000;

/// Which of a rollout's changes are asked for; by default all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Words of [`change::State::as_str`]; empty: every state.
    pub words: Vec<String>,
    /// Place of the wave in the plan, from 0.
    pub wave: Option<u16>,
    /// The lane that reaches them.
    pub lane: Option<Name>,
    /// How the id of their proxy, or of its instance, begins.
    pub begins: Option<String>,
}

impl ChangeFilter {
    /// Whether every change of its wave fits.
    pub(crate) fn takes_all(&self) -> bool {
        self.words.is_empty() && self.lane.is_none() && self.begins.is_none()
    }
}

pub(crate) struct PageQuery {
    pub id: RolloutId,
    pub filter: ChangeFilter,
    /// Place before the first one wanted.
    pub after: Option<u32>,
    /// Most changes on the page.
    pub limit: usize,
}

impl PageQuery {
    /// The places that may be on the page.
    pub fn places(&self, plan: &Plan) -> Range<u32> {
        let wave = self.filter.wave.map(usize::from);
        let all = match wave.map(|wave| plan.strategy.waves.get(wave)) {
            Some(Some(wave)) => wave.first..wave.end(),
            Some(None) => 0..0,
            None => 0..u32::MAX,
        };
        let first = self.after.map_or(0, |after| after.saturating_add(1));
        first.max(all.start)..all.end
    }

    /// Whether a state is asked for.
    fn wants(&self, word: &str) -> bool {
        self.filter.words.is_empty() || self.filter.words.iter().any(|wanted| wanted == word)
    }

    /// Whether changes to this target are asked for.
    pub fn fits(&self, target: &Target) -> bool {
        let ChangeFilter { lane, begins, .. } = &self.filter;
        lane.as_ref().is_none_or(|lane| *lane == target.lane)
            && begins.as_deref().is_none_or(|begins| {
                target.proxy_id.as_str().starts_with(begins)
                    || target.instance_id.as_str().starts_with(begins)
            })
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

/// Fills a page from the rows at and after its first place, which come in their order.
pub(crate) fn page<E: From<Unavailable>>(
    query: &PageQuery,
    shown: &ShownRollout<'_>,
    rows: impl Iterator<Item = Result<(u32, StoredChange), E>>,
) -> Result<Page, E> {
    let places = query.places(shown.plan);
    let mut filling = FillingPage { page: Page::default(), limit: query.limit, passed: 0 };
    let id_of = |ordinal| ChangeId { rollout: query.id, ordinal };
    for row in rows {
        let (ordinal, row) = row?;
        if ordinal >= places.end {
            return Ok(filling.page);
        }
        let fits = query.wants(row.record.state.as_str()) && query.fits(&row.target);
        let active = || row.active(id_of(ordinal), shown.plan);
        if filling.take(ordinal, fits.then_some(active)).is_break() {
            return Ok(filling.page);
        }
    }
    if query.wants(shown.untouched.state.as_str()) {
        shown.targets.scan(places.start.max(shown.cursor), &mut |ordinal, target| {
            if ordinal >= places.end {
                return ControlFlow::Break(());
            }
            let active = || {
                let untouched = shown.untouched.clone();
                let change = change(id_of(ordinal), target.clone(), untouched, shown.plan);
                Active { change, due: None, moved_at: None, entry: None }
            };
            filling.take(ordinal, query.fits(target).then_some(active))
        })?;
    }
    Ok(filling.page)
}

struct FillingPage {
    page: Page,
    limit: usize,
    passed: u32,
}

impl FillingPage {
    /// Takes the next change, or passes it over; breaks where the next page begins.
    fn take(&mut self, ordinal: u32, fits: Option<impl FnOnce() -> Active>) -> ControlFlow<()> {
        match fits {
            Some(_) if self.page.changes.len() >= self.limit => {
                // What lies between was passed over, and need not be again.
                self.page.next = ordinal.checked_sub(1);
                ControlFlow::Break(())
            }
            Some(active) => {
                self.page.changes.push(active());
                ControlFlow::Continue(())
            }
            None if self.passed == PASSED_MAX => {
                self.page.next = ordinal.checked_sub(1);
                ControlFlow::Break(())
            }
            None => {
                self.passed += 1;
                ControlFlow::Continue(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{at, plan, target, targets};

    const COUNT: u32 = 3 * PASSED_MAX;

    /// Pages of a rollout without rows, or with a row for every change.
    fn pages(id: u32, cursor: u32) -> Vec<(Vec<u32>, Option<u32>)> {
        let (plan, targets) = (plan("night", &[COUNT]), targets(0, COUNT));
        let begins = Some(target(0, id).proxy_id.to_string());
        let shown = ShownRollout {
            plan: &plan,
            targets: &targets,
            cursor,
            untouched: change::Record::queued(),
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let filter = ChangeFilter { begins: begins.clone(), ..ChangeFilter::default() };
            let id = RolloutId::from_bytes([1; 16]);
            let query = PageQuery { id, filter, after, limit: 9 };
            let rows = (query.places(&plan).start..cursor).map(|ordinal| {
                let record = change::Record::queued();
                let target = targets[ordinal as usize].clone();
                Ok((
                    ordinal,
                    StoredChange { target, record, due: None, moved_at: at(0), entry: None },
                ))
            });
            let page = page::<Unavailable>(&query, &shown, rows).expect("in memory");
            after = page.next;
            let found = page.changes.iter().map(|active| active.change.id.ordinal).collect();
            pages.push((found, after));
            if after.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn what_is_passed_over_for_one_page_is_bounded() {
        let last = COUNT - 1;
        let ends = [Some(PASSED_MAX - 1), Some(2 * PASSED_MAX - 1), None];
        let wanted = [vec![], vec![], vec![last]];
        let wanted: Vec<_> = wanted.into_iter().zip(ends).collect();
        assert_eq!(pages(last, 0), wanted, "in the frozen list");
        assert_eq!(pages(last, COUNT), wanted, "in the rows");
        // Of what is found at a page's end nothing is lost.
        assert_eq!(pages(PASSED_MAX + 1, 7)[1].0, [PASSED_MAX + 1]);
    }
}
