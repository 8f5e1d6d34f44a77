//! The fault file as a person writes it: its schema, and what is wrong with one.
//!
//! Invariant: every mistake is told with its key and its place, none by a name that only this program's source knows; what
//! passes here is what the typed reader takes.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Faults;
use super::rate::{probability, seconds};
use crate::yaml::format::{Complaint, TextFormat};
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

const FORMATS: &[TextFormat] = &[
    ("probability", |text| probability(text).map(drop)),
    ("seconds", |text| seconds(text).map(drop)),
    ("time", |text| time(text).map(drop)),
    ("signed-time", |text| signed_time(text).map(drop)),
    ("suffix", suffix),
];

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
        let turned = Diagnostic::error("value", format!("`min` of {} is longer than its `max`", quote(key)));
        mistakes.push(turned.at(document.place(&format!("{key}.min"))).help("exchange them"));
    }
}

/// A length of time.
pub(super) fn time(text: &str) -> Result<Duration, Complaint> {
    let wrong = || Complaint::new(format!("{} is no length of time", quote(text))).help("write `20ms`, `90s`, `3m` or `1h 30m`");
    text.parse::<SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok()).ok_or_else(wrong)
}

fn signed_time(text: &str) -> Result<SignedDuration, Complaint> {
    let wrong = || Complaint::new(format!("{} is no length of time", quote(text))).help("write `90s`, or `-3h` for a clock that is behind");
    text.parse().map_err(|_| wrong())
}

/// The end of a proxy's id. One of digits alone would be read as a number, without its leading zeros.
fn suffix(text: &str) -> Result<(), Complaint> {
    if text.parse::<f64>().is_ok() || text.is_empty() {
        return Err(Complaint::new("not the end of a proxy's id").help("write it up to the end of the id, as `7po01`"));
    }
    Ok(())
}

/// Marks a field that is a length of time.
pub(super) struct Time;

/// Marks a field that is a length of time, perhaps below zero.
pub(super) struct SignedTime;

/// Marks a field that is a probability.
pub(super) struct ProbabilityText;

/// Marks a field that is a number of seconds since the start.
pub(super) struct SecondsText;

/// Marks a field that is the end of a proxy's id.
pub(super) struct Suffix;

macro_rules! text_schemas {
    ($($marker:ident: $types:tt, $format:literal, $about:literal;)*) => {$(
        impl JsonSchema for $marker {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($marker).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $types, "format": $format, "description": $about })
            }
        }
    )*};
}

text_schemas! {
    Time: "string", "time", "A length of time such as `20ms`, `90s` or `3m`.";
    SignedTime: "string", "signed-time", "A length of time such as `90s`, or `-3h` for one below zero.";
    ProbabilityText: ["number", "string"], "probability", "A share such as `3%`, or a probability from 0 to 1.";
    SecondsText: ["number", "string"], "seconds", "Seconds since the start, or a length of time such as `10m`.";
    Suffix: "string", "suffix", "How the ids of the proxies end that are meant, such as `7po01`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_key_and_its_place() {
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
        let read = |text: &str| Faults::read("faults.yaml", text).unwrap_or_else(|told| panic!("{}", told.render(false)));
        assert_eq!(read("job_fails: 3%"), read("job_fails: 0.03"));
        assert_eq!(read("job_fails: [{on: 0.5%, from: 10m}]"), read("job_fails: [{on: 0.005, from: 600}]"));
    }

    /// The example has every key, and each of them as it is without a file.
    #[test]
    fn the_example_shows_every_key() {
        let text = include_str!("../../../docs/faults.example.yaml");
        let keys = schema()["properties"].as_object().expect("keys").keys().cloned().collect::<Vec<_>>();
        for key in &keys {
            assert!(text.lines().any(|line| line.trim_start_matches("#: ").starts_with(&format!("{key}:"))), "{key} is not shown");
        }
        Faults::read("faults.example.yaml", text).unwrap_or_else(|told| panic!("{}", told.render(false)));
        let all: String = text.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect();
        Faults::read("faults.example.yaml", &all).unwrap_or_else(|told| panic!("{}", told.render(false)));
    }
}
