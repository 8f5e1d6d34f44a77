//! What holds of the emulated cloud's files, whatever bytes they are made of: for the fuzzer in
//! `fuzz/`, and for the tests, which replay its corpus.

use std::collections::BTreeSet;

use super::emulator::accounts::Accounts;
use super::faults::Faults;
use crate::yaml::properties::printable;

/// A fault file: what is read can be written, and reads the same again.
pub fn faults(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Faults::from_yaml(text) {
        Ok(faults) => {
            let written = serde_yaml::to_string(&faults).expect("faults can be written");
            assert_eq!(Faults::from_yaml(&written).expect("own text"), faults, "{written}");
        }
        Err(error) => printable(&error.to_string()),
    }
}

/// An accounts file: its secrets are in no text of it, and none in a complaint.
pub fn accounts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Accounts::from_yaml(text) {
        Ok(accounts) => {
            let shown = format!("{accounts:?}");
            let open: BTreeSet<&str> =
                accounts.keys.iter().map(|key| key.access_key.as_str()).collect();
            for key in &accounts.keys {
                let secret = key.secret_key.expose();
                let told_apart =
                    secret.len() >= 8 && !open.iter().any(|open| open.contains(secret));
                assert!(!told_apart || !shown.contains(secret), "{shown}");
            }
        }
        Err(error) => printable(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::corpus::replay;

    #[test]
    fn the_corpus_holds() {
        replay("faults", super::faults);
        replay("accounts", super::accounts);
    }
}
