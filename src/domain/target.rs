//! The target: one proxy, with the lane it is reached by.
//!
//! Invariant: a target never changes after submission; its place in the rollout's list is half of a
//! change's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::{Digest, InstanceId, Name, ProxyId};

/// One proxy of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The lane whose account, project, region and quota the calls use.
    pub lane: Name,
    /// The instance that the proxy belongs to; at most one change per instance is ever in flight.
    pub instance_id: InstanceId,
    /// The proxy; the proxy list calls it `pool_id`.
    pub proxy_id: ProxyId,
    /// Free labels from the plan or the target file (`tags`, or columns `tag:NAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// The value that the proxy showed when the list was made: the preview tells it, and where the
    /// proxy no longer shows it, nothing is switched. `None`: not known, nothing to compare with.
    #[serde(default, rename = "ssl_option", skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
    /// The instance's name when the list was made, for people: nothing is found or compared by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<InstanceName>,
}

/// An instance's name, as the cloud has it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceName(Arc<str>);

impl InstanceName {
    /// Longest name that is read, in characters; the vendor's longest has 64.
    pub const LEN_MAX: usize = 200;

    /// The name; `None` for an empty text.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The name as the cloud has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for InstanceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for InstanceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// The targets of a plan, shared: cheap to clone. Not an `Arc<[Target]>`, for to make that of a
/// million targets that were read row by row would hold them twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetList(Arc<Vec<Target>>);

impl std::ops::Deref for TargetList {
    type Target = [Target];

    fn deref(&self) -> &[Target] {
        &self.0
    }
}

impl From<Vec<Target>> for TargetList {
    fn from(targets: Vec<Target>) -> Self {
        Self(Arc::new(targets))
    }
}

impl<const N: usize> From<[Target; N]> for TargetList {
    fn from(targets: [Target; N]) -> Self {
        Vec::from(targets).into()
    }
}

impl FromIterator<Target> for TargetList {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        Vec::from_iter(targets).into()
    }
}

/// Digest over ordered targets, with their tags, which may limit the pace, and what they were seen
/// to show: part of a rollout's identity. A name of an instance binds nothing and is not in it.
pub fn digest(targets: &[Target]) -> Digest {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for target in targets {
        hash.update(target.lane.as_str());
        hash.update([0]);
        hash.update(target.instance_id.as_str());
        hash.update(target.proxy_id.as_str());
        if let Some(seen) = target.seen {
            hash.update([0, u8::from(seen)]);
        }
        for (name, value) in target.tags.iter().flat_map(Tags::iter) {
            // Lengths stand before the words, so that no two sets of tags read alike.
            for word in [name, value] {
                hash.update((word.len() as u64).to_be_bytes());
                hash.update(word);
            }
        }
    }
    Digest::from_bytes(hash.finalize().into())
}

/// Free labels in the order of their names. Cheap to clone, so targets that carry the same share
/// them; and packed, for a map would cost each of a hundred thousand targets several times what all
/// the rest of it costs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Arc<[(Box<str>, Box<str>)]>);

impl Tags {
    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok().map(|at| &*self.0[at].1)
    }

    /// Names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl From<BTreeMap<String, String>> for Tags {
    fn from(tags: BTreeMap<String, String>) -> Self {
        Self(tags.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_part_of_the_digest() {
        let target = |seen| Target {
            lane: Name::parse("prod", "lane").expect("a name"),
            instance_id: "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id"),
            proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id"),
            tags: None,
            seen,
            instance_name: None,
        };
        let digests =
            [None, Some(false), Some(true)].map(|seen| digest(&[target(seen), target(None)]));
        assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
        assert_ne!(
            digest(&[target(Some(true)), target(None)]),
            digest(&[target(None), target(Some(true))])
        );
        let named = Target { instance_name: InstanceName::new("orders"), ..target(None) };
        assert_eq!(
            digest(std::slice::from_ref(&named)),
            digest(&[target(None)]),
            "an instance may be renamed"
        );
        let stored = serde_json::to_string(&named).expect("a target");
        assert!(stored.ends_with(r#""instance_name":"orders"}"#), "{stored}");
        assert_eq!(serde_json::from_str::<Target>(&stored).expect("the same"), named);
    }

    #[test]
    fn tags_are_found_by_name_and_stored_as_a_map() {
        let text = r#"{"app":"orders","tier":"gold"}"#;
        let tags: Tags = serde_json::from_str(text).expect("a map");
        assert_eq!(
            (tags.get("tier"), tags.get("app"), tags.get("zone")),
            (Some("gold"), Some("orders"), None)
        );
        assert_eq!(serde_json::to_string(&tags).expect("a map"), text);
    }
}
