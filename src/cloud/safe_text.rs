//! Text of the outside world, made fit to be printed, logged and stored.
//!
//! Invariant: what comes out is one line without control or direction characters, bounded in
//! length, and does not hold the secret that went out with the request, nor anything that looks
//! like a token.

use std::error::Error as _;

/// Longest message, in characters.
pub const MESSAGE_MAX: usize = 200;

/// Longest request id that is kept; the gateway's have 32 characters.
pub const REQUEST_ID_MAX: usize = 64;

/// Longest error code that is kept; `DBS.05000000` has 12 characters.
const CODE_MAX: usize = 32;

/// A word of this many characters is no prose: tokens have hundreds. Ids have at most 64.
const WORD_MAX: usize = 72;

/// Input beyond this is not looked at: a message is cut far earlier.
const LOOKED_AT: usize = 16 * 1024;

/// One safe line of at most [`MESSAGE_MAX`] characters.
pub fn message(text: &str, secret: Option<&str>) -> String {
    let end = text.floor_char_boundary(LOOKED_AT);
    let mut text = std::borrow::Cow::Borrowed(&text[..end]);
    // A very short secret would blank out ordinary words; no real token is that short.
    if let Some(secret) = secret.filter(|secret| secret.len() >= 4 && text.contains(secret)) {
        text = text.replace(secret, "***").into();
    }
    let visible: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let mut line = String::new();
    // One place is kept for the sign that something is missing.
    let mut left = MESSAGE_MAX - 1;
    for word in visible.split_whitespace() {
        let word = if word.chars().nth(WORD_MAX).is_some() { "…" } else { word };
        let gap = usize::from(!line.is_empty());
        let need = gap + word.chars().count();
        if gap > 0 && left > 0 {
            line.push(' ');
        }
        line.extend(word.chars().take(left.saturating_sub(gap)));
        if need > left {
            line.push('…');
            break;
        }
        left -= need;
    }
    line
}

fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A request id: letters, digits and `-_.:` only, else none.
pub fn request_id(text: &str) -> Option<String> {
    word(text, REQUEST_ID_MAX)
}

/// An error code: as a request id, shorter.
pub fn code(text: &str) -> Option<String> {
    word(text, CODE_MAX)
}

fn word(text: &str, longest: usize) -> Option<String> {
    let fits = (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    fits.then(|| text.to_owned())
}

/// A word as a shell takes it.
pub fn for_a_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What became of a request, with all causes in one line. That it was sent, and to which URL, is
/// left out: whoever asked knows.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut next = error.source();
    let mut joined = next.map_or_else(|| error.to_string(), ToString::to_string);
    while let Some(cause) = next {
        let text = cause.to_string();
        // Many layers repeat the one below.
        if !joined.contains(&text) {
            joined = format!("{joined}: {text}");
        }
        next = cause.source();
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_and_directions_become_spaces() {
        assert_eq!(message("a\u{1b}[31mb\r\nc\u{202e}d\0", None), "a [31mb c d");
    }

    #[test]
    fn the_secret_and_what_looks_like_one_do_not_come_through() {
        let token = "MIIF".repeat(100);
        assert_eq!(
            message(&format!("canonical request: x-auth-token:{token}|host"), None),
            "canonical request: …"
        );
        assert_eq!(message("token s3cr3t is wrong", Some("s3cr3t")), "token *** is wrong");
    }

    #[test]
    fn ids_are_taken_whole_or_not_at_all() {
        assert_eq!(request_id("0f1e-2d"), Some("0f1e-2d".into()));
        assert_eq!(request_id("a b"), None);
        assert_eq!(request_id(&"a".repeat(65)), None);
        assert_eq!(code(""), None);
    }

    proptest! {
        #[test]
        fn a_message_is_always_one_bounded_line(text in "\\PC{0,400}|.{0,400}") {
            let line = message(&text, None);
            prop_assert!(line.chars().count() <= MESSAGE_MAX, "{}", line.chars().count());
            prop_assert!(line.chars().all(is_plain));
        }
    }
}
