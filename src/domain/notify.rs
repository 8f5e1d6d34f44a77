//! Who is told of what: the words of what is told, and the receivers as the configuration names
//! them.
//!
//! Invariant: no URL and no secret is held here, only the place where one is found.
//!
//! Deliberately not here: what an entry of the journal tells, and how a receiver is told
//! (`notify`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::id::Name;
use super::lane::SecretSource;

/// Receivers of one daemon at most: each has a task and a file of its own.
pub const RECEIVERS_MAX: usize = 20;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeWord {
    /// A rollout was taken over.
    Submitted,
    /// It begins when somebody approves it.
    AwaitingApproval,
    /// Its first wave begins.
    Started,
    /// Every change of a wave has its outcome.
    WaveDone,
    /// The next wave begins when somebody promotes it.
    AwaitingPromotion,
    /// A lane sends nothing new, and nobody asked for that.
    LaneHeld,
    /// A guard stopped a rollout.
    Halted,
    /// Nobody knows whether the cloud did a change.
    InDoubt,
    /// A person paused a rollout.
    Paused,
    /// A pause ended.
    Resumed,
    /// A window came and went.
    WindowMissed,
    /// A rollout puts back what it changed.
    Reverting,
    /// Every change has its outcome.
    Completed,
    /// A person stopped a rollout for good.
    Aborted,
    /// What a rollout changed is put back.
    Reverted,
    /// An enforcement found proxies that show the other value.
    Drifted,
    /// An enforcement waits for a person.
    Held,
    /// A person tries a receiver; nobody listens to it.
    Test,
}

impl NoticeWord {
    /// Every word that a receiver may listen to.
    pub const ALL: [Self; 17] = [
        Self::Submitted,
        Self::AwaitingApproval,
        Self::Started,
        Self::WaveDone,
        Self::AwaitingPromotion,
        Self::LaneHeld,
        Self::Halted,
        Self::InDoubt,
        Self::Paused,
        Self::Resumed,
        Self::WindowMissed,
        Self::Reverting,
        Self::Completed,
        Self::Aborted,
        Self::Reverted,
        Self::Drifted,
        Self::Held,
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Started => "started",
            Self::WaveDone => "wave_done",
            Self::AwaitingPromotion => "awaiting_promotion",
            Self::LaneHeld => "lane_held",
            Self::Halted => "halted",
            Self::InDoubt => "in_doubt",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::WindowMissed => "window_missed",
            Self::Reverting => "reverting",
            Self::Completed => "completed",
            Self::Aborted => "aborted",
            Self::Reverted => "reverted",
            Self::Drifted => "drifted",
            Self::Held => "held",
            Self::Test => "test",
        }
    }

    /// How grave it is.
    pub fn gravity(self) -> Gravity {
        match self {
            Self::LaneHeld | Self::Halted | Self::InDoubt => Gravity::Error,
            Self::AwaitingApproval
            | Self::AwaitingPromotion
            | Self::Paused
            | Self::WindowMissed
            | Self::Reverting
            | Self::Drifted
            | Self::Held
            | Self::Test => Gravity::Warning,
            Self::Submitted
            | Self::Started
            | Self::WaveDone
            | Self::Resumed
            | Self::Completed
            | Self::Aborted
            | Self::Reverted => Gravity::Fine,
        }
    }
}

/// How grave a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// Somebody should look now.
    Error,
    /// Somebody should look.
    Warning,
    /// It goes on, or is over.
    Fine,
}

impl fmt::Display for NoticeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that nothing is told under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of what is told")]
pub struct UnknownNotice;

impl FromStr for NoticeWord {
    type Err = UnknownNotice;

    fn from_str(text: &str) -> Result<Self, UnknownNotice> {
        Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or(UnknownNotice)
    }
}

/// One who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    pub name: Name,
    /// Where its URL is found, which is a secret; `None`: that of PagerDuty's own service.
    pub url: Option<SecretSource>,
    /// Where the key of its signatures is found; of PagerDuty the routing key.
    pub secret: Option<SecretSource>,
    /// The key before, which signs too while receivers change over.
    pub old_secret: Option<SecretSource>,
    pub on: BTreeSet<NoticeWord>,
    pub shape: MessageShape,
}

/// What a message looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageShape {
    /// Sealift's own document, signed.
    Json,
    Slack,
    /// An adaptive card.
    Teams,
    /// Events v2.
    PagerDuty,
    /// A map of the administrator's; placeholders in its texts are filled in.
    Free(Value),
}

impl MessageShape {
    /// Those that have a name.
    pub const NAMED: [Self; 4] = [Self::Json, Self::Slack, Self::Teams, Self::PagerDuty];

    /// As the configuration writes it; `free` for a map.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::PagerDuty => "pagerduty",
            Self::Free(_) => "free",
        }
    }
}

/// What may stand in a map's texts between `${` and `}`.
pub const PLACEHOLDERS: [&str; 17] = [
    "event",
    "summary",
    "command",
    "link",
    "plan",
    "revision",
    "rollout",
    "phase",
    "wave",
    "lane",
    "by",
    "why",
    "change_ref",
    "owner",
    "at",
    "counts",
    "sequence",
];

/// Placeholders that the texts of one map may have together: so many of the shortest texts fit into
/// a body.
pub const PLACEHOLDERS_MAX: usize = 60;

/// Bytes of a map as JSON.
pub const MAP_MAX: usize = 8_000;

/// A part of a map's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'t> {
    Text(&'t str),
    /// What stood between `${` and `}`.
    Placeholder(&'t str),
}

/// The parts of a text: `${name}` is filled in, `$${` stands for `${` itself.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("$${") {
            let piece = &rest[1..3];
            rest = after;
            return Some(Piece::Text(piece));
        }
        let placeholder = rest.strip_prefix("${").and_then(|rest| rest.split_once('}'));
        if let Some((name, after)) = placeholder.filter(|(name, _)| !name.contains(['$', '{'])) {
            rest = after;
            return Some(Piece::Placeholder(name));
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find('$').map_or(rest.len(), |at| first + at);
        let piece;
        (piece, rest) = rest.split_at(end);
        Some(Piece::Text(piece))
    })
}
