//! The server's first packet: its greeting, or the error that stands in its place.
//!
//! Invariant: every read from the packet is checked against its length, so a packet of any bytes
//! yields a greeting or a trouble and nothing else.

use tokio::io::AsyncRead;

use super::packet::{self, Packet};
use super::text;
use crate::domain::proof::{Greeting, Trouble, TroubleWord};

/// The server can switch to TLS.
pub const CLIENT_SSL: u32 = 1 << 11;

/// The server knows ways to log in by their names.
pub const CLIENT_PLUGIN_AUTH: u32 = 1 << 19;

/// First byte of a greeting: the protocol that every server since 1998 speaks.
const PROTOCOL_10: u8 = 10;

/// First byte of an error.
pub const ERROR: u8 = 0xff;

/// How the server opened the conversation.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerOpening {
    /// What it says of itself.
    pub greeting: Greeting,
    /// Whether it knows ways to log in by their names.
    pub plugins: bool,
    /// Its frame's sequence number; ours goes on from there.
    pub sequence: u8,
}

pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ServerOpening, Trouble> {
    parse(&packet::read(stream).await?)
}

fn parse(packet: &Packet) -> Result<ServerOpening, Trouble> {
    match packet.payload.first() {
        Some(&PROTOCOL_10) => {
            let greeting =
                fields(&packet.payload[1..]).ok_or_else(|| packet::not_mysql(&packet.payload))?;
            let plugins = greeting.capabilities & CLIENT_PLUGIN_AUTH != 0;
            Ok(ServerOpening { greeting, plugins, sequence: packet.sequence })
        }
        Some(&ERROR) => {
            Err(refusal(&packet.payload)
                .map_or_else(|| packet::not_mysql(&packet.payload), refused))
        }
        _ => Err(packet::not_mysql(&packet.payload)),
    }
}

/// The fields after the protocol's number: version, thread, half a salt and a filler, then the
/// capabilities in two halves with character set and status between them. An old server ends after
/// the first half.
fn fields(rest: &[u8]) -> Option<Greeting> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (version, rest) = (&rest[..end], &rest[end + 1..]);
    let rest = rest.get(4 + 8 + 1..)?;
    let low = u16::from_le_bytes(*rest.first_chunk()?);
    let high = rest
        .get(2 + 1 + 2..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |half| u16::from_le_bytes(*half));
    let capabilities = u32::from(low) | u32::from(high) << 16;
    Some(Greeting {
        version: text::of_bytes(version),
        tls: capabilities & CLIENT_SSL != 0,
        capabilities,
    })
}

/// Number and words of an error packet. Once capabilities are agreed on, `#` and five characters of
/// SQL state stand before the words.
pub fn refusal(payload: &[u8]) -> Option<(u16, String)> {
    let code = u16::from_le_bytes(*payload.get(1..)?.first_chunk()?);
    let words = payload.get(3..).unwrap_or_default();
    let words =
        if words.first() == Some(&b'#') { words.get(6..).unwrap_or_default() } else { words };
    Some((code, text::of_bytes(words)))
}

fn refused((code, message): (u16, String)) -> Trouble {
    let (word, help) = match code {
        1129 => (
            TroubleWord::HostBlocked,
            ": too many broken connections from here; `FLUSH HOSTS` on the server lifts it",
        ),
        1130 => (
            TroubleWord::HostRefused,
            ": the server has no account that may connect from here, so it shows nothing",
        ),
        1040 | 1203 => (TroubleWord::TooManyConnections, ""),
        _ => (TroubleWord::Refused, ""),
    };
    Trouble { word, message: format!("error {code} in place of a greeting{help} ({message})") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As MariaDB 10.11 sent it with TLS configured, but for the salt.
    const MARIADB: &[u8] = b"\x0a5.5.5-10.11.14-MariaDB-0+deb12u2\0\x03\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

    fn opened(payload: &[u8]) -> Result<ServerOpening, Trouble> {
        parse(&Packet { sequence: 0, payload: payload.to_vec() })
    }

    #[test]
    fn a_greeting_shows_version_and_tls() {
        let with = opened(MARIADB).expect("a greeting");
        assert_eq!(with.greeting.version, "5.5.5-10.11.14-MariaDB-0+deb12u2");
        assert!(with.greeting.tls && with.plugins);
        let mut plain = MARIADB.to_vec();
        let at =
            MARIADB.windows(2).position(|pair| pair == b"\xfe\xff").expect("the capabilities") + 1;
        plain[at] &= !0x08;
        let without = opened(&plain).expect("a greeting");
        assert!(!without.greeting.tls && without.plugins);
        assert_eq!(without.greeting.capabilities ^ with.greeting.capabilities, CLIENT_SSL);
    }

    #[test]
    fn an_old_server_ends_after_half_of_the_capabilities() {
        let old = opened(b"\x0a5.0.51\0\x03\0\0\0abcdefgh\0\x00\x08").expect("a greeting");
        assert!(old.greeting.tls && !old.plugins);
    }

    #[test]
    fn errors_in_place_of_a_greeting_are_distinguished() {
        let rows: &[(&[u8], TroubleWord)] = &[
            (
                b"\xff\x69\x04Host '192.0.2.1' is blocked because of many connection errors",
                TroubleWord::HostBlocked,
            ),
            (b"\xff\x6a\x04Host '192.0.2.1' is not allowed to connect", TroubleWord::HostRefused),
            (b"\xff\x10\x04#08004Too many connections", TroubleWord::TooManyConnections),
            (b"\xff\x15\x04", TroubleWord::Refused),
            (b"\xff\x15", TroubleWord::NotMysql),
            (b"\x093.20\0", TroubleWord::NotMysql),
            (b"\x0a8.0.22", TroubleWord::NotMysql),
            (b"\x0a8.0.22\0\x03\0\0\0abcdefgh\0\x00", TroubleWord::NotMysql),
            (b"", TroubleWord::NotMysql),
        ];
        for (payload, word) in rows {
            assert_eq!(
                opened(payload).expect_err("trouble").word,
                *word,
                "{}",
                payload.escape_ascii()
            );
        }
        let full = opened(b"\xff\x10\x04#08004Too many connections").expect_err("trouble");
        assert_eq!(full.message, "error 1040 in place of a greeting (Too many connections)");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_greeting_or_a_trouble(mut payload in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200usize, kind in 0..3u8) {
            match kind {
                0 => payload.insert(0, PROTOCOL_10),
                1 => payload = MARIADB[..cut.min(MARIADB.len())].to_vec(),
                _ => {}
            }
            let _ = opened(&payload);
        }
    }
}
