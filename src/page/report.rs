//! The morning's report: which night is asked for.
//!
//! Deliberately not here: what the report says (`api`), and how it is shown (`view::report`).

use axum::extract::Path;
use axum::http::header::HOST;
use axum::response::Response;

use super::request::ViewRequest;
use super::view::report::ReportView;

/// `GET /rollouts/ID/report`, of one night or of all.
pub async fn report(Path(reference): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let morning = asked.api().morning(&reference, asked.query.night.as_deref()).await?;
            let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok());
            let clock = asked.clock(morning.rollout.time_zone.as_deref());
            let view = ReportView::new(&asked.around, &morning, host.unwrap_or_default(), clock);
            Ok(asked.answer(&view))
        })
        .await
}
