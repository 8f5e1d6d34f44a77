use jiff::Timestamp;

use super::*;

/// A job that was made so many seconds after the first; `None`: the list does not say when.
fn job(name: &str, second: impl Into<Option<i64>>) -> JobSeen {
    let created = second.into().map(|second| Timestamp::from_second(1_796_000_000 + second).expect("a year of ours"));
    let instance_id = "e237f518aff0cbe88f9c330400000003in07".parse().expect("an instance id");
    JobSeen { job: id(name), instance_id, name: "SwitchProxySSL".into(), created }
}

fn id(name: &str) -> JobId {
    name.parse().expect("a job id")
}

/// Which of these are left when those that begin with `ours` are explained.
fn left(seen: &[JobSeen]) -> Vec<String> {
    unexplained(seen.to_vec(), |job| job.as_str().starts_with("ours")).iter().map(|job| job.as_str().to_owned()).collect()
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
