//! How each row looks in a table and in CSV.

use jiff::Timestamp;

use super::output::ListingRow;
use super::wire::{ChangeRow, HoldView, JournalRow, RolloutRow, SavedJob};
use crate::words::change::explain;
use crate::words::hold::until;
use crate::words::text::Style;

fn text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn ago(style: &Style, at: &Option<Timestamp>) -> String {
    at.map(|at| style.ago(at)).unwrap_or_default()
}

impl ListingRow for RolloutRow {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "NAME",
        "#REV",
        "SSL",
        "PHASE",
        "WAVE",
        "#DONE",
        "#IN FLIGHT",
        "#FAILED",
        "#IN DOUBT",
        "#CANCELLED",
        "#SKIPPED",
        "SUBMITTED",
        "BY",
    ];
    const FIELDS: &'static [&'static str] = &[
        "id",
        "name",
        "revision",
        "ssl_option",
        "phase",
        "paused",
        "wave",
        "total",
        "queued",
        "active",
        "succeeded",
        "failed",
        "in_doubt",
        "cancelled",
        "reverted",
        "skipped",
        "change_ref",
        "by",
        "submitted_at",
        "moved_at",
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let phase =
            if self.paused { format!("{} (paused)", self.phase) } else { self.phase.clone() };
        vec![
            self.id.chars().take(8).collect(),
            self.name.clone(),
            self.revision.to_string(),
            switch(self.ssl_option).into(),
            phase,
            self.wave.clone().unwrap_or_else(|| "-".into()),
            // Switched, or put back where that is what it does.
            format!(
                "{}/{}",
                if self.reverting { self.tally.reverted } else { self.tally.succeeded },
                self.tally.total
            ),
            self.tally.active.to_string(),
            self.tally.failed.to_string(),
            self.tally.in_doubt.to_string(),
            self.tally.cancelled.to_string(),
            self.tally.skipped.to_string(),
            style.ago(self.submitted_at),
            self.by.clone(),
        ]
    }

    fn record(&self) -> Vec<String> {
        let tally = &self.tally;
        vec![
            self.id.clone(),
            self.name.clone(),
            self.revision.to_string(),
            self.ssl_option.to_string(),
            self.phase.clone(),
            self.paused.to_string(),
            text(&self.wave),
            tally.total.to_string(),
            tally.queued.to_string(),
            tally.active.to_string(),
            tally.succeeded.to_string(),
            tally.failed.to_string(),
            tally.in_doubt.to_string(),
            tally.cancelled.to_string(),
            tally.reverted.to_string(),
            tally.skipped.to_string(),
            self.change_ref.clone(),
            self.by.clone(),
            self.submitted_at.to_string(),
            self.moved_at.to_string(),
        ]
    }
}

/// What stands in a change's last column: why it failed, how it came out, or why it waits.
fn describe(row: &ChangeRow, style: &Style) -> String {
    let hold = row.hold.as_ref().map(|hold| held(hold, style));
    explain(&row.facts(hold.as_deref()))
}

/// A hold in one line.
pub fn held(hold: &HoldView, style: &Style) -> String {
    until(hold.line(), hold.until, style)
}

impl ListingRow for ChangeRow {
    const COLUMNS: &'static [&'static str] =
        &["##", "PROXY", "WAVE", "STATE", "#TRIES", "JOB", "MOVED", "WHY"];
    const FIELDS: &'static [&'static str] = Self::CSV;

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.ordinal.to_string(),
            self.proxy_id.clone(),
            self.wave.clone(),
            self.state.clone(),
            self.attempts.to_string(),
            self.job_id.clone().unwrap_or_else(|| "-".into()),
            ago(style, &self.moved_at),
            describe(self, style),
        ]
    }

    fn record(&self) -> Vec<String> {
        self.csv()
    }
}

impl ListingRow for SavedJob {
    const COLUMNS: &'static [&'static str] = &["JOB", "PROXY", "INSTANCE", "WAVE", "STATE"];
    const FIELDS: &'static [&'static str] = &[
        "job_id",
        "ordinal",
        "lane",
        "instance_id",
        "proxy_id",
        "wave",
        "number",
        "latest",
        "state",
        "moved_at",
        "presumed",
    ];

    fn cells(&self, _: &Style) -> Vec<String> {
        // Of an earlier job it is known that the change went on with another.
        let state = if self.latest { self.state.clone() } else { "superseded".into() };
        let state = if self.presumed { format!("{state}, presumed") } else { state };
        vec![
            self.job_id.clone(),
            self.proxy_id.clone(),
            self.instance_id.clone(),
            self.wave.clone(),
            state,
        ]
    }

    fn record(&self) -> Vec<String> {
        vec![
            self.job_id.clone(),
            self.ordinal.to_string(),
            self.lane.clone(),
            self.instance_id.clone(),
            self.proxy_id.clone(),
            self.wave.clone(),
            self.number.to_string(),
            self.latest.to_string(),
            self.state.clone(),
            text(&self.moved_at),
            self.presumed.to_string(),
        ]
    }
}

impl ListingRow for JournalRow {
    const COLUMNS: &'static [&'static str] = &["#SEQ", "AT", "WHAT", "STEP", "WHY"];
    const FIELDS: &'static [&'static str] = &[
        "seq",
        "at",
        "rollout",
        "kind",
        "ordinal",
        "instance_id",
        "proxy_id",
        "from",
        "to",
        "why",
        "call",
        "request_id",
        "status",
        "code",
        "job_id",
        "by",
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let what = match (&self.ordinal, &self.proxy_id) {
            (Some(ordinal), Some(proxy)) => format!("change {ordinal} {proxy}"),
            _ if self.kind == "enforcement" => "enforcement".into(),
            _ => "rollout".into(),
        };
        let step = match &self.from {
            Some(from) if *from == self.to => self.to.clone(),
            Some(from) => format!("{from} -> {}", self.to),
            None => self.to.clone(),
        };
        let mut why = self.why.clone();
        for (word, value) in [("code", &self.code), ("request", &self.request_id), ("by", &self.by)]
        {
            // A verb's own words name the operator already.
            if let Some(value) = value.as_ref().filter(|value| !self.why.contains(value.as_str())) {
                why.push_str(&format!(" [{word} {value}]"));
            }
        }
        vec![self.seq.to_string(), style.second(self.at), what, step, why]
    }

    fn record(&self) -> Vec<String> {
        vec![
            self.seq.to_string(),
            self.at.to_string(),
            self.rollout.clone(),
            self.kind.clone(),
            text(&self.ordinal),
            text(&self.instance_id),
            text(&self.proxy_id),
            text(&self.from),
            self.to.clone(),
            self.why.clone(),
            text(&self.call),
            text(&self.request_id),
            text(&self.status),
            text(&self.code),
            text(&self.job_id),
            text(&self.by),
        ]
    }
}
