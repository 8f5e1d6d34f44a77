//! The fault file as a person writes it: its schema, and what is wrong with one.
//!
//! Invariant: every mistake is reported with its key and its place, none by a name that only this
//! program's source knows; what passes here is what the typed reader takes.

use std::sync::LazyLock;

use serde_json::Value;

use super::Faults;
use super::texts::{FORMATS, time};
use crate::yaml::{Diagnostic, Diagnostics, Document, Mistakes, Shape, SourceText, quote};

/// Keys whose value is a range.
const RANGES: [&str; 4] = ["slow_delay", "latency", "job_time", "visibility_lag"];

static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "fault file",
    may_be_empty: true,
    schema: crate::yaml::schema::of::<Faults>("Sealift faults"),
    formats: FORMATS,
    later: &[],
});

/// The JSON Schema (draft 7) of a fault file.
pub fn schema() -> Value {
    SHAPE.schema.clone()
}

impl Faults {
    /// Reads a fault file, which is shown under this name.
    ///
    /// # Errors
    /// Every mistake found, at least one.
    pub fn read(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let source = SourceText::new(name, text.to_owned());
        let mut mistakes = Mistakes::default();
        let document = Document::read(&source, &SHAPE, &mut mistakes);
        let faults = document.as_ref().and_then(|document| {
            if document.root().is_null() {
                return Some(Self::default());
            }
            for key in RANGES {
                check_range(document, key, &mut mistakes);
            }
            document.typed::<Self>("", &mut mistakes)
        });
        mistakes.finish(name)?;
        Ok(faults.expect("without a mistake faults come out"))
    }
}

fn check_range(document: &Document<'_>, key: &str, mistakes: &mut Mistakes) {
    let end = |end: &str| time(document.exact(&format!("{key}.{end}"))?.text()?).ok();
    if let (Some(min), Some(max)) = (end("min"), end("max"))
        && min > max
    {
        let turned =
            Diagnostic::error("value", format!("`min` of {} is longer than its `max`", quote(key)));
        mistakes.push(turned.at(document.place(&format!("{key}.min"))).help("exchange them"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_with_its_key_and_its_place() {
        let text = "\
throtle: 3%
throttle_with_retry_after: often
busy: [{on: 2}, {on: 50%, till: 3}, {on: 0.5, from: -1}]
job_fails: {on: 3%}
no_job_id_200: 101%
error_500_after: [{call: swich, on: 1, match: 0001}]
retry_after: soon
latency: {min: 2s, max: 1s}
job_time: 5
visibility_lag: {min: 1s}
clock: {ahead: soon, steps: [{after: 1m}]}
quota: {requests: many, per: 1s}
ssl_option: flag
jobs_elsewhere: -1s
";
        let told = Faults::read("faults.yaml", text).expect_err("mistakes").render(false);
        insta::with_settings!({snapshot_path => "../../../tests/golden", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("faults_mistakes", told);
        });
        for word in ["f64", "u32", "untagged", "expected", "invalid type", "second-reader"] {
            assert!(!told.contains(word), "{word}: {told}");
        }
    }

    #[test]
    fn a_share_is_a_probability() {
        let read = |text: &str| {
            Faults::read("faults.yaml", text)
                .unwrap_or_else(|told| panic!("{}", told.render(false)))
        };
        assert_eq!(read("job_fails: 3%"), read("job_fails: 0.03"));
        assert_eq!(
            read("job_fails: [{on: 0.5%, from: 10m}]"),
            read("job_fails: [{on: 0.005, from: 600}]")
        );
    }

    /// The example has every key, and each of them as it is without a file.
    #[test]
    fn the_example_shows_every_key() {
        let text = include_str!("../../../docs/faults.example.yaml");
        let keys =
            schema()["properties"].as_object().expect("keys").keys().cloned().collect::<Vec<_>>();
        for key in &keys {
            assert!(
                text.lines()
                    .any(|line| line.trim_start_matches("#: ").starts_with(&format!("{key}:"))),
                "{key} is not shown"
            );
        }
        Faults::read("faults.example.yaml", text)
            .unwrap_or_else(|told| panic!("{}", told.render(false)));
        let all: String = text
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line)))
            .collect();
        Faults::read("faults.example.yaml", &all)
            .unwrap_or_else(|told| panic!("{}", told.render(false)));
    }
}
