//! The plan file that puts back what a rollout switched: its text, and what of the rollout's own
//! plan is not in it.
//!
//! Invariant: every key of that plan is carried over, replaced by the revert's own, or left out and
//! named; a key that is not known here is left out and named. Deliberately not here: which proxies
//! are put back (`revert`).

use std::collections::BTreeMap;

use super::super::wire::{ChangeRow, PlanDoc, RolloutDoc};
use crate::words::text::{Style, clean};

/// Keys that the revert writes anew, or that say nothing about how it runs.
const REPLACED: [&str; 6] = ["version", "name", "revision", "ssl_option", "description", "targets"];

/// Keys that are carried over as they were written, in this order.
const CARRIED: [&str; 4] = ["windows", "freezes", "retry", "approval"];

/// Keys of `strategy` that are; the waves are turned round.
const OF_STRATEGY: [&str; 5] =
    ["max_in_flight", "max_in_flight_per", "max_failures", "progress_deadline", "revert_in_window"];

/// The plan, and what it carries and leaves out.
pub struct File {
    pub text: String,
    /// Keys of the rollout's plan that it has.
    pub carried: Vec<String>,
    /// What it does not have, each with why.
    pub left_out: Vec<String>,
}

/// A value of a plan: a scalar as it is spelt, a list or a map.
enum PlanValue {
    Scalar(String),
    List(BTreeMap<usize, PlanValue>),
    Map(BTreeMap<String, PlanValue>),
}

/// The plan of these rows, the newest wave first.
pub fn file(rollout: &RolloutDoc, plan: &PlanDoc, rows: &[ChangeRow], style: &Style) -> File {
    let on = !rollout.ssl_option;
    let mut root = BTreeMap::new();
    for (key, text) in &plan.written {
        insert(&mut root, &path(key), text);
    }
    let mut left_out = Vec::new();
    if plan.written.is_empty() {
        left_out.push("all that its plan says: it was submitted under an earlier version, which did not keep it; look at its file".into());
    }
    let mut sections = Vec::new();
    for key in CARRIED {
        sections.extend(root.remove(key).map(|value| (key, value)));
    }
    let mut strategy = take_map(&mut root, "strategy");
    let mut kept: BTreeMap<String, PlanValue> = OF_STRATEGY
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), strategy.remove(*key)?)))
        .collect();
    if let Some(PlanValue::List(waves)) = strategy.remove("waves") {
        let says = |key: &str| {
            waves
                .values()
                .any(|wave| matches!(wave, PlanValue::Map(wave) if wave.contains_key(key)))
        };
        let gates: Vec<&str> = ["soak", "promote"].into_iter().filter(|key| says(key)).collect();
        if !gates.is_empty() {
            left_out.push(format!(
                "{} of its waves: each is put back as soon as the newer one is",
                gates.join(" and ")
            ));
        }
        kept.insert("waves".into(), turned_round(rows));
    }
    if let Some(PlanValue::Scalar(text)) = strategy.remove("on_failure") {
        left_out.push(format!(
            "strategy.on_failure: {text}; where too much cannot be put back, a person decides"
        ));
    }
    if !kept.is_empty() {
        sections.push(("strategy", PlanValue::Map(kept)));
    }
    sections.extend(
        verify(take_map(&mut root, "verify"), rollout, on, &mut left_out)
            .map(|value| ("verify", value)),
    );
    if root.remove("enforce").is_some() {
        left_out.push("enforce: it is put back once, and nothing keeps it so".into());
    }
    if let Some(PlanValue::Scalar(text)) = root.remove("not_before") {
        left_out.push(format!("not_before: {text}; this may begin at once, or in the next window"));
    }
    let texts: Vec<(String, PlanValue)> =
        ["change_ref", "owner"].iter().filter_map(|key| root.remove_entry(*key)).collect();
    root.retain(|key, _| !REPLACED.contains(&key.as_str()));
    left_out.extend(root.iter().map(|(key, value)| format!("{key}: {}", flow(value))));
    left_out.extend(strategy.iter().map(|(key, value)| format!("strategy.{key}: {}", flow(value))));
    let left_out: Vec<String> = left_out.iter().map(|line| clean(line)).collect();

    // A plan's name has 63 characters at most.
    let name: String = format!("revert-{}", rollout.name).chars().take(63).collect();
    let mut text = format!(
        "# Puts back what rollout {} of plan {} revision {} switched, the newest wave first; made {}.\n\
         # A proxy that somebody changed since shows the wanted value already and is left alone.\n",
        rollout.id,
        rollout.name,
        rollout.revision,
        style.time(style.now),
    );
    text.extend(left_out.iter().map(|line| format!("# Left out: {line}\n")));
    text.push_str(&format!(
        "version: 1\nname: {name}\nrevision: {}\nssl_option: {on}\n",
        rollout.revision
    ));
    text.extend(texts.iter().map(|(key, value)| format!("{key}: {}\n", flow(value))));
    text.extend(sections.iter().map(|(key, value)| block(key, value)));
    text.push_str(&targets(
        rows,
        plan.written.keys().any(|key| key.starts_with("strategy.max_in_flight_per.tag:")),
    ));
    File { text, carried: sections.into_iter().map(|(key, _)| key.to_owned()).collect(), left_out }
}

fn take_map(of: &mut BTreeMap<String, PlanValue>, key: &str) -> BTreeMap<String, PlanValue> {
    match of.remove(key) {
        Some(PlanValue::Map(map)) => map,
        Some(_) | None => BTreeMap::new(),
    }
}

/// `verify`, as far as it means something in the other direction.
fn verify(
    mut written: BTreeMap<String, PlanValue>,
    rollout: &RolloutDoc,
    on: bool,
    left_out: &mut Vec<String>,
) -> Option<PlanValue> {
    let mut kept = BTreeMap::new();
    kept.extend(written.remove_entry("timeout"));
    let mut wire = take_map(&mut written, "wire");
    // `wire: {}` has no key of its own, and asks for a proof all the same.
    if rollout.wire.is_some() {
        let mut keys: BTreeMap<String, PlanValue> =
            wire.remove_entry("plaintext").into_iter().collect();
        if on {
            keys.extend(wire.remove_entry("min_tls"));
        }
        for (key, value) in &wire {
            let why = if on {
                "put the file beside this plan and name it again"
            } else {
                "it asks something of TLS, which is switched off"
            };
            left_out.push(format!("verify.wire.{key}: {}; {why}", flow(value)));
        }
        kept.insert("wire".into(), PlanValue::Map(keys));
    }
    left_out.extend(written.iter().map(|(key, value)| format!("verify.{key}: {}", flow(value))));
    (!kept.is_empty()).then_some(PlanValue::Map(kept))
}

/// The waves of the rows as they come, which is the newest first.
fn turned_round(rows: &[ChangeRow]) -> PlanValue {
    let mut waves: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        match waves.last_mut() {
            Some((name, size)) if *name == row.wave => *size += 1,
            Some(_) | None => waves.push((&row.wave, 1)),
        }
    }
    let wave = |(name, size): (&str, usize)| {
        let scalar = |text: String| PlanValue::Scalar(text);
        PlanValue::Map(
            [
                ("name".to_owned(), scalar(name.to_owned())),
                ("size".to_owned(), scalar(size.to_string())),
            ]
            .into(),
        )
    };
    PlanValue::List(waves.into_iter().map(wave).enumerate().collect())
}

fn targets(rows: &[ChangeRow], tags: bool) -> String {
    let mut text = "targets:\n  list:\n".to_owned();
    for row in rows {
        let tags = if tags && !row.tags.is_empty() {
            let tags =
                row.tags.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
            format!(", tags: {{{}}}", tags.collect::<Vec<_>>().join(", "))
        } else {
            String::new()
        };
        text.push_str(&format!(
            "    - {{lane: {}, instance_id: {}, proxy_id: {}{tags}}}\n",
            row.lane, row.instance_id, row.proxy_id
        ));
    }
    text
}

/// A key as it is kept, such as `windows[0].cron`, in its steps. The name of a tag may hold
/// anything, and ends its key.
fn path(key: &str) -> Vec<&str> {
    let (head, tag) = match key.find("max_in_flight_per.").map(|at| at + "max_in_flight_per.".len())
    {
        Some(at) => (&key[..at - 1], Some(&key[at..])),
        None => (key, None),
    };
    head.split(['.', '[']).map(|step| step.trim_end_matches(']')).chain(tag).collect()
}

fn insert(into: &mut BTreeMap<String, PlanValue>, path: &[&str], text: &str) {
    let Some((step, rest)) = path.split_first() else { return };
    let Some(next) = rest.first() else {
        into.insert((*step).to_owned(), PlanValue::Scalar(text.to_owned()));
        return;
    };
    match next.parse::<usize>() {
        Ok(index) => {
            let list =
                into.entry((*step).to_owned()).or_insert_with(|| PlanValue::List(BTreeMap::new()));
            let PlanValue::List(list) = list else { return };
            if rest.len() == 1 {
                list.insert(index, PlanValue::Scalar(text.to_owned()));
            } else if let PlanValue::Map(map) =
                list.entry(index).or_insert_with(|| PlanValue::Map(BTreeMap::new()))
            {
                insert(map, &rest[1..], text);
            }
        }
        Err(_) => {
            if let PlanValue::Map(map) =
                into.entry((*step).to_owned()).or_insert_with(|| PlanValue::Map(BTreeMap::new()))
            {
                insert(map, rest, text);
            }
        }
    }
}

/// A section of the file: a list and a map of lists and maps take a line for each entry.
fn block(key: &str, value: &PlanValue) -> String {
    match value {
        PlanValue::List(items) => format!(
            "{key}:\n{}",
            items.values().map(|item| format!("  - {}\n", flow(item))).collect::<String>()
        ),
        PlanValue::Map(map) => {
            let entry = |(key, value): (&String, &PlanValue)| match value {
                PlanValue::List(items) => {
                    format!(
                        "  {key}:\n{}",
                        items
                            .values()
                            .map(|item| format!("    - {}\n", flow(item)))
                            .collect::<String>()
                    )
                }
                PlanValue::Map(_) | PlanValue::Scalar(_) => format!("  {key}: {}\n", flow(value)),
            };
            format!("{key}:\n{}", map.iter().map(entry).collect::<String>())
        }
        PlanValue::Scalar(_) => format!("{key}: {}\n", flow(value)),
    }
}

/// A value in one line.
fn flow(value: &PlanValue) -> String {
    match value {
        PlanValue::Scalar(text) => scalar(text),
        PlanValue::List(items) => {
            format!("[{}]", items.values().map(flow).collect::<Vec<_>>().join(", "))
        }
        PlanValue::Map(map) => {
            let plain = |key: &str| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let key = |key: &str| if plain(key) { key.to_owned() } else { quoted(key) };
            let entries = map.iter().map(|(name, value)| format!("{}: {}", key(name), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A scalar, which reads back as it was: what could be a number or a truth value is one wherever a
/// plan takes one.
fn scalar(text: &str) -> String {
    let number = !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit());
    if number || matches!(text, "true" | "false") { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_its_steps() {
        assert_eq!(path("windows[0].cron"), ["windows", "0", "cron"]);
        assert_eq!(path("strategy.max_failures.wave"), ["strategy", "max_failures", "wave"]);
        assert_eq!(
            path("strategy.max_in_flight_per.tag:a.b[c]"),
            ["strategy", "max_in_flight_per", "tag:a.b[c]"]
        );
    }
}
