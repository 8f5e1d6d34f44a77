//! The texts of a fault file: lengths of time, probabilities and ends of ids, each with its format
//! and its schema.
//!
//! Invariant: a format accepts what the typed reader accepts, so a text that passes here is read
//! without an error.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::yaml::format::{Complaint, TextFormat};
use crate::yaml::quote;

/// The formats that the schema names.
pub(super) const FORMATS: &[TextFormat] = &[
    ("probability", |text| probability(text).map(drop)),
    ("seconds", |text| seconds(text).map(drop)),
    ("time", |text| time(text).map(drop)),
    ("signed-time", |text| signed_time(text).map(drop)),
    ("suffix", suffix),
];

/// A probability as it is written: a share such as `3%`, or a number from 0 to 1.
pub(super) fn probability(text: &str) -> Result<f64, Complaint> {
    let wrong = |what: String| {
        Complaint::new(what)
            .help("write a share such as `3%`, or a probability from 0 to 1 such as `0.03`")
    };
    let (number, scale) =
        text.strip_suffix('%').map_or((text, 1.0), |share| (share.trim_end(), 100.0));
    let Ok(number) = number.parse::<f64>() else {
        return Err(wrong(format!("{} is no probability", quote(text))));
    };
    let found = number / scale;
    if (0.0..=1.0).contains(&found) {
        Ok(found)
    } else {
        Err(wrong(format!("{} does not lie within 0 and 1", quote(text))))
    }
}

/// A time since the start as it is written: a number of seconds, or a length such as `10m`.
pub(super) fn seconds(text: &str) -> Result<Duration, Complaint> {
    let wrong = || {
        Complaint::new(format!("{} is no time since the start", quote(text)))
            .help("write seconds, or a length such as `10m`")
    };
    match text.parse::<f64>() {
        Ok(number) => Duration::try_from_secs_f64(number).map_err(|_| wrong()),
        Err(_) => time(text).map_err(|_| wrong()),
    }
}

/// A length of time.
pub(super) fn time(text: &str) -> Result<Duration, Complaint> {
    let wrong = || {
        Complaint::new(format!("{} is no length of time", quote(text)))
            .help("write `20ms`, `90s`, `3m` or `1h 30m`")
    };
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(wrong)
}

fn signed_time(text: &str) -> Result<SignedDuration, Complaint> {
    let wrong = || {
        Complaint::new(format!("{} is no length of time", quote(text)))
            .help("write `90s`, or `-3h` for a clock that is behind")
    };
    text.parse().map_err(|_| wrong())
}

/// The end of a proxy's id. One of digits alone would be read as a number, without its leading
/// zeros.
fn suffix(text: &str) -> Result<(), Complaint> {
    if text.parse::<f64>().is_ok() || text.is_empty() {
        return Err(Complaint::new("not the end of a proxy's id")
            .help("write it up to the end of the id, as `7po01`"));
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
