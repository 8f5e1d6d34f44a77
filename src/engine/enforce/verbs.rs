//! A person's verbs on an enforcement: `stop` and `release`.
//!
//! Invariant: what is answered with success is durable. A release that puts something right only
//! commits the stage; the next pass of the [`super::Enforcer`] submits it.

use jiff::Timestamp;

use super::found;
use crate::domain::enforce::{Context, EnforcementStage, Event, VerbRefusal, decide};
use crate::domain::id::{Name, ProxyId};
use crate::domain::person::{Attribution, Person};
use crate::store::{Away, CommitError, Enforcement, EnforcementCommit, Store, Unavailable};

/// Tries against an enforcement that moves meanwhile; it moves a few times a run.
const TRIES_MAX: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcementVerb {
    Stop,
    /// Go on with what is held.
    Release {
        /// Only this proxy; `None`: everything.
        target: Option<ProxyId>,
    },
}

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum EnforceError {
    #[error("no plan named `{0}` is enforced; `sealift enforce` lists those that are")]
    NotFound(Name),
    /// It means nothing now.
    #[error(transparent)]
    Refused(#[from] VerbRefusal),
    /// The proxy is none of its targets.
    #[error(
        "{0} is no target of the enforcement; `sealift enforce NAME` lists those that are held"
    )]
    NoTarget(ProxyId),
    /// It moved every time.
    #[error("the enforcement moves at this very moment; try again")]
    Moving,
    /// The store is away; nothing was done.
    #[error("{0}; nothing was done, ask again when it is back")]
    Away(Away),
    /// The store went away meanwhile.
    #[error("{0}; whether the verb was carried out is not known, look when it is back")]
    NotKnown(Away),
    /// The store is out of order.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Carries out a verb.
///
/// # Errors
/// See [`EnforceError`].
pub async fn command(
    store: &dyn Store,
    name: &Name,
    asked: &EnforcementVerb,
    by: &Person,
    reason: &str,
    now: Timestamp,
) -> Result<Enforcement, EnforceError> {
    let mut away = store.away();
    if let Some(away) = away.borrow().clone() {
        return Err(EnforceError::Away(away));
    }
    tokio::select! {
        biased;
        done = carry_out(store, name, asked, by, reason, now) => done,
        why = Away::comes(&mut away) => Err(EnforceError::NotKnown(why)),
    }
}

async fn carry_out(
    store: &dyn Store,
    name: &Name,
    asked: &EnforcementVerb,
    by: &Person,
    reason: &str,
    now: Timestamp,
) -> Result<Enforcement, EnforceError> {
    for _ in 0..TRIES_MAX {
        let known =
            store.enforcement(name).await?.ok_or_else(|| EnforceError::NotFound(name.clone()))?;
        let origin = store
            .rollout(known.record.origin)
            .await?
            .ok_or_else(|| EnforceError::NotFound(name.clone()))?;
        let mark = Attribution { by: by.name.clone(), reason: reason.into(), at: now };
        let event = match asked {
            EnforcementVerb::Stop => Event::Stop { mark },
            EnforcementVerb::Release { target } => {
                let only = match target {
                    Some(proxy) => Some(place(store, &known, *proxy).await?),
                    None => None,
                };
                let survey = known.record.last.as_ref().map(|run| run.survey);
                let drifted = match (&known.record.stage, survey) {
                    (EnforcementStage::Held { .. }, Some(survey)) => {
                        found::drifted(store, survey).await?
                    }
                    _ => Vec::new(),
                };
                Event::Release { only, drifted, mark }
            }
        };
        let Some(decision) = decide(&known.record, &event, &Context { now, plan: &origin.plan })?
        else {
            return Ok(known);
        };
        let (record, version) = (decision.record, known.record.version);
        let commit = EnforcementCommit {
            at: now,
            name: name.clone(),
            version,
            record: record.clone(),
            why: decision.why,
            by: Some(by.clone()),
        };
        match store.enforce(commit).await {
            Ok(()) => return Ok(Enforcement { name: name.clone(), record, moved_at: now }),
            Err(CommitError::Conflict | CommitError::InstanceTaken { .. }) => {}
            Err(CommitError::Unavailable(error)) => return Err(error.into()),
        }
    }
    Err(EnforceError::Moving)
}

async fn place(
    store: &dyn Store,
    known: &Enforcement,
    proxy: ProxyId,
) -> Result<u32, EnforceError> {
    let targets = store.targets(known.record.origin).await?.unwrap_or_default();
    let place = targets
        .iter()
        .position(|target| target.proxy_id == proxy)
        .ok_or(EnforceError::NoTarget(proxy))?;
    u32::try_from(place).map_err(|_| EnforceError::NoTarget(proxy))
}
