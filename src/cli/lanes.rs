//! How a lane stands: what it has used of its quota, what its account really gives, and why it
//! pauses or is held. In one line for `status`, and in a listing with who the lane is for `lanes`.

use std::time::Duration;

use anyhow::Result;

use super::args::LanesArgs;
use super::client::Client;
use super::exit::Exit;
use super::listing::kept_rows;
use super::output::ListingRow;
use super::text::count;
use super::wire::{LaneDoc, LaneRow};
use crate::domain::hold::CLOCK_REMEDY;
use crate::words::text::{Style, clean};
use crate::yaml::length::Length;

/// Whether a person should know of it whatever was asked: it is held back by more than its quota.
pub fn is_held_back(lane: &LaneDoc) -> bool {
    lane.held.is_some()
        || lane.paused_until.is_some()
        || lane.clock.as_ref().is_some_and(|clock| clock.held || clock.jobs_apart_ms.is_some())
        || lane.quota.as_ref().is_some_and(|quota| quota.ceiling < quota.requests)
}

/// What it has used of its quota, and what its account really gives.
fn used(lane: &LaneDoc) -> Vec<String> {
    let mut parts = Vec::new();
    match &lane.quota {
        Some(quota) => {
            let per = Length::from(Duration::from_millis(quota.per_ms));
            parts.push(format!("{} of {} calls in the last {per}", quota.used, quota.requests));
            if quota.ceiling < quota.requests {
                let refused = if quota.refused > 0 {
                    format!(", {} refused", quota.refused)
                } else {
                    String::new()
                };
                parts.push(format!("the account gives {}{refused}", quota.ceiling));
            }
        }
        None => parts.push(format!("{} out, no quota", count(lane.out, "call", "calls"))),
    }
    parts
}

/// Why it pauses or is held.
fn held_back(lane: &LaneDoc, style: &Style) -> Vec<String> {
    let mut parts = Vec::new();
    if lane.waiting > 0 {
        parts.push(format!("{} for the quota", count(lane.waiting, "waits", "wait")));
    }
    if let Some(mark) = &lane.held {
        let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
        parts.push(format!("paused by {} {}{why}", mark.by, style.ago(mark.at)));
    }
    if let Some(until) = lane.paused_until {
        let why = lane.paused_why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        // One that has passed is only not looked at again yet.
        let until = if until > style.now {
            format!(" until {}", style.until(until))
        } else {
            String::new()
        };
        parts.push(format!("paused{until}{why}"));
    }
    if let Some(clock) = lane.clock.as_ref() {
        if clock.held {
            parts.push(format!("{}: no switch is sent; {CLOCK_REMEDY}", clock.text));
        }
        if let Some(apart) = clock.jobs_apart_ms {
            parts.push(format!(
                "its jobs are dated {} s apart from its answers",
                apart.unsigned_abs() / 1_000
            ));
        }
    }
    parts
}

pub fn line(lane: &LaneDoc, style: &Style) -> String {
    let mut parts = used(lane);
    parts.extend(held_back(lane, style));
    clean(&format!("lane {}  {}", lane.lane, parts.join("  ")))
}

/// `lanes`.
pub async fn lanes(client: &Client, args: &LanesArgs, style: Style) -> Result<Exit> {
    let kept = |row: &LaneRow| !args.paused || row.shares.is_some() || is_held_back(&row.state);
    let nothing = if args.paused { "no lane is paused or held back" } else { NO_LANES };
    kept_rows(client, "/v1/lanes", kept, args.output.output, style, nothing).await
}

/// What is said where there is none.
const NO_LANES: &str = "the daemon has no lane; add one to `lanes` of its configuration";

impl ListingRow for LaneRow {
    const COLUMNS: &'static [&'static str] =
        &["LANE", "QUOTA", "LAST GOOD CALL", "IDENTITY", "STATE"];
    const FIELDS: &'static [&'static str] = &[
        "lane",
        "identity",
        "endpoint",
        "project_id",
        "quota_requests",
        "quota_per_ms",
        "quota_ceiling",
        "quota_used",
        "out",
        "waiting",
        "paused_by",
        "paused_until",
        "paused_why",
        "shares",
        "last_good",
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let mut state = held_back(&self.state, style);
        state.extend(self.shares.iter().map(|first| {
            format!("shares its project with lane {first}: no switch is sent over this one")
        }));
        vec![
            self.state.lane.clone(),
            used(&self.state).join(", "),
            self.last_good.map_or_else(|| "-".into(), |at| style.ago(at)),
            self.identity.clone(),
            if state.is_empty() { "well".into() } else { state.join("; ") },
        ]
    }

    fn record(&self) -> Vec<String> {
        let LaneDoc { lane, out, waiting, paused_until, paused_why, held, quota, .. } = &self.state;
        let text =
            |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let quota = quota.as_ref();
        let time = |at: Option<jiff::Timestamp>| at.map_or_else(String::new, |at| at.to_string());
        vec![
            lane.clone(),
            self.identity.clone(),
            self.endpoint.clone(),
            self.project_id.clone(),
            text(quota.map(|quota| quota.requests.into())),
            text(quota.map(|quota| quota.per_ms)),
            text(quota.map(|quota| quota.ceiling.into())),
            text(quota.map(|quota| quota.used.into())),
            out.to_string(),
            waiting.to_string(),
            held.as_ref().map_or_else(String::new, |mark| mark.by.clone()),
            time(*paused_until),
            paused_why.clone().unwrap_or_default(),
            self.shares.clone().unwrap_or_default(),
            time(self.last_good),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{LaneClockDoc, LaneQuotaDoc};

    fn lane() -> LaneDoc {
        let quota =
            LaneQuotaDoc { requests: 120, per_ms: 300_000, ceiling: 120, used: 87, refused: 0 };
        let (lane, quota) = ("prod-sg".into(), Some(quota));
        LaneDoc {
            lane,
            out: 2,
            waiting: 0,
            paused_until: None,
            paused_why: None,
            clock: None,
            held: None,
            quota,
        }
    }

    #[test]
    fn a_lane_shows_its_use_and_what_holds_it_back() {
        let style = Style { now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC };
        assert_eq!(line(&lane(), &style), "lane prod-sg  87 of 120 calls in the last 5m");
        assert!(!is_held_back(&lane()));
        let quota = lane().quota.map(|quota| LaneQuotaDoc { ceiling: 96, refused: 3, ..quota });
        let learnt = LaneDoc { quota, waiting: 1, ..lane() };
        let shown = line(&learnt, &style);
        assert_eq!(
            shown,
            "lane prod-sg  87 of 120 calls in the last 5m  the account gives 96, 3 refused  1 waits for the quota"
        );
        assert!(is_held_back(&learnt));
        let until = Some(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(60));
        let paused = LaneDoc {
            paused_until: until,
            paused_why: Some("slow\u{1b}[2J down".into()),
            quota: None,
            ..lane()
        };
        let shown = line(&paused, &style);
        assert!(
            shown.starts_with("lane prod-sg  2 calls out, no quota  paused until ")
                && shown.contains(": slow"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}') && is_held_back(&paused));
        let clock = LaneClockDoc {
            ahead_least_ms: 10_799_000,
            ahead_most_ms: 10_801_000,
            tolerance_ms: 300_000,
            held: true,
            jobs_apart_ms: None,
            text: "this machine's clock is 3 h 0 min behind the cloud's".into(),
        };
        let slow = LaneDoc { clock: Some(clock), ..lane() };
        assert!(line(&slow, &style).contains(
            "3 h 0 min behind the cloud's: no switch is sent; set this machine's clock right"
        ));
        assert!(is_held_back(&slow));
    }
}
