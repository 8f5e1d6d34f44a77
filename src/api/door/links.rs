//! One-time codes: whoever is known on the socket brings their browser in with one.
//!
//! Invariants: a code is right once and for [`CODE_LASTS`]; it is kept as a hash, in memory alone;
//! at most [`CODES_MAX`] wait, the oldest goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::random;
use super::session::Evidence;

/// Time from printing the link to following it.
pub const CODE_LASTS: Duration = Duration::from_secs(60);

/// Codes that wait to be used.
const CODES_MAX: usize = 100;

/// Codes that were given and not used.
#[derive(Debug, Default)]
pub struct LinkCodes(Mutex<BTreeMap<[u8; 32], Given>>);

#[derive(Debug)]
struct Given {
    to: Evidence,
    /// Since boot.
    until: Duration,
}

impl LinkCodes {
    /// A new code for whoever this tells, at `now` since boot.
    pub fn give(&self, to: Evidence, now: Duration) -> String {
        let code = hex::encode(random::<16>());
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, given| given.until > now);
        if codes.len() >= CODES_MAX
            && let Some(oldest) =
                codes.iter().min_by_key(|(_, given)| given.until).map(|(hash, _)| *hash)
        {
            codes.remove(&oldest);
        }
        codes.insert(
            Sha256::digest(&code).into(),
            Given { to, until: now.saturating_add(CODE_LASTS) },
        );
        code
    }

    /// Who it was given to, once.
    pub fn take(&self, code: &str, now: Duration) -> Option<Evidence> {
        let hash: [u8; 32] = Sha256::digest(code).into();
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash)?;
        (given.until > now).then_some(given.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_right_once_and_for_a_minute() {
        let (codes, ada) = (LinkCodes::default(), Evidence::User { uid: 1000, gid: None });
        let second = Duration::from_secs;
        let code = codes.give(ada.clone(), second(5));
        assert_eq!(code.len(), 32, "128 bits");
        assert_eq!(codes.take(&code[..31], second(6)), None);
        assert_eq!(codes.take(&code, second(64)), Some(ada.clone()));
        assert_eq!(codes.take(&code, second(64)), None, "it was used");
        let late = codes.give(ada.clone(), second(100));
        assert_eq!(codes.take(&late, second(160)), None);
        let first = codes.give(ada.clone(), second(200));
        let rest: Vec<String> =
            (0..CODES_MAX).map(|_| codes.give(ada.clone(), second(201))).collect();
        assert_eq!(codes.take(&first, second(202)), None, "it made room");
        assert!(rest.iter().all(|code| codes.take(code, second(202)).is_some()));
    }
}
