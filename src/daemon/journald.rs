//! Logs as systemd's journal takes them: a priority, the message for people, and each field apart.
//!
//! Job: one datagram an event, in the journal's native protocol, so that `journalctl -p warning`
//! and `journalctl LANE=prod-sg` find what they name. The message carries the fields too: it is all
//! that `journalctl` shows unless it is told otherwise, which is why no library writes it
//! (docs/decisions/0066-metrics-are-read-at-the-scrape.md).
//!
//! Invariants: an event is sent only where standard error leads to the journal, so that nothing is
//! logged twice; a journal that does not read holds nobody up for longer than [`HELD_UP_MAX`].

use std::ffi::OsStr;
use std::fmt::{Debug, Write as _};
use std::io::{Write as _, stderr};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Under which name the entries stand.
const IDENTIFIER: &str = "sealift";

/// How long one event waits for a journal that does not read; then it is dropped.
const HELD_UP_MAX: Duration = Duration::from_millis(200);

/// Sends events to journald.
pub struct JournaldLayer(UnixDatagram);

impl JournaldLayer {
    /// `None`: standard error is not what `stream` (of `JOURNAL_STREAM`) names, or nobody listens.
    pub fn connect(stream: Option<&OsStr>) -> Option<Self> {
        let ours = rustix::fs::fstat(stderr()).ok()?;
        if stream?.to_str()? != format!("{}:{}", ours.st_dev, ours.st_ino) {
            return None;
        }
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(SOCKET).ok()?;
        socket.set_write_timeout(Some(HELD_UP_MAX)).ok()?;
        Some(Self(socket))
    }
}

impl<S: Subscriber> Layer<S> for JournaldLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = JournalMessage::default();
        event.record(&mut entry);
        let text = entry.text();
        let priority = priority(event.metadata().level());
        if let Err(error) = self.0.send(&entry.datagram(priority, event.metadata().target()))
            && error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
        {
            // The stream takes what is too long for a datagram, with its priority before it.
            let _nobody_reads = writeln!(stderr(), "<{priority}>{text}");
        }
    }
}

/// Syslog's number.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct JournalMessage {
    message: String,
    /// Behind the message, for people.
    rest: String,
    fields: Vec<u8>,
}

impl JournalMessage {
    fn text(&self) -> String {
        format!("{}{}", self.message, self.rest)
    }

    fn datagram(mut self, priority: u8, target: &str) -> Vec<u8> {
        let text = self.text();
        put(&mut self.fields, "PRIORITY", &priority.to_string());
        put(&mut self.fields, "SYSLOG_IDENTIFIER", IDENTIFIER);
        put(&mut self.fields, "TARGET", target);
        put(&mut self.fields, "MESSAGE", &text);
        self.fields
    }

    fn add(&mut self, field: &Field, shown: &dyn Debug, value: &str) {
        // A text takes every write.
        let _ = write!(self.rest, " {}={shown:?}", field.name());
        put(&mut self.fields, field.name(), value);
    }
}

impl Visit for JournalMessage {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.add(field, &value, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message.push_str(&text),
            _ => self.add(field, value, &text),
        }
    }
}

/// One field: its name in the journal's letters, and its value, which may have lines.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    let letter =
        |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    out.extend(name.bytes().map(letter));
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_as_the_protocol_says() {
        let mut out = Vec::new();
        put(&mut out, "request_id", "a=b");
        put(&mut out, "MESSAGE", "two\nlines");
        assert_eq!(out, b"REQUEST_ID=a=b\nMESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n");
    }

    #[test]
    fn a_stream_that_is_not_ours_is_left_alone() {
        assert!(JournaldLayer::connect(None).is_none());
        assert!(JournaldLayer::connect(Some(OsStr::new("1:1"))).is_none());
    }
}
