//! The login that ends a probe: it must be refused.
//!
//! Invariants: no real credential is ever sent, since none is known here; every answer to the
//! server is random bytes; it ends after a bounded number of rounds. If the server accepts the
//! login all the same, the probe quits at once.

use tokio::io::{AsyncRead, AsyncWrite};

use super::greeting::{self, CLIENT_PLUGIN_AUTH, CLIENT_SSL, ERROR};
use super::packet;
use crate::domain::proof::{Login, Trouble};

/// The name that stands in the server's log beside the refusal.
pub const USER: &str = "sealift-probe";

/// Answers of the server that are read at most. One is usual; asked for another way to log in, two
/// or three.
const ROUNDS_MAX: u8 = 5;

/// The protocol since 4.1.
const CLIENT_PROTOCOL_41: u32 = 1 << 9;

/// Passwords are proven with a salt.
const CLIENT_SECURE_CONNECTION: u32 = 1 << 15;

/// Longest packet that we would take: the protocol's own limit.
const MAX_PACKET: u32 = 1 << 24;

/// `utf8mb4_general_ci`, which every server since 5.5 knows.
const CHARACTER_SET: u8 = 45;

/// First byte of a success.
const OK: u8 = 0;

/// First byte of a step within one way to log in.
const MORE: u8 = 1;

/// First byte of a question for another way to log in.
const SWITCH: u8 = 0xfe;

/// The command that says good bye.
const QUIT: u8 = 1;

/// As long as what `caching_sha2_password` sends, the longest of the usual ways.
const PROOF_LENGTH: usize = 32;

/// As long as what `mysql_native_password` sends.
const NATIVE_LENGTH: u8 = 20;

/// `ER_SECURE_TRANSPORT_REQUIRED` of MySQL. MariaDB 10.11 says 1045 to every login without TLS that
/// it refuses, whatever the reason, so nothing can be read from that.
const INSECURE: u16 = 3159;

/// How the login is sent.
pub struct Channel {
    pub tls: bool,
    /// The server knows ways to log in by their names.
    pub plugins: bool,
    /// The next frame's sequence number.
    pub sequence: u8,
}

/// The head that a request for TLS and a login share: capabilities, packet length, character set,
/// 23 zeros.
fn head(tls: bool, plugins: bool) -> Vec<u8> {
    let mut capabilities = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION;
    if tls {
        capabilities |= CLIENT_SSL;
    }
    if plugins {
        capabilities |= CLIENT_PLUGIN_AUTH;
    }
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend(MAX_PACKET.to_le_bytes());
    head.push(CHARACTER_SET);
    head.extend([0; 23]);
    head
}

/// Asks the server to begin TLS on this connection.
pub async fn ask_for_tls<S: AsyncWrite + Unpin>(
    stream: &mut S,
    plugins: bool,
    sequence: u8,
) -> Result<(), Trouble> {
    packet::write(stream, sequence, &head(true, plugins)).await
}

/// Logs in with what nobody has chosen as a password, and reads how that is answered.
pub async fn be_refused<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    channel: Channel,
) -> Login {
    match converse(stream, channel).await {
        Ok(login) => login,
        Err(trouble) => Login::Unanswered { message: trouble.message },
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    channel: Channel,
) -> Result<Login, Trouble> {
    let mut login = head(channel.tls, channel.plugins);
    login.extend(USER.as_bytes());
    login.extend([0, NATIVE_LENGTH]);
    login.extend(random(NATIVE_LENGTH.into()));
    if channel.plugins {
        login.extend(b"mysql_native_password\0");
    }
    packet::write(stream, channel.sequence, &login).await?;
    for _ in 0..ROUNDS_MAX {
        let answer = packet::read(stream).await?;
        match answer.payload.first() {
            Some(&ERROR) => {
                let (code, message) = greeting::refusal(&answer.payload)
                    .ok_or_else(|| packet::not_mysql(&answer.payload))?;
                return Ok(Login::Refused { code, message, insecure: code == INSECURE });
            }
            Some(&OK) => {
                packet::write(stream, 0, &[QUIT]).await?;
                return Ok(Login::Accepted);
            }
            Some(&(SWITCH | MORE)) => {
                packet::write(stream, answer.sequence.wrapping_add(1), &random(PROOF_LENGTH))
                    .await?
            }
            _ => return Err(packet::not_mysql(&answer.payload)),
        }
    }
    Ok(Login::Unanswered { message: format!("the server still asks after {ROUNDS_MAX} answers") })
}

/// Bytes without a zero, so that no way to log in takes them for an empty password.
fn random(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(1..)).take(length).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// A server that answers every packet with the next of these.
    async fn against(answers: Vec<Vec<u8>>) -> (Login, Vec<Vec<u8>>) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let server = async move {
            let mut seen = Vec::new();
            for (round, answer) in answers.into_iter().enumerate() {
                seen.push(packet::read(&mut theirs).await.expect("a packet").payload);
                let sequence = u8::try_from(2 * round + 2).expect("few rounds");
                packet::write(&mut theirs, sequence, &answer).await.expect("written");
            }
            theirs.shutdown().await.expect("closed");
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.expect("the rest");
            seen.push(rest);
            seen
        };
        let client = async move {
            be_refused(&mut ours, Channel { tls: false, plugins: true, sequence: 1 }).await
        };
        tokio::join!(client, server)
    }

    #[tokio::test]
    async fn a_refusal_is_read_and_no_password_is_sent() {
        let (login, seen) =
            against(vec![b"\xff\x15\x04#28000Access denied for user 'sealift-probe'".to_vec()])
                .await;
        assert_eq!(
            login,
            Login::Refused {
                code: 1045,
                message: "Access denied for user 'sealift-probe'".into(),
                insecure: false
            }
        );
        assert_eq!(&seen[0][32..46], b"sealift-probe\0");
        assert_eq!(seen[0][46], NATIVE_LENGTH);
        assert!(seen[0].ends_with(b"mysql_native_password\0"));
    }

    #[tokio::test]
    async fn another_way_to_log_in_is_answered_with_noise_until_refused() {
        let refusal = b"\xff\x15\x04#28000no".to_vec();
        let (login, seen) = against(vec![
            b"\xfecaching_sha2_password\0salt".to_vec(),
            b"\x01\x04".to_vec(),
            refusal,
        ])
        .await;
        assert!(matches!(login, Login::Refused { code: 1045, .. }), "{login:?}");
        assert!(
            seen[1].len() == PROOF_LENGTH && seen[2].len() == PROOF_LENGTH && seen[1] != seen[2]
        );
    }

    #[tokio::test]
    async fn a_server_that_asks_for_ever_is_left() {
        let (login, _) = against(vec![b"\x01\x04".to_vec(); ROUNDS_MAX.into()]).await;
        assert!(matches!(login, Login::Unanswered { .. }), "{login:?}");
    }

    #[tokio::test]
    async fn let_in_the_probe_says_good_bye() {
        let (login, seen) = against(vec![b"\0\0\0\x02\0\0\0".to_vec()]).await;
        assert_eq!(login, Login::Accepted);
        assert_eq!(seen[1], b"\x01\0\0\0\x01");
    }

    #[tokio::test]
    async fn insecure_transport_is_reported_by_its_number() {
        let answer =
            b"\xff\x57\x0c#HY000Connections using insecure transport are prohibited".to_vec();
        assert!(matches!(against(vec![answer]).await.0, Login::Refused { insecure: true, .. }));
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_or_talks_nonsense_leaves_it_unanswered() {
        for answers in [vec![], vec![b"nonsense".to_vec()], vec![Vec::new()]] {
            assert!(matches!(against(answers).await.0, Login::Unanswered { .. }));
        }
    }
}
