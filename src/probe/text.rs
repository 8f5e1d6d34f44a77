//! Text of the other side, made fit to be printed and stored.
//!
//! Invariant: what comes out is one line without control or direction characters, at most
//! [`LINE_MAX`] characters long.

/// Longest line that is kept of any text of the other side, in characters.
pub const LINE_MAX: usize = 200;

/// Bytes that are shown of what is no MySQL.
const SAMPLE_MAX: usize = 24;

pub fn line(text: &str) -> String {
    let shown = text.chars().map(|c| if is_plain(c) { c } else { ' ' });
    let mut line: String = shown.take(LINE_MAX).collect();
    if text.chars().nth(LINE_MAX).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// The same of bytes that should be text.
pub fn of_bytes(bytes: &[u8]) -> String {
    // Four bytes are the most that one character takes.
    line(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LINE_MAX)]))
}

/// The first bytes of whatever answered, escaped.
pub fn sample(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(SAMPLE_MAX)].escape_ascii().to_string()
}

fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_on_a_terminal_does_not_come_through() {
        assert_eq!(line("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb  c d");
        assert_eq!(sample(b"HTTP/1.1 400\r\n\x1b"), r"HTTP/1.1 400\r\n\x1b");
    }

    proptest! {
        #[test]
        fn a_line_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let line = of_bytes(&bytes);
            prop_assert!(line.chars().count() <= LINE_MAX && line.chars().all(is_plain));
            prop_assert!(sample(&bytes).len() <= 4 * SAMPLE_MAX);
        }
    }
}
