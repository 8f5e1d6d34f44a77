//! `plan --look`: what the proxies of a plan show now, asked of the cloud through the daemon.
//!
//! Invariants: nothing is changed; what cannot be known is told as unknown, with the reason, and
//! never taken for a value. The reads wait behind all work of their lane, so a look beside a
//! rollout takes as long as that leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::text::count;
use super::wire::{LOOK_INSTANCES_MAX, LookInstance, LookProxy, LookRequest, LookRow};
use super::{target_file, term};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::target::{InstanceName, Target, TargetList};
use crate::words::text::clean;

/// Without an answer for so long, it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Proxies named in a warning; the rest is counted.
const NAMED: usize = 3;

/// What a look found.
pub struct Looked {
    /// The targets, each with the value that its proxy showed; unknown where none could be read.
    pub targets: TargetList,
    /// When the look was over.
    pub at: Timestamp,
    /// What a person should know of it.
    pub warnings: Vec<String>,
}

/// Looks at every instance of these targets once.
pub async fn look(client: &Client, targets: &[Target]) -> Result<Looked> {
    let instances: BTreeSet<LookInstance> = targets.iter().map(instance).collect();
    let mut found =
        LookFinding { progress: LookProgress::new(instances.len()), ..LookFinding::default() };
    let mut asked: Vec<LookInstance> = instances.into_iter().collect();
    while !asked.is_empty() {
        let rest = asked.split_off(asked.len().min(LOOK_INSTANCES_MAX));
        let request = LookRequest { instances: std::mem::replace(&mut asked, rest) };
        let (rows, mut answers) = tokio::sync::mpsc::channel(LOOK_INSTANCES_MAX);
        // There is a place for each row of a request, so none is ever turned away.
        let mut pass_on = |row| drop(rows.try_send(row));
        let mut looking = std::pin::pin!(client.look(&request, &mut pass_on));
        let interrupted = tokio::signal::ctrl_c();
        let mut interrupted = std::pin::pin!(interrupted);
        loop {
            tokio::select! {
                biased;
                interrupted = &mut interrupted => {
                    interrupted?;
                    found.progress.clear();
                    return Err(ExitFailure::new(Exit::Interrupted, "the look was given up; nothing was changed").into());
                }
                Some(row) = answers.recv() => found.take(row),
                looked = &mut looking => break looked?,
                () = tokio::time::sleep(SILENCE) => found.progress.silent(),
            }
        }
        while let Ok(row) = answers.try_recv() {
            found.take(row);
        }
    }
    found.progress.clear();
    Ok(found.of(targets))
}

fn instance(target: &Target) -> LookInstance {
    LookInstance { lane: target.lane.to_string(), instance_id: target.instance_id.to_string() }
}

/// Writes the targets as a target file, each with the value that its proxy showed.
pub fn save(path: &Path, targets: &[Target]) -> Result<()> {
    let names: BTreeSet<String> = targets
        .iter()
        .flat_map(|target| target.tags.iter().flat_map(|tags| tags.iter()))
        .map(|(name, _)| name.to_owned())
        .collect();
    let file = std::fs::File::create_new(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    let mut csv = csv::Writer::from_writer(std::io::BufWriter::new(file));
    let written = || format!("cannot write {}", path.display());
    let names = Vec::from_iter(names);
    csv.write_record(target_file::header(&names)).with_context(written)?;
    for target in targets {
        let ids = [target.lane.as_str(), target.instance_id.as_str(), target.proxy_id.as_str()];
        let tag = |name: &'_ String| {
            target.tags.as_ref().and_then(|tags| tags.get(name)).unwrap_or_default()
        };
        let instance_name = target.instance_name.as_ref().map_or("", InstanceName::as_str);
        target_file::row(&mut csv, ids, target.seen, instance_name, names.iter().map(tag))
            .with_context(written)?;
    }
    csv.flush().with_context(written)?;
    term::say(&format!(
        "{} with what each proxy showed: name {} under `targets.files` and every change is bound to it",
        count(u32::try_from(targets.len()).unwrap_or(u32::MAX), "target", "targets"),
        path.display()
    ));
    Ok(())
}

#[derive(Default)]
struct LookFinding {
    proxies: BTreeMap<LookInstance, BTreeMap<String, LookProxy>>,
    /// Instances that could not be read, with the reason.
    failed: BTreeMap<LookInstance, String>,
    progress: LookProgress,
}

impl LookFinding {
    fn take(&mut self, row: LookRow) {
        let instance = LookInstance { lane: row.lane, instance_id: row.instance_id };
        match (row.proxies, row.error) {
            (Some(proxies), _) => {
                let proxies = proxies.into_iter().map(|proxy| (proxy.proxy_id.clone(), proxy));
                self.proxies.insert(instance, proxies.collect());
            }
            (None, error) => {
                self.failed.insert(instance, error.unwrap_or_else(|| "no reason was given".into()));
            }
        }
        self.progress.tick(self.proxies.len() + self.failed.len());
    }

    fn of(self, targets: &[Target]) -> Looked {
        let (mut gone, mut silent, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let seen = |target: &Target| {
            let id = target.proxy_id.to_string();
            let mut seen = None;
            if let Some(proxies) = self.proxies.get(&instance(target)) {
                match proxies.get(&id) {
                    None => gone.push(id),
                    Some(proxy) => {
                        if !proxy.status.eq_ignore_ascii_case("ACTIVE") {
                            other.push(format!("{id} ({})", clean(&proxy.status)));
                        }
                        seen = proxy.ssl_option;
                        if seen.is_none() {
                            silent.push(id);
                        }
                    }
                }
            }
            Target { seen, ..target.clone() }
        };
        let targets: TargetList = targets.iter().map(seen).collect();
        let mut warnings = Vec::new();
        if let Some((instance, why)) = self.failed.first_key_value() {
            let n = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
            warnings.push(format!(
                "{} could not be looked at; {} of lane {}: {}",
                count(n, "instance", "instances"),
                instance.instance_id,
                instance.lane,
                clean(why)
            ));
        }
        for (names, one, more) in [
            (
                gone,
                "proxy is not in its instance's list",
                "proxies are not in their instances' lists",
            ),
            (silent, "proxy shows no ssl_option", "proxies show no ssl_option"),
            (other, "proxy is not ACTIVE", "proxies are not ACTIVE"),
        ] {
            warnings.extend(named(&names, one, more));
        }
        Looked { targets, at: SystemClock.times().wall, warnings }
    }
}

fn named(names: &[String], one: &str, more: &str) -> Option<String> {
    let n = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let rest = names.len().saturating_sub(NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (n > 0).then(|| {
        format!("{}: {}{rest}", count(n, one, more), names[..names.len().min(NAMED)].join(", "))
    })
}

/// How far a look is, on standard error.
#[derive(Default)]
pub(super) struct LookProgress {
    of: usize,
    drawn: bool,
    terminal: bool,
    last: Duration,
}

impl LookProgress {
    pub(super) fn new(of: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { of, drawn: false, terminal, last: SystemClock.times().boot }
    }

    /// What there is in all has changed.
    pub(super) fn of(&mut self, of: usize) {
        self.of = of;
    }

    pub(super) fn tick(&mut self, done: usize) {
        let now = SystemClock.times().boot;
        if self.terminal {
            self.drawn = true;
            let mut err = term::stderr();
            // That it cannot be said changes nothing.
            let _ =
                write!(err, "\rlooked at {done} of {}\x1b[K", self.of).and_then(|()| err.flush());
        } else if now.saturating_sub(self.last) >= LINE_EVERY {
            self.last = now;
            term::say(&format!("looked at {done} of {}", self.of));
        }
    }

    fn silent(&mut self) {
        self.clear();
        term::say(
            "no answer for a while: looks wait for the quota of their lanes, and changes go first; `sealift status` shows it",
        );
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let mut err = term::stderr();
            let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
    }
}
