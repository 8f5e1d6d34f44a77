//! A PUT reaches the cloud only when no earlier one of ours did its work or still may.
//!
//! Where somebody else has switched the proxy back since, doing it again is not needless.

use sealift::domain::call::Call;
use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Around, Fact};

pub struct NoNeedlessRepeat;

impl WorldInvariant for NoNeedlessRepeat {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Observed(
            Observation::Arrives { id: Some(_), call: Call::Submit { target, ssl_option }, .. },
            Around { cloud, .. },
        ) = fact
        else {
            return Ok(());
        };
        let proxy = cloud.proxy(&target.proxy_id).ok_or("a PUT for a proxy that is not there")?;
        // What stands there is our doing, unless somebody else came after us.
        let stands = proxy.ssl_option == *ssl_option && proxy.switched;
        let ours = |job: &sealift::simcloud::model::JobState| {
            job.proxy_id == target.proxy_id && job.ssl_option == *ssl_option
        };
        let earlier = cloud.jobs().filter(ours).find(|job| match job.status {
            "Failed" => false,
            "Completed" => stands,
            _ => true,
        });
        match earlier {
            Some(job) => Err(format!(
                "a PUT for {} arrives and job {} of an earlier one is {}",
                target.proxy_id, job.job_id, job.status
            )),
            None => Ok(()),
        }
    }
}
