//! The listings: `list`, `changes`, `jobs`, `journal`, and `status`.

use std::io::{self, Write};

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::args::{ChangesArgs, Format, ListArgs, OutputArgs, RowsArgs, StatusArgs};
use super::client::Client;
use super::exit::Exit;
use super::output::{Listing, Row, line, pretty};
use super::status::view;
use super::term::{self, say};
use super::text::{Style, clean};
use super::wire::{ChangeRow, DaemonDoc, EnforcementDoc, Events, JobRow, JournalRow, LaneDoc, PlanFault, RolloutDoc, RolloutRow};
use super::{enforce, lanes, stop};

/// Rows asked for at once; the server's most.
const PAGE: usize = 1000;

/// Plan files that `status` tells of: as many as a person reads.
const FAULTS_SHOWN: usize = 10;

/// `list`.
pub async fn list(client: &Client, args: &ListArgs, style: Style) -> Result<Exit> {
    let mut query = Vec::new();
    if args.open {
        query.push(("open", "true".to_owned()));
    }
    let what = if args.open { "no rollout is open" } else { "no rollout yet; submit a plan with `sealift apply PLAN`" };
    rows::<RolloutRow>(client, "/v1/rollouts", query, Some(args.limit), args.output.output, style, what).await
}

/// `changes`.
pub async fn changes(client: &Client, args: &ChangesArgs, style: Style) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let query = args.state.iter().map(|state| ("state", state.clone())).collect();
    let path = format!("/v1/rollouts/{}/changes", rollout.id);
    rows::<ChangeRow>(client, &path, query, args.limit, args.output.output, style, "no change is in such a state").await
}

/// All rows of this rollout, for people.
pub fn all(rollout: &str) -> RowsArgs {
    RowsArgs { rollout: rollout.into(), limit: None, output: OutputArgs::default() }
}

/// `jobs`.
pub async fn jobs(client: &Client, args: &RowsArgs, style: Style) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let path = format!("/v1/rollouts/{}/jobs", rollout.id);
    rows::<JobRow>(client, &path, Vec::new(), args.limit, args.output.output, style, "no job id was saved yet").await
}

/// `journal`.
pub async fn journal(client: &Client, args: &RowsArgs, style: Style) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let path = format!("/v1/rollouts/{}/journal", rollout.id);
    rows::<JournalRow>(client, &path, Vec::new(), args.limit, args.output.output, style, "nothing happened yet").await
}

/// Prints every page of a listing as it arrives.
async fn rows<R: Row + DeserializeOwned>(
    client: &Client,
    path: &str,
    query: Vec<(&'static str, String)>,
    limit: Option<usize>,
    format: Format,
    style: Style,
    nothing: &str,
) -> Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut listing = Listing::new(&mut out, format, style);
    let mut after: Option<String> = None;
    loop {
        let left = limit.map_or(PAGE, |limit| limit.saturating_sub(listing.rows()).min(PAGE));
        if left == 0 {
            say("more rows follow; raise --limit to see them");
            break;
        }
        let mut query = query.clone();
        query.push(("limit", left.to_string()));
        query.extend(after.take().map(|after| ("after", after)));
        let mut page = client.page::<R>(path, &query).await?;
        page.rows.truncate(left);
        listing.page(&page.rows)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if listing.rows() == 0 && format == Format::Table {
        say(nothing);
    }
    listing.end::<R>()?;
    Ok(Exit::Done)
}

/// Plan files that were not taken, a line each; of one plan, if it is asked for.
fn plan_faults(faults: &[PlanFault], plan: Option<&str>) -> Vec<String> {
    let asked: Vec<&PlanFault> = faults.iter().filter(|fault| plan.is_none() || fault.plan.as_deref() == plan).collect();
    let mut lines: Vec<String> =
        asked.iter().take(FAULTS_SHOWN).map(|fault| clean(&format!("plan file {}: {}", fault.file, fault.why))).collect();
    if asked.len() > FAULTS_SHOWN {
        lines.push(format!("and {} more plan files that were not taken; see the daemon's log", asked.len() - FAULTS_SHOWN));
    }
    lines
}

/// What `status` says of the daemon: its lanes, its store, and plan files that were not taken. Of one plan that was asked
/// for, only what its rollout may wait for.
pub fn beside(daemon: &DaemonDoc, asked: Option<&str>, style: &Style) -> Vec<String> {
    let told = |lane: &&LaneDoc| asked.is_none() || lanes::is_held_back(lane);
    let mut lines: Vec<String> = daemon.lanes.iter().filter(told).map(|lane| lanes::line(lane, style)).collect();
    lines.extend(daemon.store.growth.as_ref().filter(|_| asked.is_none()).map(|growth| format!("store: {}", growth.told())));
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
        Format::Json if args.rollout.is_some() => {
            for rollout in &rollouts {
                writeln!(out, "{}", pretty(rollout)?)?;
            }
        }
        Format::Json => writeln!(out, "{}", pretty(&rollouts)?)?,
        Format::Jsonl => {
            for rollout in &rollouts {
                writeln!(out, "{}", line(rollout)?)?;
            }
        }
        Format::Csv => anyhow::bail!("a status has no rows for CSV; use -o json, or `sealift list -o csv`"),
        Format::Table => {
            let daemon: DaemonDoc = client.get("/v1/daemon", &[]).await?;
            for line in stop::lines(&daemon, &style) {
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
            let asked = args.rollout.as_ref().and(rollouts.first()).map(|rollout| rollout.name.as_str());
            for line in beside(&daemon, asked, &style) {
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}
