//! Text of others inside our messages: cut, and with nothing in it that moves a terminal's cursor.

/// Characters of a quoted word that are shown.
const WORD_MAX: usize = 80;

/// Characters of a foreign sentence that are shown.
const SENTENCE_MAX: usize = 400;

/// `text` between backticks, escaped and cut.
pub fn quote(text: &str) -> String {
    format!("`{}`", shown(text, WORD_MAX))
}

/// A foreign sentence, escaped and cut.
pub fn plain(text: &str) -> String {
    shown(text, SENTENCE_MAX)
}

fn shown(text: &str, max: usize) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == max {
            shown.push('…');
            break;
        }
        // Beside control characters also those that turn the direction of writing.
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
