//! What a rehearsal assumes where nobody told it better; every assumption is said aloud with the
//! result.

use std::time::Duration;

use crate::domain::change::Timing;
use crate::domain::id::Name;
use crate::domain::lane::{
    Access, CLOCK_TOLERANCE, Credentials, Lane, LaneTls, Language, SecretSource,
};
use crate::simcloud::faults::Between;

/// How long a job takes. The vendor publishes no number; a switch restarts the proxy's nodes one
/// after the other.
pub const JOB_TIME: Between =
    Between { min: Duration::from_secs(30), max: Duration::from_secs(120) };

/// From a call's arrival to its answer: what a region's gateway takes.
pub const LATENCY: Between =
    Between { min: Duration::from_millis(40), max: Duration::from_millis(200) };

/// From the wire to the arrival, and from the answer to the engine.
pub const WAY: Between = Between { min: Duration::from_millis(1), max: Duration::from_millis(10) };

/// From a decision to its commit's acknowledgement: a group commit on a common disk.
pub const COMMIT_TIME: Duration = Duration::from_millis(2);

/// From the daemon's death to its next start, as a supervisor does it.
pub const RESTART_TIME: Duration = Duration::from_secs(2);

/// A lane of which nothing is known but its name, with the configuration's defaults and without a
/// quota.
pub fn lane(name: Name) -> Lane {
    Lane {
        name,
        access: Access {
            endpoint: "https://rehearsal.invalid".into(),
            project_id: "00000000000000000000000000000000"
                .parse()
                .expect("32 digits are a project id"),
            credentials: Credentials::Token(SecretSource::Env(
                "SEALIFT_REHEARSAL_NEEDS_NONE".into(),
            )),
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota: None,
        max_in_flight: 50,
        call_timeout: Duration::from_secs(30),
        clock_tolerance: CLOCK_TOLERANCE,
        timing: Timing {
            settle: Duration::from_secs(15),
            poll: Duration::from_secs(2),
            poll_max: Duration::from_secs(30),
            job_limit: Duration::from_secs(3600),
            recover_limit: Duration::from_secs(1800),
        },
    }
}
