//! The frames of MySQL's protocol: three bytes of length, one of sequence, then the payload.
//!
//! Invariant: no payload longer than [`PAYLOAD_MAX`] is read or waited for; what claims to be
//! longer is no MySQL.

use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{bounded, text};
use crate::domain::proof::{Trouble, TroubleWord};

/// Longest payload: greetings have about a hundred bytes, refusals and questions for another way to
/// log in fewer than a thousand.
pub const PAYLOAD_MAX: usize = 4096;

pub struct Packet {
    /// Counts the frames of one exchange, both directions together.
    pub sequence: u8,
    /// What is in it.
    pub payload: Vec<u8>,
}

pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Packet, Trouble> {
    let mut header = [0; 4];
    fill(stream, &mut header).await?;
    let [low, middle, high, sequence] = header;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if length > PAYLOAD_MAX {
        return Err(not_mysql(&header));
    }
    let mut payload = vec![0; length];
    fill(stream, &mut payload).await?;
    Ok(Packet { sequence, payload })
}

pub async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    sequence: u8,
    payload: &[u8],
) -> Result<(), Trouble> {
    let length = u32::try_from(payload.len())
        .expect("our own payloads are a few hundred bytes")
        .to_le_bytes();
    let frame = [&length[..3], &[sequence], payload].concat();
    stream.write_all(&frame).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))
}

/// What begins with these bytes does not speak MySQL.
pub fn not_mysql(bytes: &[u8]) -> Trouble {
    Trouble {
        word: TroubleWord::NotMysql,
        message: format!("what answers is not MySQL: it begins `{}`", text::sample(bytes)),
    }
}

pub fn broken(error: &std::io::Error) -> Trouble {
    if bounded::is_over(error) {
        return Trouble { word: TroubleWord::TooMuch, message: text::line(&error.to_string()) };
    }
    let what = match error.kind() {
        ErrorKind::UnexpectedEof => "the other side closed the connection".to_owned(),
        ErrorKind::ConnectionReset => "the other side reset the connection".to_owned(),
        _ => format!("the connection broke: {}", text::line(&error.to_string())),
    };
    Trouble { word: TroubleWord::Closed, message: what }
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> Result<(), Trouble> {
    stream.read_exact(buffer).await.map(drop).map_err(|error| broken(&error))
}
