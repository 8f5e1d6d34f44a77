//! The disk itself: how often it can be made sure of a write, by appending to a file and by writing
//! over what is there.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::medians::{median, number, quantile, span};
use crate::table::TableRow;
use crate::{BenchFailure, usage};

/// Bytes of one write: a page, which is what a small batch of journal lines takes.
const BLOCK: usize = 4096;

/// Blocks that are written over in turn.
const BLOCKS: u64 = 256;

/// One entry a round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Disk {
    pub appended: Vec<SyncedWrites>,
    /// Writes over what is there.
    pub overwritten: Vec<SyncedWrites>,
}

/// Writes, each followed by `fdatasync`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SyncedWrites {
    pub per_second: f64,
    /// Half of them took at most so long, in seconds.
    pub p50: f64,
    /// 99 of 100 took at most so long.
    pub p99: f64,
}

impl Disk {
    /// One round of both.
    pub fn round(&mut self, dir: &Path, seconds: f64) -> Result<(), BenchFailure> {
        let block = [0x5a; BLOCK];
        let mut file = File::create(dir.join("appended"))?;
        self.appended.push(synced(seconds, || {
            file.write_all(&block)?;
            file.sync_data()
        })?);
        let file = File::create(dir.join("overwritten"))?;
        for place in 0..BLOCKS {
            file.write_all_at(&block, place * BLOCK as u64)?;
        }
        file.sync_all()?;
        let mut place = 0;
        self.overwritten.push(synced(seconds, || {
            place = (place + 1) % BLOCKS;
            file.write_all_at(&block, place * BLOCK as u64)?;
            file.sync_data()
        })?);
        Ok(())
    }

    /// Appends a second, the median of the rounds.
    pub fn appends_per_second(&self) -> Option<f64> {
        median(self.appended.iter().map(|synced| synced.per_second))
    }

    pub fn rows(&self) -> Vec<TableRow> {
        let mut rows = vec![TableRow::heading("The disk alone")];
        for (what, rounds) in [("append", &self.appended), ("overwrite", &self.overwritten)] {
            let of = |value: &dyn Fn(&SyncedWrites) -> f64| {
                median(rounds.iter().map(value)).unwrap_or(f64::NAN)
            };
            let figure = format!("{}/s", number(of(&|synced| synced.per_second)));
            let lengths = format!(
                "p50 {}, p99 {}",
                span(of(&|synced| synced.p50)),
                span(of(&|synced| synced.p99))
            );
            rows.push(TableRow::new(format!("fdatasync, 4 KiB, {what}"), figure).to(lengths, ""));
        }
        rows
    }
}

fn synced(
    seconds: f64,
    mut write: impl FnMut() -> std::io::Result<()>,
) -> Result<SyncedWrites, BenchFailure> {
    let (begun, mut took) = (usage::now(), Vec::new());
    while usage::since(begun) < seconds {
        let begun = usage::now();
        write()?;
        took.push(usage::since(begun));
    }
    let per_second = took.len() as f64 / usage::since(begun);
    took.sort_by(f64::total_cmp);
    let share = |share| quantile(&took, share).ok_or("the disk took no write in time");
    Ok(SyncedWrites { per_second, p50: share(0.5)?, p99: share(0.99)? })
}
