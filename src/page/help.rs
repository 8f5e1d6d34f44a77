//! Keys, words, and what a reader chooses: theme, zone of times, keys or none.
//!
//! Invariant: a choice is a cookie of the browser that holds one of a few words, so a view needs no
//! script for it and the first byte is right; a cookie that says anything else is as if nothing
//! were chosen.

use axum::Form;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::request::ViewRequest;
use super::view::help::HelpView;

/// How long a choice is kept, in seconds: a year.
const KEPT: u32 = 31_536_000;

/// Longest name of a zone.
const ZONE_MAX: usize = 64;

const THEME: &str = "sealift-theme";
const ZONE: &str = "sealift-zone";
const KEYS: &str = "sealift-keys";

/// What a reader has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// `light` or `dark`; `None`: as the system has it.
    pub theme: Option<&'static str>,
    /// `utc` or a zone's name; `None`: the plan's.
    pub zone: Option<String>,
    /// Single keys do nothing.
    pub no_keys: bool,
}

impl Choices {
    /// Those of a request's cookies.
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            theme: cookie(headers, THEME).and_then(theme),
            zone: cookie(headers, ZONE).and_then(zone),
            no_keys: cookie(headers, KEYS) == Some("off"),
        }
    }
}

fn theme(word: &str) -> Option<&'static str> {
    ["light", "dark"].into_iter().find(|known| *known == word)
}

/// `utc`, or a zone that is known.
fn zone(name: &str) -> Option<String> {
    let known = name == "utc" || (name.len() <= ZONE_MAX && TimeZone::get(name).is_ok());
    known.then(|| name.to_owned())
}

/// The value of the cookie of this name.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split("; "));
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_says_one_of_a_few_words_or_nothing() {
        let of = |text: &str| {
            let text = HeaderValue::from_str(text).expect("a header");
            Choices::of(&HeaderMap::from_iter([(COOKIE, text)]))
        };
        let chosen = of("a=b; sealift-theme=dark; sealift-zone=Europe/Berlin; sealift-keys=off");
        assert_eq!((chosen.theme, chosen.zone.as_deref()), (Some("dark"), Some("Europe/Berlin")));
        assert!(chosen.no_keys);
        let wrong = of("sealift-theme=x<script>; sealift-zone=Nowhere/Land; sealift-keys=on");
        assert_eq!(wrong, Choices::default());
    }
}
