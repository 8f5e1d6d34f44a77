//! A submission on its way in: checked, its file written, checked again, and its entry put in line.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::SledStore;
use crate::domain::id::RolloutId;
use crate::domain::journal::{Entry, JournalEvent};
use crate::store::failpoint::Failpoint;
use crate::store::pending::{FrozenRollout, NewRollout, PendingRecord};
use crate::store::record::JournalRecord;
use crate::store::shared::{Item, StoreShared};
use crate::store::submission::{StoredSubmission, path, write};
use crate::store::targets::{Fingerprints, FrozenTargets as _};
use crate::store::{Submission, SubmitError, Submitted, Unavailable};

impl SledStore {
    pub(super) async fn submit_now(
        &self,
        submission: Submission,
    ) -> Result<Submitted, SubmitError> {
        if let Some(reason) = self.refusing() {
            self.shared.confirm()?;
            return Err(SubmitError::Refusing(reason));
        }
        let place = self.place().await?;
        let failpoint = self.options.failpoint.clone();
        let taken =
            self.read(move |shared| Ok(take_over(shared, submission, place, &failpoint))).await?;
        match taken? {
            SubmissionProgress::There(known) => Ok(known),
            SubmissionProgress::InLine(id, durable) => {
                durable.await.map_err(|_| Unavailable("the store has failed".into()))??;
                Ok(Submitted { id, new: true, comments: false })
            }
        }
    }
}

/// What became of a submission so far.
enum SubmissionProgress {
    There(Submitted),
    InLine(RolloutId, oneshot::Receiver<Result<(), Unavailable>>),
}

/// Checks, writes the file, checks again (another submission may have come in meanwhile), and puts
/// the entry in line.
fn take_over(
    shared: &StoreShared,
    submission: Submission,
    place: OwnedSemaphorePermit,
    failpoint: &Failpoint,
) -> Result<SubmissionProgress, SubmitError> {
    let id = submission.id();
    let prints = Fingerprints::of(submission.targets.iter());
    know_proxies(shared)?;
    if let Some(known) =
        shared.commit_queue()?.state.admit(id, &submission.plan, &submission.targets, &prints)?
    {
        return Ok(SubmissionProgress::There(known));
    }
    let dir = shared.home.submissions();
    // Nothing was promised yet: a full disk refuses this one submission and leaves the store as it
    // is.
    let digest = match write(&dir, id, &submission, failpoint) {
        Ok(digest) => digest,
        Err(error) => {
            shared.confirm()?;
            return Err(SubmitError::Refusing(format!("cannot write the submission: {error}")));
        }
    };
    let (stored, _) = StoredSubmission::open(&dir, digest)?;
    stored.check()?;
    let mut inner = shared.commit_queue()?;
    match inner.state.admit(id, &submission.plan, &submission.targets, &prints) {
        Ok(None) => {}
        refused => {
            drop(inner);
            // The very same bytes may belong to a rollout that was taken over in between.
            if refused.is_err() && std::fs::remove_file(path(&dir, digest)).is_err() {
                tracing::warn!(%digest, "a refused submission's file could not be removed; it does no harm");
            }
            return refused.map(|known| {
                SubmissionProgress::There(known.expect("the other case was taken above"))
            });
        }
    }
    let Submission { plan, by, at, targets: given, note } = submission;
    let seq = inner.state.seq() + 1;
    let what = JournalEvent::Submitted {
        name: plan.name.clone(),
        revision: plan.revision,
        ssl_option: plan.ssl_option,
        targets: given.count(),
        submission: digest,
        change_ref: plan.change_ref.clone(),
        by: by.name.clone(),
        via: by.via.as_deref().map(str::to_owned),
        note,
    };
    let new_rollout = NewRollout {
        frozen: FrozenRollout {
            plan: Arc::new(plan),
            targets: Arc::new(stored),
            by,
            submitted_at: at,
        },
        prints: Some(prints),
    };
    inner.state.submitted(id, seq, new_rollout.clone());
    let record = JournalRecord { entry: Entry { seq, at, rollout: id, what }, due: None, more: 0 };
    let pending = PendingRecord { record, learnt: None, new_rollout: Some(Box::new(new_rollout)) };
    let (waits, durable) = oneshot::channel();
    shared.enqueue(inner, Item { records: vec![pending], waits: Some(waits), _place: place });
    Ok(SubmissionProgress::InLine(id, durable))
}

/// Reads the proxies of the open rollouts that were found at the start: they are first asked for
/// here, and a start shall not wait for them.
fn know_proxies(shared: &StoreShared) -> Result<(), Unavailable> {
    let unknown: Vec<_> = {
        let state = &shared.commit_queue()?.state;
        state
            .unprinted()
            .into_iter()
            .filter_map(|id| Some((id, Arc::clone(&state.rollout(id)?.frozen.targets))))
            .collect()
    };
    for (id, targets) in unknown {
        let prints = Fingerprints::read(targets.as_ref())?;
        shared.commit_queue()?.state.print(id, prints);
    }
    Ok(())
}
