//! What holds of everything that may answer on a proxy's port, whatever bytes it sends: for the
//! fuzzer in `fuzz/`, and for the tests, which replay its corpus.

use futures_util::FutureExt as _;

use super::bounded::Bounded;
use super::greeting::{self, CLIENT_SSL, ServerOpening};
use super::login::{self, Channel};
use super::{BYTES_MAX, text};
use crate::domain::proof::Login;

/// A greeting and then the answers to a login, as one stream: what comes out is one printable line
/// each, says of TLS what the capabilities say, and the whole ends however long the other side
/// talks.
pub fn conversation(bytes: &[u8]) {
    let mut stream = Bounded::new(tokio::io::join(bytes, tokio::io::sink()), BYTES_MAX);
    // Nothing here waits: the bytes are there, and what is written is thrown away.
    let opened = greeting::read(&mut stream).now_or_never().expect("nothing to wait for");
    let (plugins, sequence) = match opened {
        Ok(ServerOpening { greeting, plugins, sequence }) => {
            one_line(&greeting.version);
            assert_eq!(greeting.tls, greeting.capabilities & CLIENT_SSL != 0);
            (plugins, sequence)
        }
        Err(trouble) => {
            one_line(&trouble.message);
            (false, 0)
        }
    };
    for tls in [false, true] {
        let mut stream = Bounded::new(tokio::io::join(bytes, tokio::io::sink()), BYTES_MAX);
        let channel = Channel { tls, plugins, sequence: sequence.wrapping_add(1) };
        match login::be_refused(&mut stream, channel).now_or_never().expect("nothing to wait for") {
            Login::Accepted => {}
            Login::Refused { message, .. } | Login::Unanswered { message } => one_line(&message),
        }
    }
}

fn one_line(line: &str) {
    // A sentence of ours may stand around a line of theirs.
    assert!(
        line.chars().count() <= 2 * text::LINE_MAX && !line.contains(char::is_control),
        "{line:?}"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_holds() {
        crate::tests::corpus::replay("conversation", super::conversation);
    }
}
