//! Typed ids. No bare `String` or `u64` that names something crosses a module.
//!
//! Invariant: an id of the cloud consists of ASCII letters and digits (a job id also of hyphens),
//! so it can become a path segment or a query value without any escaping. Whatever else arrives is
//! refused where it arrives.
//!
//! Deliberately not here: a check that the thing exists. Only the cloud knows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Why a text is not an id of the kind asked for. The message names the rule and, where one is
/// likely, the slip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text holds a character outside the documented alphabet; such an id could leave its path
    /// segment.
    #[error("{kind} may hold only letters and digits, and {found:?} is neither")]
    Alphabet {
        /// Which id was read, as the API names it.
        kind: &'static str,
        /// The first offending character.
        found: char,
    },
    /// The text has another length than the API documents.
    #[error("{kind} has {expected} characters, this one has {found}")]
    Length {
        /// Which id was read, as the API names it.
        kind: &'static str,
        expected: usize,
        found: usize,
    },
    /// The last four characters are not those the API documents; most often two ids were exchanged.
    #[error("{kind} ends in `{expected}`, this one ends in `{found}`{hint}")]
    Suffix {
        /// Which id was read, as the API names it.
        kind: &'static str,
        expected: &'static str,
        found: String,
        /// Empty, or what was probably meant.
        hint: &'static str,
    },
    /// A name of ours (plan, lane, wave) that is not `[a-z0-9-]{1,63}`.
    #[error("{kind} must be 1 to 63 of the characters a-z, 0-9 and `-`, this one is {found:?}")]
    Name {
        /// Which name was read.
        kind: &'static str,
        /// The text found, cut to 80 characters.
        found: String,
    },
}

/// Length of an instance id and of a proxy id in the API's documents: 32 hex digits and a suffix of
/// four.
pub const CLOUD_ID_LEN: usize = 36;

fn cloud_id(
    text: &str,
    kind: &'static str,
    suffix: &'static str,
) -> Result<[u8; CLOUD_ID_LEN], IdError> {
    if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
        return Err(IdError::Alphabet { kind, found });
    }
    let Ok(bytes) = <[u8; CLOUD_ID_LEN]>::try_from(text.as_bytes()) else {
        return Err(IdError::Length { kind, expected: CLOUD_ID_LEN, found: text.len() });
    };
    if !text.ends_with(suffix) {
        let found = text[CLOUD_ID_LEN - 4..].to_owned();
        let hint = match (suffix, found.as_str()) {
            ("in07", "po01") => " (this looks like a proxy_id)",
            ("po01", "in07") => " (this looks like an instance_id)",
            _ => "",
        };
        return Err(IdError::Suffix { kind, expected: suffix, found, hint });
    }
    Ok(bytes)
}

macro_rules! cloud_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name([u8; CLOUD_ID_LEN]);

        impl $name {
            /// The id as the API spells it; safe as a path segment.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("only ASCII letters and digits are accepted")
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                cloud_id(text, $kind, $suffix).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

cloud_id!(
    /// An instance, as in `/v3/{project_id}/instances/{instance_id}`: 36 letters and digits ending
    /// in `in07`. Source: vendor pages of 2025-11 to 2026-02, "ID formats".
    InstanceId, "instance_id", "in07"
);
cloud_id!(
    /// A proxy, as in `…/proxy/{proxy_id}/ssl`: 36 letters and digits ending in `po01`. The proxy
    /// list calls it `pool_id`. Source: vendor pages of 2025-11 to 2026-02, "ID formats".
    ProxyId, "proxy_id", "po01"
);

/// A project of the account in one region: 32 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Arc<str>);

impl ProjectId {
    /// The id as the API spells it; safe as a path segment.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for ProjectId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(IdError::Alphabet { kind: "project_id", found });
        }
        if text.len() != 32 {
            return Err(IdError::Length { kind: "project_id", expected: 32, found: text.len() });
        }
        Ok(Self(text.into()))
    }
}
impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A job of the cloud. Examples are UUIDs with hyphens, scheduled jobs 32 hex digits; we accept
/// letters, digits and hyphens up to [`JobId::LEN_MAX`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(Arc<str>);

impl JobId {
    /// Longest job id we take; a UUID has 36 characters. A longer text is an answer we do not
    /// understand.
    pub const LEN_MAX: usize = 64;

    /// The id as the API spells it; safe as a query value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for JobId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(IdError::Alphabet { kind: "job_id", found });
        }
        if text.is_empty() || text.len() > Self::LEN_MAX {
            return Err(IdError::Length { kind: "job_id", expected: 36, found: text.len() });
        }
        Ok(Self(text.into()))
    }
}
impl TryFrom<String> for JobId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of ours: `[a-z0-9-]{1,63}`, the same rule for plans, lanes and waves. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// Longest name, as for a DNS label.
    pub const LEN_MAX: usize = 63;

    /// Reads a name; `kind` is what the error calls it (`plan name`, `lane`, `wave`).
    pub fn parse(text: &str, kind: &'static str) -> Result<Self, IdError> {
        let well_formed = (1..=Self::LEN_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(IdError::Name { kind, found: text.chars().take(80).collect() })
        }
    }

    /// The name as written in the plan or the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TryFrom<String> for Name {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text, "name")
    }
}
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes as hexadecimal digits, without an allocation: every line of the journal has some.
fn as_hex<'t>(bytes: &[u8], text: &'t mut [u8]) -> &'t str {
    hex::encode_to_slice(bytes, text).expect("the text has two places a byte");
    std::str::from_utf8(text).expect("digits are ASCII")
}

/// A SHA-256 over content: of a plan with its targets, or of a journal line. Shown and stored as 64
/// hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest that stands before the first journal line.
    pub const ZERO: Self = Self([0; 32]);

    /// Digest of one piece of content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Takes over a finished SHA-256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
impl FromStr for Digest {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}
impl TryFrom<String> for Digest {
    type Error = hex::FromHexError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(as_hex(&self.0, &mut [0; 64]))
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One run of a plan. Derived from the plan's name, its revision, the wanted value and its targets,
/// so that the same plan submitted twice is one rollout. Shown as 32 hex digits; people may type
/// any unique prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RolloutId([u8; 16]);

impl RolloutId {
    /// The identity of a rollout: name + revision + wanted value + digest of the ordered targets.
    pub fn derive(name: &Name, revision: u32, ssl_option: bool, targets: &Digest) -> Self {
        let mut hash = Sha256::new();
        hash.update(name.as_str());
        hash.update([0, u8::from(ssl_option)]);
        hash.update(revision.to_be_bytes());
        hash.update(targets.as_bytes());
        let full: [u8; 32] = hash.finalize().into();
        Self(full[..16].try_into().expect("a SHA-256 has 32 bytes"))
    }

    /// The raw 16 bytes, as used in storage keys.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Takes back the raw bytes of [`Self::as_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The first eight hex digits, for tables read by people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}
impl FromStr for RolloutId {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}
impl TryFrom<String> for RolloutId {
    type Error = hex::FromHexError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl Serialize for RolloutId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(as_hex(&self.0, &mut [0; 32]))
    }
}
impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}
impl fmt::Debug for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One proxy's switch within a rollout: the rollout and the target's place in the rollout's frozen
/// target list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeId {
    /// The rollout that the change belongs to.
    pub rollout: RolloutId,
    /// The target's place in the frozen list, from 0.
    pub ordinal: u32,
}
impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.rollout.short(), self.ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_the_documented_form() {
        assert!("096c0fc43e804757b59946b80dc27f8bin07".parse::<InstanceId>().is_ok());
        for bad in [
            "",
            "../../etc/passwd",
            "096c0fc43e804757b59946b80dc27f8b%2f07",
            "096c0fc43e804757b59946b80dc27f8bin07\n",
        ] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn exchanged_ids_are_distinguished() {
        let error =
            "2ec617ba62da4eafb921b69438beed3cpo01".parse::<InstanceId>().expect_err("a proxy id");
        assert!(error.to_string().contains("looks like a proxy_id"), "{error}");
    }

    #[test]
    fn the_same_content_is_the_same_rollout() {
        let name = Name::parse("a", "plan name").expect("a valid name");
        let targets = Digest::of(b"targets");
        let id = RolloutId::derive(&name, 1, true, &targets);
        assert_eq!(id, RolloutId::derive(&name, 1, true, &targets));
        assert_ne!(id, RolloutId::derive(&name, 2, true, &targets));
        assert_ne!(id, RolloutId::derive(&name, 1, false, &targets));
    }
}
