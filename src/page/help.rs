//! The view of keys and words, and what a reader chooses there.
//!
//! Deliberately not here: what may be chosen, and where it is kept (`choices`).

use axum::Form;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::choices::{KEYS, THEME, ZONE, theme, zone};
use super::request::ViewRequest;
use super::view::help::HelpView;

/// How long a choice is kept, in seconds: a year.
const KEPT: u32 = 31_536_000;

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    theme: String,
    zone: String,
    keys: String,
    /// The view that it was sent from.
    next: String,
}

/// `GET /help`.
pub async fn help(request: ViewRequest) -> Response {
    request
        .show(async |asked| Ok(asked.answer(&HelpView::new(&asked.around, asked.clock(None)))))
        .await
}

/// `POST /help`: keeps what was chosen, and leads back.
pub async fn choose(_: ViewRequest, Form(chosen): Form<Chosen>) -> Response {
    let ours = chosen.next.starts_with('/') && !chosen.next.starts_with("//");
    let plain = chosen.next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let next = if ours && plain { chosen.next.as_str() } else { "/help" };
    let mut answer = (StatusCode::SEE_OTHER, [(LOCATION, next)]).into_response();
    let choices = [
        (THEME, theme(&chosen.theme).map(str::to_owned)),
        (ZONE, zone(&chosen.zone)),
        (KEYS, (chosen.keys == "off").then(|| "off".to_owned())),
    ];
    for (name, value) in choices {
        let age = if value.is_some() { KEPT } else { 0 };
        let value = value.unwrap_or_default();
        let cookie = format!("{name}={value}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    answer
}
