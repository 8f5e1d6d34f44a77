//! `revert`: asks the daemon to put back what a rollout changed; or, for one that is over, writes a
//! plan that does.
//!
//! Invariant: a plan that is written holds only what the rollout surely switched, the newest wave
//! first; whatever somebody changed since shows the wanted value already when that plan runs, and
//! is left alone. What it does not carry over of the rollout's own plan is named on the screen and
//! in the file.

pub(super) mod file;

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::args::RevertArgs;
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::operate::report;
use super::term::{self, ask, can_ask};
use super::text::count;
use super::wire::{ChangeRow, PlanDoc, RevertRequest, RolloutDoc};
use crate::words::text::{Style, clean};
use crate::words::verbs::reverts;

/// Rows asked for at once.
const PAGE: usize = 1000;

/// What an enforcement at work would do to whatever is put back; nothing where none is.
fn enforced(rollout: &RolloutDoc) -> Option<String> {
    let enforcement = rollout
        .enforcement
        .as_deref()
        .filter(|known| known.stage != "ended" && known.ssl_option == rollout.ssl_option)?;
    let does =
        if enforcement.mode == "apply" { "switches them again" } else { "tells them as drifted" };
    let name = clean(&enforcement.name);
    Some(format!(
        "plan {name} is enforced: its next run {does}; end that first with `sealift enforce stop {name}`"
    ))
}

/// `revert`.
pub async fn revert(client: &Client, args: &RevertArgs, style: &Style) -> Result<Exit> {
    let rollout = client.rollout(&args.verb.rollout).await?;
    if let Some(file) = &args.write {
        return write_plan(client, &rollout, file, style).await;
    }
    if !args.yes && !rollout.is_final {
        if !can_ask() {
            return Err(ExitFailure::nobody(
                "a revert cannot be taken back; say --yes to do it without being asked",
            )
            .into());
        }
        let tally = &rollout.tally;
        let does = reverts(rollout.ssl_option, tally.succeeded + tally.active, tally.queued);
        term::say(&format!("{} revision {}: {does}", clean(&rollout.name), rollout.revision));
        if !matches!(ask("Revert? [y/N]")?.as_str(), "y" | "Y" | "yes") {
            term::say("nothing was done");
            return Ok(Exit::Error);
        }
    }
    if let Some(warning) = enforced(&rollout) {
        term::say(&format!("warning: {warning}"));
    }
    // Whoever said yes was told the plan's name and what becomes of it.
    let request =
        RevertRequest { reason: args.verb.reason.clone(), confirm: Some(rollout.name.clone()) };
    let answer = client.verb(&rollout.id, "revert", &request).await?;
    report(&answer, &args.verb.output)
}

async fn write_plan(
    client: &Client,
    rollout: &RolloutDoc,
    file: &Path,
    style: &Style,
) -> Result<Exit> {
    if !rollout.is_final || rollout.tally.active > 0 {
        let message = format!(
            "rollout {} is {}: put it back with `sealift revert {}`; a plan is written of one that is over",
            rollout.name, rollout.phase, rollout.name
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    }
    let rows = switched(client, rollout).await?;
    if rows.is_empty() {
        return Err(ExitFailure::new(
            Exit::Error,
            format!("nothing to put back: rollout {} switched nothing", rollout.name),
        )
        .into());
    }
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let mut out = BufWriter::new(opened.with_context(|| {
        format!("cannot create {}; an existing file is left as it is", file.display())
    })?);
    let plan: PlanDoc = client.get(&format!("/v1/rollouts/{}/plan", rollout.id), &[]).await?;
    let written = file::file(rollout, &plan, &rows, style);
    out.write_all(written.text.as_bytes())?;
    out.flush()?;
    let file = file.display();
    term::say(&format!(
        "{file} puts back {}; look at it with `sealift plan {file}`, then `sealift apply {file}`",
        count(u32::try_from(rows.len()).unwrap_or(u32::MAX), "proxy", "proxies")
    ));
    if !written.carried.is_empty() {
        term::say(&format!(
            "carried over from {} revision {}: {}",
            clean(&rollout.name),
            rollout.revision,
            written.carried.join(", ")
        ));
    }
    for line in &written.left_out {
        term::say(&format!("left out: {line}"));
    }
    if let Some(warning) = enforced(rollout) {
        term::say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// What the rollout surely switched, the newest wave first.
async fn switched(client: &Client, rollout: &RolloutDoc) -> Result<Vec<ChangeRow>> {
    let mut rows: Vec<ChangeRow> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        // What an aborted revert left is put back as well.
        let mut query =
            vec![("state", "succeeded,skipped".to_owned()), ("limit", PAGE.to_string())];
        query.extend(after.take().map(|after| ("after", after)));
        let page = client
            .page::<ChangeRow>(&format!("/v1/rollouts/{}/changes", rollout.id), &query)
            .await?;
        rows.extend(page.rows.into_iter().filter(|row| is_ours(row, rollout.ssl_option)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let place = |row: &ChangeRow| rollout.waves.iter().position(|wave| wave.name == row.wave);
    rows.sort_by_key(|row| (std::cmp::Reverse(place(row)), row.ordinal));
    Ok(rows)
}

fn is_ours(row: &ChangeRow, set: bool) -> bool {
    let switched = row.how.as_deref() == Some("switched")
        || row.reason_word.as_deref() == Some("revert_aborted");
    switched && row.before == Some(!set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(how: Option<&str>, reason_word: Option<&str>, before: Option<bool>) -> ChangeRow {
        ChangeRow {
            ordinal: 0,
            lane: "prod-sg".into(),
            instance_id: String::new(),
            instance_name: None,
            proxy_id: String::new(),
            wave: "all".into(),
            tags: Default::default(),
            state: "succeeded".into(),
            how: how.map(str::to_owned),
            attempts: 1,
            before,
            undo: false,
            job_id: None,
            jobs: Vec::new(),
            presumed: Vec::new(),
            reason_word: reason_word.map(str::to_owned),
            reason: None,
            first_answer: None,
            last_answer: None,
            endpoint: None,
            proof: None,
            moved_at: None,
            hold: None,
        }
    }

    #[test]
    fn only_what_was_surely_switched_from_a_known_value_is_put_back() {
        assert!(is_ours(&row(Some("switched"), None, Some(false)), true));
        assert!(is_ours(&row(None, Some("revert_aborted"), Some(false)), true));
        assert!(is_ours(&row(Some("switched"), None, Some(true)), false));
        for other in [
            row(Some("already_right"), None, None),
            row(Some("switched_job_unknown"), None, Some(false)),
            row(Some("switched"), None, None),
            row(Some("switched"), None, Some(true)),
            row(None, Some("changed_since"), Some(false)),
        ] {
            assert!(!is_ours(&other, true), "{other:?}");
        }
    }
}
