//! The JSON Schema of a plan, for editors and for our own tree check, with the checks of single
//! texts that it names.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;

use super::raw;
use crate::domain::cron::Expression;
use crate::domain::group::GroupBy;
use crate::domain::id::{InstanceId, Name, ProxyId};
use crate::domain::zone::Zone;
use crate::yaml::Shape;
use crate::yaml::format::{self, Complaint, TextFormat};
use crate::yaml::length::Length;
use crate::yaml::share::{CountOrShare, WaveSize};
use crate::yaml::{plain, quote, suggest};

/// The shape of a plan.
pub(super) static PLAN: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "plan",
    may_be_empty: false,
    schema: crate::yaml::schema::of::<raw::RawPlan>("Sealift plan"),
    formats: FORMATS,
    later: &[],
});

/// The shape of a YAML file of targets.
pub(super) static TARGET_FILE: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "target file",
    may_be_empty: false,
    schema: crate::yaml::schema::of::<Vec<raw::RawTarget>>("Sealift targets"),
    formats: FORMATS,
    later: &[],
});

/// The JSON Schema (draft 7) of a plan.
pub fn schema() -> Value {
    PLAN.schema.clone()
}

/// The checks of single texts, under the names that the schema gives them.
const FORMATS: &[TextFormat] = &[
    ("plan-name", |text| name(text, "plan name")),
    ("lane", |text| name(text, "lane")),
    ("wave", |text| name(text, "wave")),
    ("receiver", |text| name(text, "receiver")),
    ("instance-id", format::saying::<InstanceId>),
    ("proxy-id", format::saying::<ProxyId>),
    ("length", format::of::<Length>),
    ("share", format::of::<CountOrShare>),
    ("size", format::of::<WaveSize>),
    ("group", group),
    ("cron", cron),
    ("time-zone", time_zone),
    ("local-time", local_time),
    ("instant", instant),
];

/// A name of ours, with the name that was probably meant.
fn name(text: &str, kind: &'static str) -> Result<(), Complaint> {
    let Err(error) = Name::parse(text, kind) else { return Ok(()) };
    let near: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, '_' | ' ' | '.') { '-' } else { c })
        .collect();
    let complaint = Complaint::new(error.to_string());
    Err(if Name::parse(&near, kind).is_ok() {
        complaint.help(format!("write `{near}`")).replace(near)
    } else {
        complaint
    })
}

/// A key of `max_in_flight_per`.
fn group(text: &str) -> Result<(), Complaint> {
    let Err(error) = text.parse::<GroupBy>() else { return Ok(()) };
    let complaint = Complaint::new(plain(&error.to_string()));
    let name = text
        .strip_prefix("tag")
        .map_or(text, |rest| rest.trim_start_matches([':', '.', '-', '_', ' ']));
    Err(match text.trim().to_lowercase().as_str() {
        "instance" | "instances" | "instance_id" => {
            complaint.help("leave it out: on one instance at most one change is in flight anyway")
        }
        "proxy" | "proxies" | "proxy_id" => complaint.help("leave it out: a proxy has one change"),
        "lane" | "lanes" => complaint.help("write `lane`").replace("lane"),
        _ if name.is_empty() => {
            complaint.help("write the tag's name after `tag:`, as the targets have it")
        }
        _ => complaint.help(format!("write `\"tag:{name}\"` for the tag {}", quote(name))),
    })
}

/// A cron expression, with the one that was probably meant.
fn cron(text: &str) -> Result<(), Complaint> {
    let Err(error) = text.parse::<Expression>() else { return Ok(()) };
    let message = error.to_string();
    Err(match error.proposal() {
        // The proposal ends the domain's sentence; here it is drawn.
        Some(proposal) => {
            let what = message.strip_suffix(&format!("; write `{proposal}`")).unwrap_or(&message);
            Complaint::new(plain(what)).help(format!("write `{proposal}`")).replace(proposal)
        }
        None => Complaint::new(plain(&message)),
    })
}

/// A zone of the IANA database.
fn time_zone(text: &str) -> Result<(), Complaint> {
    if text.parse::<Zone>().is_ok() {
        return Ok(());
    }
    let complaint = Complaint::new(format!("{} is no time zone", quote(text)));
    // An offset says nothing about summer time, and the nearest name to it is none that was meant.
    let offset = text.contains(['+', '-']) && text.contains(|c: char| c.is_ascii_digit());
    let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    Err(match suggest::nearest(text, known.iter().map(String::as_str)) {
        Some(near) if !offset => complaint.help(format!("did you mean `{near}`?")).replace(near),
        _ => complaint.help("write a name of the IANA database, such as `Asia/Singapore` or `UTC`"),
    })
}

/// A local time without an offset.
fn local_time(text: &str) -> Result<(), Complaint> {
    let shape = text.len() >= "2026-12-24T00:00".len() && text.as_bytes()[10] == b'T';
    if shape && !text[10..].contains(['Z', 'z', '+', '-', '[']) && text.parse::<DateTime>().is_ok()
    {
        return Ok(());
    }
    let complaint = Complaint::new(format!("{} is no local date and time", quote(text)));
    Err(complaint.help("write it as `2026-12-24T00:00`; the zone stands in `time_zone`"))
}

fn instant(text: &str) -> Result<(), Complaint> {
    text.parse::<Timestamp>().map(drop).map_err(|_| {
        Complaint::new(format!("{} is no instant", quote(text))).help(
            "write date, time and offset: `2026-12-01T00:00:00+08:00` or `2026-11-30T16:00:00Z`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_gets_its_check() {
        for (text, right) in [
            ("2026-12-24T00:00", true),
            ("2026-12-24T00:00:30", true),
            ("2026-12-24", false),
            ("2026-02-30T00:00", false),
            ("2026-12-24T00:00Z", false),
            ("2026-12-24T00:00+08:00", false),
            ("ä026-12-24T00:00", false),
        ] {
            assert_eq!(local_time(text).is_ok(), right, "{text}");
        }
        for (text, right) in [
            ("Asia/Singapore", true),
            ("UTC", true),
            ("Asia/Singapur", false),
            ("+08:00", false),
            ("UTC+8", false),
            ("../../etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(time_zone(text).is_ok(), right, "{text}");
        }
        for (text, right) in [
            ("lane", true),
            ("tag:tier", true),
            ("tag:", false),
            ("tier", false),
            ("instance", false),
            ("", false),
        ] {
            assert_eq!(group(text).is_ok(), right, "{text}");
        }
        for (text, right) in [
            ("2026-12-01T00:00:00+08:00", true),
            ("2026-12-01T00:00:00", false),
            ("tomorrow", false),
        ] {
            assert_eq!(instant(text).is_ok(), right, "{text}");
        }
    }
}
