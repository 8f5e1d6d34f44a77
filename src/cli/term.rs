//! The terminal: whether there is one, how wide it is, and what is said beside the data.

use std::io::{self, IsTerminal as _, Write};

use anstream::AutoStream;
use anstream::stream::RawStream;

use super::text::wrap;

/// Width assumed where there is no terminal: long lines hurt nobody in a file.
const WIDE: usize = 200;

/// Standard output; colours are taken out where they are not wanted (`NO_COLOR`, a pipe, a dumb
/// terminal).
pub fn stdout() -> AutoStream<io::Stdout> {
    AutoStream::auto(io::stdout())
}

pub fn stderr() -> AutoStream<io::Stderr> {
    AutoStream::auto(io::stderr())
}

/// Says something beside the data, broken at the terminal's width; the lines of an excerpt stay as
/// they are drawn. That it cannot be said changes nothing.
pub fn say(text: &str) {
    let _ = match size(io::stderr()) {
        Some((columns, _)) => stderr().write_all(broken(text, columns).as_bytes()),
        None => writeln!(stderr(), "{text}"),
    };
}

fn broken(text: &str, columns: usize) -> String {
    text.lines()
        .map(|line| if is_excerpt(line) { line.to_owned() } else { wrap(line, columns) } + "\n")
        .collect()
}

/// Whether this line shows a place in a file: `9 | text`, `9 + text`, ` --> file:9:1`.
fn is_excerpt(line: &str) -> bool {
    let line = anstream::adapter::strip_str(line).to_string();
    let line = line.trim_start();
    let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let numbered = rest.len() < line.len();
    let rest = rest.trim_start();
    rest.starts_with(['|'])
        || rest.starts_with("-->")
        || rest.starts_with(":::")
        || (numbered && rest.starts_with(['+', '-']))
}

/// Columns of the terminal behind standard output.
pub fn width() -> usize {
    size(io::stdout()).map_or(WIDE, |(columns, _)| columns)
}

/// Columns and rows of the terminal behind a stream.
pub fn size(stream: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0)
        .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Whether a person can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and reads one line; empty at the end of the input.
pub fn ask(question: &str) -> io::Result<String> {
    let mut err = stderr();
    let question = size(io::stderr()).map_or_else(
        || question.to_owned(),
        |(columns, _)| wrap(question, columns.saturating_sub(1)),
    );
    write!(err, "{question} ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Whether what is said beside the data may have colours.
pub fn colour() -> bool {
    may_have_colours(&io::stderr())
}

/// Whether what is written to this stream may have colours.
pub fn may_have_colours(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != anstream::ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_broken_and_an_excerpt_is_not() {
        let said = "error[value]: a message of so many words\n --> a-file-with-a-long-name.yaml:9:1\n9 | a line of the file\n  |   ^^^^ \
                    what is wrong with it\n   = help: a remedy of so many words\n9 + the line as it should be";
        let shown = "error[value]: a message\n  of so many words\n --> a-file-with-a-long-name.yaml:9:1\n9 | a line of the file\n  |   \
                     ^^^^ what is wrong with it\n   = help: a remedy of\n     so many words\n9 + the line as it should be\n";
        assert_eq!(broken(said, 24), shown);
    }
}
