//! The terminal: whether there is one, how wide it is, and what is said beside the data.

use std::io::{self, IsTerminal as _, Write};

use anstream::AutoStream;
use anstream::stream::RawStream;

use super::text::wrap_all;

/// Width assumed where there is no terminal: long lines hurt nobody in a file.
const WIDE: usize = 200;

/// Standard output; colours are taken out where they are not wanted (`NO_COLOR`, a pipe, a dumb terminal).
pub fn stdout() -> AutoStream<io::Stdout> {
    AutoStream::auto(io::stdout())
}

/// Standard error, likewise.
pub fn stderr() -> AutoStream<io::Stderr> {
    AutoStream::auto(io::stderr())
}

/// Says something beside the data, broken at the terminal's width. That it cannot be said changes nothing.
pub fn say(text: &str) {
    let _ = match size(io::stderr()) {
        Some((columns, _)) => write!(stderr(), "{}", wrap_all(text, columns)),
        None => return say_as_laid_out(text),
    };
}

/// Says what is laid out already, such as the excerpt of a mistake: its lines stay as they are.
pub fn say_as_laid_out(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Columns of the terminal behind standard output.
pub fn width() -> usize {
    size(io::stdout()).map_or(WIDE, |(columns, _)| columns)
}

/// Columns and rows of the terminal behind a stream.
pub fn size(stream: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Whether a person can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and reads one line; empty at the end of the input.
pub fn ask(question: &str) -> io::Result<String> {
    let mut err = stderr();
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
