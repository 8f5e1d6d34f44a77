//! Values and keys as the queue on disk holds them.
//!
//! Invariants: every value ends with the CRC-32 of what stands before it, for sled notices damage
//! only in what it reads as a page; no value is longer than [`VALUE_MAX`], so that no leaf of sled
//! (at most 17 values) reaches the 128 KiB beyond which sled would write it to a file of its own
//! that it never syncs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::id::{ChangeId, InstanceId, RolloutId};
use crate::domain::tally::Tally;

/// Most bytes of one value, its checksum included.
pub(crate) const VALUE_MAX: usize = 4_096;

const CRC: usize = 4;

/// A value that cannot be what was written, or must not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("the checksum of {0} does not match")]
    Checksum(&'static str),
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    #[error("{0} takes {1} bytes, the most is {VALUE_MAX}")]
    TooLong(&'static str, usize),
}

pub(crate) fn seal(what: &'static str, mut bytes: Vec<u8>) -> Result<Vec<u8>, ValueError> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    if bytes.len() > VALUE_MAX { Err(ValueError::TooLong(what, bytes.len())) } else { Ok(bytes) }
}

/// Checks the checksum and takes it off.
pub(crate) fn unseal<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], ValueError> {
    let (body, crc) = bytes.split_last_chunk::<CRC>().ok_or(ValueError::Checksum(what))?;
    if crc32fast::hash(body).to_be_bytes() == *crc {
        Ok(body)
    } else {
        Err(ValueError::Checksum(what))
    }
}

/// A value as JSON with its checksum.
pub(crate) fn write_json<T: Serialize>(
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, ValueError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| ValueError::Unreadable(what, error.to_string()))?;
    seal(what, bytes)
}

/// Reads what [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, ValueError> {
    serde_json::from_slice(unseal(what, bytes)?)
        .map_err(|error| ValueError::Unreadable(what, error.to_string()))
}

/// Bytes of one wave's tally: eight numbers.
const TALLY: usize = 32;

/// Tallies as eight numbers a wave: 3,200 bytes for a hundred waves, where JSON would pass
/// [`VALUE_MAX`].
pub(crate) fn write_tallies(tallies: &[Tally]) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::with_capacity(tallies.len() * TALLY + CRC);
    for tally in tallies {
        let Tally { queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped } =
            *tally;
        for count in [queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped] {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    }
    seal("the tallies", bytes)
}

/// Reads what [`write_tallies`] wrote.
pub(crate) fn read_tallies(bytes: &[u8]) -> Result<Vec<Tally>, ValueError> {
    let body = unseal("the tallies", bytes)?;
    let (waves, rest) = body.as_chunks::<TALLY>();
    if !rest.is_empty() {
        return Err(ValueError::Unreadable("the tallies", "their length is odd".into()));
    }
    let tally = |wave: &[u8; TALLY]| {
        let (counts, _) = wave.as_chunks::<4>();
        let count = |place: usize| u32::from_be_bytes(counts[place]);
        Tally {
            queued: count(0),
            active: count(1),
            succeeded: count(2),
            failed: count(3),
            in_doubt: count(4),
            cancelled: count(5),
            reverted: count(6),
            skipped: count(7),
        }
    };
    Ok(waves.iter().map(tally).collect())
}

/// Key of a change: its rollout and its place, so that a rollout's changes lie in the list's order.
pub(crate) fn change_key(id: ChangeId) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(id.rollout.as_bytes());
    key[16..].copy_from_slice(&id.ordinal.to_be_bytes());
    key
}

/// Reads a [`change_key`].
pub(crate) fn change_of(key: &[u8]) -> Option<ChangeId> {
    let (rollout, ordinal) = key.split_first_chunk::<16>()?;
    Some(ChangeId {
        rollout: RolloutId::from_bytes(*rollout),
        ordinal: u32::from_be_bytes(ordinal.try_into().ok()?),
    })
}

/// Key of a rollout's tallies; its record lies under the bare id.
pub(crate) fn tallies_key(id: RolloutId) -> [u8; 17] {
    let mut key = [b't'; 17];
    key[..16].copy_from_slice(id.as_bytes());
    key
}

/// Key of an instance as a lane reaches it: a lane's name has no byte 0.
pub(crate) fn instance_key(lane: &[u8], instance: &InstanceId) -> Vec<u8> {
    [lane, &[0], instance.as_str().as_bytes()].concat()
}

/// The lane of an [`instance_key`], and where the keys of the lanes after it begin.
pub(crate) fn lane_of(key: &[u8]) -> (&[u8], Vec<u8>) {
    let lane = key.split(|byte| *byte == 0).next().unwrap_or(key);
    (lane, [lane, &[1]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::WAVES_MAX;

    #[test]
    fn a_changed_byte_is_noticed() {
        let sealed = write_json("a value", &vec![1, 2, 3]).expect("short");
        assert_eq!(read_json::<Vec<u32>>("a value", &sealed).expect("whole"), [1, 2, 3]);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(read_json::<Vec<u32>>("a value", &changed).is_err(), "byte {at}");
        }
        assert!(unseal("a value", &[1, 2]).is_err());
    }

    #[test]
    fn the_most_waves_fit() {
        let tally = Tally {
            queued: u32::MAX,
            active: 1,
            succeeded: 2,
            failed: 3,
            in_doubt: 4,
            cancelled: 5,
            reverted: 6,
            skipped: 7,
        };
        let tallies = vec![tally; WAVES_MAX];
        let bytes = write_tallies(&tallies).expect("fits");
        assert!(bytes.len() <= VALUE_MAX);
        assert_eq!(read_tallies(&bytes).expect("whole"), tallies);
        assert!(seal("a value", vec![0; VALUE_MAX]).is_err());
    }

    #[test]
    fn keys_lie_in_the_lists_order() {
        let rollout = RolloutId::from_bytes([7; 16]);
        let keys: Vec<_> =
            [0, 255, 256, 70_000].map(|ordinal| change_key(ChangeId { rollout, ordinal })).into();
        assert!(keys.is_sorted());
        assert_eq!(change_of(&keys[3]), Some(ChangeId { rollout, ordinal: 70_000 }));
        assert_eq!(change_of(&keys[3][1..]), None);
    }
}
