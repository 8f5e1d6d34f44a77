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
    /// The store applies a commit whatever moved since it was decided.
    CommitWithoutCompare,
    /// Another daemon takes changes over before their time has come.
    TakesOverTooEarly,
    /// The unsynced tail that a crash may lose includes what was waited for.
    SyncedIsNotSynced,
}

/// Each planted bug with the number of seeds within which it must be found.
pub const SCOREBOARD: &[(Planted, u64)] = &[
    (Planted::JobIdUsedBeforeSaved, 200),
    (Planted::RetryWithoutAsking, 50),
    (Planted::PermitFreedTooEarly, 200),
    (Planted::AsksBeforeLanding, 500),
    (Planted::NoLastCheck, 500),
    (Planted::LimiterOnWallClock, 2_000),
    (Planted::FailuresForgottenAtRestart, 500),
    (Planted::FullPermitsAfterRestart, 500),
    (Planted::VerbAcknowledgedBeforeSaved, 500),
    (Planted::CommitWithoutCompare, 500),
    (Planted::TakesOverTooEarly, 500),
    (Planted::SyncedIsNotSynced, 200),
];
