//! The durable path beside what others do with the same calls: all contestants once a round, one
//! after the other, each against a fresh server, at several numbers in flight and on a busy host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::busy::{self, Busy};
use crate::child::Child;
use crate::disk::Disk;
use crate::emulator::JOB_TIME;
use crate::medians::{median, number, percent, span, times};
use crate::peers::{self, BenchPeer};
use crate::room::BenchFolder;
use crate::server::{Server, ServerKind};
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, carry, fleet, wrk};

/// All that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paths {
    /// Changes that Sealift carried in one round.
    pub changes: u32,
    /// One for each server, number in flight and state of the host.
    pub runs: Vec<PathRun>,
    /// The disk, once a round.
    pub disk: Disk,
}

/// One number in flight against one server; lists have one entry a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PathRun {
    pub server: ServerKind,
    /// Changes in flight, and connections of the others.
    pub in_flight: u32,
    pub busy: bool,
    /// wrk, changes a second.
    pub wrk: Vec<f64>,
    pub peers: BTreeMap<BenchPeer, Vec<peers::PeersReport>>,
    pub sealift: Vec<carry::CarryReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Wrk,
    Peer(BenchPeer),
    Sealift,
}

pub fn measure(settings: &BenchSettings) -> Result<Paths, BenchFailure> {
    let mut runs = Vec::new();
    for server in settings.servers() {
        let idle = settings.in_flight.iter().map(|in_flight| (*in_flight, false));
        // The host is made busy for the most that is in flight.
        let busy = settings
            .in_flight
            .iter()
            .max()
            .filter(|_| !settings.only_carry)
            .map(|in_flight| (*in_flight, true));
        let run = |(in_flight, busy)| PathRun {
            server,
            in_flight,
            busy,
            wrk: Vec::new(),
            peers: BTreeMap::new(),
            sealift: Vec::new(),
        };
        runs.extend(idle.chain(busy).map(run));
    }
    let mut disk = Disk::default();
    for round in 0..settings.rounds() {
        if !settings.only_carry {
            let room = BenchFolder::make(&settings.dir)?;
            disk.round(room.path(), f64::from(settings.seconds()) / 2.0)?;
        }
        let sdk_at = settings.in_flight.first().copied();
        for run in &mut runs {
            eprintln!("round {} of {}: {}", round + 1, settings.rounds(), run.title());
            let mut contestants = vec![Contestant::Sealift];
            if !settings.only_carry {
                contestants.push(Contestant::Wrk);
                // The SDK has its own threads, whatever the number in flight.
                let takes_part = |peer: &BenchPeer| {
                    *peer != BenchPeer::Sdk || (Some(run.in_flight) == sdk_at && !run.busy)
                };
                contestants
                    .extend(BenchPeer::ALL.into_iter().filter(takes_part).map(Contestant::Peer));
            }
            // Whoever always came first would always meet the coolest processor.
            let first = round as usize % contestants.len();
            contestants.rotate_left(first);
            for contestant in contestants {
                run.round(contestant, settings)?;
            }
        }
    }
    Ok(Paths { changes: settings.changes(), runs, disk })
}

impl PathRun {
    fn title(&self) -> String {
        let Self { server, in_flight, busy, .. } = self;
        let host = if *busy {
            format!(", beside {} spinning processes", busy::PROCESSES)
        } else {
            String::new()
        };
        format!("{}, {in_flight} in flight{host}", server.word())
    }

    fn round(
        &mut self,
        contestant: Contestant,
        settings: &BenchSettings,
    ) -> Result<(), BenchFailure> {
        let room = BenchFolder::make(&settings.dir)?;
        let (dir, in_flight, changes) = (room.path(), self.in_flight, settings.changes());
        let plan = fleet::write_plan(dir, changes, in_flight, "", "")?;
        let targets = plan.with_file_name("fleet.csv");
        let server = Server::start(self.server, changes, dir)?;
        let _busy = if self.busy { Some(Busy::begin()?) } else { None };
        match contestant {
            Contestant::Wrk => {
                self.wrk.push(wrk::round(&server, &targets, in_flight, settings.seconds())?)
            }
            Contestant::Peer(peer) => {
                let seconds = settings.seconds();
                let task = peers::PeersTask {
                    endpoint: server.endpoint(),
                    targets: &targets,
                    in_flight,
                    seconds,
                    dir,
                };
                self.peers.entry(peer).or_default().push(peers::round(peer, &task)?);
            }
            Contestant::Sealift => {
                let endpoint = server.endpoint().to_owned();
                let task = carry::CarryTask {
                    endpoint,
                    dir: dir.to_owned(),
                    changes,
                    in_flight,
                    quota: None,
                    poll: JOB_TIME,
                };
                let told: carry::CarryReport = Child::start(carry::ROLE, &task)?.result()?;
                server.agrees(changes, told.succeeded, told.calls)?;
                self.sealift.push(told);
            }
        }
        Ok(())
    }

    /// wrk's changes a second, the median of the rounds.
    pub fn wrk_rate(&self) -> Option<f64> {
        median(self.wrk.iter().copied())
    }

    /// A median of one of the others.
    pub fn of_peer(
        &self,
        peer: BenchPeer,
        value: impl Fn(&peers::PeersReport) -> f64,
    ) -> Option<f64> {
        median(self.peers.get(&peer)?.iter().map(value))
    }

    /// A median of Sealift's.
    pub fn of_sealift(&self, value: impl Fn(&carry::CarryReport) -> f64) -> Option<f64> {
        median(self.sealift.iter().map(value))
    }

    /// The longest that a change of Sealift's stayed in each state, the longest first.
    fn longest(&self) -> Option<String> {
        let mut longest = BTreeMap::new();
        for (state, wait) in self.sealift.iter().flat_map(|told| &told.longest_us) {
            let most = longest.entry(state).or_insert(*wait);
            *most = (*most).max(*wait);
        }
        let mut longest: Vec<_> = longest.into_iter().collect();
        longest.sort_by_key(|(_, wait)| std::cmp::Reverse(*wait));
        let told: Vec<String> = longest
            .iter()
            .map(|(state, wait)| format!("{state} {}", span(*wait as f64 / 1e6)))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn rows(&self, changes: u32, disk: &Disk) -> Vec<TableRow> {
        let mut rows = vec![TableRow::heading(self.title())];
        let wrk = self.wrk_rate();
        let rate_row = |what: &str, rate: f64| {
            let row = TableRow::new(what, format!("{} changes/s", number(rate)));
            wrk.map_or(row.clone(), |wrk| row.to(percent(rate / wrk), "wrk"))
        };
        rows.extend(wrk.map(|rate| rate_row("wrk", rate)));
        for peer in BenchPeer::ALL {
            rows.extend(
                self.of_peer(peer, peers::PeersReport::rate)
                    .map(|rate| rate_row(peer.word(), rate)),
            );
        }
        let changes = f64::from(changes);
        let ours =
            |value: &dyn Fn(&carry::CarryReport) -> f64| self.of_sealift(value).unwrap_or(f64::NAN);
        let aim = match (self.server, self.in_flight, self.busy) {
            (ServerKind::Nginx, 64, false) => "25 %, 38 %",
            (ServerKind::Nginx, 256, true) => "25 %, 36 %",
            _ => "",
        };
        rows.push(rate_row("Sealift", ours(&|told| changes / told.seconds)).aim(aim).ours());

        let bare = |value: &dyn Fn(&peers::PeersReport) -> f64| {
            self.of_peer(BenchPeer::Bare, value).unwrap_or(f64::NAN)
        };
        let compared = |what: &str, figure: String, ratio: f64, to: &str| {
            let row = TableRow::new(what, figure);
            if ratio.is_finite() { row.to(times(ratio), to) } else { row }
        };
        let cpu = ours(&|told| told.cpu_seconds / changes * 1e3);
        let row = compared(
            "CPU of 1,000 changes",
            span(cpu),
            cpu / bare(&peers::PeersReport::cpu_per_thousand),
            BenchPeer::Bare.word(),
        );
        rows.push(row.aim("0.22 s, 0.15 s"));
        let syncs = ours(&|told| told.syncs as f64 / changes);
        let log = self
            .of_peer(BenchPeer::Log, |told| {
                told.syncs.unwrap_or(0) as f64 / f64::from(told.changes)
            })
            .unwrap_or(f64::NAN);
        rows.push(
            compared("syncs a change", number(syncs), syncs / log, BenchPeer::Log.word())
                .aim("0.5, 0.2"),
        );
        let pace = ours(&|told| told.syncs as f64 / told.seconds);
        let row = TableRow::new("syncs a second", format!("{}/s", number(pace)));
        rows.push(disk.appends_per_second().map_or(row.clone(), |appends| {
            row.to(times(pace / appends), "the disk's synced appends")
        }));
        let calls = ours(&|told| told.calls as f64 / changes);
        rows.push(compared(
            "calls a change",
            format!("{calls:.2}"),
            calls / wrk::CALLS,
            "four calls",
        ));
        for (what, ours, bare) in [
            (
                "p50 of a change, and more than bare",
                ours(&|told| told.p50_us as f64),
                bare(&|told| told.p50_us as f64),
            ),
            (
                "p99 of a change, and more than bare",
                ours(&|told| told.p99_us as f64),
                bare(&|told| told.p99_us as f64),
            ),
        ] {
            let added = if bare.is_finite() {
                format!(", {:+.1} ms", (ours - bare) / 1e3)
            } else {
                String::new()
            };
            rows.push(compared(
                what,
                format!("{}{added}", span(ours / 1e6)),
                ours / bare,
                BenchPeer::Bare.word(),
            ));
        }
        if let Some(longest) = self.longest() {
            rows.push(TableRow::new("longest wait of a change by state, in any round", longest));
        }
        let memory = ours(&|told| told.memory_peak_mib);
        let what = format!("memory at {} changes, at most", number(changes));
        let row = compared(
            &what,
            format!("{} MiB", number(memory)),
            memory / bare(&|told| told.memory_peak_mib),
            BenchPeer::Bare.word(),
        );
        rows.push(row.aim("40 MiB, 15 MiB"));
        rows.push(TableRow::new(
            "journal entries a change",
            format!("{:.2}", ours(&|told| told.entries as f64 / changes)),
        ));
        let bytes = |value: &dyn Fn(&carry::CarryReport) -> u64| {
            number(ours(&|told| value(told) as f64 / changes))
        };
        let figure = format!(
            "{} and {} bytes",
            bytes(&|told| told.journal_bytes),
            bytes(&|told| told.queue_bytes)
        );
        rows.push(TableRow::new("journal and queue a change", figure));
        rows
    }
}

impl Paths {
    pub fn rows(&self) -> Vec<TableRow> {
        let disk = if self.disk.appended.is_empty() { Vec::new() } else { self.disk.rows() };
        disk.into_iter()
            .chain(self.runs.iter().flat_map(|run| run.rows(self.changes, &self.disk)))
            .collect()
    }
}
