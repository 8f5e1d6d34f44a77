//! Ids of the simulated cloud: they look random, are the same for the same seed, and need no table.
//!
//! Invariant: a job id carries its own index, so looking a job up is arithmetic, and an id that was
//! never handed out is recognised as such.

/// A well-mixed number for a seed and an index (the finaliser of SplitMix64 by Steele, Lea and
/// Flood).
pub(super) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number behind a job's UUID: its lowest 32 bits are the index under a mask.
fn job_number(seed: u64, index: u32) -> u128 {
    let high = mix(seed ^ 0x70b5, u64::from(index));
    let low =
        mix(seed ^ 0x1d5, u64::from(index)) & 0xffff_ffff_0000_0000 | u64::from(index ^ mask(seed));
    u128::from(high) << 64 | u128::from(low)
}

fn mask(seed: u64) -> u32 {
    (mix(seed, 0x6d61736b) >> 32) as u32
}

/// A job id in the documented form: a lower-case UUID with hyphens.
pub(super) fn job_id(seed: u64, index: u32) -> [u8; 36] {
    let digits = hex32(job_number(seed, index));
    let mut text = [b'-'; 36];
    for (from, to) in
        [(0..8, 0..8), (8..12, 9..13), (12..16, 14..18), (16..20, 19..23), (20..32, 24..36)]
    {
        text[to].copy_from_slice(&digits[from]);
    }
    text
}

/// The index of a job id of ours; `None` for any other text. Whether the job exists, the caller
/// knows.
pub(super) fn job_index(seed: u64, text: &str) -> Option<u32> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    let index = number as u32 ^ mask(seed);
    (job_id(seed, index) == text.as_bytes()).then_some(index)
}

/// A request id as the gateway makes them: 32 hex digits.
pub(super) fn request_id(seed: u64, count: u64) -> [u8; 32] {
    hex32(u128::from(mix(seed ^ 0x4e9, count)) << 64 | u128::from(mix(seed ^ 0x1d, count)))
}

fn hex32(number: u128) -> [u8; 32] {
    let mut text = [0; 32];
    hex::encode_to_slice(number.to_be_bytes(), &mut text).expect("16 bytes are 32 digits");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::JobId;

    #[test]
    fn a_job_id_leads_back_to_its_index() {
        for index in [0, 1, 77, u32::MAX] {
            let id = job_id(5, index);
            let text = std::str::from_utf8(&id).expect("ASCII");
            assert_eq!(job_index(5, text), Some(index));
            assert_eq!(job_index(6, text), None);
            assert_eq!(job_index(5, &text.to_uppercase()).is_some(), text == text.to_uppercase());
            assert!(text.parse::<JobId>().is_ok());
        }
        assert_eq!(job_index(5, ""), None);
        assert_eq!(job_index(5, "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"), None);
    }
}
