//! Which instances a plan has discovered, and which targets it leaves out.
//!
//! Invariant: what is not said matches anything, and what is said must all match.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::domain::id::{InstanceId, Name, ProxyId};

/// A text in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Whether the text is as the pattern says, letter by letter, from its beginning to its end.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.len() >= last.len() && rest.ends_with(last)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// An instance, as far as it is selected by.
#[derive(Debug, Clone, Copy)]
pub struct SelectedInstance<'i> {
    /// Its name.
    pub name: &'i str,
    /// Its status, in the cloud's word.
    pub state: &'i str,
    /// Its tags.
    pub tags: &'i BTreeMap<String, String>,
}

/// One entry of `targets.discover`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// The lane that is searched.
    pub lane: Name,
    /// The name that an instance has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<Pattern>,
    /// The tags that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The status that it has, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Selector {
    /// Whether it selects an instance of its lane.
    pub fn wants(&self, instance: SelectedInstance<'_>) -> bool {
        self.instance_name.as_ref().is_none_or(|pattern| pattern.matches(instance.name))
            && self.tags.iter().all(|(name, value)| instance.tags.get(name) == Some(value))
            && self.state.as_deref().is_none_or(|state| instance.state.eq_ignore_ascii_case(state))
    }
}

/// One entry of `targets.exclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The lane.
    pub lane: Option<Name>,
    /// The name of the instance.
    pub instance_name: Option<Pattern>,
    /// The instance.
    pub instance_id: Option<InstanceId>,
    /// The proxy.
    pub proxy_id: Option<ProxyId>,
    /// The tags that the target has.
    pub tags: BTreeMap<String, String>,
    /// Why it is left out.
    pub reason: String,
}

impl Exclusion {
    /// Whether anything is said of what is left out.
    pub fn says_something(&self) -> bool {
        let Self { lane, instance_name, instance_id, proxy_id, tags, reason: _ } = self;
        lane.is_some()
            || instance_name.is_some()
            || instance_id.is_some()
            || proxy_id.is_some()
            || !tags.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("prod-*", "prod-1", true),
            ("prod-*", "prod-", true),
            ("prod-*", "test-prod-1", false),
            ("*-1", "prod-1", true),
            ("*-1", "prod-11", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
        ] {
            assert_eq!(Pattern::from(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_said_must_match() {
        let prod = BTreeMap::from([
            ("env".to_owned(), "prod".to_owned()),
            ("tier".to_owned(), "gold".to_owned()),
        ]);
        let instance = SelectedInstance { name: "prod-1", state: "ACTIVE", tags: &prod };
        let any = Selector {
            lane: Name::parse("lab", "lane").expect("a name"),
            instance_name: None,
            tags: BTreeMap::new(),
            state: None,
        };
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(any.wants(instance));
        assert!(
            Selector { state: Some("active".into()), tags: one("tier", "gold"), ..any.clone() }
                .wants(instance)
        );
        assert!(
            !Selector { state: Some("active".into()), tags: one("tier", "silver"), ..any.clone() }
                .wants(instance)
        );
        assert!(!Selector { instance_name: Some("test-*".into()), ..any.clone() }.wants(instance));
        assert!(!Selector { tags: one("zone", "gold"), ..any }.wants(instance));
    }
}
