//! A lane for calls of the shipped client: without a quota, and patient.

use std::time::Duration;

use sealift::domain::change::Timing;
use sealift::domain::id::Name;
use sealift::domain::lane::{Access, Lane};

pub fn lane(name: &str, access: Access) -> Lane {
    Lane {
        name: Name::parse(name, "lane").expect("a name"),
        access,
        quota: None,
        max_in_flight: 10,
        call_timeout: Duration::from_secs(30),
        clock_tolerance: sealift::domain::lane::CLOCK_TOLERANCE,
        timing: Timing {
            settle: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            poll_max: Duration::from_secs(1),
            job_limit: Duration::from_secs(60),
            recover_limit: Duration::from_secs(60),
        },
    }
}
