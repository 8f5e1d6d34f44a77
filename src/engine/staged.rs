//! A lane for the tests of the engine: quick, without a quota, and with room for four changes.

use std::time::Duration;

use crate::domain::change::Timing;
use crate::domain::id::Name;
use crate::domain::lane::{
    Access, CLOCK_TOLERANCE, Credentials, Lane, LaneTls, Language, SecretSource,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn lane(name: &str) -> Lane {
    Lane {
        name: Name::parse(name, "lane").expect("a name"),
        access: Access {
            endpoint: "https://cloud.invalid".into(),
            project_id: "056538411200d4cd2f79c003c7606412".parse().expect("a project id"),
            credentials: Credentials::Token(SecretSource::Env("UNUSED".into())),
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota: None,
        max_in_flight: 4,
        call_timeout: SECOND,
        clock_tolerance: CLOCK_TOLERANCE,
        timing: Timing {
            settle: SECOND,
            poll: SECOND,
            poll_max: SECOND,
            job_limit: 60 * SECOND,
            recover_limit: 60 * SECOND,
        },
    }
}
