//! *Lanes*: what each uses of its quota, and what holds it.

use askama::Template;

use crate::api::wire::{DaemonDoc, LaneDoc};
use crate::domain::count::count;
use crate::page::draw::{Share, meter};
use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::grouped;
use crate::words::text::length;

#[derive(Template)]
#[template(path = "lanes.html")]
pub struct LanesView {
    shell: Shell,
    lanes: Vec<LaneLine>,
}

/// A lane on a view.
pub struct LaneLine {
    pub name: String,
    /// What holds it, in a word, and its tone.
    pub tag: Option<(String, &'static str)>,
    /// What it uses, as markup of numbers alone.
    pub used: String,
    pub meter: String,
    /// What is to be known beside it.
    pub lines: Vec<String>,
}

impl LanesView {
    /// All lanes.
    pub fn new(around: &ViewSource, clock: ViewClock) -> Self {
        Self {
            lanes: lane_lines(&around.daemon, &clock),
            shell: Shell::new(around, "Lanes", "Lanes".into(), clock),
        }
    }
}

/// The lanes of the daemon.
pub fn lane_lines(daemon: &DaemonDoc, clock: &ViewClock) -> Vec<LaneLine> {
    daemon.lanes.iter().map(|lane| line(lane, clock)).collect()
}

fn line(lane: &LaneDoc, clock: &ViewClock) -> LaneLine {
    let mut lines = Vec::new();
    let paused =
        lane.paused_until.map(|until| (format!("paused to {}", clock.short(until).shown), "amber"));
    let held = lane.held.as_ref().map(|mark| (format!("paused by {}", mark.by), "amber"));
    let clock_off =
        lane.clock.as_ref().filter(|clock| clock.held).map(|_| ("clock".to_owned(), "red"));
    lines.extend(
        lane.held
            .as_ref()
            .filter(|mark| !mark.reason.is_empty())
            .map(|mark| format!("“{}”", mark.reason)),
    );
    lines.extend(lane.paused_why.clone());
    lines.extend(lane.clock.as_ref().filter(|clock| clock.held).map(|clock| clock.text.clone()));
    let (used, drawn) = match &lane.quota {
        None => (format!("<b>{}</b> out", lane.out), meter(&[], 1, "no quota is configured")),
        Some(quota) => {
            let per = length(jiff::SignedDuration::from_millis(
                i64::try_from(quota.per_ms).unwrap_or(i64::MAX),
            ));
            if quota.ceiling < quota.requests {
                let gives = format!(
                    "it gives {} of the {} configured",
                    grouped(&quota.ceiling),
                    grouped(&quota.requests)
                );
                lines.push(if quota.refused > 0 {
                    format!(
                        "429 from the cloud, {}; {gives}",
                        count(quota.refused, "call", "calls")
                    )
                } else {
                    gives
                });
            }
            let tone = if lane.paused_until.is_some() { "amber" } else { "blue" };
            let says = format!("{} of {} calls in {per}", quota.used, quota.requests);
            let used =
                format!("<b>{}</b> of {} in {per}", grouped(&quota.used), grouped(&quota.requests));
            (used, meter(&[Share { tone, count: quota.used.into() }], quota.requests.into(), &says))
        }
    };
    if lane.waiting > 0 {
        lines.push(format!("{} for a place", count(lane.waiting, "change waits", "changes wait")));
    }
    LaneLine {
        name: lane.lane.clone(),
        tag: held.or(clock_off).or(paused),
        used,
        meter: drawn,
        lines,
    }
}
