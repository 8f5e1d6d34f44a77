//! The listings: `list`, `changes`, `jobs`, `journal`, and `status`.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::args::{
    ChangesArgs, DocumentFormat, JournalArgs, ListArgs, OutputArgs, OutputFormat, RowsArgs,
    StatusArgs,
};
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow, line, pretty};
use super::status::view;
use super::term::{self, say};
use super::wire::{
    AttentionDoc, ChangeRow, DaemonDoc, EnforcementDoc, Events, JournalRow, LaneDoc, PlanFault,
    RolloutDoc, RolloutRow, SavedJob,
};
use super::{enforce, lanes, notify, stop};
use crate::words::moment::past;
use crate::words::text::{Style, clean};

/// Rows asked for at once; the server's most.
const PAGE: usize = 1000;

/// Seconds that the daemon is asked to hold an answer back while nothing happens.
const FOLLOW_WAIT: u64 = 20;

/// Between two reads of a journal that is followed: quick enough to look alive.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

/// Plan files that `status` tells of: as many as a person reads.
const FAULTS_SHOWN: usize = 10;

/// `list`.
pub async fn list(client: &Client, args: &ListArgs, style: Style) -> Result<Exit> {
    let mut query = Vec::new();
    if args.open {
        query.push(("open", "true".to_owned()));
    }
    let what = if args.open {
        "no rollout is open"
    } else {
        "no rollout yet; submit a plan with `sealift apply PLAN`"
    };
    rows::<RolloutRow>(
        client,
        "/v1/rollouts",
        query,
        Some(args.limit),
        args.output.output,
        style,
        what,
    )
    .await
}

/// `changes`.
pub async fn changes(client: &Client, args: &ChangesArgs, style: Style) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let asked =
        [("state", &args.state), ("wave", &args.wave), ("lane", &args.lane), ("id", &args.id)];
    let query = asked.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    let path = format!("/v1/rollouts/{}/changes", rollout.id);
    rows::<ChangeRow>(client, &path, query, args.limit, args.output.output, style, "no such change")
        .await
}

/// All rows of this rollout, for people.
pub fn all(rollout: &str) -> RowsArgs {
    RowsArgs { rollout: rollout.into(), limit: None, output: OutputArgs::default() }
}

/// `jobs`.
pub async fn jobs(client: &Client, args: &RowsArgs, style: Style) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let path = format!("/v1/rollouts/{}/jobs", rollout.id);
    rows::<SavedJob>(
        client,
        &path,
        Vec::new(),
        args.limit,
        args.output.output,
        style,
        "no job id was saved yet",
    )
    .await
}

/// `journal`.
pub async fn journal(client: &Client, args: &JournalArgs, style: Style) -> Result<Exit> {
    let since = args.since.as_deref().map(|text| past(text, &style)).transpose();
    let since =
        since.map_err(|complaint| ExitFailure::new(Exit::Error, format!("--since {complaint}")))?;
    let rollout = client.rollout(&args.rollout).await?;
    let style = style.in_zone(rollout.time_zone.as_deref());
    let path = format!("/v1/rollouts/{}/journal", rollout.id);
    let mut query: Vec<_> = args.proxy.iter().map(|proxy| ("proxy", proxy.clone())).collect();
    query.extend(since.map(|since| ("since", since.to_string())));
    if args.follow {
        return follow_journal(client, &rollout.id, &path, &query, args.output.output, style).await;
    }
    let nothing = if query.is_empty() { "nothing happened yet" } else { "nothing such happened" };
    rows::<JournalRow>(client, &path, query, args.limit, args.output.output, style, nothing).await
}

/// Prints what happened and then what happens, until the rollout is over.
async fn follow_journal(
    client: &Client,
    rollout: &str,
    path: &str,
    filter: &[(&'static str, String)],
    format: OutputFormat,
    style: Style,
) -> Result<Exit> {
    anyhow::ensure!(
        format != OutputFormat::Json,
        "a journal that is followed is no single JSON document; use -o jsonl"
    );
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut listing = ListingPrinter::new(&mut out, format, style);
    let (mut seq, mut after) = (None, 0);
    loop {
        let events = client.events(seq, Some(rollout), FOLLOW_WAIT).await?;
        loop {
            let mut query = filter.to_vec();
            query.extend([("limit", PAGE.to_string()), ("after", after.to_string())]);
            let page = client.page::<JournalRow>(path, &query).await?;
            listing.page(&page.rows)?;
            after = page.rows.last().map_or(after, |row| row.seq);
            match page.next.and_then(|next| next.parse().ok()) {
                Some(next) => after = next,
                None => break,
            }
        }
        // All up to there was read, whether it fitted the filter or not.
        after = after.max(events.seq);
        seq = Some(events.seq);
        if events
            .rollouts
            .first()
            .is_none_or(|rollout| rollout.is_final && rollout.tally.active == 0)
        {
            listing.end::<JournalRow>()?;
            return Ok(Exit::Done);
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

/// Prints every page of a listing as it arrives.
async fn rows<R: ListingRow + DeserializeOwned>(
    client: &Client,
    path: &str,
    query: Vec<(&'static str, String)>,
    limit: Option<usize>,
    format: OutputFormat,
    style: Style,
    nothing: &str,
) -> Result<Exit> {
    paged(client, path, query, limit, (|_: &R| true, format, style, nothing)).await
}

/// Those of all rows that are wanted.
pub async fn kept_rows<R: ListingRow + DeserializeOwned>(
    client: &Client,
    path: &str,
    kept: impl Fn(&R) -> bool,
    format: OutputFormat,
    style: Style,
    nothing: &str,
) -> Result<Exit> {
    paged(client, path, Vec::new(), None, (kept, format, style, nothing)).await
}

async fn paged<R: ListingRow + DeserializeOwned>(
    client: &Client,
    path: &str,
    query: Vec<(&'static str, String)>,
    limit: Option<usize>,
    (kept, format, style, nothing): (impl Fn(&R) -> bool, OutputFormat, Style, &str),
) -> Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut listing = ListingPrinter::new(&mut out, format, style);
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
        page.rows.retain(|row| kept(row));
        listing.page(&page.rows)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if listing.rows() == 0 && format == OutputFormat::Table {
        say(nothing);
    }
    listing.end::<R>()?;
    Ok(Exit::Done)
}

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
