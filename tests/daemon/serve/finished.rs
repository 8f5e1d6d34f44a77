//! Rollouts that are over, made in a store as a daemon leaves them, but quicker: each change goes
//! from its release to its outcome in one step, a thousand in one commit.

use std::error::Error;

use jiff::Timestamp;
use sealift::domain::change::{self, How, State};
use sealift::domain::id::{JobId, RolloutId};
use sealift::domain::plan::Plan;
use sealift::domain::rollout::{self, Phase};
use sealift::domain::target::TargetList;
use sealift::store::{ChangeMove, Commit, Durability, Rollout, RolloutMove, Store, Submission};

/// Why it was not made; the message is for the person who started it.
type FixtureRefusal = Box<dyn Error + Send + Sync>;

/// Changes of one commit.
const AT_ONCE: usize = 1_000;

/// Submits a rollout whose plan has one wave, and brings it to its end.
pub async fn finish(
    store: &dyn Store,
    plan: Plan,
    targets: TargetList,
    at: Timestamp,
) -> Result<RolloutId, FixtureRefusal> {
    let count = u32::try_from(targets.len())?;
    let id = store
        .submit(Submission { plan, targets, by: "ada".into(), at, note: String::new() })
        .await?
        .id;
    enter(store, id, Phase::Advancing { wave: 0 }, at).await?;
    for first in (0..count).step_by(AT_ONCE) {
        let end = count.min(first + u32::try_from(AT_ONCE)?);
        let now = read(store, id).await?;
        let record = rollout::Record {
            cursor: end,
            releases: now.record.releases + 1,
            ..now.record.clone()
        };
        let changes =
            (first..end).map(|ordinal| step(ordinal, 0, State::Ready, None, at)).collect();
        let releases = Some(now.record.releases);
        store
            .commit(Commit { releases, moves: Some(moves(record)), changes, ..blank(&now, at) })
            .await?;
        let done = |ordinal: u32| -> Result<ChangeMove, FixtureRefusal> {
            let job: JobId =
                format!("{:08x}-0000-4000-8000-{ordinal:012x}", fastrand::u32(..)).parse()?;
            Ok(step(ordinal, 1, State::Succeeded { how: How::Switched }, Some(job), at))
        };
        let changes = (first..end).map(done).collect::<Result<_, _>>()?;
        store.commit(Commit { changes, ..blank(&now, at) }).await?;
    }
    enter(store, id, Phase::Completed, at).await?;
    store.durable().await?;
    Ok(id)
}

async fn read(store: &dyn Store, id: RolloutId) -> Result<Rollout, FixtureRefusal> {
    Ok(store.rollout(id).await?.ok_or("the rollout is gone")?)
}

async fn enter(
    store: &dyn Store,
    id: RolloutId,
    phase: Phase,
    at: Timestamp,
) -> Result<(), FixtureRefusal> {
    let now = read(store, id).await?;
    let record = rollout::Record { phase, version: now.record.version + 1, ..now.record.clone() };
    Ok(store.commit(Commit { moves: Some(moves(record)), ..blank(&now, at) }).await?)
}

fn blank(now: &Rollout, at: Timestamp) -> Commit {
    let (rollout, version) = (now.id, now.record.version);
    Commit {
        at,
        rollout,
        version,
        releases: None,
        moves: None,
        changes: Vec::new(),
        durability: Durability::Synced,
    }
}

fn moves(record: rollout::Record) -> RolloutMove {
    RolloutMove { record, why: "made".into(), by: None }
}

fn step(ordinal: u32, version: u64, state: State, job: Option<JobId>, at: Timestamp) -> ChangeMove {
    let due = (state == State::Ready).then_some(at);
    let mut record = change::Record { state, version: version + 1, ..change::Record::queued() };
    record.jobs.extend(job);
    ChangeMove {
        ordinal,
        version,
        record,
        due,
        why: "made".into(),
        call: None,
        answer: None,
        by: None,
    }
}
