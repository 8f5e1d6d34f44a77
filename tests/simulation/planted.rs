//! Bugs planted on purpose, one at a time: each must be found within its stated number of seeds.
//!
//! All of them are planted at the core's boundaries, so that what is simulated without one is
//! exactly what ships. Each stands for a mistake that a later change could make: in the shell, in a
//! store, in a client of the cloud, in wiring.
//!
//! Rows of the first study's table that have no place here, and why:
//! - *lease timed by a clock that stops in suspend*: there are no leases. What is asked of one is
//!   asked of a call's deadline ([`Planted::NoDeadlineAtWire`]), and hosts that stand still are a
//!   fault of every run.
//! - *answer counted twice frees a permit twice*: a ticket is redeemed once, so a second answer
//!   reaches no book; every call of every run is answered twice, once by its timeout
//!   ("unknown_ticket" counts them). The nearest mistake that can still be made outside is
//!   [`Planted::PermitFreedTooEarly`].
//! - *refused send gives back a permit it never used*: a permit is taken before every send and
//!   handed back by one answer; the count panics when one is handed back that is not out.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    Nothing,

    // The first study's.
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
    /// The call is given up by a clock that runs from the decision, not from the wire instant.
    DoubtTimedFromDecision,
    /// A verb is acknowledged before it is saved.
    VerbAcknowledgedBeforeSaved,

    // In the store.
    /// The store does not know that two proxies are of one instance.
    InstanceNotLocked,
    /// Nothing that a crashed daemon left is ever due.
    NothingTakenOver,
    /// The unsynced tail that a crash may lose includes what was waited for.
    SyncedIsNotSynced,
    /// A crash loses commits from the middle of what was not synced, and keeps later ones.
    LogWithHoles,
    /// A store that is away for a while says that it has failed.
    AwayTakenForFailed,
    /// The store tells that nothing is in flight.
    InFlightToldTooLow,
    /// The store counts every failure twice.
    FailuresCountedTwice,
    /// The store tells of no failure in a wave that is done and of which half or more failed.
    HalfFailedNotTold,
    /// The store offers changes of later waves.
    LaterWavesOffered,
    /// The store does not know the plan's group limits.
    GroupLimitIgnored,
    /// The store offers nothing that stands behind a change whose group is full.
    FullGroupHoldsTheRest,
    /// A pause is not read back after a restart.
    PauseForgottenAtRestart,
    /// What the list of targets says that they showed is forgotten.
    SeenForgotten,
    /// Spent attempts are not read back after a restart.
    AttemptsForgottenAtRestart,
    /// Which windows opened and which were missed is not read back after a restart: it goes on as
    /// if none had been.
    WindowsForgottenAtRestart,
    /// Which lanes are paused is not read back after a restart.
    LanePauseForgottenAtRestart,
    /// That a person stopped everything is not read back after a restart.
    StopForgottenAtRestart,
    /// The end of a pause is not read back after a restart.
    PauseEndForgottenAtRestart,
    /// A pause is told to end a minute earlier.
    PauseEndsEarly,
    /// The store tells that nobody has to approve.
    ApprovalsNotAsked,
    /// The store tells of every success, also of what was right already, as of a switch from the
    /// other value.
    AllSuccessIsSwitched,
    /// The store tells that only the first wave is to be put back.
    NewerWavesNotPutBack,
    /// The store offers what is to be put back of the first wave, whichever wave is asked for.
    FirstWavePutBackFirst,
    /// The store tells of no failure while a rollout is put back.
    RevertFailuresNotTold,
    /// The plan is read anew from its edited file: no soak, no promotion by a person.
    PlanReadAnew,
    /// No job counts as explained.
    KnownJobsForgotten,
    /// That a job is presumed is not read back.
    PresumedForgotten,

    // In the API.
    /// An approval is taken whatever was looked at.
    AnyDigestApproves,

    // In the shell.
    /// The window alone is not checked at the wire instant.
    NoWindowAtWire,
    /// The deadline alone is not checked at the wire instant.
    NoDeadlineAtWire,
    /// The daemon looks for the kill-switch file in another folder.
    StopFileNotTold,
    /// The last check goes by what it was told of the kill-switch file.
    StopFileNotLookedAt,
    /// That the store is away is not passed on.
    AwayNotTold,
    /// Timers fire a minute late.
    WakesLate,
    /// The lane's own limit of changes in flight is not passed on.
    LaneLimitIgnored,

    // At the cloud and its client.
    /// The job list is cut to nothing and called complete.
    JobListLost,
    /// The first page of the job list is taken for the whole list.
    TotalOfThePage,
    /// The list for a lost job leaves out what still runs: harmless where the proxy shows that
    /// something does.
    RunningJobsLeftOut,
    /// New jobs stay invisible for longer than `settle`.
    VisibilityBeyondSettle,
    /// A job that still runs is told as completed.
    CompletedToldTooEarly,
    /// The look is answered from what was asked for, not from what is.
    LookAnsweredFromWish,
    /// The look before a PUT that puts back is answered from what the rollout set.
    RevertLookFromMemory,
    /// An accepted call is answered with the job id of another call's answer.
    AnswersMixedUp,
    /// The server's quota is lower than the one configured.
    QuotaConfiguredTooHigh,
    /// The time of every answer is read from our own clock.
    CloudTimeFromOurClock,
    /// A lane bears any distance between the clocks.
    ClockToleranceIgnored,
    /// A person's look leaves and is told as not sent: its permit is free at once.
    LooksBesideTheQuota,
    /// A list tells every job as completed.
    ListTellsTooEarly,

    // On the wire.
    /// The probe answers with what is wanted.
    ProbeAnsweredFromWish,
    /// The store forgets that the plan asks for a proof.
    WireNotAsked,
}

/// Each planted bug with the number of seeds within which it must be found.
pub const SCOREBOARD: &[(Planted, u64)] = &[
    (Planted::JobIdUsedBeforeSaved, 50),
    (Planted::RetryWithoutAsking, 50),
    (Planted::PermitFreedTooEarly, 100),
    (Planted::AsksBeforeLanding, 300),
    (Planted::NoLastCheck, 300),
    (Planted::LimiterOnWallClock, 300),
    (Planted::FailuresForgottenAtRestart, 300),
    (Planted::FullPermitsAfterRestart, 1_000),
    (Planted::DoubtTimedFromDecision, 100),
    (Planted::VerbAcknowledgedBeforeSaved, 50),
    (Planted::InstanceNotLocked, 50),
    (Planted::NothingTakenOver, 50),
    (Planted::SyncedIsNotSynced, 50),
    (Planted::LogWithHoles, 1_000),
    (Planted::AwayTakenForFailed, 100),
    (Planted::InFlightToldTooLow, 50),
    (Planted::FailuresCountedTwice, 300),
    (Planted::HalfFailedNotTold, 300),
    (Planted::LaterWavesOffered, 100),
    (Planted::GroupLimitIgnored, 200),
    (Planted::FullGroupHoldsTheRest, 1_000),
    (Planted::PauseForgottenAtRestart, 200),
    (Planted::SeenForgotten, 100),
    (Planted::AttemptsForgottenAtRestart, 50),
    (Planted::WindowsForgottenAtRestart, 200),
    (Planted::LanePauseForgottenAtRestart, 300),
    (Planted::StopForgottenAtRestart, 300),
    (Planted::PauseEndForgottenAtRestart, 1_000),
    (Planted::PauseEndsEarly, 300),
    (Planted::ApprovalsNotAsked, 100),
    (Planted::AllSuccessIsSwitched, 300),
    (Planted::NewerWavesNotPutBack, 300),
    (Planted::FirstWavePutBackFirst, 300),
    (Planted::RevertFailuresNotTold, 1_000),
    (Planted::AnyDigestApproves, 100),
    (Planted::RevertLookFromMemory, 1_000),
    (Planted::PlanReadAnew, 50),
    (Planted::KnownJobsForgotten, 100),
    (Planted::PresumedForgotten, 1_000),
    (Planted::NoWindowAtWire, 2_000),
    (Planted::NoDeadlineAtWire, 300),
    (Planted::StopFileNotTold, 200),
    (Planted::StopFileNotLookedAt, 1_000),
    (Planted::AwayNotTold, 100),
    (Planted::WakesLate, 100),
    (Planted::LaneLimitIgnored, 200),
    (Planted::JobListLost, 50),
    (Planted::TotalOfThePage, 300),
    (Planted::RunningJobsLeftOut, 300),
    (Planted::VisibilityBeyondSettle, 50),
    (Planted::CompletedToldTooEarly, 50),
    (Planted::LookAnsweredFromWish, 50),
    (Planted::AnswersMixedUp, 50),
    (Planted::QuotaConfiguredTooHigh, 100),
    (Planted::LooksBesideTheQuota, 1_000),
    (Planted::CloudTimeFromOurClock, 300),
    (Planted::ClockToleranceIgnored, 300),
    (Planted::ListTellsTooEarly, 200),
    (Planted::ProbeAnsweredFromWish, 100),
    (Planted::WireNotAsked, 50),
];
