//! The operator's verbs: `pause`, `resume`, `abort`, `retry`, `resolve`, `promote`, `approve`.

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::args::{
    AbortArgs, ApproveArgs, DocumentArgs, DocumentFormat, HoldArgs, PauseArgs, ResolveArgs,
    RetryArgs, VerbArgs,
};
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::{line, pretty};
use super::term::{self, ask, can_ask};
use super::wire::{
    AbortRequest, ApproveRequest, LaneAnswer, LaneRequest, PauseRequest, PromoteRequest,
    ResolveRequest, ResumeRequest, RetryRequest, VerbAnswer,
};
use crate::words::moment::moment;
use crate::words::text::{Style, clean};
use crate::words::verbs::aborts;

/// `promote`.
pub async fn promote(client: &Client, args: &VerbArgs) -> Result<Exit> {
    let request = PromoteRequest { reason: args.reason.clone() };
    report(&client.verb(&args.rollout, "promote", &request).await?, &args.output)
}

/// `resume`.
pub async fn resume(client: &Client, args: &HoldArgs) -> Result<Exit> {
    held(client, "resume", args, ResumeRequest { reason: args.reason.clone() }).await
}

/// `pause` and `resume`: of a lane, or of a rollout by this body.
async fn held(
    client: &Client,
    verb: &str,
    args: &HoldArgs,
    request: impl Serialize,
) -> Result<Exit> {
    if let Some(lane) = &args.lane {
        let reason = args.reason.clone();
        return report_lane(
            &client.lane_verb(lane, verb, &LaneRequest { reason }).await?,
            &args.output,
        );
    }
    let rollout = args.rollout.as_deref().unwrap_or_default();
    report(&client.verb(rollout, verb, &request).await?, &args.output)
}

/// `pause`.
pub async fn pause(client: &Client, args: &PauseArgs, style: &Style) -> Result<Exit> {
    let until = args.until.as_deref().map(|text| moment(text, style)).transpose();
    let until =
        until.map_err(|complaint| ExitFailure::new(Exit::Error, format!("--until {complaint}")))?;
    let exit =
        held(client, "pause", &args.what, PauseRequest { reason: args.what.reason.clone(), until })
            .await?;
    if let Some(until) = until {
        term::say(&format!("it goes on by itself {}", style.until(until)));
    }
    Ok(exit)
}

/// `approve`.
pub async fn approve(client: &Client, args: &ApproveArgs) -> Result<Exit> {
    let request =
        ApproveRequest { reason: args.verb.reason.clone(), digest: Some(args.digest.clone()) };
    report(&client.verb(&args.verb.rollout, "approve", &request).await?, &args.verb.output)
}

/// `retry`.
pub async fn retry(client: &Client, args: &RetryArgs) -> Result<Exit> {
    let request = RetryRequest {
        reason: args.verb.reason.clone(),
        in_doubt: args.in_doubt,
        proxy: args.proxy.clone(),
    };
    report(&client.verb(&args.verb.rollout, "retry", &request).await?, &args.verb.output)
}

/// `resolve`.
pub async fn resolve(client: &Client, args: &ResolveArgs) -> Result<Exit> {
    let (reason, proxy, job) =
        (args.verb.reason.clone(), Some(args.proxy.clone()), args.job.clone());
    let request = ResolveRequest { reason, proxy, job, give_up: args.give_up };
    report(&client.verb(&args.verb.rollout, "resolve", &request).await?, &args.verb.output)
}

/// `abort`: cannot be taken back, so it asks.
pub async fn abort(client: &Client, args: &AbortArgs) -> Result<Exit> {
    let rollout = client.rollout(&args.verb.rollout).await?;
    if !args.yes && !rollout.is_final {
        if !can_ask() {
            return Err(ExitFailure::nobody(
                "an abort cannot be taken back; say --yes to do it without being asked",
            )
            .into());
        }
        let what = format!(
            "{} revision {}: {}",
            clean(&rollout.name),
            rollout.revision,
            aborts(rollout.tally.queued, rollout.tally.active)
        );
        term::say(&what);
        if !matches!(ask("Abort? [y/N]")?.as_str(), "y" | "Y" | "yes") {
            term::say("nothing was done");
            return Ok(Exit::Error);
        }
    }
    let answer = client
        .verb(&rollout.id, "abort", &AbortRequest { reason: args.verb.reason.clone() })
        .await?;
    report(&answer, &args.verb.output)
}

/// Tells what a verb did to a lane.
fn report_lane(answer: &LaneAnswer, output: &DocumentArgs) -> Result<Exit> {
    let mut out = term::stdout();
    match output.output {
        DocumentFormat::Table if answer.verb == "pause" => {
            writeln!(
                out,
                "lane {}: paused; nothing that changes anything is sent over it until it is resumed",
                clean(&answer.lane)
            )?;
            term::say("reads go on, and what is in flight is followed to its end");
        }
        DocumentFormat::Table => writeln!(out, "lane {}: resumed", clean(&answer.lane))?,
        DocumentFormat::Json => writeln!(out, "{}", pretty(answer)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(answer)?)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// What a verb did, in one line: `night: paused (wave 2 of 3); 30 in flight are followed to their
/// end`.
pub fn done(answer: &VerbAnswer) -> String {
    let (done, leads_to) = match answer.verb.as_str() {
        "pause" => ("paused", "advancing"),
        "resume" => ("resumed", ""),
        "abort" => ("aborted", "aborted"),
        "retry" => ("failed changes are queued again", ""),
        "resolve" => ("resolved", ""),
        "promote" => ("promoted", ""),
        "approve" => ("approved", ""),
        "revert" => ("what it changed is put back", "reverting"),
        other => (other, ""),
    };
    // The phase that the verb itself names is not said twice, nor the one wave of a plan without
    // waves.
    let phase = (answer.phase != leads_to).then(|| answer.phase.clone());
    let wave = answer
        .wave
        .filter(|_| answer.waves > 1)
        .map(|wave| format!("wave {wave} of {}", answer.waves));
    let at: Vec<String> = phase.into_iter().chain(wave).collect();
    let at = if at.is_empty() { String::new() } else { format!(" ({})", at.join(", ")) };
    let begins_nothing = matches!(answer.verb.as_str(), "pause" | "abort" | "revert");
    let followed = match answer.in_flight {
        0 => String::new(),
        _ if !begins_nothing => String::new(),
        1 => "; 1 in flight is followed to its end".to_owned(),
        n => format!("; {n} in flight are followed to their end"),
    };
    clean(&format!("{}: {done}{at}{followed}", answer.name))
}

/// Tells what a verb did.
pub fn report(answer: &VerbAnswer, output: &DocumentArgs) -> Result<Exit> {
    let mut out = term::stdout();
    match output.output {
        DocumentFormat::Table => {
            writeln!(out, "{}", done(answer))?;
        }
        DocumentFormat::Json => writeln!(out, "{}", pretty(answer)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(answer)?)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}
