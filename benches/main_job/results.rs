//! The results: of each part its latest figures, with the machine that they were taken on.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::BenchFailure;
use crate::charts;
use crate::growth::{self, GrowthTable};
use crate::machine::Machine;
use crate::over::{self, SettledMemory};
use crate::page::{self, PageFigures};
use crate::path::{self, Paths};
use crate::quota_runs::{self, Quotas};
use crate::rehearsal::{self, Rehearsal};
use crate::settings::{BenchPart, BenchSettings};
use crate::table::{self, TableRow};
use crate::told::{self, TellingCost};

/// All parts that were ever measured into one folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    path: Option<PartFigures<Paths>>,
    quota: Option<PartFigures<Quotas>>,
    rehearsal: Option<PartFigures<Rehearsal>>,
    growth: Option<PartFigures<GrowthTable>>,
    over: Option<PartFigures<SettledMemory>>,
    page: Option<PartFigures<PageFigures>>,
    told: Option<PartFigures<TellingCost>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartFigures<T> {
    machine: Machine,
    figures: T,
}

impl<T> PartFigures<T> {
    fn on(machine: &Machine, figures: T) -> Self {
        Self { machine: machine.clone(), figures }
    }
}

/// The file of them.
const FILE: &str = "results.json";

impl Results {
    /// Those that the folder has.
    pub fn read(folder: &Path) -> Result<Self, BenchFailure> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let read = serde_json::from_slice(&std::fs::read(&file)?);
        Ok(read.map_err(|error| {
            format!("{} is of another version ({error}); remove it", file.display())
        })?)
    }

    /// Measures what is wanted.
    pub fn measure(&mut self, settings: &BenchSettings) -> Result<(), BenchFailure> {
        let machine = Machine::look(&settings.dir);
        if settings.wants(BenchPart::Path) {
            self.path = Some(PartFigures::on(&machine, path::measure(settings)?));
        }
        if settings.wants(BenchPart::Growth) {
            self.growth = Some(PartFigures::on(&machine, growth::measure(settings)?));
        }
        if settings.wants(BenchPart::Over) {
            self.over = Some(PartFigures::on(&machine, over::measure(settings)?));
        }
        if settings.wants(BenchPart::Page) {
            self.page = Some(PartFigures::on(&machine, page::measure(settings)?));
        }
        if settings.wants(BenchPart::Told) {
            self.told = Some(PartFigures::on(&machine, told::measure(settings)?));
        }
        if settings.wants(BenchPart::Rehearsal) {
            self.rehearsal = Some(PartFigures::on(&machine, rehearsal::measure(settings)?));
        }
        if settings.wants(BenchPart::Quota) {
            self.quota = Some(PartFigures::on(&machine, quota_runs::measure(settings)?));
        }
        Ok(())
    }

    /// The parts that there are, each with its machine.
    fn parts(&self) -> Vec<(&'static str, &Machine, Vec<TableRow>)> {
        let Self { path, quota, rehearsal, growth, over, page, told } = self;
        let parts = [
            path.as_ref().map(|taken| ("The durable path", &taken.machine, taken.figures.rows())),
            growth.as_ref().map(|taken| ("Growth", &taken.machine, taken.figures.rows())),
            over.as_ref().map(|taken| ("What is over", &taken.machine, taken.figures.rows())),
            page.as_ref().map(|taken| ("The page", &taken.machine, taken.figures.rows())),
            told.as_ref().map(|taken| ("What is told", &taken.machine, taken.figures.rows())),
            quota.as_ref().map(|taken| ("Quotas", &taken.machine, taken.figures.rows())),
            rehearsal.as_ref().map(|taken| ("Rehearsal", &taken.machine, taken.figures.rows())),
        ];
        parts.into_iter().flatten().collect()
    }

    fn rows(&self) -> Vec<TableRow> {
        self.parts().into_iter().flat_map(|(_, _, rows)| rows).collect()
    }

    /// The machines, each with what was measured on it.
    fn machines(&self) -> String {
        let mut machines: Vec<(&Machine, Vec<&str>)> = Vec::new();
        for (part, machine, _) in self.parts() {
            match machines.iter_mut().find(|(known, _)| *known == machine) {
                Some((_, parts)) => parts.push(part),
                None => machines.push((machine, vec![part])),
            }
        }
        let told = machines
            .into_iter()
            .map(|(machine, parts)| format!("{} on {machine}.\n", parts.join(", ")));
        told.collect::<Vec<_>>().join("\n")
    }

    pub fn write(&self, folder: &Path) -> Result<(), BenchFailure> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(FILE), serde_json::to_vec_pretty(self)?)?;
        let mut text = format!(
            "# Results\n\nWritten by `make bench`; what they mean stands in [README.md](README.md).\n\n{}",
            table::markdown(&self.rows())
        );
        text.push_str(&format!("\n{}", self.machines()));
        std::fs::write(folder.join("results.md"), text)?;
        let path = self.path.as_ref().and_then(|taken| charts::path(&taken.figures));
        let growth = self.growth.as_ref().and_then(|taken| charts::growth(&taken.figures));
        for (name, chart) in [("path.svg", path), ("growth.svg", growth)] {
            if let Some(chart) = chart {
                std::fs::write(folder.join(name), chart)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", table::printed(&self.rows()), self.machines())
    }
}
