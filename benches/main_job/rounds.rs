//! Who runs when: all contestants once a round, one after the other, each against a fresh server.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::child::Child;
use crate::machine::Machine;
use crate::quota::{self, Used};
use crate::server::Server;
use crate::{Failure, Settings, carry, fleet, plain_loop, submit, wrk};

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Where.
    pub machine: Machine,
    /// Changes carried in one round.
    pub changes: u32,
    /// One entry for each number in flight.
    pub paths: Vec<PathMeasured>,
    /// Targets of the submission.
    pub targets: u32,
    /// One entry a round.
    pub submissions: Vec<submit::Told>,
    /// The run at a quota.
    pub quota: Option<Used>,
}

/// One number in flight; lists have one entry a round.
#[derive(Debug, Serialize)]
pub struct PathMeasured {
    /// Changes in flight, and connections of the plain clients.
    pub in_flight: u32,
    /// wrk, calls a second.
    pub wrk_calls_per_second: Vec<f64>,
    /// The bare client.
    pub plain: Vec<plain_loop::Told>,
    /// Sealift.
    pub carried: Vec<carry::Told>,
    /// Processor seconds of the server while Sealift ran.
    pub server_cpu_seconds: Vec<f64>,
}

/// Measures all.
pub fn measure(settings: &Settings) -> Result<Measured, Failure> {
    let machine = Machine::look(&settings.dir);
    let mut paths: Vec<_> = settings.in_flight.iter().map(|in_flight| PathMeasured::new(*in_flight)).collect();
    let mut submissions = Vec::new();
    for round in 1..=settings.rounds {
        for path in &mut paths {
            eprintln!("round {round} of {}, {} in flight", settings.rounds, path.in_flight);
            path.round(settings)?;
        }
        if settings.targets > 0 {
            eprintln!("round {round} of {}, submission of {}", settings.rounds, settings.targets);
            submissions.push(submission(settings)?);
        }
    }
    let quota = if settings.quota_seconds > 0 { Some(at_quota(settings)?) } else { None };
    Ok(Measured { machine, changes: settings.changes, paths, targets: settings.targets, submissions, quota })
}

impl PathMeasured {
    fn new(in_flight: u32) -> Self {
        Self { in_flight, wrk_calls_per_second: Vec::new(), plain: Vec::new(), carried: Vec::new(), server_cpu_seconds: Vec::new() }
    }

    fn round(&mut self, settings: &Settings) -> Result<(), Failure> {
        let (in_flight, seconds, changes) = (self.in_flight, settings.seconds, settings.changes);
        if !settings.only_carry {
            let room = Room::make(&settings.dir)?;
            let targets = fleet::write_targets(&room.0, changes)?;
            let server = Server::start(changes)?;
            self.wrk_calls_per_second.push(wrk::round(&server, &targets, in_flight, seconds)?);
            let server = Server::start(changes)?;
            let task = plain_loop::Task { endpoint: server.endpoint.clone(), proxies: changes, in_flight, seconds };
            self.plain.push(Child::start(plain_loop::ROLE, &task)?.result()?);
        }
        let room = Room::make(&settings.dir)?;
        let server = Server::start(changes)?;
        let before = server.cpu_seconds()?;
        let task = carry::Task { endpoint: server.endpoint.clone(), dir: room.0.clone(), changes, in_flight, quota: None };
        let told: carry::Told = Child::start(carry::ROLE, &task)?.result()?;
        self.server_cpu_seconds.push(server.cpu_seconds()? - before);
        self.carried.push(agreed(&server, changes, told)?);
        Ok(())
    }
}

/// A run that did not do its work is no measurement.
fn agreed(server: &Server, changes: u32, told: carry::Told) -> Result<carry::Told, Failure> {
    let counted = server.counted()?;
    let all = u64::from(changes);
    let right = told.succeeded == changes && counted.ssl_on == all && counted.executed_total == all && counted.repeated == 0;
    // A call that was withheld at the last check never arrives.
    if right && counted.arrivals_total <= told.calls {
        return Ok(told);
    }
    Err(format!("the server counted {counted:?} where {changes} changes were asked for, and Sealift told {told:?}").into())
}

fn submission(settings: &Settings) -> Result<submit::Told, Failure> {
    let room = Room::make(&settings.dir)?;
    fleet::write_plan(&room.0, settings.targets, 64, submit::NOT_YET)?;
    Child::start(submit::ROLE, &submit::Task { dir: room.0.clone() })?.result()
}

fn at_quota(settings: &Settings) -> Result<Used, Failure> {
    let seconds = settings.quota_seconds;
    eprintln!("{seconds} seconds at {} calls a second", quota::LIMIT);
    let changes = quota::changes(seconds);
    let room = Room::make(&settings.dir)?;
    let server = Server::start(changes)?;
    let task = carry::Task { endpoint: server.endpoint.clone(), dir: room.0.clone(), changes, in_flight: 64, quota: Some(quota::LIMIT) };
    let told: carry::Told = Child::start(carry::ROLE, &task)?.result()?;
    agreed(&server, changes, told)?;
    Ok(quota::judge(&server.arrivals()?, seconds))
}

/// An empty directory on the disk to be measured, removed at the end.
struct Room(PathBuf);

impl Room {
    fn make(dir: &Path) -> Result<Self, Failure> {
        let room = dir.join("room");
        if room.exists() {
            std::fs::remove_dir_all(&room)?;
        }
        std::fs::create_dir_all(&room)?;
        Ok(Self(room))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What stays behind is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
