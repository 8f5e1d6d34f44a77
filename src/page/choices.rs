//! What a reader chooses: theme, zone of times, single keys or none.
//!
//! Invariant: a choice is a cookie of the browser that holds one of a few words, so a view needs no
//! script for it and the first byte is right; a cookie that says anything else is as if nothing
//! were chosen.
//!
//! Deliberately not here: the view that offers them (`help`).

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use jiff::tz::TimeZone;

/// Longest name of a zone.
const ZONE_MAX: usize = 64;

/// Names of the cookies.
pub const THEME: &str = "sealift-theme";
pub const ZONE: &str = "sealift-zone";
pub const KEYS: &str = "sealift-keys";

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

/// `light` or `dark`.
pub fn theme(word: &str) -> Option<&'static str> {
    ["light", "dark"].into_iter().find(|known| *known == word)
}

/// `utc`, or a zone that is known.
pub fn zone(name: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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
