//! A plan that somebody brings: checked as `sealift check` does, shown with what it would do,
//! submitted.
//!
//! Invariant: nothing begins before its digest was shown and sent back; without script all of it
//! works too.
//!
//! Deliberately not here: the upload and its check (`api`).

use axum::Form;
use axum::extract::Multipart;
use axum::extract::multipart::MultipartRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::request::ViewRequest;
use super::view::plan::PlanView;
use crate::api::ApiError;

/// What is sent to submit a plan that was checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubmittedForm {
    digest: String,
    confirm: String,
    /// The plan's text, so that it is not lost when nothing is done.
    text: String,
}

/// `GET /plans/new`.
pub async fn new(request: ViewRequest) -> Response {
    request
        .show(async |asked| Ok(asked.answer(&PlanView::fresh(&asked.around, asked.clock(None)))))
        .await
}

/// `POST /plans/new`: a plan to check, with its files.
pub async fn check(request: ViewRequest, parts: Result<Multipart, MultipartRejection>) -> Response {
    request
        .show(async |asked| {
            let parts = parts.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
            let checked = asked.api().check_form(&asked.around.caller, parts).await;
            Ok(match checked {
                Ok(upload) => {
                    let zone = upload.outcome.as_ref().ok().and_then(|plan| plan.time_zone.clone());
                    let status = match &upload.outcome {
                        Ok(_) => StatusCode::OK,
                        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
                    };
                    let clock = asked.clock(zone.as_deref());
                    let view = PlanView::checked(&asked.around, clock, &upload);
                    (status, asked.answer(&view)).into_response()
                }
                Err(error) => refused(asked, String::new(), &error),
            })
        })
        .await
}

/// `POST /plans/submit`: the plan of this digest, as it was checked.
pub async fn submit(request: ViewRequest, Form(sent): Form<SubmittedForm>) -> Response {
    request
        .show(async |asked| {
            let caller = &asked.around.caller;
            let done = asked.api().submit_checked(caller, sent.digest.trim(), sent.confirm.trim());
            Ok(match done.await {
                Ok(answer) => {
                    Redirect::to(&format!("/rollouts/{}?done=submit", answer.id)).into_response()
                }
                Err(error) => refused(asked, sent.text.clone(), &error),
            })
        })
        .await
}

fn refused(asked: &ViewRequest, text: String, error: &ApiError) -> Response {
    let problem = error.problem();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let why = problem.detail.clone();
    let view = PlanView::refused(&asked.around, asked.clock(None), text, why);
    (status, asked.answer(&view)).into_response()
}
