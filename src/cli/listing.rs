//! The listings: `list`, `changes`, `jobs` and `journal`.

use std::io;
use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::args::{ChangesArgs, JournalArgs, ListArgs, OutputArgs, OutputFormat, RowsArgs};
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow};
use super::term::say;
use super::wire::{ChangeRow, JournalRow, RolloutRow, SavedJob};
use crate::words::moment::past;
use crate::words::text::Style;

/// Rows asked for at once; the server's most.
const PAGE: usize = 1000;

/// Seconds that the daemon is asked to hold an answer back while nothing happens.
const FOLLOW_WAIT: u64 = 20;

/// Between two reads of a journal that is followed: quick enough to look alive.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

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
