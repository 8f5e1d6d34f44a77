//! The last member of an export: what it holds, sealed by its own digest.
//!
//! Invariant: an export without it, with another digest, count or head than it says, or with
//! anything behind it is refused whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;

/// Says what the file is.
const FORMAT: &str = "sealift-export";

/// The form that this program writes, and the highest that it reads.
const VERSION: u32 = 1;

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The store's own id.
    pub store: String,
    /// Layout of what is in it.
    pub schema: u32,
    pub seq: u64,
    /// Its digest: the head of the chain.
    pub head: Digest,
    /// When it was made.
    pub at: Timestamp,
    /// Whether the store goes on where this is imported, and no longer where it came from.
    pub hand_over: bool,
    /// Segments of the journal.
    pub segments: u32,
    pub submissions: u32,
    pub bytes: u64,
    /// SHA-256 over name, length and content of everything before it.
    pub digest: Digest,
}

/// What stays the same while the members are written.
#[derive(Debug, Clone)]
pub(crate) struct CopySubject {
    pub store: String,
    pub schema: u32,
    pub seq: u64,
    pub head: Digest,
    pub at: Timestamp,
    pub hand_over: bool,
}

/// What was counted while the members were written or read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MemberCounts {
    pub segments: u32,
    pub submissions: u32,
    pub bytes: u64,
}

impl Manifest {
    /// Brings subject and counts together.
    pub(crate) fn new(subject: CopySubject, counted: MemberCounts, digest: Digest) -> Self {
        let CopySubject { store, schema, seq, head, at, hand_over } = subject;
        let MemberCounts { segments, submissions, bytes } = counted;
        Self {
            format: FORMAT.into(),
            version: VERSION,
            store,
            schema,
            seq,
            head,
            at,
            hand_over,
            segments,
            submissions,
            bytes,
            digest,
        }
    }

    /// The document, and below it its digest.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("a struct with string keys");
        let digest = Digest::of(&text);
        text.extend_from_slice(format!("\n{digest}\n").as_bytes());
        text
    }

    /// Reads what [`Self::seal`] wrote.
    pub(crate) fn open(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let (document, digest) =
            text.trim_end().split_once('\n').ok_or("it has no digest of its own")?;
        if digest.parse() != Ok(Digest::of(document.as_bytes())) {
            return Err("it is not what its own digest says".into());
        }
        let manifest: Self = serde_json::from_str(document).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!("it is of the format {:?}, not {FORMAT:?}", manifest.format));
        }
        if manifest.version > VERSION {
            return Err(format!(
                "it has version {}, this program reads up to {VERSION}; use the newer program",
                manifest.version
            ));
        }
        Ok(manifest)
    }

    /// What was counted when it was written.
    pub(crate) fn counted(&self) -> MemberCounts {
        MemberCounts { segments: self.segments, submissions: self.submissions, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let at = Timestamp::from_second(1_800_000_000).expect("within range");
        let subject = CopySubject {
            store: "ab".into(),
            schema: 1,
            seq: 7,
            head: Digest::of(b"x"),
            at,
            hand_over: true,
        };
        Manifest::new(
            subject,
            MemberCounts { segments: 1, submissions: 2, bytes: 3 },
            Digest::of(b"y"),
        )
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let sealed = manifest().seal();
        assert_eq!(Manifest::open(&sealed), Ok(manifest()));
        for at in 0..sealed.len() - 1 {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(Manifest::open(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_form_is_refused_by_its_number() {
        let newer = Manifest { version: VERSION + 1, ..manifest() }.seal();
        assert!(Manifest::open(&newer).is_err_and(|what| what.contains("newer program")));
        let other = Manifest { format: "other".into(), ..manifest() }.seal();
        assert!(Manifest::open(&other).is_err());
    }
}
