//! `status`: the open rollouts, or one, and what is to be said of the daemon beside them.
//!
//! Deliberately not here: one rollout's text (`status`), and rows (`listing`).

use std::io::Write;

use anyhow::Result;

use super::args::{DocumentFormat, StatusArgs};
use super::client::Client;
use super::exit::Exit;
use super::output::{line, pretty};
use super::status::view;
use super::term::{self, say};
use super::wire::{
    AttentionDoc, DaemonDoc, EnforcementDoc, Events, LaneDoc, PlanFault, RolloutDoc,
};
use super::{enforce, lanes, notify, stop};
use crate::words::text::{Style, clean};

/// Plan files that `status` tells of: as many as a person reads.
const FAULTS_SHOWN: usize = 10;

/// Plan files that were not taken, a line each; of one plan, if it is asked for.
fn plan_faults(faults: &[PlanFault], plan: Option<&str>) -> Vec<String> {
    let asked: Vec<&PlanFault> =
        faults.iter().filter(|fault| plan.is_none() || fault.plan.as_deref() == plan).collect();
    let mut lines: Vec<String> = asked
        .iter()
        .take(FAULTS_SHOWN)
        .map(|fault| clean(&format!("plan file {}: {}", fault.file, fault.why)))
        .collect();
    if asked.len() > FAULTS_SHOWN {
        lines.push(format!(
            "and {} more plan files that were not taken; see the daemon's log",
            asked.len() - FAULTS_SHOWN
        ));
    }
    lines
}

/// What `status` says of the daemon: its lanes, its store, and plan files that were not taken. Of
/// one plan that was asked for, only what its rollout may wait for.
pub fn beside(daemon: &DaemonDoc, asked: Option<&str>, style: &Style) -> Vec<String> {
    let is_listed = |lane: &&LaneDoc| asked.is_none() || lanes::is_held_back(lane);
    let mut lines: Vec<String> =
        daemon.lanes.iter().filter(is_listed).map(|lane| lanes::line(lane, style)).collect();
    lines.extend(
        daemon
            .store
            .growth
            .as_ref()
            .filter(|_| asked.is_none())
            .map(|growth| format!("store: {}", growth.message())),
    );
    lines.extend(notify::lines(&daemon.notify).into_iter().filter(|_| asked.is_none()));
    lines.extend(plan_faults(&daemon.plans, asked));
    lines
}

/// `status`.
pub async fn status(client: &Client, args: &StatusArgs, style: Style) -> Result<Exit> {
    let rollouts: Vec<RolloutDoc> = match &args.rollout {
        Some(reference) => vec![client.rollout(reference).await?],
        None => {
            let events: Events = client.events(None, None, 0).await?;
            events.rollouts
        }
    };
    let mut out = term::stdout();
    match args.output.output {
        // One rollout asked for is one document; all of them are a list.
        DocumentFormat::Json if args.rollout.is_some() => {
            for rollout in &rollouts {
                writeln!(out, "{}", pretty(rollout)?)?;
            }
        }
        DocumentFormat::Json => writeln!(out, "{}", pretty(&rollouts)?)?,
        DocumentFormat::Jsonl => {
            for rollout in &rollouts {
                writeln!(out, "{}", line(rollout)?)?;
            }
        }
        DocumentFormat::Table => {
            let daemon: DaemonDoc = client.get("/v1/daemon", &[]).await?;
            let attention: AttentionDoc = client.get("/v1/attention", &[]).await?;
            for line in stop::lines(&attention, &style) {
                writeln!(out, "{line}\n")?;
            }
            if rollouts.is_empty() {
                say("no rollout is open; see `sealift list` for those that are over");
            }
            let width = term::width();
            for (index, rollout) in rollouts.iter().enumerate() {
                let gap = if index == 0 { "" } else { "\n" };
                write!(out, "{gap}{}", view(rollout, &style, width))?;
            }
            if args.rollout.is_none() {
                let enforced = client.page::<EnforcementDoc>("/v1/enforcements", &[]).await?;
                for line in enforce::holding(&enforced.rows, &style) {
                    writeln!(out, "{line}")?;
                }
            }
            let asked =
                args.rollout.as_ref().and(rollouts.first()).map(|rollout| rollout.name.as_str());
            for line in beside(&daemon, asked, &style) {
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}
