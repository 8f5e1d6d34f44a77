//! The verdict: whether what was seen is what was wanted.
//!
//! Invariant: pure, and total over every proof; the one objection that no demand can waive is a key
//! that was not proven, for then there is no knowing who answered.

use super::{Handshake, Objection, ObjectionWord, Proof, TlsVersion, Trouble, TroubleWord};

/// What the wire must show beside the wanted value; the plan's `verify.wire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The oldest TLS version that counts.
    pub min_tls: TlsVersion,
    /// The chain must lead to an authority of the `ca_file`, and every certificate in it be valid
    /// now. The name is only reported: proxies are reached by addresses, which the vendor's
    /// certificates do not name.
    pub trusted: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self { min_tls: TlsVersion::V12, trusted: false }
    }
}

/// What a proof amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofVerdict {
    /// The wire shows what is wanted.
    Proven {
        /// What was seen, in one line.
        message: String,
    },
    /// The wire shows something else.
    Refuted {
        word: Refutation,
        /// What was seen, in one line.
        message: String,
    },
    /// The wire could not be seen well enough to tell.
    Unseen {
        word: TroubleWord,
        /// What happened, in one line.
        message: String,
    },
}

impl ProofVerdict {
    /// One word for machines: `proven`, or what stands against it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Proven { .. } => "proven",
            Self::Refuted { word, .. } => word.as_str(),
            Self::Unseen { word, .. } => word.as_str(),
        }
    }

    /// What was seen or happened, for people.
    pub fn message(&self) -> &str {
        match self {
            Self::Proven { message }
            | Self::Refuted { message, .. }
            | Self::Unseen { message, .. } => message,
        }
    }

    /// Whether the wire shows what is wanted.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }
}

/// How the wire shows something else than what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refutation {
    /// On is wanted, and the greeting announces no TLS.
    NotOffered,
    /// Off is wanted, and the greeting announces TLS.
    StillOffered,
    /// TLS is announced, and no version from 1.2 on is spoken.
    TooOld,
    /// TLS is announced, and the handshake failed.
    HandshakeFailed,
    /// The version agreed on is older than asked for.
    BelowMinimum,
    /// A strict client would object.
    Objected(ObjectionWord),
}

impl Refutation {
    /// One word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotOffered => "tls_not_offered",
            Self::StillOffered => "tls_still_offered",
            Self::TooOld => "tls_too_old",
            Self::HandshakeFailed => "handshake_failed",
            Self::BelowMinimum => "tls_below_minimum",
            Self::Objected(word) => word.as_str(),
        }
    }
}

/// Holds a proof against the wanted value of `ssl_option` and against the plan's demands.
pub fn judge(proof: &Proof, wanted: bool, demand: &Demand) -> ProofVerdict {
    let Some(greeting) = &proof.greeting else { return unseen(proof) };
    match (wanted, greeting.tls) {
        (false, false) => {
            ProofVerdict::Proven { message: format!("{} announces no TLS", proof.endpoint) }
        }
        (false, true) => {
            refuted(Refutation::StillOffered, format!("{} still announces TLS", proof.endpoint))
        }
        (true, false) => {
            refuted(Refutation::NotOffered, format!("{} announces no TLS", proof.endpoint))
        }
        (true, true) => {
            proof.tls.as_ref().map_or_else(|| broken(proof), |tls| spoken(proof, tls, demand))
        }
    }
}

/// TLS is announced, and no handshake came of it.
fn broken(proof: &Proof) -> ProofVerdict {
    let Some(trouble) = &proof.trouble else { return unseen(proof) };
    match trouble.word {
        TroubleWord::TlsTooOld => refuted(Refutation::TooOld, at(proof, &trouble.message)),
        TroubleWord::HandshakeFailed => {
            refuted(Refutation::HandshakeFailed, at(proof, &trouble.message))
        }
        _ => unseen(proof),
    }
}

fn spoken(proof: &Proof, tls: &Handshake, demand: &Demand) -> ProofVerdict {
    if tls.version < demand.min_tls {
        let what = format!(
            "{} was agreed on, and {} is the least that is asked for",
            tls.version, demand.min_tls
        );
        return refuted(Refutation::BelowMinimum, at(proof, &what));
    }
    let counts = |objection: &&Objection| match objection.word {
        ObjectionWord::KeyNotProven => true,
        ObjectionWord::WrongName => false,
        ObjectionWord::UnknownIssuer
        | ObjectionWord::Expired
        | ObjectionWord::NotYetValid
        | ObjectionWord::Invalid => demand.trusted,
    };
    match tls.objections.iter().find(counts) {
        Some(objection) => {
            refuted(Refutation::Objected(objection.word), at(proof, &objection.message))
        }
        None => ProofVerdict::Proven {
            message: at(proof, &format!("{} with {}", tls.version, tls.cipher)),
        },
    }
}

fn refuted(word: Refutation, message: String) -> ProofVerdict {
    ProofVerdict::Refuted { word, message }
}

fn unseen(proof: &Proof) -> ProofVerdict {
    match &proof.trouble {
        Some(Trouble { word, message }) => {
            ProofVerdict::Unseen { word: *word, message: at(proof, message) }
        }
        // No probe leaves such a proof behind; a record of others may.
        None => ProofVerdict::Unseen {
            word: TroubleWord::Closed,
            message: at(proof, "nothing was seen"),
        },
    }
}

fn at(proof: &Proof, what: &str) -> String {
    format!("{}: {what}", proof.endpoint)
}
