//! The signature of a request with an access key (SDK-HMAC-SHA256), made and verified.
//!
//! Invariants: pure, no clock and no I/O; both sides go through one canonical form, which is the
//! vendor's, byte for byte; a signature is compared in constant time; nothing that holds the secret
//! key can be printed.
//!
//! Deliberately not here: where keys come from (`cloud::secret`), which headers a request of ours
//! has (`cloud::authenticator`), clock skew and locks of a key (`simcloud::emulator`).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The one algorithm, as the header names it.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The header that holds the instant of signing.
pub const DATE_HEADER: &str = "x-sdk-date";

/// How [`DATE_HEADER`] is written, in UTC.
pub const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Says that the body is not part of the signature, or what its hash is.
const CONTENT_HASH_HEADER: &str = "x-sdk-content-sha256";

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// The method; it is signed in upper case.
    pub method: &'a str,
    /// Path of the request line, escapes and all.
    pub path: &'a str,
    /// Query of the request line, escapes and all, without its `?`.
    pub query: &'a str,
    /// The headers to sign, names in any case, in any order, each name once.
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
}

impl Signable<'_> {
    /// The value of `Authorization`. `date` must be the value of the header [`DATE_HEADER`].
    pub fn authorization(&self, access_key: &str, secret_key: &str, date: &str) -> String {
        let signed = self.signed_names();
        let signature = hex::encode(self.mac(secret_key, date, &signed).finalize().into_bytes());
        format!(
            "{ALGORITHM} Access={access_key}, SignedHeaders={}, Signature={signature}",
            signed.join(";")
        )
    }

    /// Names of the signed headers, in their order. One with `_` is not signed: gateways drop such
    /// headers.
    fn signed_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .filter(|name| !name.contains('_'))
            .collect();
        names.sort_unstable();
        names
    }

    fn mac(&self, secret_key: &str, date: &str, signed: &[String]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(&string_to_sign(date, &self.canonical(signed)));
        mac
    }

    /// The canonical request. Bytes, because header values need not be text.
    fn canonical(&self, signed: &[String]) -> Vec<u8> {
        let (path, query) = (canonical_path(self.path), canonical_query(self.query));
        let mut bytes =
            format!("{}\n{path}\n{query}\n", self.method.to_ascii_uppercase()).into_bytes();
        for name in signed {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(self.header(name).unwrap_or_default().trim_ascii());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(signed.join(";").as_bytes());
        bytes.push(b'\n');
        match self.header(CONTENT_HASH_HEADER) {
            Some(given) if !self.body.is_empty() => bytes.extend_from_slice(given),
            Some(_) | None => {
                bytes.extend_from_slice(hex::encode(Sha256::digest(self.body)).as_bytes())
            }
        }
        bytes
    }

    fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| *value)
    }
}

fn string_to_sign(date: &str, canonical: &[u8]) -> Vec<u8> {
    format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(canonical))).into_bytes()
}

/// Every part decoded and encoded anew, with a slash at its end. Decoding comes before splitting,
/// as in the vendor's signer: an escaped slash becomes a real one.
fn canonical_path(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len() + 1);
    for byte in decoded(path, false) {
        if byte == b'/' { canonical.push('/') } else { push_escaped(&mut canonical, byte) }
    }
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Pairs in the order of their plain text, then escaped.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key, true), decoded(value, true))
        })
        .collect();
    pairs.sort();
    let mut canonical = String::with_capacity(query.len());
    for (key, value) in pairs {
        if !canonical.is_empty() {
            canonical.push('&');
        }
        key.into_iter().for_each(|byte| push_escaped(&mut canonical, byte));
        canonical.push('=');
        value.into_iter().for_each(|byte| push_escaped(&mut canonical, byte));
    }
    canonical
}

/// Undoes `%XX`, and `+` where it stands for a space; a broken escape stays as it is.
fn decoded(text: &str, plus_is_space: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let mut byte = [0];
        rest = match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex::decode_to_slice([*a, *b], &mut byte).is_ok() => {
                bytes.push(byte[0]);
                after
            }
            (b'+', after) if plus_is_space => {
                bytes.push(b' ');
                after
            }
            (plain, after) => {
                bytes.push(*plain);
                after
            }
        };
    }
    bytes
}

fn push_escaped(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        text.push(char::from(byte));
    } else {
        text.extend([
            '%',
            char::from(DIGITS[usize::from(byte >> 4)]),
            char::from(DIGITS[usize::from(byte & 0xf)]),
        ]);
    }
}

/// What the header `Authorization` of a signed request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim<'a> {
    pub access_key: &'a str,
    signed: Vec<String>,
    signature: Vec<u8>,
}

/// Why a claim does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The header is not of the form, or what must be signed is not.
    #[error("the authorization cannot be read")]
    Unreadable,
    /// The signature is another. The server's canonical request, as the gateway shows it.
    #[error("verify aksk signature fail")]
    Other {
        /// With `|` where it has line ends.
        canonical: String,
    },
}

impl<'a> Claim<'a> {
    /// Reads the value of `Authorization`. The signed headers may be any that include host and
    /// date.
    ///
    /// # Errors
    /// When it is of no such form.
    pub fn read(authorization: &'a str) -> Result<Self, Unverified> {
        let fields = authorization.strip_prefix(ALGORITHM).ok_or(Unverified::Unreadable)?;
        let (mut access_key, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Access", value)) => access_key = Some(value),
                Some(("SignedHeaders", value)) => {
                    signed = Some(value.split(';').map(str::to_ascii_lowercase).collect::<Vec<_>>())
                }
                Some(("Signature", value)) => signature = hex::decode(value).ok(),
                Some(_) | None => return Err(Unverified::Unreadable),
            }
        }
        let (Some(access_key), Some(signed), Some(signature)) = (access_key, signed, signature)
        else {
            return Err(Unverified::Unreadable);
        };
        if !["host", DATE_HEADER].iter().all(|needed| signed.iter().any(|name| name == needed)) {
            return Err(Unverified::Unreadable);
        }
        Ok(Self { access_key, signed, signature })
    }

    /// Compares with what the received request and the key give. `request` has all headers as
    /// received, signed or not.
    ///
    /// # Errors
    /// When a signed header did not come, came twice, or the signature is another.
    pub fn verify(&self, request: &Signable<'_>, secret_key: &str) -> Result<(), Unverified> {
        for wanted in &self.signed {
            if request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count()
                != 1
            {
                return Err(Unverified::Unreadable);
            }
        }
        let date = request
            .header(DATE_HEADER)
            .and_then(|date| std::str::from_utf8(date).ok())
            .ok_or(Unverified::Unreadable)?;
        request.mac(secret_key, date.trim(), &self.signed).verify_slice(&self.signature).map_err(
            |_| Unverified::Other {
                canonical: String::from_utf8_lossy(&request.canonical(&self.signed))
                    .replace('\n', "|"),
            },
        )
    }
}

#[cfg(test)]
mod tests;
