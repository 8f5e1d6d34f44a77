use proptest::prelude::*;

use super::*;

const ROWS: u32 = 50;

/// What `offset` means to a cloud.
#[derive(Debug, Clone, Copy)]
enum OffsetMeaning {
    Pages,
    Records,
    RecordsFromZero,
    /// It always shows the first page.
    Ignored,
}

/// A list of jobs, the newest first.
struct TestJobList {
    cloud: OffsetMeaning,
    jobs: Vec<u32>,
}

impl TestJobList {
    fn new(cloud: OffsetMeaning, jobs: u32) -> Self {
        Self { cloud, jobs: (0..jobs).rev().collect() }
    }

    fn begin(&mut self, jobs: u32) {
        for _ in 0..jobs {
            self.jobs.insert(0, self.jobs.len() as u32);
        }
    }

    fn page(&self, offset: u32) -> JobsPage {
        let skip = match self.cloud {
            OffsetMeaning::Pages => offset.saturating_sub(1) * ROWS,
            OffsetMeaning::Records => offset.saturating_sub(1),
            OffsetMeaning::RecordsFromZero => offset,
            OffsetMeaning::Ignored => 0,
        };
        let rows = self.jobs.iter().skip(skip as usize).take(ROWS as usize);
        let id = |n: &u32| format!("job-{n}").parse().expect("a job id");
        JobsPage { ids: rows.map(id).collect(), total: Some(self.jobs.len() as u32) }
    }

    /// Reads it to its end, with so many jobs that begin between two pages; the last word, and the
    /// pages that it took.
    fn read(&mut self, begin: &mut dyn FnMut(u32) -> u32) -> (NextPage, Paging) {
        let mut paging = Paging::new(ROWS);
        loop {
            let next = paging.read(&self.page(paging.offset()));
            match next {
                NextPage::Page => {}
                NextPage::Short if paging.again() => {}
                NextPage::Whole | NextPage::Short => return (next, paging),
            }
            let new = begin(paging.pages());
            self.begin(new);
            assert!(paging.pages() < 100, "it ends");
        }
    }
}

#[test]
fn a_list_is_read_whatever_its_offset_counts() {
    for (cloud, jobs, pages) in [
        (OffsetMeaning::Pages, 0, 1),
        (OffsetMeaning::Pages, 49, 1),
        (OffsetMeaning::Pages, 50, 1),
        (OffsetMeaning::Pages, 51, 2),
        (OffsetMeaning::Pages, 300, 6),
        (OffsetMeaning::Records, 50, 1),
        (OffsetMeaning::Records, 51, 2),
        // One page shows what is counted.
        (OffsetMeaning::Records, 300, 7),
        // The newest job stands before the first that is shown.
        (OffsetMeaning::RecordsFromZero, 1, 3),
        (OffsetMeaning::RecordsFromZero, 50, 3),
        (OffsetMeaning::RecordsFromZero, 51, 5),
    ] {
        let (next, paging) = TestJobList::new(cloud, jobs).read(&mut |_| 0);
        assert_eq!(
            (next, paging.seen.len(), paging.pages()),
            (NextPage::Whole, jobs as usize, pages),
            "{cloud:?}, {jobs} jobs"
        );
    }
}

#[test]
fn a_part_is_never_taken_for_the_whole() {
    let (next, paging) = TestJobList::new(OffsetMeaning::Ignored, 300).read(&mut |_| 0);
    assert_eq!(
        (next, paging.to_string().as_str()),
        (NextPage::Short, "50 of 300 jobs of the list")
    );
    let unsaid = JobsPage { ids: Vec::new(), total: None };
    let mut paging = Paging::new(ROWS);
    assert_eq!(paging.read(&unsaid), NextPage::Short, "an empty page is no proof");
    assert_eq!(paging.to_string(), "0 jobs of a list that does not say how many it has");
    let mut list = TestJobList::new(OffsetMeaning::Pages, 300);
    let mut paging = Paging::new(ROWS);
    for _ in 0..5 {
        assert_eq!(paging.read(&list.page(paging.offset())), NextPage::Page);
    }
    // One that ended up elsewhere meanwhile: what is shown last is a short page, and a job is
    // missing.
    list.jobs.remove(3);
    list.begin(1);
    list.jobs.truncate(299);
    let last = JobsPage { total: Some(300), ..list.page(paging.offset()) };
    assert_eq!(paging.read(&last), NextPage::Short);
}

#[test]
fn jobs_that_begin_meanwhile_cost_a_page_and_not_the_question() {
    // Each page finds one job more at the list's head.
    let (next, paging) = TestJobList::new(OffsetMeaning::Pages, 300).read(&mut |_| 1);
    assert_eq!((next, paging.pages()), (NextPage::Whole, 8));
    let (next, _) = TestJobList::new(OffsetMeaning::Records, 300).read(&mut |_| 1);
    assert_eq!(next, NextPage::Whole);
}

proptest! {
    /// A list into which nothing comes is read whole, whatever is counted.
    #[test]
    fn a_quiet_list_is_read_whole(cloud in 0u8..3, jobs in 0u32..400) {
        let cloud = [OffsetMeaning::Pages, OffsetMeaning::Records, OffsetMeaning::RecordsFromZero][cloud as usize];
        prop_assert_eq!(TestJobList::new(cloud, jobs).read(&mut |_| 0).0, NextPage::Whole);
    }

    /// Whatever is counted and however jobs begin, what is called whole has every job that the list
    /// had at first.
    #[test]
    fn whole_is_whole(cloud in 0u8..3, jobs in 0u32..400, begun in prop::collection::vec(0u32..20, 1..12)) {
        let cloud = [OffsetMeaning::Pages, OffsetMeaning::Records, OffsetMeaning::RecordsFromZero][cloud as usize];
        let (next, paging) = TestJobList::new(cloud, jobs).read(&mut |page| begun.get(page as usize).copied().unwrap_or(0));
        // Where more jobs begin than the passes allow for, the list is not called whole, and the
        // question is asked anew.
        let missing = (0..jobs).find(|n| !paging.seen.contains(&format!("job-{n}").parse().expect("a job id")));
        prop_assert!(next != NextPage::Whole || missing.is_none(), "{missing:?} is missing");
    }
}
