//! What is measured, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use sealift::domain::quota::Quota;

use crate::server::ServerKind;

/// One part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchPart {
    /// The durable path beside others
    Path,
    /// Runs at a quota
    Quota,
    /// The speed of a rehearsal
    Rehearsal,
    /// The shipped binary at several sizes
    Growth,
    /// The memory that rollouts take which are over
    Over,
    /// The operator's page in a browser, and what its readers cost
    Page,
    /// What notifications, metrics and traces cost the pace
    Told,
}

/// What is measured.
#[derive(Debug, Clone, Parser)]
#[command(about = "Measures the main job beside what others do with the same calls")]
pub struct BenchSettings {
    /// Only these parts; the others keep the figures that they have
    #[arg(long, value_delimiter = ',', value_enum)]
    pub parts: Vec<BenchPart>,
    /// Small sizes and one round, to try it out; says little
    #[arg(long, conflicts_with = "publish")]
    pub short: bool,
    /// Changes that Sealift carries in one round, one proxy an instance [default: 60000, short
    /// 3000]
    #[arg(long)]
    changes: Option<u32>,
    /// Servers of the durable path
    #[arg(long, value_delimiter = ',', value_enum, default_value = "nginx,emulator")]
    servers: Vec<ServerKind>,
    /// Changes in flight, and connections of the others
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    pub in_flight: Vec<u32>,
    /// Interleaved rounds, of which medians are told [default: 3, short 1]
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds that one of the others runs in one round, at most [default: 4, short 1]
    #[arg(long)]
    seconds: Option<u32>,
    /// Changes of the sizes at which growth is looked at [default: 1000,10000,100000,1000000, short
    /// 1000,3000]
    #[arg(long, value_delimiter = ',')]
    growth: Vec<u32>,
    /// Rollouts that are over, and the targets of each [default: 1000,5000, short 40,1000]
    #[arg(long, value_name = "ROLLOUTS,TARGETS", value_parser = two)]
    over: Option<(u32, u32)>,
    /// Openings of a window that are waited for, one a minute [default: 3, short 0]
    #[arg(long)]
    openings: Option<u32>,
    /// Leaves the others out: for profiles of the carried path
    #[arg(long)]
    pub only_carry: bool,
    /// Writes the results to docs/performance, not to the folder of `--dir`
    #[arg(long)]
    publish: bool,
    /// Where stores are made, on the disk to be measured
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))]
    pub dir: PathBuf,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn two(text: &str) -> Result<(u32, u32), String> {
    let two = text
        .split_once(',')
        .and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    two.ok_or_else(|| "write two numbers, as 200,1000".into())
}

impl BenchSettings {
    /// Whether this part is measured.
    pub fn wants(&self, part: BenchPart) -> bool {
        if self.only_carry {
            part == BenchPart::Path
        } else {
            self.parts.is_empty() || self.parts.contains(&part)
        }
    }

    fn or<T>(&self, asked: Option<T>, full: T, short: T) -> T {
        asked.unwrap_or(if self.short { short } else { full })
    }

    /// Changes of one round.
    pub fn changes(&self) -> u32 {
        self.or(self.changes, 60_000, 3_000)
    }

    /// Servers of the durable path.
    pub fn servers(&self) -> impl Iterator<Item = ServerKind> {
        self.servers.iter().copied()
    }

    /// Rounds.
    pub fn rounds(&self) -> u32 {
        self.or(self.rounds, 3, 1)
    }

    /// Seconds of one of the others.
    pub fn seconds(&self) -> u32 {
        self.or(self.seconds, 4, 1)
    }

    /// Quotas, and for how many seconds each is looked at. The one of five minutes takes longer
    /// than its interval; at no other length would it be the same quota.
    pub fn quotas(&self) -> Vec<(Quota, u32)> {
        let quota = |requests, seconds| Quota { requests, per: Duration::from_secs(seconds) };
        if self.short {
            return vec![(quota(100, 1), 5), (quota(1_000, 1), 5)];
        }
        vec![(quota(100, 1), 20), (quota(1_000, 1), 20), (quota(150, 300), 360)]
    }

    /// Seconds that a rollout in waves takes at its quota, about.
    pub fn rollout_seconds(&self) -> u32 {
        if self.short { 10 } else { 60 }
    }

    /// Openings waited for.
    pub fn openings(&self) -> u32 {
        self.or(self.openings, 3, 0)
    }

    /// Changes of a rehearsal.
    pub fn rehearsed(&self) -> u32 {
        if self.short { 1_000 } else { 10_000 }
    }

    /// Sizes of growth.
    pub fn growth(&self) -> Vec<u32> {
        match (self.growth.as_slice(), self.short) {
            ([], true) => vec![1_000, 3_000],
            ([], false) => vec![1_000, 10_000, 100_000, 1_000_000],
            (asked, _) => asked.to_vec(),
        }
    }

    /// Rollouts that are over, and the targets of each.
    pub fn over(&self) -> (u32, u32) {
        self.or(self.over, (1_000, 5_000), (40, 1_000))
    }

    /// Where results are kept.
    pub fn folder(&self) -> PathBuf {
        if self.publish {
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance"))
        } else {
            self.dir.clone()
        }
    }
}
