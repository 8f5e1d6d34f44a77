//! How the pages of the job list follow one another, and when the list is known to be whole.
//!
//! Job: after each page, the `offset` of the next one. The vendor's text can be read as records to
//! skip, with 1 as the default; its Terraform provider counts pages from 1. The first two pages
//! show it: the second repeats most of the first if records are counted.
//!
//! Invariant: a list is called whole only when as many different ids were read as its latest
//! `total_count` says. Rows move while a list is read, for jobs begin; where jobs are missing at
//! its end, the list is read again from its head, and in the last pass from the offset before the
//! first, where a list that counts from 0 has one record more.
//!
//! Deliberately not here: what a row means (`cloud::answer`), and how many pages a question is
//! worth (`engine`).

use std::collections::BTreeSet;

use super::call::JobsPage;
use super::id::JobId;

/// The vendor's default of `offset`: the first page, or the first record.
pub const FIRST: u32 = 1;

/// Where the passes through a list begin.
const PASSES: [u32; 3] = [FIRST, FIRST, 0];

/// Pages that a pass may read beyond those that the list's jobs fill: one to learn what `offset`
/// counts, one for jobs that begin meanwhile.
const SPARE_PAGES: u32 = 2;

/// What `offset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Pages,
    Records,
}

/// A list that is being read.
#[derive(Debug, Clone)]
pub struct Paging {
    /// Rows of a full page.
    rows: u32,
    offset: u32,
    unit: Option<Unit>,
    seen: BTreeSet<JobId>,
    total: Option<u32>,
    pages: u32,
    /// Passes before this one.
    passes: usize,
    /// Pages of this pass.
    in_pass: u32,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextPage {
    /// There are more: ask for [`Paging::offset`].
    Page,
    /// Every job of the list was read.
    Whole,
    /// The list's end was reached, and jobs are missing.
    Short,
}

impl Paging {
    /// A list of which nothing was read; a full page of it has so many rows.
    pub fn new(rows: u32) -> Self {
        Self {
            rows,
            offset: FIRST,
            unit: None,
            seen: BTreeSet::new(),
            total: None,
            pages: 0,
            passes: 0,
            in_pass: 0,
        }
    }

    /// The `offset` to ask for next.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// Pages read so far.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Takes the page that was asked for.
    pub fn read(&mut self, page: &JobsPage) -> NextPage {
        let before = self.seen.len();
        self.seen.extend(page.ids.iter().cloned());
        let repeated = page.ids.len() - (self.seen.len() - before);
        self.total = page.total;
        self.pages += 1;
        self.in_pass += 1;
        if self.total.is_some_and(|total| self.seen.len() >= total as usize) {
            return NextPage::Whole;
        }
        if page.ids.len() < self.rows as usize
            || self
                .total
                .is_some_and(|total| self.in_pass >= total.div_ceil(self.rows) + SPARE_PAGES)
        {
            return NextPage::Short;
        }
        self.offset = match self.unit {
            // The second page: the first one and this differ by one page or by one record.
            None if self.in_pass == 2 => {
                let by_records = repeated * 2 >= self.rows as usize;
                self.unit = Some(if by_records { Unit::Records } else { Unit::Pages });
                if by_records { FIRST + self.rows } else { self.offset + 1 }
            }
            None | Some(Unit::Pages) => self.offset + 1,
            Some(Unit::Records) => self.offset.saturating_add(self.rows),
        };
        NextPage::Page
    }

    /// Begins another pass for the jobs that are missing; false when all passes are made.
    pub fn again(&mut self) -> bool {
        self.passes += 1;
        self.in_pass = 0;
        let from = PASSES.get(self.passes);
        self.offset = from.copied().unwrap_or(FIRST);
        from.is_some()
    }
}

impl std::fmt::Display for Paging {
    /// How much of the list was read, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.total {
            Some(total) => write!(f, "{} of {total} jobs of the list", self.seen.len()),
            None => {
                write!(f, "{} jobs of a list that does not say how many it has", self.seen.len())
            }
        }
    }
}

#[cfg(test)]
mod tests;
