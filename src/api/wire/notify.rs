//! Receivers of notifications: how they stand, and what became of a test.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::count::count;

/// How a receiver of notifications stands. Neither its URL nor what it answered is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReceiverDoc {
    pub name: String,
    /// `json`, `slack`, `teams`, `pagerduty`, or `free` for a map of the configuration.
    pub shape: String,
    /// What it is told.
    pub on: Vec<String>,
    /// Notifications that wait for it; at a thousand there may be more.
    pub waiting: u64,
    /// When the oldest of them happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Timestamp>,
    /// Notifications that it took since the daemon started.
    pub taken: u64,
    /// When it took the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub taken_at: Option<Timestamp>,
    /// Tries that failed since the daemon started.
    pub failed: u64,
    /// Notifications given up after a day of tries, ever.
    pub given_up: u64,
    /// Since when it is told nothing, because it answered that it is gone (410).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub off: Option<Timestamp>,
    /// Since when it took nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next: Option<Timestamp>,
    /// What is wrong with its cursor on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}

impl ReceiverDoc {
    /// What is wrong with it, for people; `None`: it is told what there is.
    pub fn trouble(&self) -> Option<String> {
        let Self { name, waiting, why, .. } = self;
        let waits = u32::try_from(*waiting).unwrap_or(u32::MAX);
        let waits = count(waits, "notification waits", "notifications wait");
        let lost = match self.given_up {
            0 => String::new(),
            n => format!(", {n} were given up"),
        };
        if let Some(blocked) = &self.blocked {
            return Some(format!("receiver {name}: {blocked}"));
        }
        if self.off.is_some() {
            return Some(format!(
                "receiver {name} is off, it answered 410; {waits}{lost}; `sealift notify test \
                 {name}` takes it up again"
            ));
        }
        let failing = self.failing_since.is_some();
        failing.then(|| format!("receiver {name} takes nothing: {why}; {waits}{lost}"))
    }

    /// That all are told what there is; `None` where there are none.
    pub fn all_well(receivers: &[Self]) -> Option<String> {
        let waiting: u64 = receivers.iter().map(|receiver| receiver.waiting).sum();
        let lost: u64 = receivers.iter().map(|receiver| receiver.given_up).sum();
        let number = u32::try_from(receivers.len()).unwrap_or(u32::MAX);
        let waits =
            if waiting == 0 { "nothing waits".to_owned() } else { format!("{waiting} wait") };
        let lost = if lost == 0 { String::new() } else { format!(", {lost} were given up ever") };
        let told = count(number, "receiver is told", "receivers are told");
        (number > 0).then(|| format!("notifications: {told}, {waits}{lost}"))
    }
}

/// What became of a test of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyTestAnswer {
    pub name: String,
    /// It took the test.
    pub taken: bool,
    /// What it answered, or why nothing came.
    pub text: String,
    /// The beginning of what it answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
}
