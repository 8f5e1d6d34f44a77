//! The operator's verbs: `pause`, `resume`, `abort`, `retry`, `promote`.

use std::io::Write as _;

use anyhow::Result;

use super::args::{AbortArgs, Format, OutputArgs, RetryArgs, VerbArgs};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{line, pretty};
use super::term::{self, ask, can_ask};
use super::text::{clean, count};
use super::wire::{VerbAnswer, VerbRequest};

/// `pause`, `resume`, `promote`.
pub async fn plain(client: &Client, verb: &str, args: &VerbArgs) -> Result<Exit> {
    let answer = client.verb(&args.rollout, verb, &VerbRequest { reason: args.reason.clone(), in_doubt: false }).await?;
    tell(&answer, &args.output)
}

/// `retry`.
pub async fn retry(client: &Client, args: &RetryArgs) -> Result<Exit> {
    let request = VerbRequest { reason: args.verb.reason.clone(), in_doubt: args.in_doubt };
    let answer = client.verb(&args.verb.rollout, "retry", &request).await?;
    tell(&answer, &args.verb.output)
}

/// `abort`: cannot be taken back, so it asks.
pub async fn abort(client: &Client, args: &AbortArgs) -> Result<Exit> {
    let rollout = client.rollout(&args.verb.rollout).await?;
    if !args.yes && !rollout.is_final {
        if !can_ask() {
            return Err(Failure::new(Exit::Error, "an abort cannot be taken back; say --yes to do it without being asked").into());
        }
        let what = format!(
            "{} revision {}: {} will be withdrawn for ever, {} in flight will be followed to the end",
            clean(&rollout.name),
            rollout.revision,
            count(rollout.tally.queued, "change", "changes"),
            rollout.tally.active
        );
        term::say(&what);
        if !matches!(ask("Abort? [y/N]")?.as_str(), "y" | "Y" | "yes") {
            term::say("nothing was done");
            return Ok(Exit::Error);
        }
    }
    let request = VerbRequest { reason: args.verb.reason.clone(), in_doubt: false };
    let answer = client.verb(&rollout.id, "abort", &request).await?;
    tell(&answer, &args.verb.output)
}

fn tell(answer: &VerbAnswer, output: &OutputArgs) -> Result<Exit> {
    let mut out = term::stdout();
    match output.output {
        Format::Table => {
            let done = match answer.verb.as_str() {
                "pause" => "paused",
                "resume" => "resumed",
                "abort" => "aborted",
                "retry" => "retried",
                "promote" => "promoted",
                other => other,
            };
            writeln!(out, "{}: {done}; the rollout is {}", clean(&answer.name), answer.phase)?;
            let begins_nothing = matches!(answer.verb.as_str(), "pause" | "abort");
            if begins_nothing && answer.in_flight > 0 {
                term::say(&format!("{} in flight will be followed to the end", count(answer.in_flight, "change", "changes")));
            }
        }
        Format::Json => writeln!(out, "{}", pretty(answer)?)?,
        Format::Jsonl => writeln!(out, "{}", line(answer)?)?,
        Format::Csv => anyhow::bail!("a verb's answer has no rows for CSV; use -o json (the verb was carried out)"),
    }
    out.flush()?;
    Ok(Exit::Done)
}
