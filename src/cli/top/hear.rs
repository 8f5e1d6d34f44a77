//! The stream of moves, as the terminal hears it.
//!
//! Invariant: what is lost is told as lost, with why, and asked for again until somebody answers.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use crate::cli::client::Client;
use crate::cli::client_error::ClientError;
use crate::cli::wire::Beat;

/// The daemon says something at least every 15 s; after this long it is lost.
const SILENT_MAX: Duration = Duration::from_secs(35);

/// Seconds before a lost stream is opened again; the last ones for ever.
const RETRY: [u64; 4] = [1, 2, 5, 10];

/// Bytes of one event at most: a thousand ids are far below.
const EVENT_MAX: usize = 1 << 20;

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The daemon is there; its clock.
    Beat(Timestamp),
    Moved,
    /// Why nothing is heard any more.
    Lost(String),
}

/// Listens until nobody wants to know any more.
pub async fn listen(client: Client, said: Sender<Heard>) {
    listen_within(client, said, SILENT_MAX).await;
}

async fn listen_within(client: Client, said: Sender<Heard>, silent: Duration) {
    let mut failed = 0;
    loop {
        let lost = match hear(&client, &said, &mut failed, silent).await {
            Ok(why) => why,
            Err(error) => error.to_string(),
        };
        if said.send(Heard::Lost(lost)).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(RETRY[failed.min(RETRY.len() - 1)])).await;
        failed += 1;
    }
}

/// Hears one stream to its end, and gives why it ended.
async fn hear(
    client: &Client,
    said: &Sender<Heard>,
    failed: &mut usize,
    silent: Duration,
) -> Result<String, ClientError> {
    let nothing = || format!("the daemon said nothing for {} s", silent.as_secs());
    let Ok(stream) = timeout(silent, client.moved()).await else { return Ok(nothing()) };
    let (mut stream, mut events) = (stream?, HeardEvents::default());
    loop {
        let Ok(chunk) = timeout(silent, stream.chunk()).await else { return Ok(nothing()) };
        let Ok(Some(bytes)) = chunk else {
            return Ok("the daemon ended the connection".into());
        };
        *failed = 0;
        for heard in events.read(&bytes).map_err(ClientError::Broken)? {
            if said.send(heard).await.is_err() {
                return Ok("nobody listens".into());
            }
        }
    }
}

/// HeardEvents out of the bytes of a stream (`text/event-stream`), of which the daemon writes a
/// word and a document each.
#[derive(Default)]
struct HeardEvents {
    rest: Vec<u8>,
    word: String,
}

impl HeardEvents {
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Heard>, String> {
        self.rest.extend_from_slice(bytes);
        let mut heard = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let Some((field, value)) = line.trim_end().split_once(':') else { continue };
            match (field, value.trim_start(), self.word.as_str()) {
                ("event", word, _) => self.word = word.to_owned(),
                ("data", data, "beat") => {
                    let beat: Beat =
                        serde_json::from_str(data).map_err(|error| error.to_string())?;
                    heard.push(Heard::Beat(beat.now));
                }
                ("data", _, "moved") => heard.push(Heard::Moved),
                _ => {}
            }
        }
        if self.rest.len() > EVENT_MAX {
            return Err("an event has more than 1 MiB".into());
        }
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = b"event: beat\ndata: {\"now\":\"2026-11-27T17:52:08Z\",\"seq\":4}\n\n\
                     event: moved\nid: 5\ndata: {\"seq\":5,\"rollouts\":[]}\n\n\
                     : a word of a later version\nevent: other\ndata: {}\n\n";
        let now = "2026-11-27T17:52:08Z".parse().expect("an instant");
        for cut in [1, 3, 40, text.len()] {
            let mut events = HeardEvents::default();
            let heard: Vec<Heard> =
                text.chunks(cut).flat_map(|bytes| events.read(bytes).expect("whole")).collect();
            assert_eq!(heard, [Heard::Beat(now), Heard::Moved], "cut after {cut}");
        }
        assert!(
            HeardEvents::default().read(b"event: beat\ndata: {}\n").is_err(),
            "a beat without a clock"
        );
    }

    /// A daemon that says one thing and then nothing, and after that one that ends its stream, is
    /// lost and asked again.
    #[tokio::test]
    async fn a_stream_that_falls_silent_is_lost_and_asked_for_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let daemon = std::thread::spawn(move || {
            let mut streams = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().expect("a client");
                let _ = stream.read(&mut [0; 4096]).expect("its question");
                let event = "event: moved\ndata: {}\n\n";
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                            Transfer-Encoding: chunked\r\n\r\n";
                write!(stream, "{head}{:x}\r\n{event}\r\n", event.len()).expect("an event");
                streams.push(stream);
            }
            // Ends with both connections open until here.
        });
        let (said, mut heard) = mpsc::channel(1);
        let client = Client::on_socket(&socket).expect("a client").waiting(Duration::ZERO);
        let listening = tokio::spawn(listen_within(client, said, Duration::from_secs(1)));
        let mut words = Vec::new();
        while words.iter().filter(|word| **word == "moved").count() < 2 {
            words.push(match heard.recv().await.expect("it goes on") {
                Heard::Lost(_) => "lost",
                _ => "moved",
            });
        }
        words.dedup();
        assert_eq!(words, ["moved", "lost", "moved"]);
        listening.abort();
        daemon.join().expect("two clients");
    }
}
