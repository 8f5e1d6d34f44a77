//! Finds the rollout that a person means: by its plan's name (then its newest revision) or by a
//! unique prefix of its id.
//!
//! Invariant: a name wins over a prefix, and an ambiguous prefix is an error that lists what it may
//! mean, never a guess.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::describe;
use super::fault::ApiError;
use crate::domain::id::{Name, RolloutId};
use crate::store::{Away, Rollout, Store};
use crate::yaml::suggest::nearest;

/// Rollouts read at once while seeking.
const BATCH: usize = 200;

/// Names, the newest, among which a misspelt one is sought.
const NAMES_MAX: usize = 1_000;

/// Rollouts named in the answer to an ambiguous reference.
const CANDIDATES_MAX: usize = 10;

/// The rollout that `reference` names, as it will still be after a power cut.
pub async fn rollout(store: &dyn Store, reference: &str) -> Result<Rollout, ApiError> {
    at_hand(store, async {
        let found = named(store, reference).await?;
        store.durable().await?;
        Ok(found)
    })
    .await
}

/// What is read of a store that is at hand. Nobody waits for one that is away: a verb that did
/// would be carried out long after it was given.
pub async fn at_hand<T>(
    store: &dyn Store,
    reading: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let mut away = store.away();
    tokio::select! {
        biased;
        away = Away::comes(&mut away) => Err(ApiError::not_at_hand(&away)),
        read = reading => read,
    }
}

/// The rollouts that are not over, as they will still be after a power cut.
pub async fn open_rollouts(store: &dyn Store) -> Result<Vec<Rollout>, ApiError> {
    let found = store.open_rollouts().await?;
    store.durable().await?;
    Ok(found)
}

async fn named(store: &dyn Store, reference: &str) -> Result<Rollout, ApiError> {
    let name = Name::parse(reference, "a rollout's name or id")
        .map_err(|error| ApiError::bad(error.to_string()))?;
    if let Ok(id) = reference.parse::<RolloutId>()
        && let Some(rollout) = store.rollout(id).await?
    {
        return Ok(rollout);
    }
    let mut named: Option<Rollout> = None;
    let mut prefixed: Vec<Rollout> = Vec::new();
    let mut names: BTreeSet<Name> = BTreeSet::new();
    let mut after = None;
    loop {
        let batch = store.rollouts(after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.id);
        for rollout in batch {
            if names.len() < NAMES_MAX {
                names.insert(rollout.plan.name.clone());
            }
            if rollout.plan.name == name {
                let newer =
                    named.as_ref().is_none_or(|best| rollout.plan.revision > best.plan.revision);
                named = if newer { Some(rollout) } else { named };
            } else if prefixed.len() <= CANDIDATES_MAX
                && rollout.id.to_string().starts_with(reference)
            {
                prefixed.push(rollout);
            }
        }
    }
    if let Some(rollout) = named {
        return Ok(rollout);
    }
    match prefixed.len() {
        0 => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            match nearest(reference, names.iter().map(Name::as_str)) {
                Some(near) => format!(
                    "no rollout is named `{reference}` and none has an id that begins so; did you mean `{near}`?"
                ),
                None => format!(
                    "no rollout is named `{reference}` and none has an id that begins so; see `sealift list`"
                ),
            },
        )),
        1 => Ok(prefixed.remove(0)),
        _ => {
            let rows = prefixed.iter().take(CANDIDATES_MAX).map(describe::row).collect();
            Err(ApiError::ambiguous(
                format!(
                    "several rollouts have an id that begins with `{reference}`; give more of it"
                ),
                rows,
            ))
        }
    }
}
