//! A plan that is submitted again under the same name and revision: whether it is the one that was
//! submitted.
//!
//! Invariant: what was written is compared, not what it was resolved to, so that the same bytes
//! stay the same plan under a version that resolves defaults otherwise. A rollout of a version that
//! kept only the resolved plan is compared by that, unless the file is the same byte by byte.

use crate::domain::id::Digest;
use crate::domain::plan::{Approval, Plan};
use crate::domain::written::{Edited, WrittenPlan};
use crate::yaml::quote;

/// Keys that a refusal names: as many as a person reads.
const KEYS_TOLD: usize = 10;

/// What another submission of a plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    None,
    /// Another file that says the same.
    Comments,
    /// Other content: the keys that differ, for a person.
    Content(String),
}

/// Compares a plan with the one that was submitted; `same_targets`: whether their targets are known
/// to be equal.
pub(crate) fn edit(submitted: &Plan, given: &Plan, same_targets: bool) -> Edit {
    let authorities = |plan: &Plan| plan.wire.as_ref().and_then(|wire| wire.ca.clone());
    let same_authorities = authorities(submitted) == authorities(given);
    let same_file = submitted.source == given.source && submitted.ssl_option == given.ssl_option;
    let (was, now) = if same_file {
        (WrittenPlan::default(), WrittenPlan::default())
    } else if submitted.written.is_empty() || given.written.is_empty() {
        (resolved(submitted), resolved(given))
    } else {
        (submitted.written.clone(), given.written.clone())
    };
    let mut keys: Vec<String> = was.edits(&now).map(message).collect();
    if !same_authorities && !keys.iter().any(|key| key.contains("wire.ca")) {
        keys.push("the content of `verify.wire.ca_file`".into());
    }
    if !same_targets && !keys.iter().any(|key| key.starts_with("targets.")) {
        keys.push("targets".into());
    }
    if keys.is_empty() {
        return if same_file { Edit::None } else { Edit::Comments };
    }
    let more = keys.len().saturating_sub(KEYS_TOLD);
    keys.truncate(KEYS_TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Edit::Content(format!("{}{more}", keys.join(", ")))
}

fn message(edited: Edited<'_>) -> String {
    let Edited { key, was, now } = edited;
    let text = |text: Option<&str>| text.map_or_else(|| "not set".to_owned(), quote);
    // A list of `targets` is kept as a digest, which tells nobody anything.
    if key.starts_with("targets.") {
        key.to_owned()
    } else {
        format!("{key} ({}, now {})", text(was), text(now))
    }
}

/// The keys of the resolved plan, without what follows from the file's bytes alone.
fn resolved(plan: &Plan) -> WrittenPlan {
    let plan = Plan {
        source: Digest::ZERO,
        written: WrittenPlan::default(),
        approval: Approval { digest: Digest::ZERO, ..plan.approval },
        ..plan.clone()
    };
    let mut keys = Vec::new();
    flatten(String::new(), &serde_json::to_value(&plan).expect("a plan is JSON"), &mut keys);
    keys.into_iter().collect()
}

fn flatten(path: String, value: &serde_json::Value, keys: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                flatten(
                    if path.is_empty() { name.clone() } else { format!("{path}.{name}") },
                    value,
                    keys,
                );
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(format!("{path}[{index}]"), item, keys);
            }
        }
        serde_json::Value::String(text) => keys.push((path, text.clone())),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            keys.push((path, value.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::WireRules;
    use crate::domain::proof::TlsVersion;
    use crate::store::fixtures::plan;

    /// As a file with this text would be read.
    fn of(text: &str, keys: &[(&str, &str)]) -> Plan {
        let written =
            keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Plan { source: Digest::of(text.as_bytes()), written, ..plan("alpha", &[4]) }
    }

    fn resolved_otherwise(plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        plan.strategy.max_failures += 1;
        plan
    }

    #[test]
    fn what_was_written_is_compared() {
        let submitted = of("a", &[("owner", "ada")]);
        let rows = [
            ("the same bytes", submitted.clone(), Edit::None),
            (
                "the same bytes, resolved by another version",
                resolved_otherwise(&submitted),
                Edit::None,
            ),
            ("another comment", of("a # note", &[("owner", "ada")]), Edit::Comments),
            (
                "another comment, resolved by another version",
                resolved_otherwise(&of("a # note", &[("owner", "ada")])),
                Edit::Comments,
            ),
            (
                "an edit",
                of("b", &[("owner", "bob")]),
                Edit::Content("owner (`ada`, now `bob`)".into()),
            ),
            (
                "a list of targets",
                of("b", &[("owner", "ada"), ("targets.exclude", "12ab")]),
                Edit::Content("targets.exclude".into()),
            ),
        ];
        for (row, given, wanted) in rows {
            assert_eq!(edit(&submitted, &given, true), wanted, "{row}");
        }
        assert_eq!(edit(&submitted, &submitted, false), Edit::Content("targets".into()));
    }

    #[test]
    fn what_an_earlier_version_resolved_is_compared_where_no_more_is_known() {
        let submitted = of("a", &[]);
        assert_eq!(
            edit(&submitted, &resolved_otherwise(&of("a", &[("owner", "ada")])), true),
            Edit::None
        );
        assert_eq!(edit(&submitted, &of("a # note", &[("owner", "ada")]), true), Edit::Comments);
        let Edit::Content(keys) =
            edit(&submitted, &resolved_otherwise(&of("b", &[("owner", "ada")])), true)
        else {
            panic!("an edit")
        };
        assert_eq!(keys, "strategy.max_failures (`4`, now `5`)");
    }

    #[test]
    fn the_authorities_are_part_of_the_content_and_few_keys_are_reported() {
        let wire = |ca: &str| Plan {
            wire: Some(WireRules { min_tls: TlsVersion::V12, ca: Some(ca.into()) }),
            ..of("a", &[("owner", "ada")])
        };
        assert_eq!(edit(&wire("ours"), &wire("ours"), true), Edit::None);
        assert_eq!(
            edit(&wire("ours"), &wire("theirs"), true),
            Edit::Content("the content of `verify.wire.ca_file`".into())
        );

        let many: Vec<(String, String)> =
            (10..25).map(|n| (format!("windows[{n}].cron"), n.to_string())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let Edit::Content(keys) = edit(&of("a", &[("owner", "ada")]), &of("b", &many), true) else {
            panic!("an edit")
        };
        assert!(
            keys.starts_with("owner (`ada`, now not set), windows[10].cron (not set, now `10`), "),
            "{keys}"
        );
        assert!(keys.ends_with(" and 6 more"), "{keys}");
    }
}
