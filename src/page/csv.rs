//! The changes of a view as a file for a spreadsheet.
//!
//! Invariants: it is written as it is read, page by page, so a large rollout is never held; no text
//! in it is a formula.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::request::ViewRequest;
use super::shown::ChangesShown;
use crate::api::Api;
use crate::api::wire::{ChangeRow, Listing};
use crate::store::{ChangeFilter, Rollout};

/// Rows written at once.
const ROWS: usize = 500;

/// What is written next.
struct Pages {
    api: Arc<Api>,
    rollout: Rollout,
    filter: ChangeFilter,
    /// Behind which row; the first time also the head.
    after: Option<u32>,
    begun: bool,
    over: bool,
}

/// `GET /rollouts/ID/changes.csv`, as far as the address narrows them.
pub async fn changes(Path(reference): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let (rollout, document) = asked.api().rollout(&reference).await?;
            let filter = ChangesShown::of(&asked.query).filter(&rollout.plan)?;
            let name = format!("{}-r{}-changes.csv", document.name, document.revision);
            let pages = Pages {
                api: asked.page.api.clone(),
                rollout,
                filter,
                after: None,
                begun: false,
                over: false,
            };
            let body = Body::from_stream(stream::try_unfold(pages, Pages::next));
            let headers = [
                (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            ];
            Ok((headers, body).into_response())
        })
        .await
}

impl Pages {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, ApiStopped> {
        if self.over {
            return Ok(None);
        }
        let page =
            self.api.changes_fitting(&self.rollout, self.filter.clone(), self.after, ROWS).await;
        let page = page.map_err(|error| ApiStopped(error.problem().detail.clone()))?;
        let bytes = written(&page, !self.begun).map_err(|error| ApiStopped(error.to_string()))?;
        self.begun = true;
        self.after = page.next.as_deref().and_then(|next| next.parse().ok());
        self.over = self.after.is_none();
        Ok(Some((bytes.into(), self)))
    }
}

/// The file ends in the middle: the reader's program says so.
#[derive(Debug, thiserror::Error)]
#[error("the file is not whole: {0}")]
struct ApiStopped(String);

fn written(page: &Listing<ChangeRow>, head: bool) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if head {
        writer.write_record(ChangeRow::CSV)?;
    }
    for row in &page.rows {
        writer.write_record(row.csv().iter().map(|field| plain(field)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// A text that no spreadsheet takes for a formula.
fn plain(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{field}") } else { field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        assert_eq!(plain("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(["", "a=b", "2026-11-28"].map(plain), ["", "a=b", "2026-11-28"]);
    }
}
