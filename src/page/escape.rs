//! What any text becomes before it stands on a view.
//!
//! Invariant: markup is shown as text, and characters that act (controls, marks that reorder what
//! is shown) are left out, whoever wrote them. Templates have no other way to print a text;
//! drawings use [`text`].

use std::fmt;

use askama::filters::Escaper;

use crate::words::text::acts;

/// The escaper of every template.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text;

impl Escaper for Text {
    fn write_escaped_str<W: fmt::Write>(&self, mut out: W, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| write(&mut out, c))
    }

    fn write_escaped_char<W: fmt::Write>(&self, mut out: W, c: char) -> fmt::Result {
        write(&mut out, c)
    }
}

fn write<W: fmt::Write>(out: &mut W, c: char) -> fmt::Result {
    match c {
        '<' => out.write_str("&#60;"),
        '>' => out.write_str("&#62;"),
        '&' => out.write_str("&#38;"),
        '"' => out.write_str("&#34;"),
        '\'' => out.write_str("&#39;"),
        '\n' | '\t' => out.write_char(c),
        c if acts(c) => Ok(()),
        c => out.write_char(c),
    }
}

/// The text as it stands in a drawing or an attribute.
pub fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    Text.write_escaped_str(&mut escaped, text).expect("a string takes every text");
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_and_nothing_acts() {
        assert_eq!(
            text("<script>alert('x')</script>"),
            "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;"
        );
        assert_eq!(text("a\u{202e}b\u{0}c\u{1b}[31md\"&"), "abc[31md&#34;&#38;");
        assert_eq!(text("日本 é"), "日本 é");
    }
}
