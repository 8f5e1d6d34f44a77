//! A plan as it runs: resolved against its targets, valid by construction.
//!
//! Invariant: waves are not empty, adjoin each other and cover every target; every share has become
//! a count. Nothing here is checked again.
//!
//! Deliberately not here: what a user wrote and how mistakes are reported (`planfile`).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::enforce::schedule::Enforce;
use super::group::GroupLimits;
use super::id::{Digest, Name};
use super::proof::{Demand, TlsVersion};
use super::retry;
use super::window::{Calendar, Opening};
use super::written::WrittenPlan;

/// One run's plan, frozen at submission: editing the file afterwards changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub name: Name,
    /// Raised to run the same plan again on purpose.
    pub revision: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Change ticket, carried into journal and evidence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change_ref: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    pub ssl_option: bool,
    /// SHA-256 of the plan file's bytes.
    pub source: Digest,
    /// Windows, freezes and `not_before`.
    pub calendar: Calendar,
    /// Pace, waves and guards.
    pub strategy: Strategy,
    pub retry: retry::Policy,
    /// `verify.timeout`: how long the proxy may take to show the value after its job completed, in
    /// milliseconds.
    pub verify_timeout_ms: u64,
    /// The plan's `verify.wire`: what a proxy shows on the wire is held against it; `None`: the
    /// API's word is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<WireRules>,
    /// The plan's `approval`.
    #[serde(default)]
    pub approval: Approval,
    /// The plan's `enforce`: it runs again at each tick once its rollout has completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<Enforce>,
    /// It only looks: a change whose proxy shows the other value is skipped, and nothing is sent.
    /// No plan file says so; the runs of an enforcement do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub survey: bool,
    /// Receivers that alone are told of it; empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Name>,
    /// The file as it was written, which another version of it is compared with.
    #[serde(default, skip_serializing_if = "WrittenPlan::is_empty")]
    pub written: WrittenPlan,
}

impl Plan {
    /// What an approval is bound to: the plan file's bytes, the ordered targets that it led to, and
    /// the authorities of its `ca_file`, if it names one.
    pub fn digest(source: Digest, targets: Digest, wire: Option<&WireRules>) -> Digest {
        let mut bytes =
            [b"sealift plan 1\n".as_slice(), source.as_bytes(), targets.as_bytes()].concat();
        if let Some(ca) = wire.and_then(|wire| wire.ca.as_ref()) {
            bytes.extend_from_slice(Digest::of(ca.as_bytes()).as_bytes());
        }
        Digest::of(&bytes)
    }

    /// What the calendar says at this instant to a rollout that goes forward, or to one that puts
    /// back. A revert is not kept waiting by a window unless the plan says so; a freeze holds both.
    pub fn opening(&self, now: Timestamp, revert: bool) -> Opening {
        if revert && !self.strategy.revert.in_window {
            return Calendar::new(Vec::new(), self.calendar.freezes().to_vec(), None).at(now);
        }
        self.calendar.at(now)
    }

    /// `verify.timeout`.
    pub fn verify_timeout(&self) -> Duration {
        Duration::from_millis(self.verify_timeout_ms)
    }
}

/// The plan's `verify.wire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireRules {
    /// The oldest TLS version that counts.
    pub min_tls: TlsVersion,
    /// The text of `ca_file`, frozen with the plan: the authorities that a chain must lead to.
    /// `None`: a chain is recorded and not demanded, for the vendor's certificates are signed by
    /// authorities of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl WireRules {
    /// What a proof is judged by.
    pub fn demand(&self) -> Demand {
        Demand { min_tls: self.min_tls, trusted: self.ca.is_some() }
    }
}

/// The plan's `strategy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// Changes whose job has not ended, at most.
    pub max_in_flight: u32,
    /// `max_in_flight_per`: of any one lane, or of any one value of a tag, at most so many of them.
    /// On one instance it is always 1.
    #[serde(default, skip_serializing_if = "GroupLimits::is_empty")]
    pub max_in_flight_per: GroupLimits,
    /// The waves in their order; never empty.
    pub waves: Vec<Wave>,
    /// Failures plus changes in flight never exceed this; reached, the rollout halts. At least 1.
    pub max_failures: u32,
    /// Open-window time without a change ending after which the rollout halts, in milliseconds.
    pub progress_deadline_ms: u64,
    /// Whether and when it puts back what it changed.
    #[serde(default)]
    pub revert: RevertPolicy,
}

/// What a plan says of reverts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevertPolicy {
    /// What follows when a failure budget is spent.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// `revert_in_window`: a revert keeps to the windows too. Freezes hold it in any case.
    #[serde(default)]
    pub in_window: bool,
}

/// What follows when a failure budget is spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The rollout halts; a person decides.
    #[default]
    Halt,
    /// It puts back what it changed.
    Revert,
}

/// Most approvals that a plan may ask for: more people than that do not look at one plan.
pub const APPROVALS_MAX: u16 = 10;

/// The plan's `approval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Approvers other than the submitter; 0: none is asked for.
    pub required: u16,
    /// [`Plan::digest`] of this plan and its targets.
    pub digest: Digest,
}

impl Default for Approval {
    fn default() -> Self {
        Self { required: 0, digest: Digest::ZERO }
    }
}

impl Strategy {
    /// `progress_deadline`.
    pub fn progress_deadline(&self) -> Duration {
        Duration::from_millis(self.progress_deadline_ms)
    }

    /// Index of the wave that holds the target at `ordinal`.
    pub fn wave_of(&self, ordinal: u32) -> u16 {
        let after = self.waves.partition_point(|wave| wave.first <= ordinal);
        u16::try_from(after - 1).expect("waves are bounded and the first begins at 0")
    }
}

/// Most waves of one plan.
pub const WAVES_MAX: usize = 100;

/// One wave: a stretch of the target list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Its name in the plan.
    pub name: Name,
    /// Place of its first target in the list.
    pub first: u32,
    /// Number of its targets, at least 1.
    pub size: u32,
    /// Wait after its last change, in milliseconds.
    pub soak_ms: u64,
    /// Who lets the next wave begin.
    pub promote: Promote,
    /// Failures plus changes in flight of this wave never exceed this; reached, the rollout halts.
    /// At least 1.
    pub max_failures: u32,
}

impl Wave {
    /// Place after its last target.
    pub fn end(&self) -> u32 {
        self.first.saturating_add(self.size)
    }
}

/// Who lets the next wave begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    Auto,
    /// A person's `promote`.
    Manual,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::domain::window::{Freeze, ShutBy, Window};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// Open for an hour from midnight on; frozen on the second of December.
    fn plan(in_window: bool) -> Plan {
        let name = |text| Name::parse(text, "name").expect("a name");
        let zone: crate::domain::zone::Zone = "UTC".parse().expect("a zone");
        let window = Window::new(
            "0 0 * * *".parse().expect("an expression"),
            Duration::from_secs(3600),
            zone.clone(),
            Duration::ZERO,
        );
        let (from, to) = (
            "2026-12-02T00:00".parse().expect("a time"),
            "2026-12-03T00:00".parse().expect("a time"),
        );
        let freeze = Freeze::new(from, to, zone, "sale".into()).expect("a freeze");
        Plan {
            name: name("night"),
            revision: 1,
            description: String::new(),
            change_ref: String::new(),
            owner: String::new(),
            ssl_option: true,
            source: Digest::of(b"night"),
            calendar: Calendar::new(
                vec![window.expect("a window")],
                vec![freeze],
                Some(at("2026-12-01T00:00:00Z")),
            ),
            strategy: Strategy {
                max_in_flight: 1,
                max_in_flight_per: GroupLimits::default(),
                waves: Vec::new(),
                max_failures: 1,
                progress_deadline_ms: 1,
                revert: RevertPolicy { on_failure: OnFailure::Halt, in_window },
            },
            retry: retry::Policy::default(),
            verify_timeout_ms: 1,
            wire: None,
            approval: Approval::default(),
            enforce: None,
            survey: false,
            notify: Vec::new(),
            written: Default::default(),
        }
    }

    #[test]
    fn a_revert_is_held_by_freezes_and_only_on_request_by_windows() {
        let (noon, frozen) = (at("2026-12-01T12:00:00Z"), at("2026-12-02T00:30:00Z"));
        for in_window in [false, true] {
            assert!(matches!(
                plan(in_window).opening(noon, false),
                Opening::Shut { by: ShutBy::Window, .. }
            ));
            assert!(matches!(
                plan(in_window).opening(frozen, true),
                Opening::Shut { by: ShutBy::Freeze(_), .. }
            ));
        }
        assert_eq!(
            plan(false).opening(noon, true),
            Opening::Open { until: Some(at("2026-12-02T00:00:00Z")) }
        );
        let shut = Opening::Shut { next: Some(at("2026-12-03T00:00:00Z")), by: ShutBy::Window };
        assert_eq!(plan(true).opening(noon, true), shut);
    }

    #[test]
    fn the_digest_is_of_the_plan_its_targets_and_its_authorities() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let wire = |ca: &str| WireRules { min_tls: TlsVersion::V12, ca: Some(ca.into()) };
        let (ours, theirs) = (wire("ours"), wire("theirs"));
        let digests = [
            Plan::digest(one, other, None),
            Plan::digest(other, one, None),
            Plan::digest(one, one, None),
            Plan::digest(one, other, Some(&ours)),
            Plan::digest(one, other, Some(&theirs)),
        ];
        assert_eq!(BTreeSet::from(digests).len(), digests.len());
    }
}
