use super::*;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::id::RolloutId;

fn s(seconds: u64) -> Boot {
    Duration::from_secs(seconds)
}

fn lane() -> Name {
    Name::parse("main", "lane").expect("a name")
}

fn id(ordinal: u32) -> ChangeId {
    ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal }
}

fn job(n: u32) -> JobId {
    format!("job-{n}").parse().expect("an id")
}

fn timing() -> Timing {
    Timing {
        settle: s(15),
        poll: s(2),
        poll_max: s(30),
        job_limit: s(3_600),
        recover_limit: s(1_800),
    }
}

/// The cloud's clock, which shows the boot time here.
fn cloud(seconds: i64) -> TimeSpan {
    TimeSpan::at(Timestamp::from_second(seconds).expect("an instant"))
}

/// So many changes follow their jobs, each since the second of its own number.
fn followed(jobs: u32) -> Followed {
    let mut followed = Followed::default();
    for n in 0..jobs {
        followed.follow(
            id(n),
            job(n),
            Some((s(u64::from(n)), s(u64::from(n) + 1))),
            s(u64::from(n)),
        );
    }
    followed
}

fn row(n: u32) -> JobListed {
    JobListed {
        job: job(n),
        view: crate::domain::call::JobView::Completed,
        created: None,
        took: None,
    }
}

/// A page of a list that has so many jobs in all.
fn page(first: u32, total: u32) -> JobsPage {
    JobsPage { ids: (first..total.min(first + JOBS_PAGE)).map(job).collect(), total: Some(total) }
}

fn error(disposition: Disposition) -> CallError {
    CallError {
        disposition,
        retry_after: None,
        status: None,
        code: None,
        request_id: None,
        message: "no".into(),
    }
}

/// A list that is under way, at its next page.
fn begun(followed: &mut Followed, now: u64) -> ListRequest {
    followed.begin_list(&lane(), s(now), cloud(now.cast_signed()));
    followed.take_list().expect("begun")
}

fn asked(list: &ListRequest) -> (TimeSpan, u32) {
    let Call::Jobs { within, offset, .. } = list.call() else { panic!("another call") };
    (within, offset)
}

#[test]
fn a_list_takes_several_jobs_and_none_that_is_old_or_unknown() {
    let mut followed = followed(2);
    assert!(followed.takes(id(0), s(5)) && !followed.takes(id(9), s(5)));
    assert!(
        !followed.takes(id(0), IN_WINDOW) && followed.takes(id(1), IN_WINDOW),
        "one that is older asks alone"
    );
    followed.follow_no_more(id(1), false);
    assert!(!followed.takes(id(0), s(5)), "one job alone is asked for alone");
}

#[test]
fn one_list_is_under_way_and_is_wanted_by_those_who_wait() {
    let mut followed = followed(2);
    assert!(!followed.wants_list());
    followed.join(id(0));
    assert!(followed.wants_list());
    followed.begin_list(&lane(), s(9), cloud(9));
    assert!(!followed.wants_list() && followed.list().is_some());
    let list = followed.take_list().expect("begun");
    followed.go_on(list);
    assert!(!followed.wants_list());
    followed.take_list();
    followed.leave(id(0));
    assert!(!followed.wants_list(), "nobody waits");
}

#[test]
fn who_joins_while_a_page_is_read_begins_no_second_list() {
    let mut followed = followed(3);
    followed.join(id(0));
    let mut list = begun(&mut followed, 9);
    list.found(&id(0));
    followed.leave(id(0));
    followed.join(id(1));
    assert!(!followed.wants_list(), "the page is still being read");
    assert!(followed.needs_more(&mut list, &page(0, 1_000)));
    followed.go_on(list);
    assert!(!followed.wants_list() && followed.list().is_some());
    let list = followed.take_list().expect("under way");
    assert_eq!(followed.end_list(&list, s(9)), [id(1)]);
    assert!(followed.wants_list(), "the list is over, and one still waits");
}

#[test]
fn a_list_asks_from_the_oldest_put_in_its_window_on() {
    let mut followed = followed(2);
    let (within, offset) = asked(&begun(&mut followed, 60));
    assert_eq!((within.from, offset), (cloud(0).widened(JUDGED_AROUND).from, 1));
    assert!(within.to >= cloud(60).to);
    let later = IN_WINDOW.as_secs();
    let (within, _) = asked(&begun(&mut followed, later));
    assert_eq!(
        within.from,
        cloud(1).widened(JUDGED_AROUND).from,
        "the oldest is in no list any more"
    );
}

#[test]
fn pages_are_read_until_everybody_is_told_of() {
    let mut followed = followed(3);
    let mut list = begun(&mut followed, 9);
    let found: Vec<ChangeId> =
        followed.page_read(vec![row(1), row(8), row(0)]).into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, [id(1), id(0)], "rows of other jobs are nobody's");
    found.iter().for_each(|id| list.found(id));
    assert!(followed.needs_more(&mut list, &page(0, 1_000)));
    followed.follow_no_more(id(2), false);
    assert!(
        !followed.needs_more(&mut list, &page(JOBS_PAGE, 1_000)),
        "nobody is left whom a page could tell of"
    );
}

#[test]
fn a_list_has_no_more_pages_than_its_bound() {
    let mut followed = followed(2);
    let mut list = begun(&mut followed, 9);
    let more = (0..PAGES_MAX)
        .filter(|n| followed.needs_more(&mut list, &page(n * JOBS_PAGE, 10_000)))
        .count();
    assert_eq!(more, PAGES_MAX as usize - 1);
}

#[test]
fn who_waited_and_is_not_told_of_asks_alone() {
    let mut followed = followed(3);
    followed.join(id(0));
    followed.join(id(1));
    let mut list = begun(&mut followed, 9);
    list.found(&id(0));
    assert!(!followed.needs_more(&mut list, &page(0, 5)));
    assert_eq!(followed.end_list(&list, s(9)), [id(1)], "the third did not wait");
    assert_eq!(followed.calls_between(), CALLS_A_PAGE);
    assert_eq!(
        followed.next_at(s(9), Duration::ZERO, &timing()),
        s(11),
        "lists keep the lane's distance"
    );
    assert_eq!(followed.next_at(s(9), s(40), &timing()), s(49));
}

#[test]
fn a_list_that_failed_goes_on_with_the_page_that_failed() {
    let mut followed = followed(2);
    followed.join(id(0));
    let mut list = begun(&mut followed, 9);
    assert!(followed.needs_more(&mut list, &page(0, 1_000)));
    let first = asked(&list);
    assert_eq!(followed.break_off(list, &error(Disposition::Unknown), s(10)), (vec![id(0)], false));
    assert_eq!((asked(&begun(&mut followed, 20)), first.1), (first, 2));
    assert_eq!(followed.calls_between(), 0, "what it would have told has waited long enough");

    let mut list = begun(&mut followed, 30);
    followed.needs_more(&mut list, &page(0, 1_000));
    assert_eq!(followed.break_off(list, &error(Disposition::Fatal), s(31)), (vec![id(0)], true));
    assert_eq!(asked(&begun(&mut followed, 40)).1, 1, "one that is refused for good begins anew");
}

#[test]
fn a_lane_whose_lists_fail_in_a_row_asks_for_each_job_alone() {
    let mut followed = followed(2);
    for _ in 0..FAILURES_MAX - 1 {
        let list = begun(&mut followed, 9);
        followed.break_off(list, &error(Disposition::Unknown), s(9));
    }
    let list = begun(&mut followed, 9);
    followed.break_off(list, &error(Disposition::Throttled), s(9));
    assert!(followed.takes(id(0), s(9)), "a refused permit says nothing of the list");
    followed.page_read(Vec::new());
    for n in 0..FAILURES_MAX {
        assert!(followed.takes(id(0), s(9)), "a page that was read starts the count anew: {n}");
        let list = begun(&mut followed, 9);
        followed.break_off(list, &error(Disposition::NotFound), s(9));
    }
    assert!(!followed.takes(id(0), s(9)));
}

#[test]
fn the_creation_of_a_job_is_told_once() {
    let mut followed = followed(1);
    let created = Timestamp::from_second(1).expect("an instant");
    assert_eq!(followed.listed(id(0), None, None, s(3)), None);
    assert_eq!(followed.listed(id(0), Some(created), None, s(3)), Some((created, (s(0), s(1)))));
    assert_eq!(followed.listed(id(0), Some(created), None, s(4)), None);
}

#[test]
fn what_ended_jobs_took_is_learnt_and_wakes_the_others_once() {
    let mut followed = followed(8);
    let mut woken = Vec::new();
    for n in 0..6 {
        followed.listed(id(n), None, Some(s(60)), s(100));
        let ended = followed.follow_no_more(id(n), true).expect("a job that was followed");
        assert_eq!(ended.took, s(60));
        woken.push(ended.others.len());
    }
    assert_eq!(woken, [0, 0, 0, 0, 3, 0], "with the fifth enough is known");
    assert_eq!(followed.middle_job(), Some(s(60)));
    assert!(followed.follow_no_more(id(6), false).is_none(), "it was not seen to be done");
    assert_eq!(
        followed.patience(id(9), s(7), s(9), &timing()),
        s(7),
        "one that follows no job sleeps as the table says"
    );
    assert_eq!(followed.patience(id(7), s(7), s(7), &timing()), s(54));
}
