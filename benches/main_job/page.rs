//! The operator's page: what its first load weighs, how quick its views are at the server and in
//! Debian's Chromium, what twenty readers cost the engine, and the memory of a tab that stays open.
//!
//! `tests/page/figures.mjs` drives the browser and reads the clocks; what it tells is judged here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::BenchFailure;
use crate::daemon::PROGRAM;
use crate::medians::{Spread, median, number, percent, span};
use crate::settings::BenchSettings;
use crate::table::TableRow;

/// What the script told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageFigures {
    /// Changes of the rollout whose views were asked for, all but one queued.
    changes: u32,
    /// Every file of the first load of that rollout, each gzipped.
    first_load_bytes: u64,
    /// Seconds of each view's answer at the server: the median, and 95 of 100.
    answers: BTreeMap<String, [f64; 2]>,
    /// Seconds to the first contentful paint of each load.
    paints: Vec<f64>,
    pixels: PixelTimes,
    /// Changes of a round with readers or without.
    carried: u32,
    readers: u32,
    /// Interleaved pairs.
    paces: Vec<PacePair>,
    minutes: f64,
    memory: OpenTab,
}

/// From an entry's commit to the frame that shows it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct PixelTimes {
    events_per_second: f64,
    p50: f64,
    p95: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct PacePair {
    without: PaceRun,
    with: PaceRun,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct PaceRun {
    changes_per_second: f64,
    /// Views that the readers were answered.
    views: u64,
}

/// Memory after each rollout that was watched, in MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenTab {
    tab_mib: Vec<f64>,
    daemon_mib: Vec<f64>,
}

pub fn measure(settings: &BenchSettings) -> Result<PageFigures, BenchFailure> {
    let asked = if settings.short {
        json!({"changes": 2_000, "loads": 3, "answers": 20, "events": 40, "carried": 300,
               "pairs": 1, "readers": 20, "minutes": 1})
    } else {
        json!({"changes": 100_000, "loads": 9, "answers": 100, "events": 400, "carried": 2_000,
               "pairs": 5, "readers": 20, "minutes": 60})
    };
    let output = Command::new("node")
        .args(["figures.mjs", &asked.to_string()])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page"))
        .env("SEALIFT", PROGRAM)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("tests/page/figures.mjs ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl PacePair {
    fn ratio(self) -> f64 {
        self.with.changes_per_second / self.without.changes_per_second
    }
}

impl PageFigures {
    pub fn rows(&self) -> Vec<TableRow> {
        let kilobytes = format!("{} kB", number(self.first_load_bytes as f64 / 1_000.0));
        let mut rows = vec![
            TableRow::heading("The operator's page"),
            TableRow::new("first load of one rollout, all files, gzipped", kilobytes).aim("60 kB"),
        ];
        let slowest = self.answers.iter().max_by(|one, other| one.1[1].total_cmp(&other.1[1]));
        rows.extend(slowest.map(|(view, [_, p95])| {
            let what = format!("slowest view at {} changes, p95", number(self.changes.into()));
            TableRow::new(what, span(*p95)).to(view, "").aim("50 ms")
        }));
        let paint = median(self.paints.iter().copied()).unwrap_or(f64::NAN);
        let loads = self.paints.len();
        let what = format!("first contentful paint on loopback, median of {loads}");
        rows.push(TableRow::new(what, span(paint)).aim("200 ms"));
        let pixels = self.pixels;
        let what = format!("commit to pixel at {} events/s, p95", number(pixels.events_per_second));
        rows.push(TableRow::new(what, span(pixels.p95)).to(span(pixels.p50), "p50").aim("500 ms"));
        rows.extend(self.pace());
        for (what, mib) in
            [("the tab's heap", &self.memory.tab_mib), ("the daemon", &self.memory.daemon_mib)]
        {
            // The first rollouts fill caches and the journal's index.
            let (Some(first), Some(last)) = (mib.get(mib.len() / 4), mib.last()) else { continue };
            let what = format!("memory of {what} over {} minutes", number(self.minutes));
            let grew = percent(last / first);
            rows.push(
                TableRow::new(what, format!("{} MiB", number(*last)))
                    .to(grew, "after a quarter")
                    .aim("flat"),
            );
        }
        rows
    }

    fn pace(&self) -> Option<TableRow> {
        let ratios = Spread::of(self.paces.iter().map(|pair| pair.ratio()))?;
        let pace = median(self.paces.iter().map(|pair| pair.with.changes_per_second))?;
        let what = format!(
            "changes a second with {} readers, {} pairs, {} to {}",
            self.readers,
            self.paces.len(),
            percent(ratios.low),
            percent(ratios.high)
        );
        let ratio = percent(ratios.median);
        Some(TableRow::new(what, format!("{}/s", number(pace))).to(ratio, "without").aim("97 %"))
    }
}
