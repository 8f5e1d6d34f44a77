//! `windows`, `freezes` and `not_before`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::raw;
use crate::domain::window::{self, Calendar, Freeze, Window};
use crate::yaml::length::Length;
use crate::yaml::tree::Node;
use crate::yaml::{Diagnostic, Document, Mistakes, plain};

/// What was read of a calendar together with its whole plan.
#[derive(Default)]
pub struct CalendarContext {
    pub windows: Option<Option<Vec<raw::RawWindow>>>,
    pub freezes: Option<Option<Vec<raw::RawFreeze>>>,
    pub not_before: Option<Timestamp>,
}

/// Reads the calendar; `None` after a mistake. What holds a mistake already is passed over, its
/// neighbours are not.
pub fn read(
    written: CalendarContext,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> Option<Calendar> {
    let count = |key: &str| document.exact(key).map_or(0, Node::len);
    let mut windows = Vec::new();
    let mut understood = BTreeSet::new();
    for (index, window) in document.entries(written.windows, "windows", mistakes) {
        let path = format!("windows[{index}]");
        understood.insert(index);
        for warning in window.cron.warnings() {
            mistakes.push(
                Diagnostic::warning("cron", plain(warning))
                    .at(document.place(&format!("{path}.cron"))),
            );
        }
        let cutoff = window.cutoff.map(Length::get).unwrap_or_default();
        match Window::new(window.cron, window.duration.get(), window.time_zone, cutoff) {
            Ok(window) => windows.push(window),
            Err(error) => mistakes.push(refused(&error, document, &path)),
        }
    }
    for index in (0..count("windows")).filter(|index| !understood.contains(index)) {
        check_cutoff(document, &format!("windows[{index}]"), mistakes);
    }
    let mut freezes = Vec::new();
    for (index, freeze) in document.entries(written.freezes, "freezes", mistakes) {
        match Freeze::new(freeze.from, freeze.to, freeze.time_zone, freeze.reason) {
            Ok(freeze) => freezes.push(freeze),
            Err(error) => mistakes.push(refused(&error, document, &format!("freezes[{index}]"))),
        }
    }
    let complete = windows.len() == count("windows") && freezes.len() == count("freezes");
    complete.then(|| Calendar::new(windows, freezes, written.not_before))
}

/// Of a window that holds another mistake: whether its cutoff leaves nothing of it.
fn check_cutoff(document: &Document<'_>, path: &str, mistakes: &mut Mistakes) {
    let length = |key: &str| {
        document.exact(&format!("{path}.{key}"))?.text()?.parse::<Length>().ok().map(Length::get)
    };
    if let (Some(cutoff), Some(duration)) = (length("cutoff"), length("duration"))
        && cutoff >= duration
        && !duration.is_zero()
    {
        mistakes.push(refused(&window::Error::Cutoff { cutoff, duration }, document, path));
    }
}

/// The domain's refusal, said in the plan's spelling of lengths and at the key that is to be
/// changed.
fn refused(error: &window::Error, document: &Document<'_>, path: &str) -> Diagnostic {
    let length = |length: &std::time::Duration| Length::from(*length);
    let (key, message, help) = match error {
        window::Error::Duration { found } => (
            "duration",
            format!("a window lasts from 1ms to 366 days, this one lasts {}", length(found)),
            "leave `windows` out to allow any time",
        ),
        window::Error::Cutoff { cutoff, duration } => (
            "cutoff",
            format!(
                "the cutoff of {} leaves nothing of a window of {}",
                length(cutoff),
                length(duration)
            ),
            "make the cutoff shorter",
        ),
        window::Error::Backwards { from, to } => (
            "to",
            format!("the freeze ends at {to}, which is not after {from}"),
            "exchange `from` and `to`",
        ),
        window::Error::Beyond { .. } => (
            "to",
            "the freeze lies beyond the years that can be told".to_owned(),
            "write a year before 9999",
        ),
    };
    Diagnostic::error("value", message).at(document.place(&format!("{path}.{key}"))).help(help)
}
