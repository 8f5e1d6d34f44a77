//! What the rollouts of a run found and did, read off their changes.

use crate::domain::change::{Change, How, ReasonWord, State};
use crate::domain::enforce::{Drifted, EnforcementStage, Event, Record};
use crate::domain::id::RolloutId;
use crate::store::{Rollout, Store, Unavailable};

/// The event that the end of the run's rollout amounts to.
pub async fn of(
    store: &dyn Store,
    record: &Record,
    rollout: &Rollout,
) -> Result<Event, Unavailable> {
    let total = rollout.total();
    let phase = rollout.record.phase.as_str();
    let EnforcementStage::Applying { left_out, .. } = &record.stage else {
        let drifted = drifted(store, rollout.id).await?;
        let told = total.succeeded + u32::try_from(drifted.len()).unwrap_or(u32::MAX);
        return Ok(Event::Surveyed {
            drifted,
            right: total.succeeded,
            unseen: total.total().saturating_sub(told),
            phase,
        });
    };
    let survey = record.last.as_ref().map(|run| run.survey);
    let found = match survey {
        Some(survey) => drifted(store, survey).await?,
        None => Vec::new(),
    };
    // Its list is what the survey found, in the same order, without what is held.
    let places: Vec<u32> = found
        .iter()
        .map(|found| found.ordinal)
        .filter(|ordinal| left_out.binary_search(ordinal).is_err())
        .collect();
    let done = store.stored(rollout.id, &["succeeded"], 0..u32::MAX, usize::MAX).await?;
    let ours = |change: &&Change| {
        matches!(
            change.record.state,
            State::Succeeded { how: How::Switched | How::SwitchedJobUnknown }
        )
    };
    let switched = done
        .iter()
        .filter(ours)
        .filter_map(|change| places.get(change.id.ordinal as usize).copied())
        .collect();
    Ok(Event::Applied { switched, failed: total.total().saturating_sub(total.succeeded), phase })
}

/// The targets that a survey found drifted, in the list's order.
pub async fn drifted(store: &dyn Store, survey: RolloutId) -> Result<Vec<Drifted>, Unavailable> {
    let skipped = store.stored(survey, &["skipped"], 0..u32::MAX, usize::MAX).await?;
    let is_drifted = |change: &Change| matches!(&change.record.state, State::Skipped { reason } if reason.word == ReasonWord::Drifted);
    let found = skipped.into_iter().filter(is_drifted);
    Ok(found.map(|change| Drifted { ordinal: change.id.ordinal, target: change.target }).collect())
}
