//! What is counted in the cloud's own log.

use std::time::Duration;

use sealift::domain::quota::Quota;

use crate::quota::bed::Arrived;

/// The most calls in any half-open interval that ends with one of those in `of`.
pub fn worst(times: &[Duration], of: std::ops::Range<Duration>, per: Duration) -> usize {
    let (mut most, mut first) = (0, 0);
    for (last, at) in times.iter().enumerate() {
        while times[first] + per <= *at {
            first += 1;
        }
        if of.contains(at) {
            most = most.max(last + 1 - first);
        }
    }
    most
}

/// Never more than the quota's calls in any interval, all calls counted.
pub fn within(arrived: &[Arrived], quota: Quota) -> usize {
    let times: Vec<_> = arrived.iter().map(|call| call.at).collect();
    let most = worst(&times, Duration::ZERO..Duration::MAX, quota.per);
    assert!(
        most <= quota.requests as usize,
        "{most} calls in an interval of {:?}, allowed are {}",
        quota.per,
        quota.requests
    );
    most
}

/// Calls that were not refused in this time, as a share of what the quota allows in it.
pub fn used(arrived: &[Arrived], time: std::ops::Range<Duration>, quota: Quota) -> f64 {
    let taken = arrived.iter().filter(|call| !call.refused && time.contains(&call.at)).count();
    let allowed =
        f64::from(quota.requests) * (time.end - time.start).as_secs_f64() / quota.per.as_secs_f64();
    taken as f64 / allowed
}

/// Jain's index: 1 when all have the same, 1/n when one has all.
pub fn jain(shares: &[usize]) -> f64 {
    let sum: usize = shares.iter().sum();
    let squares: usize = shares.iter().map(|share| share * share).sum();
    (sum * sum) as f64 / (shares.len() * squares) as f64
}

#[test]
fn the_figures_are_those_of_a_direct_count() {
    let times = [0, 5, 9, 10, 11, 30].map(Duration::from_secs);
    assert_eq!(worst(&times, Duration::ZERO..Duration::MAX, Duration::from_secs(10)), 4);
    assert_eq!(worst(&times, Duration::from_secs(12)..Duration::MAX, Duration::from_secs(10)), 1);
    assert_eq!((jain(&[5, 5, 5]), jain(&[9, 0, 0])), (1.0, 1.0 / 3.0));
    let call =
        |seconds, refused| Arrived { at: Duration::from_secs(seconds), rollout: None, refused };
    let quota = Quota { requests: 4, per: Duration::from_secs(10) };
    assert_eq!(
        used(
            &[call(0, false), call(1, true), call(19, false), call(20, false)],
            Duration::ZERO..Duration::from_secs(20),
            quota
        ),
        0.25
    );
}
