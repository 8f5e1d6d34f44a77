//! Bugs planted on purpose, one at a time: each must be found within its stated number of seeds.
//!
//! All of them are planted at the core's boundaries, so that what is simulated without one is exactly what ships.

/// Which bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    Nothing,
    /// The core is told that a job id is saved before it is.
    JobIdUsedBeforeSaved,
    /// An outcome that is unknown is taken for "surely not executed".
    RetryWithoutAsking,
    /// An answered call's permit is free at once.
    PermitFreedTooEarly,
    /// The question comes before the lost request can have landed.
    AsksBeforeLanding,
    /// The last check at the wire instant is skipped.
    NoLastCheck,
    /// Boot time follows the wall clock.
    LimiterOnWallClock,
    /// Failures are not counted any more after a restart.
    FailuresForgottenAtRestart,
    /// A restart begins with the whole allowance.
    FullPermitsAfterRestart,
    /// A verb is acknowledged before it is saved.
    VerbAcknowledgedBeforeSaved,
}
