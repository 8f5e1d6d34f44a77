//! The store: the only shared state. Plans, rollouts, changes and the journal, durable before they
//! are acknowledged.
//!
//! Invariants: a commit is applied whole or not at all; it is refused when anything its decision
//! read has moved since (the commit is the claim: whoever wins makes the call); at most one change
//! per instance is active, across all rollouts; a proxy belongs to at most one open rollout; every
//! applied commit is in the journal, in order.
//!
//! A change that nobody touched has no row: it is [`change::Record::queued`] (or cancelled, when
//! its rollout was aborted or is put back), so a rollout of a million costs one file and one row to
//! submit.
//!
//! Where to look:
//!
//! - *the state in memory*, a fold of the journal: `state`; a rollout's `progress`, its
//!   `candidates` and `groups`; `instances` with their holders and explained jobs, `enforcements`;
//!   `check` says whether a commit is allowed, `edit` whether a plan is the one that was submitted;
//! - *the log*, the truth: `journal` of `segment`s of `record`s, a `writer` that commits in groups,
//!   a `reader` beside it; `submission`, the frozen `targets`;
//! - *the index*, sled's queue: `queue`, its `queue_writer`; a `pending` record becomes a batch
//!   (`draft`) of `row`s and `value`s; `backlog` is what the index does not have yet, `applied`
//!   what it has, `page` what it shows; `over`, `packer` and `packing` keep what is over out of it;
//!   `bins` counts what happened in five minutes;
//! - *the directory*: `home` owns it, `files` writes it, `open` fits it together or returns an
//!   `error`, `held` and `beside` notice that it is gone, `growth` says how fast it fills,
//!   `maintenance` checks, copies, repairs and compacts it;
//! - *put together*: `sled` on disk, with what its threads share (`shared`, `workers`); `memory`
//!   without one; `postgres` in a database, over `replica`, its copy of a journal that is shared;
//!   `contract` is what all must do, `running` what whoever runs a store needs beside it.
//!
//! Deliberately not here: any decision about what happens next.

mod applied;
mod backlog;
mod beside;
pub mod bins;
mod candidates;
mod check;
#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
mod crash_tests;
mod draft;
mod edit;
mod enforcements;
pub mod error;
mod failpoint;
mod files;
#[cfg(test)]
pub(crate) mod fixtures;
mod groups;
mod growth;
mod held;
mod home;
mod instances;
mod journal;
pub mod maintenance;
pub mod memory;
pub mod open;
mod over;
mod packer;
mod packing;
mod page;
mod passing;
mod pending;
pub mod postgres;
mod progress;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod queue;
mod queue_writer;
mod reader;
mod record;
mod replica;
mod row;
pub mod running;
mod segment;
mod shared;
pub mod sled;
mod state;
mod submission;
mod targets;
mod value;
mod workers;
mod writer;

use self::bins::Activity;
pub(crate) use self::files::{sync_dir, write_whole};
pub use self::page::ChangeFilter;
pub use self::passing::{PassedMove, PassedMoves, TakesWhole};
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::{BoxFuture, pending};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::change::{self, Change};
use crate::domain::enforce;
use crate::domain::group::FullGroup;
use crate::domain::histogram::{Bounds, Histogram, microseconds};
use crate::domain::id::{ChangeId, Digest, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::{Entry, Trace};
use crate::domain::person::Person;
use crate::domain::plan::Plan;
use crate::domain::rollout;
use crate::domain::tally::Tally;
use crate::domain::target::{self, Target, TargetList};

/// The layout of everything below the directory that this program writes, and the highest that it
/// reads.
///
/// Whatever an older program could not read raises it: another layout of the directory, another
/// kind of journal line, another value in one. An older program then refuses the store as a whole,
/// instead of taking a line that it does not know for damage.
pub(crate) const SCHEMA: u32 = 1;

/// The first version of this program that reads [`SCHEMA`]: a store names it to older ones.
pub(crate) const SCHEMA_SINCE: &str = "0.1.0";
/// From a disk that answers from memory to one that stands still.
pub(crate) static SYNC_BOUNDS: Bounds = microseconds([
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
]);

/// A future that any executor may run; the memory store's are ready at once.
pub type Pending<'a, T> = BoxFuture<'a, T>;

/// What a store does. Every implementation passes `store::contract`.
///
/// A store that is *away* ([`Self::away`]) comes back by itself: what it was asked waits, and is
/// done and answered then. [`Unavailable`] is for good: the process must end.
pub trait Store: Send + Sync {
    /// Takes over a rollout: idempotent by its id. Refused while another open rollout holds one of
    /// the proxies.
    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>>;

    /// Applies one decision, whole or not at all.
    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>>;

    /// Active changes whose time has come, soonest first, behind the place `after` in that order:
    /// those that a crashed process left, or that wait.
    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>>;

    /// The rollouts that are not final, and final ones with active changes left, oldest first.
    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>>;

    /// Every rollout, newest first, from `after` on (exclusive), at most `limit`.
    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>>;

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>>;

    /// One change, with the instant at which it is due.
    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>>;

    /// Queued changes of waves up to `wave`, in the list's order, whose instance is free, each
    /// instance once, and never more of a group than the plan's `max_in_flight_per` leaves; and
    /// those passed over on the way. At most `limit` of each. Of a rollout that is put back: only
    /// those to be put back, and only of this wave.
    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>>;

    /// Stored changes in one of these states (words of [`change::State::as_str`]; `queued` are
    /// those queued again or passed over, but not those never touched), whose place lies in
    /// `places`, in the list's order.
    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>>;

    /// The change that is active on this instance, whatever its rollout and its lane.
    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>>;

    /// The first of the rollout's group limits that keeps a change to this target from being
    /// released now.
    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>>;

    /// The latest job ids saved for changes of this instance, whatever their rollout and their
    /// lane: jobs that are explained.
    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>>;

    /// One page of a rollout's changes in the list's order, `after` exclusive. One that asks for
    /// little may have fewer than `limit`, or none, and a next page all the same: it is bounded how
    /// many changes are passed over.
    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>>;

    /// The same of changes in these states; `words` empty: every state.
    fn page(
        &self,
        id: RolloutId,
        words: Vec<String>,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        self.filtered(id, ChangeFilter { words, ..ChangeFilter::default() }, after, limit)
    }

    /// The journal's entries of one change, newest first, from the entry `from` back; `None`: from
    /// its latest. Each names the one before it, so that reading them costs what they are.
    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>>;

    /// Journal entries after `seq`, oldest first, of one rollout or of all.
    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>>;

    /// What happened to a rollout from `from` to `to`, in bins of five minutes.
    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>>;

    /// Moves of changes after the entry `after`, in the journal's order, over at most so many
    /// entries of any kind; with the whole entry of each change that `whole` takes. What it passes
    /// over is not checked against the chain: for evidence there is [`Self::journal`].
    fn passed_moves(
        &self,
        after: u64,
        entries: usize,
        whole: TakesWhole,
    ) -> Pending<'_, Result<PassedMoves, Unavailable>> {
        Box::pin(async move {
            let passed = self.journal(None, after, entries).await?;
            Ok(PassedMoves::of(passed, after, entries, &whole))
        })
    }

    /// What [`Milestones`] holds of the journal after `seq`, oldest first, at most `limit` of them,
    /// as far as it survives a power cut by now: nothing is waited for.
    fn milestones(&self, seq: u64, limit: usize) -> Pending<'_, Result<Milestones, Unavailable>> {
        Box::pin(async move {
            let entries = self.journal(None, seq, limit).await?;
            let upto = entries.last().map_or(seq, |last| last.seq);
            Ok(Milestones {
                entries: entries.into_iter().filter(Entry::is_milestone).collect(),
                upto,
            })
        })
    }

    /// A rollout's frozen targets in their order; `None`: no such rollout.
    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>>;

    /// Every enforcement, ended ones too, in the order of the plans' names.
    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>>;

    /// The enforcement of the plan with this name.
    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>>;

    /// Applies one decision about an enforcement; done when it survives a power cut.
    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>>;

    /// Resolves when everything committed so far survives a power cut. [`Self::rollout`] and
    /// [`Self::change`] show what is accepted and ordered, which is what a decision needs; whoever
    /// shows it to people takes their answer first and then waits here, so that nothing shown can
    /// be lost. Every other read waits by itself.
    fn durable(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How fast the store grows, of late; `None` while it is too young for an estimate, and where
    /// nothing is kept.
    fn growth(&self, _now: Timestamp) -> Pending<'_, Result<Option<Growth>, Unavailable>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Becomes `Some` while the store is away. One on this machine never is: it works, or it fails
    /// for good.
    fn away(&self) -> watch::Receiver<Option<Away>> {
        watch::channel(None).1
    }

    /// Facts about the store for `status` and preflight.
    fn health(&self) -> Health;
}

/// A rollout to take over.
#[derive(Debug, Clone)]
pub struct Submission {
    pub plan: Plan,
    /// The targets in their order; never empty, no proxy twice, as long as the plan's waves.
    pub targets: TargetList,
    pub by: Person,
    /// When, by our wall clock.
    pub at: Timestamp,
    /// What whoever submits it was told beside it, for the journal; may be empty.
    pub note: String,
}

impl Submission {
    /// Digest over the ordered targets (lane, instance, proxy): part of the rollout's identity.
    pub fn targets_digest(&self) -> Digest {
        target::digest(&self.targets)
    }

    pub fn id(&self) -> RolloutId {
        RolloutId::derive(
            &self.plan.name,
            self.plan.revision,
            self.plan.ssl_option,
            &self.targets_digest(),
        )
    }
}

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    pub id: RolloutId,
    /// False when the very same rollout was there already.
    pub new: bool,
    /// It was there already, and the plan's file differs from the one that was submitted in
    /// comments or layout.
    pub comments: bool,
}

/// One rollout as stored.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub id: RolloutId,
    pub plan: Arc<Plan>,
    pub targets: u32,
    pub record: rollout::Record,
    pub tallies: Arc<[Tally]>,
    pub by: Person,
    pub submitted_at: Timestamp,
    /// When its latest transition was committed.
    pub moved_at: Timestamp,
}

impl Rollout {
    /// Counts over all waves.
    pub fn total(&self) -> Tally {
        self.tallies.iter().copied().sum()
    }
}

/// A change with what the store knows beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    pub change: Change,
    /// From then on it is due: a scan takes it into hand if nobody has it.
    pub due: Option<Timestamp>,
    /// When its latest transition was committed; `None` for one that never moved.
    pub moved_at: Option<Timestamp>,
    /// The journal's entry of that transition; `None` for one that never moved, or that an earlier
    /// version moved.
    pub entry: Option<u64>,
}

/// A place in the order in which changes fall due.
pub type DuePlace = (Timestamp, ChangeId);

impl Active {
    /// Its place in the order in which changes fall due; `None`: it is not active.
    pub fn due_place(&self) -> Option<DuePlace> {
        Some((self.due?, self.change.id))
    }
}

/// What a release may pick from.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// Changes that may be released together, in order.
    pub free: Vec<Change>,
    /// Never-released changes that the cursor would pass although they may not be released yet: a
    /// release that moves the cursor past them must write them, still queued.
    pub passed: Vec<Passed>,
    /// Where the cursor is after all of the above.
    pub cursor: u32,
    /// The list was looked at only in part, and all that was seen of it waits for a place of its
    /// group: ask again.
    pub more: bool,
}

/// A change that is passed over.
#[derive(Debug, Clone)]
pub struct Passed {
    pub change: Change,
    /// What stands in its way.
    pub obstacle: Obstacle,
}

/// What keeps a queued change from being released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Another change is active on its instance.
    Instance,
    /// All places of one of its groups are taken.
    Group,
}

/// One page of changes.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The changes, in the list's order.
    pub changes: Vec<Active>,
    /// Where the next page begins (exclusive); `None` at the end.
    pub next: Option<u32>,
}

/// Journal entries of one change, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeStory {
    pub entries: Vec<Entry>,
    /// The entry with which the next page begins; `None` at the change's first.
    pub earlier: Option<u64>,
    /// Down to which entry was looked, where an earlier version wrote entries that do not name the
    /// one before them, and the change may have older ones.
    pub looked_to: Option<u64>,
}

/// A stretch of the journal without the steps of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Milestones {
    /// Entries that tell more than a change's step ([`Entry::is_milestone`]).
    pub entries: Vec<Entry>,
    /// Everything up to this one was looked at.
    pub upto: u64,
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it survives a power cut. Whatever is acknowledged to anyone, and every intent and job
    /// id.
    Synced,
    /// When it is accepted and ordered before all later ones; it is synced with the next batch.
    /// Only for steps after which nothing but reads is done, so that losing them repeats a read.
    Ordered,
}

/// One decision to apply: a rollout's, or one of its changes'.
#[derive(Debug, Clone)]
pub struct Commit {
    /// When it was decided.
    pub at: Timestamp,
    pub rollout: RolloutId,
    /// [`rollout::Record::version`] that the decision read.
    pub version: u64,
    /// [`rollout::Record::releases`] that the decision read; `None` for decisions that do not
    /// depend on it: a move then keeps the cursor and the count of releases that the store has.
    pub releases: Option<u64>,
    /// The rollout's move, if it moves.
    pub moves: Option<RolloutMove>,
    /// Moves of its changes.
    pub changes: Vec<ChangeMove>,
    /// When it counts as done.
    pub durability: Durability,
}

/// The enforcement of a plan as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    pub name: Name,
    pub record: enforce::Record,
    /// When it last moved.
    pub moved_at: Timestamp,
}

/// One decision about an enforcement.
#[derive(Debug, Clone)]
pub struct EnforcementCommit {
    /// When it was decided.
    pub at: Timestamp,
    pub name: Name,
    /// [`enforce::Record::version`] that the decision read; 0: there was none.
    pub version: u64,
    pub record: enforce::Record,
    pub why: String,
    /// The operator, if one did it.
    pub by: Option<Person>,
}

#[derive(Debug, Clone)]
pub struct RolloutMove {
    pub record: rollout::Record,
    pub why: String,
    /// The operator, if one did it.
    pub by: Option<Person>,
}

#[derive(Debug, Clone)]
pub struct ChangeMove {
    /// Its place in the list.
    pub ordinal: u32,
    /// [`change::Record::version`] that the decision read.
    pub version: u64,
    pub record: change::Record,
    /// From when on it is due; `None` for queued and settled changes.
    pub due: Option<Timestamp>,
    pub why: String,
    /// Word of the call that follows.
    pub call: Option<&'static str>,
    /// The answer that led here.
    pub answer: Option<Trace>,
    /// The operator, if one did it.
    pub by: Option<Person>,
}

/// Facts about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `memory`, `sled` or `postgres`.
    pub kind: &'static str,
    /// Sequence of the last journal entry.
    pub seq: u64,
    /// Hash of the last journal line.
    pub head: Digest,
    /// Why the store has failed for good, if it has.
    pub failed: Option<String>,
    /// Why nothing new is accepted, if so: it has failed, or free space is below the floor.
    pub refusing: Option<String>,
    /// Bytes that are free on its disk; `None`: it has none, or the system does not tell.
    pub free_bytes: Option<u64>,
    /// How long writing and syncing a batch of the journal took, since the start.
    pub syncs: Histogram,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Bytes of the queue on disk.
    pub queue_bytes: u64,
    /// What was set aside and rebuilt at start, if anything.
    pub rebuilt: Option<String>,
}

/// How fast the store grows, and for how long the disk lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Since when it was counted.
    pub since: Timestamp,
    pub bytes_per_day: u64,
    /// Bytes that are free on its disk.
    pub free_bytes: u64,
    /// Days until nothing new is accepted, at this pace.
    pub days_left: u64,
}

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// A proxy belongs to another open rollout.
    #[error(
        "proxy {proxy} belongs to the open rollout {name} ({rollout}){more}; wait for its end or abort it"
    )]
    Overlap {
        proxy: String,
        /// The other plan's name.
        name: Name,
        rollout: RolloutId,
        /// Empty, or how many more there are.
        more: String,
    },
    /// The same name and revision with other content.
    #[error("plan {name} revision {revision} was submitted before with other content: {keys} differ; {}", way_out(name, rollout, *over, *next))]
    Changed {
        name: Name,
        revision: u32,
        /// The rollout that it became.
        rollout: RolloutId,
        /// Whether that one is over.
        over: bool,
        keys: String,
        /// The next free revision.
        next: u32,
    },
    /// The store is away: whether it takes this rollout is not known yet.
    #[error("{0}; submit it again when it is back, which does nothing if it was taken already")]
    Away(Away),
    /// The store takes nothing new.
    #[error("the store accepts nothing new: {0}")]
    Refusing(String),
    /// The store is out of order.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

fn way_out(name: &Name, rollout: &RolloutId, over: bool, next: u32) -> String {
    let short = rollout.short();
    let again = format!(
        "with `revision: {next}` the edited plan is another rollout, in which what is done is found right"
    );
    if over {
        return format!("rollout {short} is over; {again}");
    }
    let stop = format!("`sealift pause {name}` holds it and `sealift abort {name}` ends it");
    format!(
        "rollout {short} goes on as it was submitted; {stop}, then {again}; undo the edit to keep it"
    )
}

/// Why a commit was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something that the decision read has moved: read again and decide again.
    #[error("the change or its rollout has moved")]
    Conflict,
    /// The instance has another active change.
    #[error("the instance of target {ordinal} has another active change")]
    InstanceTaken { ordinal: u32 },
    /// The store is out of order.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store cannot be reached for now; nothing is lost, and it goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store is away since {since:.0}: {why}")]
pub struct Away {
    pub since: Timestamp,
    /// What reaching for it said.
    pub why: String,
}

impl Away {
    /// Waits until the store is away; for ever where it never is.
    pub async fn comes(away: &mut watch::Receiver<Option<Self>>) -> Self {
        match away.wait_for(Option::is_some).await.ok().and_then(|away| away.clone()) {
            Some(away) => away,
            None => pending().await,
        }
    }
}

/// The store is out of order; for the sled store this is final for the process (a failed sync may
/// not be repeated).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store: {0}")]
pub struct Unavailable(pub String);
