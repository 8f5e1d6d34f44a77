//! A small world for the store's tests: plans, targets, a driver that keeps a store busy, and a
//! full picture of a store.
//!
//! Everything is drawn from a seed, so that a failure replays.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::change::{self, How, Reason, ReasonWord, State};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::enforce::{self, Flips};
use crate::domain::id::{ChangeId, Digest, InstanceId, JobId, Name, ProxyId, RolloutId};
use crate::domain::journal::JournalEvent;
use crate::domain::person::Attribution;
use crate::domain::plan::{Approval, Plan, Promote, RevertPolicy, Strategy, Wave};
use crate::domain::retry::Policy;
use crate::domain::rollout::{self, Phase};
use crate::domain::tally::Tally;
use crate::domain::target::{Target, TargetList};
use crate::domain::window::Calendar;

use super::{
    Active, ChangeMove, Commit, CommitError, Durability, EnforcementCommit, Rollout, RolloutMove,
    Store, Submission,
};

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a valid name")
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("within range")
}

pub(crate) fn job(n: u64) -> JobId {
    format!("00000000-0000-0000-0000-{n:012}").parse().expect("a valid job id")
}

/// The proxy `n` of instance `instance`, both numbered across the whole fleet.
pub(crate) fn target(instance: u32, n: u32) -> Target {
    Target {
        lane: name("main"),
        instance_id: format!("{instance:032}in07").parse::<InstanceId>().expect("a valid id"),
        proxy_id: format!("{n:032}po01").parse::<ProxyId>().expect("a valid id"),
        tags: None,
        seen: None,
        instance_name: None,
    }
}

/// `count` targets from proxy `first` on, two proxies an instance.
pub(crate) fn targets(first: u32, count: u32) -> TargetList {
    (first..first + count).map(|n| target(n / 2, n)).collect()
}

/// A plan whose waves have these sizes.
pub(crate) fn plan(title: &str, waves: &[u32]) -> Plan {
    let mut first = 0;
    let waves = waves.iter().enumerate().map(|(index, size)| {
        let wave = Wave {
            name: name(&format!("wave-{index}")),
            first,
            size: *size,
            soak_ms: 0,
            promote: Promote::Auto,
            max_failures: *size,
        };
        first += size;
        wave
    });
    let waves: Vec<Wave> = waves.collect();
    Plan {
        name: name(title),
        revision: 1,
        description: String::new(),
        change_ref: "CHG-1".into(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(title.as_bytes()),
        calendar: serde_json::from_str::<Calendar>("{}").expect("an empty calendar"),
        strategy: Strategy {
            max_in_flight: 100,
            max_in_flight_per: Default::default(),
            waves,
            max_failures: first,
            progress_deadline_ms: 3_600_000,
            revert: RevertPolicy::default(),
        },
        retry: Policy::default(),
        verify_timeout_ms: 60_000,
        approval: Approval::default(),
        enforce: None,
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}

pub(crate) fn submission(title: &str, waves: &[u32], first_proxy: u32) -> Submission {
    let plan = plan(title, waves);
    Submission {
        plan,
        targets: targets(first_proxy, waves.iter().sum()),
        by: "ada".into(),
        at: at(0),
        note: String::new(),
    }
}

pub(crate) fn mark(second: i64) -> Attribution {
    Attribution { by: "ada".into(), reason: "test".into(), at: at(second) }
}

/// The first release of a rollout, of these changes, with the cursor of its record at `cursor`.
pub(crate) fn first_release(rollout: &Rollout, cursor: u32, ordinals: &[u32]) -> Commit {
    let record = rollout::Record { releases: 1, cursor, ..rollout.record.clone() };
    let changes = ordinals
        .iter()
        .map(|ordinal| step(*ordinal, &change::Record::queued(), State::Ready, 4))
        .collect();
    Commit {
        releases: Some(0),
        moves: Some(moves(record, "release")),
        changes,
        ..blank(rollout, 4)
    }
}

/// A commit of this rollout that moves nothing yet.
pub(crate) fn blank(rollout: &Rollout, second: i64) -> Commit {
    Commit {
        at: at(second),
        rollout: rollout.id,
        version: rollout.record.version,
        releases: None,
        moves: None,
        changes: Vec::new(),
        durability: Durability::Synced,
    }
}

pub(crate) fn moves(record: rollout::Record, why: &str) -> RolloutMove {
    RolloutMove { record, why: why.into(), by: None }
}

/// The move of a change to another state, its version raised.
pub(crate) fn step(ordinal: u32, from: &change::Record, state: State, second: i64) -> ChangeMove {
    let mut record = change::Record { state, version: from.version + 1, ..from.clone() };
    if let State::Following { job } = &record.state {
        record.jobs.push(job.clone());
    }
    let active = !record.state.is_settled() && record.state != State::Queued;
    ChangeMove {
        ordinal,
        version: from.version,
        record,
        due: active.then(|| at(second + 30)),
        why: "test".into(),
        call: None,
        answer: None,
        by: None,
    }
}

pub(crate) async fn rollout(store: &dyn Store, id: RolloutId) -> Rollout {
    store.rollout(id).await.expect("available").expect("there")
}

pub(crate) async fn change_of(store: &dyn Store, rollout: RolloutId, ordinal: u32) -> Active {
    store.change(ChangeId { rollout, ordinal }).await.expect("available").expect("there")
}

/// Submits and lets the first wave begin.
pub(crate) async fn started(store: &dyn Store, submission: Submission) -> RolloutId {
    let id = store.submit(submission).await.expect("taken").id;
    advance(store, id, 0).await;
    id
}

pub(crate) async fn advance(store: &dyn Store, id: RolloutId, wave: u16) {
    let now = rollout(store, id).await;
    let record = rollout::Record {
        phase: Phase::Advancing { wave },
        version: now.record.version + 1,
        ..now.record.clone()
    };
    store
        .commit(Commit { moves: Some(moves(record, "go")), ..blank(&now, 1) })
        .await
        .expect("free to move");
}

/// Commits one move of one change.
pub(crate) async fn put(
    store: &dyn Store,
    id: RolloutId,
    ordinal: u32,
    state: State,
) -> Result<(), CommitError> {
    let now = rollout(store, id).await;
    let change = change_of(store, id, ordinal).await.change;
    store
        .commit(Commit { changes: vec![step(ordinal, &change.record, state, 2)], ..blank(&now, 2) })
        .await
}

/// Releases up to `count` candidates of waves up to `wave`; says which.
pub(crate) async fn release(store: &dyn Store, id: RolloutId, wave: u16, count: usize) -> Vec<u32> {
    release_at(store, id, wave, count, 3, Durability::Synced).await
}

pub(crate) async fn release_at(
    store: &dyn Store,
    id: RolloutId,
    wave: u16,
    count: usize,
    second: i64,
    durability: Durability,
) -> Vec<u32> {
    let now = rollout(store, id).await;
    let found = store.candidates(id, wave, count).await.expect("available");
    let record = rollout::Record {
        cursor: found.cursor,
        releases: now.record.releases + 1,
        ..now.record.clone()
    };
    let mut changes: Vec<ChangeMove> = found
        .free
        .iter()
        .map(|change| step(change.id.ordinal, &change.record, State::Ready, second))
        .collect();
    changes.extend(found.passed.iter().map(|passed| {
        step(passed.change.id.ordinal, &passed.change.record, State::Queued, second)
    }));
    let commit = Commit {
        releases: Some(now.record.releases),
        moves: Some(moves(record, "release")),
        changes,
        durability,
        ..blank(&now, second)
    };
    store.commit(commit).await.expect("nobody else releases");
    found.free.iter().map(|change| change.id.ordinal).collect()
}

pub(crate) async fn abort(store: &dyn Store, id: RolloutId) {
    try_abort(store, id).await.expect("free to move");
}

/// As [`abort`], where the store may refuse.
pub(crate) async fn try_abort(store: &dyn Store, id: RolloutId) -> Result<(), CommitError> {
    let now = rollout(store, id).await;
    let record = rollout::Record {
        phase: Phase::Aborted { mark: mark(9) },
        version: now.record.version + 1,
        ..now.record.clone()
    };
    let by = Some("ada".into());
    let moves = Some(RolloutMove { record, why: "aborted by ada: test".into(), by });
    store.commit(Commit { moves, ..blank(&now, 9) }).await
}

/// An enforcement of this rollout that has just begun.
pub(crate) fn enforced(origin: RolloutId, second: i64) -> enforce::Record {
    enforce::Record::begun(origin, 1, Digest::of(b"targets"), at(second))
}

/// The move of the enforcement of the plan `title` from `version` to this record.
pub(crate) fn enforcement(
    title: &str,
    version: u64,
    record: enforce::Record,
    second: i64,
) -> EnforcementCommit {
    EnforcementCommit {
        at: at(second),
        name: name(title),
        version,
        record,
        why: "test".into(),
        by: None,
    }
}

pub(crate) fn failed(text: &str) -> State {
    State::Failed { reason: Reason { word: ReasonWord::Refused, message: text.into() } }
}

pub(crate) fn switched() -> State {
    State::Succeeded { how: How::Switched }
}

/// Keeps a store busy from a seed: two rollouts, releases, every kind of move, requeues, passes,
/// and an abort.
pub(crate) struct Driver {
    random: fastrand::Rng,
    second: i64,
    jobs: u64,
    /// The rollouts that it drives.
    pub rollouts: Vec<RolloutId>,
}

impl Driver {
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), second: 10, jobs: 0, rollouts: Vec::new() }
    }

    /// Submits two rollouts and lets both begin.
    pub async fn begin(&mut self, store: &dyn Store) {
        self.begin_with(store, &["alpha", "beta"], &[4, 40, 56]).await;
    }

    /// Submits rollouts of these names, with waves of these sizes, and lets them begin.
    pub async fn begin_with(&mut self, store: &dyn Store, titles: &[&str], waves: &[u32]) {
        for (title, first) in titles.iter().zip((0..).step_by(1_000)) {
            self.rollouts.push(started(store, submission(title, waves, first)).await);
        }
    }

    /// One move of a random kind; every fifth is only ordered, not synced.
    pub async fn step(&mut self, store: &dyn Store) {
        self.second += 1;
        let id = self.rollouts[self.random.usize(..self.rollouts.len())];
        let now = rollout(store, id).await;
        if now.record.phase.is_final() {
            return;
        }
        if self.second % 9 == 0 {
            return self.enforce(store, id, &now.plan.name).await;
        }
        let durability =
            if self.random.u8(..5) == 0 { Durability::Ordered } else { Durability::Synced };
        let active = store.due(Timestamp::MAX, None, 1_000).await.expect("available");
        let mine: Vec<Active> =
            active.into_iter().filter(|active| active.change.id.rollout == id).collect();
        if mine.len() < 3 || self.random.u8(..8) == 0 {
            let wave = self.random.u16(..3);
            release_at(store, id, wave, self.random.usize(1..6), self.second, durability).await;
            return;
        }
        if self.random.u8(..12) == 0 {
            let failed =
                store.stored(id, &["failed", "in_doubt"], 0..u32::MAX, 3).await.expect("available");
            let changes = failed
                .iter()
                .map(|change| step(change.id.ordinal, &change.record, State::Queued, self.second))
                .collect();
            store
                .commit(Commit { changes, durability, ..blank(&now, self.second) })
                .await
                .expect("settled changes are free");
            return;
        }
        let chosen = &mine[self.random.usize(..mine.len())].change;
        let next = self.next_state(&chosen.record.state);
        let changes = vec![step(chosen.id.ordinal, &chosen.record, next, self.second)];
        store
            .commit(Commit { changes, durability, ..blank(&now, self.second) })
            .await
            .expect("read a moment ago");
    }

    /// The enforcement of a plan moves: its record grows and shrinks over several pieces of the
    /// queue.
    async fn enforce(&self, store: &dyn Store, id: RolloutId, title: &Name) {
        let known = store.enforcement(title).await.expect("available");
        let version = known.as_ref().map_or(0, |known| known.record.version);
        let mut record = known.map_or_else(|| enforced(id, self.second), |known| known.record);
        let targets = u32::try_from(self.second % 7 * 60).expect("few");
        record.flips = (0..targets)
            .map(|ordinal| Flips { ordinal, runs: vec![1, 2], held: ordinal % 2 == 0 })
            .collect();
        record.version = version + 1;
        let commit = EnforcementCommit {
            at: at(self.second),
            name: title.clone(),
            version,
            record,
            why: "grown".into(),
            by: None,
        };
        store.enforce(commit).await.expect("read a moment ago");
    }

    fn next_state(&mut self, state: &State) -> State {
        let reason = || Reason {
            word: ReasonWord::AttemptsSpent,
            message: "the cloud said \"no\" – twice".into(),
        };
        match (state, self.random.u8(..10)) {
            (State::Ready, 0) => State::Queued,
            (State::Ready, 1) => State::Cancelled,
            (State::Ready, _) => State::Inspecting,
            (State::Inspecting, 0) => State::Succeeded { how: How::AlreadyRight },
            (State::Inspecting, 1) => State::Failed { reason: reason() },
            (State::Inspecting, _) => State::Submitting {
                sent: at(self.second),
                cloud: Some(TimeSpan::at(at(self.second))),
            },
            (State::Submitting { sent, cloud }, 0) => {
                State::Recovering { sent: *sent, cloud: *cloud, candidates: None, covered: false }
            }
            (State::Submitting { .. } | State::Recovering { .. }, _) => {
                self.jobs += 1;
                State::Following { job: job(self.jobs) }
            }
            (State::Following { job }, _) => State::Verifying { job: Some(job.clone()) },
            (_, 0) => State::InDoubt { reason: reason() },
            (_, 1 | 2) => State::Failed { reason: reason() },
            (_, _) => switched(),
        }
    }
}

/// All that a store returns, as text: equal pictures are equal stores.
pub(crate) async fn picture(store: &dyn Store) -> String {
    use std::fmt::Write;
    let mut picture = String::new();
    let rollouts = store.rollouts(None, usize::MAX).await.expect("available");
    let open: Vec<RolloutId> =
        store.open_rollouts().await.expect("available").iter().map(|rollout| rollout.id).collect();
    writeln!(picture, "open {open:?}").expect("a string takes everything");
    for rollout in rollouts {
        writeln!(picture, "{rollout:?}").expect("a string takes everything");
        assert_eq!(
            format!("{:?}", store.rollout(rollout.id).await.expect("available").expect("there")),
            format!("{rollout:?}")
        );
        let activity = store.activity(rollout.id, Timestamp::MIN, Timestamp::MAX).await;
        let activity = activity.expect("available");
        writeln!(picture, "{activity:?}").expect("a string takes everything");
        for active in all_changes(store, rollout.id).await {
            assert_eq!(
                store.change(active.change.id).await.expect("available").as_ref(),
                Some(&active)
            );
            let jobs =
                store.known_jobs(&active.change.target.instance_id).await.expect("available");
            writeln!(picture, "{active:?} {jobs:?}").expect("a string takes everything");
        }
    }
    for enforcement in store.enforcements().await.expect("available") {
        writeln!(picture, "{enforcement:?}").expect("a string takes everything");
    }
    for mut entry in store.journal(None, 0, usize::MAX).await.expect("available") {
        // Only a store on disk has a file for it.
        if let JournalEvent::Submitted { submission, .. } = &mut entry.what {
            *submission = Digest::ZERO;
        }
        writeln!(picture, "{entry:?}").expect("a string takes everything");
    }
    picture
}

pub(crate) async fn all_changes(store: &dyn Store, id: RolloutId) -> Vec<Active> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(id, Vec::new(), after, 7).await.expect("available");
        all.extend(page.changes);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Recounts the tallies from the changes themselves and compares.
pub(crate) async fn assert_tallies_add_up(store: &dyn Store) {
    for rollout in store.rollouts(None, usize::MAX).await.expect("available") {
        let mut counted: BTreeMap<(u16, &str), u32> = BTreeMap::new();
        for active in all_changes(store, rollout.id).await {
            *counted
                .entry((active.change.wave, group(&active.change.record.state)))
                .or_default() += 1;
        }
        for (wave, tally) in rollout.tallies.iter().enumerate() {
            let of = |word| {
                counted.get(&(u16::try_from(wave).expect("few waves"), word)).copied().unwrap_or(0)
            };
            let words = [
                "queued",
                "active",
                "succeeded",
                "failed",
                "in_doubt",
                "cancelled",
                "reverted",
                "skipped",
            ];
            let found = words.map(of);
            let Tally { queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped } =
                *tally;
            let counts =
                [queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped];
            assert_eq!(found, counts, "wave {wave} of {}", rollout.id);
            assert_eq!(tally.total(), rollout.plan.strategy.waves[wave].size);
        }
    }
}

fn group(state: &State) -> &'static str {
    let word = state.as_str();
    if ["queued", "succeeded", "failed", "in_doubt", "cancelled", "reverted", "skipped"]
        .contains(&word)
    {
        word
    } else {
        "active"
    }
}
