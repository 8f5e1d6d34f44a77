//! What no client can be faster than, at a quota: for the tests and for the benchmark.

use std::collections::VecDeque;
use std::time::Duration;

use sealift::cloud::wire_format::JOBS_PAGE;
use sealift::domain::quota::Quota;

/// Seconds from the first call to the last of a rollout in waves of these sizes, were each call
/// answered at once, and calls spaced evenly. Of each wave first all looks and switches are made,
/// then, as soon as its job has ended, the look after each; one page of the job list, which
/// [`JOBS_PAGE`] jobs share, must tell of its end. The next wave begins with the last look.
pub fn bound(quota: Quota, job: Duration, waves: &[u32]) -> f64 {
    let step = quota.per.as_secs_f64() / f64::from(quota.requests);
    let (mut slot, mut last) = (0.0, 0.0);
    let mut call = |earliest: f64| {
        last = f64::max(slot, earliest);
        slot = last + step;
        last
    };
    let mut begun = 0.0;
    for wave in waves {
        let mut ends: VecDeque<f64> = VecDeque::new();
        for _ in 0..*wave {
            call(begun);
            ends.push_back(call(begun) + job.as_secs_f64());
        }
        let mut told = 0;
        for end in ends {
            if told == 0 {
                call(end);
                told = JOBS_PAGE;
            }
            told -= 1;
            begun = call(end);
        }
    }
    last
}
