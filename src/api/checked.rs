//! A plan as a page checks it, and submits it once somebody has seen what it would do.
//!
//! Invariants: what is submitted is what was checked, by its digest, and by the person who had it
//! checked; what is kept between the two is bounded in number, targets and time, and a restart
//! forgets it.
//!
//! Deliberately not here: uploads and their check (`submit`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Multipart;
use axum::http::StatusCode;

use super::Api;
use super::caller::Caller;
use super::fault::ApiError;
use super::preview::{excluded, preview, warning};
use super::submit::{SpooledPlan, UploadSource, read, submission, take_over};
use super::wire::{ForecastDoc, OpposingRow, Preview, SubmitAnswer};
use crate::domain::people::Role;
use crate::engine::enforce::opposing;
use crate::planfile::Diagnostics;
use crate::store::Submission;

/// How long a checked plan can be submitted: long enough to read what it would do.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);

/// Checked plans that are kept.
const KEPT_MAX: usize = 8;

/// Targets of all that are kept: some hundred megabytes.
const TARGETS_MAX: usize = 400_000;

/// Targets of each wave that are shown.
const PER_WAVE: usize = 3;

/// What became of an upload.
#[derive(Debug)]
pub struct CheckedUpload {
    /// The name of the plan's file.
    pub file: String,
    /// The plan's text, where it is short enough to be mended in a page.
    pub text: Option<String>,
    /// What it would do, or every mistake.
    pub outcome: Result<Box<Preview>, Diagnostics>,
}

/// Plans that were checked and may be submitted.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(Mutex<VecDeque<KeptPlan>>);

#[derive(Debug)]
struct KeptPlan {
    person: String,
    digest: String,
    submission: Submission,
    /// Boot time.
    until: Duration,
}

impl KeptPlans {
    fn with<T>(&self, now: Duration, look: impl FnOnce(&mut VecDeque<KeptPlan>) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|plan| now < plan.until);
        look(&mut kept)
    }

    fn keep(&self, plan: KeptPlan, now: Duration) {
        self.with(now, |kept| {
            kept.retain(|known| (&known.person, &known.digest) != (&plan.person, &plan.digest));
            kept.push_back(plan);
            let targets = |kept: &VecDeque<KeptPlan>| -> usize {
                kept.iter().map(|plan| plan.submission.targets.len()).sum()
            };
            // The latest one stays, however large it is.
            while kept.len() > KEPT_MAX || (kept.len() > 1 && targets(kept) > TARGETS_MAX) {
                kept.pop_front();
            }
        });
    }

    fn find(&self, person: &str, digest: &str, now: Duration) -> Option<Submission> {
        self.with(now, |kept| {
            let found = kept.iter().find(|plan| plan.person == person && plan.digest == digest);
            found.map(|plan| plan.submission.clone())
        })
    }
}

impl Api {
    /// Checks the plan of a form, as `sealift check` does, and says what it would do.
    pub async fn check_form(
        &self,
        caller: &Caller,
        parts: Multipart,
    ) -> Result<CheckedUpload, ApiError> {
        caller.must(Role::Read, "checking a plan")?;
        let SpooledPlan { file, text, read } = read(self, parts, UploadSource::Form).await?;
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(mistakes) => return Ok(CheckedUpload { file, text, outcome: Err(mistakes) }),
        };
        let now = self.clock.times();
        let submission = submission(&loaded, caller.person(), now.wall);
        let warnings = loaded.warnings.iter().map(warning).collect();
        let (plan, targets) = (&submission.plan, &submission.targets);
        let found = opposing(&*self.store, plan, targets, now.wall).await?;
        let mut preview = Preview {
            excluded: excluded(&loaded, PER_WAVE),
            discovered_at: loaded.discovered_at,
            opposing: found.iter().map(OpposingRow::from).collect(),
            ..preview(&submission, warnings, PER_WAVE, now.wall)
        };
        if !preview.openings.is_empty() {
            let forecast = self.forecaster.of_plan(plan, targets).await;
            let warnings = forecast.iter().flat_map(|forecast| forecast.warnings.clone());
            preview.warnings.extend(warnings);
            if forecast.is_none() {
                let why = "no forecast could be made soon; `sealift plan` takes its time for one";
                preview.warnings.push(why.to_owned());
            }
            preview.forecast = forecast.map(ForecastDoc::from);
        }
        let (person, digest) = (caller.name.to_string(), preview.digest.clone());
        let until = now.boot + KEPT_FOR;
        self.checked.keep(KeptPlan { person, digest, submission, until }, now.boot);
        Ok(CheckedUpload { file, text, outcome: Ok(Box::new(preview)) })
    }

    /// Submits the plan of this digest that this caller had checked.
    pub async fn submit_checked(
        &self,
        caller: &Caller,
        digest: &str,
        confirm: &str,
    ) -> Result<SubmitAnswer, ApiError> {
        caller.must(Role::Operate, "a submission")?;
        let now = self.clock.times();
        let found = self.checked.find(&caller.name, digest, now.boot);
        let submission = found.ok_or_else(|| {
            let message =
                "no plan of this digest was checked by you in the last 15 minutes; check it again";
            ApiError::new(StatusCode::CONFLICT, message)
        })?;
        if !submission.plan.ssl_option {
            caller.must(Role::Off, "what switches SSL off")?;
        }
        let (_, answer) =
            take_over(self, caller, Submission { at: now.wall, ..submission }, Some(confirm))
                .await?;
        Ok(answer)
    }
}
