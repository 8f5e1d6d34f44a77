use super::*;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::store::fixtures::target;

fn s(seconds: u64) -> Boot {
    Duration::from_secs(seconds)
}

fn lane() -> Name {
    Name::parse("main", "lane").expect("a name")
}

fn instance(n: u32) -> InstanceId {
    target(n, n).instance_id
}

fn seen(n: u32) -> JobSeen {
    let job = format!("e0fbbfc8-1ac4-4721-b9e9-7dd685c5bd{n:02}").parse().expect("an id");
    JobSeen { job, instance_id: instance(n), name: "Enlarge".into(), created: None }
}

/// A page of a list that has so many jobs in all.
fn page(jobs: Vec<JobSeen>, first: u32, total: u32) -> Option<(Vec<JobSeen>, JobsPage)> {
    let ids = (first..total.min(first + JOBS_PAGE))
        .map(|n| format!("job-{n}").parse().expect("an id"))
        .collect();
    Some((jobs, JobsPage { ids, total: Some(total) }))
}

fn offset(busy: &BusyInstances) -> Option<u32> {
    match busy.call() {
        Some(Call::Running { offset, .. }) => Some(offset),
        _ => None,
    }
}

#[test]
fn one_list_is_under_way_and_the_next_keeps_its_distance() {
    let mut busy = BusyInstances::default();
    assert_eq!(offset(&busy), None);
    assert!(busy.begin_list(&lane(), s(30), s(1)) && !busy.begin_list(&lane(), s(30), s(50)));
    assert!(!busy.read(page(Vec::new(), 0, 0), &BTreeSet::new(), s(2)));
    assert!(!busy.begin_list(&lane(), s(30), s(31)) && busy.begin_list(&lane(), s(30), s(32)));
}

#[test]
fn pages_are_read_to_the_end_and_only_what_is_awaited_is_kept() {
    let mut busy = BusyInstances::default();
    let awaited = BTreeSet::from([instance(0), instance(1)]);
    busy.begin_list(&lane(), s(30), s(1));
    assert_eq!(offset(&busy), Some(1));
    assert!(busy.read(page(vec![seen(0), seen(9)], 0, JOBS_PAGE + 1), &awaited, s(2)));
    assert_eq!(
        (offset(&busy), busy.known(s(2)).len()),
        (Some(2), 0),
        "a part of a list is no answer yet"
    );
    assert!(!busy.read(page(vec![seen(1)], JOBS_PAGE, JOBS_PAGE + 1), &awaited, s(3)));
    assert_eq!((offset(&busy), busy.known(s(3)).len()), (None, 2));
    assert!(busy.on(&instance(0), s(3)).is_some() && busy.on(&instance(9), s(3)).is_none());
    assert!(busy.on(&instance(0), s(3) + KNOWN_FOR).is_none(), "a list is not true for ever");
}

#[test]
fn what_was_read_before_a_page_failed_is_all_that_is_known() {
    let mut busy = BusyInstances::default();
    let awaited = BTreeSet::from([instance(0)]);
    busy.begin_list(&lane(), s(30), s(1));
    busy.read(page(vec![seen(0)], 0, JOBS_PAGE + 1), &awaited, s(2));
    assert!(!busy.read(None, &awaited, s(3)));
    assert_eq!(busy.known(s(3)).len(), 1);
    assert!(!busy.read(page(vec![seen(0)], 0, 1), &awaited, s(4)), "no list is under way");
    assert_eq!(busy.known(s(3)).len(), 1);
}
