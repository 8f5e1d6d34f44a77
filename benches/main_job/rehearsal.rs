//! How fast a rollout is rehearsed: the shipped verb on a plan of many nights, in virtual time.

use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::medians::{median, number, span, times};
use crate::room::BenchFolder;
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, fleet, usage};

/// The plan beside its targets: nights of four hours, waves, a promotion by hand.
const NIGHTS: &str =
    "windows: [{cron: \"0 1 * * *\", duration: 4h, time_zone: Europe/Berlin, cutoff: 10m}]\n";
const WAVES: &str = "  waves: [{name: canary, size: 5, soak: 24h}, {name: early, size: 5%, soak: 24h}, {name: rest, size: rest}]\n";

/// Changes in flight at most: so few that it takes many nights.
const IN_FLIGHT: u32 = 20;

const FROM: &str = "2026-10-01T00:00:00+02:00";

/// One entry a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Changes of the plan.
    pub changes: u32,
    pub hours: f64,
    /// Calls to the simulated cloud.
    pub calls: u64,
    /// Seconds that the command took.
    pub seconds: Vec<f64>,
}

#[derive(Deserialize)]
struct RehearsalFigures {
    ending: String,
    from: Timestamp,
    ended_at: Timestamp,
    calls: u64,
}

pub fn measure(settings: &BenchSettings) -> Result<Rehearsal, BenchFailure> {
    let changes = settings.rehearsed();
    let room = BenchFolder::make(&settings.dir)?;
    let plan = fleet::write_plan(room.path(), changes, IN_FLIGHT, WAVES, NIGHTS)?;
    let mut rehearsal = Rehearsal { changes, hours: 0.0, calls: 0, seconds: Vec::new() };
    for round in 0..settings.rounds() {
        eprintln!("round {} of {}: a rehearsal of {changes}", round + 1, settings.rounds());
        let begun = usage::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealift"));
        // No daemon's configuration: what is not told is assumed.
        command
            .arg("rehearse")
            .arg(&plan)
            .args(["-o", "json", "--from", FROM])
            .env_remove("SEALIFT_CONFIG");
        let output = command.output()?;
        rehearsal.seconds.push(usage::since(begun));
        let complaint = String::from_utf8_lossy(&output.stderr);
        let verdict: RehearsalFigures = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("rehearse told no verdict ({error}): {complaint}"))?;
        if verdict.ending != "completed" {
            return Err(format!("the rehearsal ended as {}", verdict.ending).into());
        }
        rehearsal.hours = verdict.ended_at.duration_since(verdict.from).as_secs_f64() / 3600.0;
        rehearsal.calls = verdict.calls;
    }
    Ok(rehearsal)
}

impl Rehearsal {
    pub fn rows(&self) -> Vec<TableRow> {
        let seconds = median(self.seconds.iter().copied()).unwrap_or(f64::NAN);
        let what = format!(
            "A rehearsal of {} changes in {} hours",
            number(f64::from(self.changes)),
            number(self.hours)
        );
        vec![
            TableRow::heading(what),
            TableRow::new("the whole command", span(seconds))
                .to(times(self.hours * 3600.0 / seconds), "real time"),
            TableRow::new(
                "simulated changes",
                format!("{}/s", number(f64::from(self.changes) / seconds)),
            ),
            TableRow::new("simulated calls", format!("{}/s", number(self.calls as f64 / seconds))),
            TableRow::new("simulated hours", format!("{}/s", number(self.hours / seconds))),
        ]
    }
}
