//! Finds the one byte of a line that was changed, by the digest that the line after it carries.
//!
//! The chain was made to notice damage. One changed byte in a line of a few hundred has so few
//! possible originals that all of them can be tried, and SHA-256 leaves no doubt which one it was.
//!
//! Deliberately not here: lines that lost or gained bytes, or a changed line feed. Those need a
//! copy.

use sha2::{Digest as _, Sha256};

use crate::domain::id::Digest;

/// Longest line that is tried, in bytes: the work grows with the square of it, and most lines have
/// below a thousand.
const LINE_MAX: usize = 4 * 1024;

/// The line with this digest that differs from `damaged` in one byte; `None` when there is none.
pub(super) fn original(damaged: &[u8], wanted: Digest) -> Option<Vec<u8>> {
    if damaged.len() > LINE_MAX {
        return None;
    }
    let mut before = Sha256::new();
    let mut tried = damaged.to_vec();
    for place in 0..damaged.len() {
        // Flipped bits first: that is how disks fail.
        let flips = (0..8).map(|bit| damaged[place] ^ (1 << bit));
        let others = (0..=u8::MAX).filter(|byte| (byte ^ damaged[place]).count_ones() > 1);
        for byte in flips.chain(others) {
            tried[place] = byte;
            let mut hash = before.clone();
            hash.update(&tried[place..]);
            if Digest::from_bytes(hash.finalize().into()) == wanted {
                return Some(tried);
            }
        }
        tried[place] = damaged[place];
        before.update([damaged[place]]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_found_wherever_it_is() {
        let line: Vec<u8> = (0..400_u32).map(|n| (n * 7 % 251) as u8).collect();
        let wanted = Digest::of(&line);
        for (place, byte) in [(0, 0xff), (1, line[1] ^ 4), (200, b'x'), (399, 0)] {
            let mut damaged = line.clone();
            damaged[place] = byte;
            assert_eq!(original(&damaged, wanted), Some(line.clone()), "byte {place}");
        }
    }

    #[test]
    fn more_damage_is_not_guessed_at() {
        let line = vec![b'a'; 100];
        let mut damaged = line.clone();
        (damaged[3], damaged[4]) = (b'b', b'b');
        assert_eq!(original(&damaged, Digest::of(&line)), None);
        assert_eq!(original(&line[..99], Digest::of(&line)), None);
        assert_eq!(original(&vec![0; LINE_MAX + 1], Digest::of(b"")), None);
    }
}
