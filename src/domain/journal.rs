//! The journal's entries: who moved from what to what, when and why.
//!
//! Invariant: folding the entries in their order gives the stored state exactly; so every entry
//! carries the whole record it led to, and nothing else moves anything. No entry ever contains a
//! secret.
//!
//! Deliberately not here: the chain of hashes (`store`).

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{Digest, InstanceId, Name, ProxyId, RolloutId};
use super::proof::Proof;
use super::{change, enforce, rollout};

/// A word of a fixed set: borrowed where we write it, owned where it was read.
pub type Word = Cow<'static, str>;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    /// When it was decided, by our wall clock.
    pub at: Timestamp,
    /// Which rollout it belongs to.
    pub rollout: RolloutId,
    #[serde(flatten)]
    pub what: JournalEvent,
}

impl Entry {
    /// Whether it tells more than a step of a change: a rollout moved, an enforcement did, or a
    /// change is in doubt.
    pub fn is_milestone(&self) -> bool {
        match &self.what {
            JournalEvent::Change { to, .. } => to == IN_DOUBT,
            JournalEvent::Submitted { .. }
            | JournalEvent::Rollout { .. }
            | JournalEvent::Enforcement { .. } => true,
        }
    }
}

/// The state of a change that a person must look at.
const IN_DOUBT: &str = "in_doubt";

/// What an entry tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JournalEvent {
    /// A rollout was taken over.
    Submitted {
        name: Name,
        revision: u32,
        ssl_option: bool,
        targets: u32,
        /// SHA-256 of the stored submission (plan and targets), which is also its file's name.
        submission: Digest,
        /// `change_ref` of the plan.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        change_ref: String,
        by: String,
        /// The door that they came through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        /// What they were told beside it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    Change {
        /// Its place in the rollout's target list.
        ordinal: u32,
        instance_id: InstanceId,
        proxy_id: ProxyId,
        /// The word of the state it left.
        from: Word,
        /// The word of the state it entered.
        to: Word,
        why: String,
        /// The call that follows this entry, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Word>,
        /// The answer that led here, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Trace>,
        /// Who made it move, if a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The door that they came through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        /// The entry of the same change before it: between two of them lie those of all others.
        /// `None` for the first, and where an earlier version wrote the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<u64>,
        /// The record that it led to.
        record: change::Record,
    },
    Rollout {
        /// The word of the phase it left.
        from: Word,
        /// The word of the phase it entered.
        to: Word,
        why: String,
        /// Who made it move, if a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The door that they came through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        /// The record that it led to.
        record: rollout::Record,
    },
    /// The enforcement of a plan moved; the entry belongs to the rollout that it came from.
    Enforcement {
        name: Name,
        /// The word of the stage it left; `none` when it begins.
        from: Word,
        /// The word of the stage it entered.
        to: Word,
        why: String,
        /// Who made it move, if a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The door that they came through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        /// The record that it led to.
        record: Box<enforce::Record>,
        /// The entry of the same rollout before it: between two ticks lie the entries of all
        /// others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<u64>,
    },
}

/// What is kept of a call's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The call's word; `probe` for a look at the wire.
    pub call: Word,
    /// `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// HTTP status of a refusal or failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error_code` of a refusal or failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What a look at the wire saw, whole; no call of the API has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<Proof>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that were written before people's doors and a change's entry before were kept.
    #[test]
    fn an_old_entry_is_read_and_written_as_it_was() {
        let change = serde_json::to_string(&change::Record::queued()).expect("JSON");
        let rollout = serde_json::to_string(&rollout::Record::submitted()).expect("JSON");
        let (id, other) = ("a".repeat(32), "0".repeat(32));
        let begins = format!(r#"{{"seq":7,"at":"2026-11-28T01:00:00Z","rollout":"{id}","kind":"#);
        let olds = [
            format!(
                r#""submitted","name":"night","revision":1,"ssl_option":true,"targets":1,"submission":"{id}{id}","by":"ada""#
            ),
            format!(
                r#""change","ordinal":3,"instance_id":"{other}in07","proxy_id":"{other}po01","from":"failed","to":"queued","why":"retry","by":"ada","record":{change}"#
            ),
            format!(
                r#""rollout","from":"advancing","to":"advancing","why":"paused","by":"ada","record":{rollout}"#
            ),
        ];
        for old in olds {
            let old = format!("{begins}{old}}}");
            let entry: Entry = serde_json::from_str(&old).expect("it can be read");
            assert_eq!(serde_json::to_string(&entry).expect("JSON"), old);
        }
    }
}
