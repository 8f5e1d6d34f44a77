//! A job list that is read page by page.
//!
//! Job: the call for the next page of one list, and whether another page follows from the one that
//! came.
//!
//! Invariants: every page asks for the same list; a list has at most as many pages as its owner
//! allows. A page that failed changes nothing here, so the next call asks for it again.
//!
//! Deliberately not here: what `offset` counts and when a list is whole (`domain::paging`), when a
//! page is asked for, and what its rows mean to whoever asked (`engine::core`).

use std::fmt;

use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::call::{Call, JobsPage};
use crate::domain::paging::{NextPage, Paging};

/// What becomes of a list of which the end was reached and jobs are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is read again, as often as `domain::paging` says: only a whole list is an answer.
    ReadAgain,
    /// It is taken as it is: whoever misses a job there asks for it in another way.
    LeftOut,
}

/// A list of which some pages were read.
#[derive(Debug, Clone)]
pub(super) struct PagedList {
    /// The call of its first page.
    call: Call,
    missing: Missing,
    pages_max: u32,
    paging: Paging,
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListStep {
    /// Another page is to be read.
    More,
    /// Every job of the list was read.
    Whole,
    /// It is read no further, and jobs may be missing.
    Part,
}

impl PagedList {
    /// The list that this call asks for, of which nothing was read.
    pub(super) fn new(call: Call, missing: Missing, pages_max: u32) -> Self {
        Self { call, missing, pages_max, paging: Paging::new(JOBS_PAGE) }
    }

    /// The call for the page that is read next.
    pub(super) fn call(&self) -> Call {
        let mut next = self.call.clone();
        if let Call::FindJobs { offset, .. }
        | Call::Jobs { offset, .. }
        | Call::Running { offset, .. } = &mut next
        {
            *offset = self.paging.offset();
        }
        next
    }

    /// Takes the page that was asked for.
    pub(super) fn read(&mut self, page: &JobsPage) -> ListStep {
        let more = match (self.paging.read(page), self.missing) {
            (NextPage::Whole, _) => return ListStep::Whole,
            (NextPage::Page, _) => true,
            (NextPage::Short, Missing::ReadAgain) => self.paging.again(),
            (NextPage::Short, Missing::LeftOut) => false,
        };
        if more && self.paging.pages() < self.pages_max { ListStep::More } else { ListStep::Part }
    }

    /// Pages read so far.
    pub(super) fn pages(&self) -> u32 {
        self.paging.pages()
    }
}

impl fmt::Display for PagedList {
    /// How much of it was read, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} were read in {} pages", self.paging, self.paging.pages())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Name;

    fn list(missing: Missing, pages_max: u32) -> PagedList {
        let lane = Name::parse("main", "lane").expect("a name");
        PagedList::new(Call::Running { lane, offset: 1 }, missing, pages_max)
    }

    fn offset(list: &PagedList) -> u32 {
        let Call::Running { offset, .. } = list.call() else { panic!("another call") };
        offset
    }

    /// A page with the jobs of these places, of a list that says to have so many.
    fn page(jobs: std::ops::Range<u32>, total: u32) -> JobsPage {
        JobsPage {
            ids: jobs.map(|n| format!("job-{n}").parse().expect("an id")).collect(),
            total: Some(total),
        }
    }

    #[test]
    fn pages_follow_one_another_until_the_list_is_whole() {
        let mut list = list(Missing::LeftOut, 10);
        assert_eq!((offset(&list), list.pages()), (1, 0));
        assert_eq!(list.read(&page(0..JOBS_PAGE, JOBS_PAGE + 1)), ListStep::More);
        assert_eq!((offset(&list), offset(&list)), (2, 2), "a page that failed is asked for again");
        assert_eq!(list.read(&page(JOBS_PAGE..JOBS_PAGE + 1, JOBS_PAGE + 1)), ListStep::Whole);
        assert_eq!(list.pages(), 2);
    }

    #[test]
    fn where_records_are_counted_the_second_page_repeats_the_first() {
        let mut list = list(Missing::LeftOut, 10);
        let total = 3 * JOBS_PAGE;
        list.read(&page(0..JOBS_PAGE, total));
        assert_eq!(list.read(&page(1..JOBS_PAGE + 1, total)), ListStep::More);
        assert_eq!(offset(&list), JOBS_PAGE + 1);
    }

    #[test]
    fn jobs_that_are_missing_are_looked_for_by_whoever_needs_the_whole_list() {
        let mut taken = list(Missing::LeftOut, 10);
        assert_eq!(taken.read(&page(0..2, 3)), ListStep::Part);
        let mut again = list(Missing::ReadAgain, 10);
        let steps: Vec<ListStep> = (0..3).map(|_| again.read(&page(0..2, 3))).collect();
        assert_eq!(
            steps,
            [ListStep::More, ListStep::More, ListStep::Part],
            "three passes, and then it is given up"
        );
        assert_eq!(again.to_string(), "2 of 3 jobs of the list were read in 3 pages");
    }

    #[test]
    fn a_list_ends_with_its_last_page_that_is_allowed() {
        let mut list = list(Missing::ReadAgain, 2);
        assert_eq!(list.read(&page(0..JOBS_PAGE, 1_000)), ListStep::More);
        assert_eq!(list.read(&page(JOBS_PAGE..2 * JOBS_PAGE, 1_000)), ListStep::Part);
    }
}
