//! A PUT reaches the cloud only when no earlier one of ours did its work or still may.

use sealift::domain::call::Call;

use super::Invariant;
use crate::oracle::Fact;

pub struct NoNeedlessRepeat;

impl Invariant for NoNeedlessRepeat {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Fact::BeforeArrival { call: Call::Submit { target, ssl_option }, cloud } = fact else { return Ok(()) };
        let earlier = cloud.jobs().find(|job| job.proxy_id == target.proxy_id && job.ssl_option == *ssl_option && job.status != "Failed");
        match earlier {
            Some(job) => Err(format!("a PUT for {} arrives and job {} of an earlier one is {}", target.proxy_id, job.job_id, job.status)),
            None => Ok(()),
        }
    }
}
