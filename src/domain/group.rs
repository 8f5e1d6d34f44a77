//! Groups of targets: those of one lane, or those that carry one value of a tag; and how many
//! changes of one group may be in flight at once (the plan's `max_in_flight_per`).
//!
//! Invariant: a target is in at most one group of each limit, and which one never changes. A target
//! without the tag is in none and is not limited by it.
//!
//! Deliberately not here: counting what is in flight (`store`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::target::Target;

/// Most limits of one plan: nobody reads a longer list, and each costs a look-up for every
/// candidate.
pub const GROUP_LIMITS_MAX: usize = 8;

/// What stands before a tag's name.
const TAG: &str = "tag:";

/// What makes a group of targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GroupBy {
    /// `lane`: the same lane.
    Lane,
    /// `tag:NAME`: the same value of this tag.
    Tag(String),
}

impl GroupBy {
    /// The group of this target; `None`: it carries no such tag.
    pub fn value<'t>(&self, target: &'t Target) -> Option<&'t str> {
        match self {
            Self::Lane => Some(target.lane.as_str()),
            Self::Tag(name) => target.tags.as_ref()?.get(name),
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane => f.write_str("lane"),
            Self::Tag(name) => write!(f, "{TAG}{name}"),
        }
    }
}

/// The text names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit is for `lane` or for `tag:NAME`")]
pub struct NoGroup;

impl FromStr for GroupBy {
    type Err = NoGroup;

    fn from_str(text: &str) -> Result<Self, NoGroup> {
        match text.strip_prefix(TAG) {
            Some(name) if !name.is_empty() => Ok(Self::Tag(name.to_owned())),
            None if text == "lane" => Ok(Self::Lane),
            Some(_) | None => Err(NoGroup),
        }
    }
}

impl TryFrom<String> for GroupBy {
    type Error = NoGroup;

    fn try_from(text: String) -> Result<Self, NoGroup> {
        text.parse()
    }
}

impl From<GroupBy> for String {
    fn from(by: GroupBy) -> Self {
        by.to_string()
    }
}

/// The limits of a plan, in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupLimits(BTreeMap<GroupBy, u32>);

impl GroupLimits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each limit: what makes its groups, and the most changes in flight of any of them.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupBy, u32)> {
        self.0.iter().map(|(by, most)| (by, *most))
    }
}

/// As people read it: `at most 10 of any lane and 2 of any tag tier`.
impl fmt::Display for GroupLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (by, most)) in self.iter().enumerate() {
            let lead = match place {
                0 => "at most ",
                _ if place + 1 == self.len() => " and ",
                _ => ", ",
            };
            match by {
                GroupBy::Lane => write!(f, "{lead}{most} of any lane")?,
                GroupBy::Tag(name) => write!(f, "{lead}{most} of any tag {name}")?,
            }
        }
        Ok(())
    }
}

impl FromIterator<(GroupBy, u32)> for GroupLimits {
    fn from_iter<I: IntoIterator<Item = (GroupBy, u32)>>(limits: I) -> Self {
        Self(limits.into_iter().collect())
    }
}

/// A group all of whose places are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullGroup {
    pub by: GroupBy,
    /// The lane, or the tag's value.
    pub value: String,
    /// Changes of the group that are in flight.
    pub active: u32,
    /// The most that may be.
    pub most: u32,
}

impl fmt::Display for FullGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, value, active, most } = self;
        match by {
            GroupBy::Lane => write!(f, "{active} of {most} changes of lane {value} are in flight"),
            GroupBy::Tag(name) => {
                write!(f, "{active} of {most} changes with tag {name}={value} are in flight")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in ["lane", "tag:tier", "tag:tag:x", "tag:Größe"] {
            assert_eq!(text.parse::<GroupBy>().expect("a key").to_string(), text);
        }
        for text in ["", "lanes", "tag", "tag:", "instance", "Lane", " lane"] {
            assert_eq!(text.parse::<GroupBy>(), Err(NoGroup), "{text:?}");
        }
        let text = r#"{"lane":10,"tag:tier":2}"#;
        let limits: GroupLimits = serde_json::from_str(text).expect("limits");
        assert_eq!(limits.iter().map(|(_, most)| most).collect::<Vec<_>>(), [10, 2]);
        assert_eq!(serde_json::to_string(&limits).expect("limits"), text);
        assert_eq!(limits.to_string(), "at most 10 of any lane and 2 of any tag tier");
    }

    #[test]
    fn a_target_without_the_tag_is_in_no_group() {
        let bare: Target = serde_json::from_str(
            r#"{"lane":"sgp","instance_id":"00000000000000000000000000000001in07","proxy_id":"00000000000000000000000000000001po01"}"#,
        )
        .expect("a target");
        let gold = Target {
            tags: Some(BTreeMap::from([("tier".to_owned(), "gold".to_owned())]).into()),
            ..bare.clone()
        };
        let tier = GroupBy::Tag("tier".into());
        assert_eq!(
            (tier.value(&bare), tier.value(&gold), GroupBy::Lane.value(&bare)),
            (None, Some("gold"), Some("sgp"))
        );
    }
}
