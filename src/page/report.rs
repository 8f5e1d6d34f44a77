//! The morning's report: which night is asked for, and what is read for it.
//!
//! Deliberately not here: what the journal says of a night (`api`), and how it is shown
//! (`view::report`).

use std::collections::BTreeSet;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::Response;
use jiff::Timestamp;

use super::moment::ViewClock;
use super::request::ViewRequest;
use super::view::report::{ReportSource, ReportView};
use crate::api::wire::ChangeRow;
use crate::api::{ApiError, MovedChange, Period};
use crate::domain::nights::{Night, nights};
use crate::store::Rollout;

/// Outcomes that no plan wants, the gravest first.
const UNPLANNED: [&str; 3] = ["failed", "in_doubt", "skipped"];

/// Changes that were not as planned and have moved since, at most: each is read for itself.
const SINCE_MAX: usize = 200;

/// Nights that are named to somebody who asked for another.
const NAMED_MAX: usize = 7;

/// `GET /rollouts/ID/report`, of one night or of all.
pub async fn report(Path(reference): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let (stored, document) = asked.api().rollout(&reference).await?;
            let now = asked.api().now();
            // Which night it is does not depend on the zone that the reader likes.
            let zone = ViewClock::new(now, document.time_zone.as_deref());
            let nights = nights(&stored.plan.calendar, zone.zone(), stored.submitted_at, now);
            let night = asked.query.night.as_deref().map(|asked| place(&nights, asked));
            let night = night.transpose()?;
            let within = night.and_then(|place| nights.get(place));
            let span = within.map_or((stored.submitted_at, Timestamp::MAX), |n| (n.from, n.to));
            let period = asked.api().period(&stored, span.0, span.1).await?;
            let (unplanned, more) = unplanned(asked, &stored, &period, span).await?;
            let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok());
            let source = ReportSource {
                plan: stored.plan.clone(),
                host: host.unwrap_or_default().to_owned(),
                nights,
                night,
                period,
                unplanned,
                more,
            };
            let clock = asked.clock(document.time_zone.as_deref());
            Ok(asked.answer(&ReportView::new(&asked.around, document, &source, clock)))
        })
        .await
}

/// The place of the night of this date.
fn place(nights: &[Night], asked: &str) -> Result<usize, ApiError> {
    let found = nights.iter().position(|night| night.date.to_string() == asked);
    found.ok_or_else(|| {
        let known: Vec<String> =
            nights.iter().rev().take(NAMED_MAX).map(|night| night.date.to_string()).collect();
        let asked = asked.escape_debug();
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("there is no night `{asked}`; its latest are {}", known.join(", ")),
        )
    })
}

/// What came out otherwise than planned, with how it stood where it has moved since; and the words
/// of which there is more.
async fn unplanned(
    asked: &ViewRequest,
    stored: &Rollout,
    period: &Period,
    span: (Timestamp, Timestamp),
) -> Result<(Vec<(ChangeRow, Option<MovedChange>)>, Vec<&'static str>), ApiError> {
    let (mut rows, mut more) = (Vec::new(), Vec::new());
    for word in UNPLANNED {
        let (found, rest) = asked.api().came_to(stored, word, span).await?;
        rows.extend(found.into_iter().map(|row| (row, None)));
        more.extend(rest.then_some(word));
    }
    let listed: BTreeSet<u32> = rows.iter().map(|(row, _)| row.ordinal).collect();
    let wrong = period.changes.iter().filter(|(ordinal, change)| {
        UNPLANNED.contains(&change.state.as_str()) && !listed.contains(ordinal)
    });
    for (ordinal, change) in wrong.take(SINCE_MAX) {
        if let Some(row) = asked.api().change_row(stored, *ordinal).await? {
            rows.push((row, Some(change.clone())));
        }
    }
    Ok((rows, more))
}
