use jiff::{SignedDuration, Timestamp};

use super::*;

/// A job that was made so many seconds after the first; `None`: the list does not say when.
fn job(name: &str, second: impl Into<Option<i64>>) -> JobSeen {
    let created = second
        .into()
        .map(|second| Timestamp::from_second(1_796_000_000 + second).expect("a year of ours"));
    let instance_id = "e237f518aff0cbe88f9c330400000003in07".parse().expect("an instance id");
    JobSeen { job: id(name), instance_id, name: "SwitchProxySSL".into(), created }
}

fn id(name: &str) -> JobId {
    name.parse().expect("a job id")
}

/// Which of these are left when those that begin with `ours` are explained, by a cloud that tells
/// no time of its own.
fn left(seen: &[JobSeen]) -> Vec<String> {
    left_of(seen, &JobSearchBounds { cloud_now: None, ..doubt(0, 0) })
}

fn left_of(seen: &[JobSeen], doubt: &JobSearchBounds) -> Vec<String> {
    let explained = |job: &JobId| job.as_str().starts_with("ours");
    unexplained(seen.to_vec(), explained, doubt)
        .iter()
        .map(|seen| seen.job.as_str().to_owned())
        .collect()
}

#[test]
fn what_is_explained_is_not_sought() {
    assert_eq!(left(&[job("ours-1", 0), job("lost", 60)]), ["lost"]);
    assert_eq!(left(&[job("ours-1", 0)]), [""; 0]);
    assert_eq!(left(&[]), [""; 0]);
}

#[test]
fn what_was_made_before_a_job_that_is_explained_is_older_than_what_is_sought() {
    assert_eq!(left(&[job("forgotten", 0), job("ours-8", 30), job("lost", 60)]), ["lost"]);
    assert_eq!(left(&[job("forgotten", 0), job("theirs", 10), job("ours-8", 30)]), [""; 0]);
    // The newest that is explained counts, wherever it stands in the list.
    assert_eq!(left(&[job("ours-8", 30), job("theirs", 20), job("ours-1", 0)]), [""; 0]);
}

#[test]
fn dates_that_are_close_rule_nothing_out() {
    let within = i64::try_from(DATED_WITHIN.as_secs()).expect("short");
    assert_eq!(left(&[job("lost", 30 - within), job("ours-8", 30)]), ["lost"]);
    assert_eq!(left(&[job("lost", 30 - within - 1), job("ours-8", 30)]), [""; 0]);
}

#[test]
fn without_dates_ids_alone_decide() {
    assert_eq!(left(&[job("lost", None), job("ours-8", 30)]), ["lost"]);
    assert_eq!(left(&[job("lost", 0), job("ours-8", None)]), ["lost"]);
    assert_eq!(left(&[job("b", 0), job("a", None), job("b", 0)]), ["a", "b"]);
}

const HOUR: i64 = 3_600;

/// The second at which the PUT was sent, by a clock that is right.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_796_000_000 + second).expect("a year of ours")
}

/// The cloud's clock at that second: right, and known to two seconds.
fn cloud(second: i64) -> TimeSpan {
    TimeSpan { from: at(second - 1), to: at(second + 1) }
}

/// A PUT at second 0 and a question a minute later, with our clock so far ahead at each of them.
fn doubt(at_the_put: i64, at_the_question: i64) -> JobSearchBounds {
    JobSearchBounds {
        sent: at(at_the_put),
        cloud: Some(cloud(0)),
        now: at(60 + at_the_question),
        cloud_now: Some(cloud(60)),
    }
}

#[test]
fn the_job_is_sought_by_the_clouds_clock_whatever_ours_says() {
    for ahead in [0, 90, -90, 3 * HOUR, -3 * HOUR, 24 * HOUR] {
        let doubt = doubt(ahead, ahead);
        let asked = doubt.asked();
        assert_eq!(asked, TimeSpan { from: at(-1 - 1_200), to: at(61 + 1_200) }, "{ahead}");
        assert!(doubt.is_covered_by(asked), "{ahead}");
        assert_eq!(doubt.judged(), Some(TimeSpan { from: at(-61), to: at(121) }), "{ahead}");
    }
}

#[test]
fn a_clock_that_is_set_right_in_between_widens_the_question() {
    for (before, after) in [(-3 * HOUR, 0), (3 * HOUR, 0), (0, 24 * HOUR)] {
        let doubt = doubt(before, after);
        let asked = doubt.asked();
        assert!(asked.from <= at(-1_200) && asked.to >= at(1_200), "{before} {after}: {asked:?}");
        assert!(doubt.is_covered_by(asked), "{before} {after}");
        let judged = doubt.judged().expect("known");
        assert!(judged.contains(at(0)) && judged.contains(at(59)), "{before} {after}: {judged:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_to_before_the_put_does_not_date_it_later_than_now() {
    // Ours was set back by nine minutes, and the cloud's by four.
    let doubt = JobSearchBounds { cloud_now: Some(cloud(60 - 240)), ..doubt(0, -600) };
    let judged = doubt.judged().expect("known");
    assert!(judged.contains(at(0)) && judged.contains(at(10 - 240)), "{judged:?}");
}

#[test]
fn a_clock_of_the_cloud_that_is_set_in_between_widens_it_too() {
    // It was set back by an hour; whether before or after it dated the job, nobody knows.
    let doubt = JobSearchBounds { cloud_now: Some(cloud(60 - HOUR)), ..doubt(0, 0) };
    let judged = doubt.judged().expect("known");
    assert!(judged.contains(at(0)) && judged.contains(at(-HOUR)), "{judged:?}");
    assert!(doubt.is_covered_by(doubt.asked()));
}

#[test]
fn a_record_without_cloud_time_is_read_as_early_as_it_may_be() {
    let old = JobSearchBounds { cloud: None, ..doubt(3 * HOUR, 3 * HOUR) };
    assert_eq!(old.dated(), Some(TimeSpan { from: at(-1), to: at(3 * HOUR) }));
    assert!(old.is_covered_by(old.asked()));
}

#[test]
fn without_the_clouds_time_nothing_is_covered() {
    let silent = JobSearchBounds { cloud_now: None, ..doubt(0, 0) };
    assert_eq!((silent.dated(), silent.judged()), (None, None));
    assert!(!silent.is_covered_by(silent.asked()));
    // It is asked all the same: a job that is found is a job.
    assert!(silent.asked().contains(at(0)));
}

#[test]
fn a_list_of_another_span_covers_nothing() {
    let doubt = doubt(0, 0);
    for (from, to) in [(-30, 2_000), (-2_000, 30), (100, 2_000)] {
        assert!(!doubt.is_covered_by(TimeSpan { from: at(from), to: at(to) }), "{from} {to}");
    }
}

#[test]
fn a_daemon_that_was_down_for_days_does_not_read_days_of_jobs() {
    let days = 5 * 24 * HOUR;
    let doubt = JobSearchBounds { now: at(days), cloud_now: Some(cloud(days)), ..doubt(0, 0) };
    let asked = doubt.asked();
    assert!(asked.to - asked.from < SignedDuration::from_hours(3), "{asked:?}");
    assert!(doubt.is_covered_by(asked));
}

#[test]
fn what_was_dated_far_from_the_put_is_not_its_job() {
    let doubt = doubt(0, 0);
    let TimeSpan { from, to } = doubt.judged().expect("known");
    let left = |seen: JobSeen| left_of(&[seen], &doubt).len();
    let dated = |created: Timestamp| JobSeen { created: Some(created), ..job("lost", None) };
    assert_eq!(left(dated(from - SignedDuration::from_secs(1))), 0);
    assert_eq!((left(dated(from)), left(dated(to))), (1, 1));
    assert_eq!(left(dated(to + SignedDuration::from_secs(1))), 0);
    assert_eq!(left(job("undated", None)), 1);
}

/// The explained job is older, and was dated by the clock before.
#[test]
fn a_clock_of_the_cloud_that_was_set_back_before_the_put_hides_no_job() {
    let doubt = doubt(0, 0);
    assert_eq!(left_of(&[job("ours-8", 72), job("lost", 0)], &doubt), ["lost"]);
    let before = -2 - i64::try_from(DATED_WITHIN.as_secs()).expect("short");
    assert_eq!(
        left_of(&[job("ours-8", 72), job("forgotten", before)], &doubt),
        [""; 0],
        "it is older than the PUT itself"
    );
}
