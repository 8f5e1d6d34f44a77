//! What a plan file says, key by key, for the comparison with another version of the file.
//!
//! Bound: a list of `targets` may be long and is one key with a digest; all other lists are bounded
//! by the schema.

use crate::domain::id::Digest;
use crate::domain::written::WrittenPlan;
use crate::yaml::Document;
use crate::yaml::tree::{Node, NodeKind};

/// What says nothing about a run, and what the digest of the targets tells.
const LEFT_OUT: [&str; 2] = ["autostart", "targets.list"];

/// The keys of a plan with their texts.
pub fn written(document: &Document<'_>) -> WrittenPlan {
    let mut keys = Vec::new();
    walk("", document.root(), &mut |key, text| keys.push((key, text)));
    keys.into_iter().collect()
}

fn walk(path: &str, node: &Node<'_>, each: &mut impl FnMut(String, String)) {
    if node.is_null() || LEFT_OUT.contains(&path) {
        return;
    }
    match &node.kind {
        NodeKind::Scalar { text, .. } => each(path.to_owned(), text.clone().into_owned()),
        NodeKind::Sequence(_) if path.starts_with("targets.") => {
            each(path.to_owned(), digest(node).to_string())
        }
        NodeKind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), item, each);
            }
        }
        NodeKind::Mapping(entries) => {
            for (name, value) in entries {
                let name = name.text().unwrap_or_default();
                walk(
                    &if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") },
                    value,
                    each,
                );
            }
        }
    }
}

/// Digest of a list, whatever the order of the keys in its entries.
fn digest(list: &Node<'_>) -> Digest {
    let mut keys = Vec::new();
    for item in 0..list.len() {
        let entry = list.item(item).expect("counted just now");
        walk(&format!("[{item}]"), entry, &mut |key, text| keys.push((key, text)));
    }
    keys.sort_unstable();
    // JSON, for it tells where a text ends.
    Digest::of(&serde_json::to_vec(&keys).expect("pairs of texts are JSON"))
}
