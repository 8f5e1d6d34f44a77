//! Signatures as Standard Webhooks has them: HMAC-SHA256 over id, instant and body.
//!
//! Invariants: what holds a key prints stars; the instant is that of the try, so that a receiver
//! can refuse what is old.
//!
//! Deliberately not here: where keys come from (`cloud::secret`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// What a key may begin with.
const PREFIX: &str = "whsec_";

/// Bytes of a key, as the specification has them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs.
#[derive(Debug)]
pub struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// Reads `whsec_` and base64, or base64 alone.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = STANDARD
            .decode(text.trim_start_matches(PREFIX))
            .map_err(|_| "it is no `whsec_` and base64")?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(
                "it has not from 24 to 64 bytes; `openssl rand -base64 32` makes one that has",
            );
        }
        Ok(Self(SecretSlice::from(bytes)))
    }

    /// The signature of one try.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_published_example_comes_out() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let at = Timestamp::from_second(1_614_265_330).expect("an instant");
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let bare = SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        assert_eq!(
            bare.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#),
            signature
        );
        assert!(format!("{key:?}").contains("REDACTED"), "{key:?}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in
            ["whsec_not base64!", "whsec_c2hvcnQ=", "", &format!("whsec_{}", "QUFB".repeat(30))]
        {
            let why = SigningKey::parse(text).expect_err(text);
            assert!(!why.contains("c2hvcnQ") && !why.contains("QUFB"), "{why}");
        }
    }
}
