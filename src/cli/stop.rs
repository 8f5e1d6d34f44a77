//! `stop` and `start`: everything, whatever runs.
//!
//! Invariant: where the daemon does not answer, the way to stop without it is named.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::args::{DocumentFormat, StopArgs};
use super::client::Client;
use super::client_error::ClientError;
use super::exit::{Exit, ExitFailure};
use super::output::{line, pretty};
use super::reach::DaemonAddress;
use super::term;
use super::wire::{AttentionDoc, AttentionRow, StopAnswer, StopRequest};
use crate::words::text::{Style, clean};

/// `stop`.
pub async fn stop(client: &Client, args: &StopArgs, daemon: &DaemonAddress) -> Result<Exit> {
    let request = StopRequest { reason: args.reason.clone() };
    // The way to stop without the daemon is told at once, not after its restart was waited for.
    let answered = client.clone().waiting(Duration::ZERO).switch_all("stop", &request).await;
    report(&answered.map_err(|error| without_answer(error, daemon))?, args.output.output)
}

/// `start`.
pub async fn start(client: &Client, args: &StopArgs) -> Result<Exit> {
    let answer = client.switch_all("start", &StopRequest { reason: args.reason.clone() }).await?;
    report(&answer, args.output.output)
}

/// Whoever must stop everything now is told how, whatever keeps the daemon from its answer.
fn without_answer(error: ClientError, daemon: &DaemonAddress) -> ExitFailure {
    let refused = matches!(error, ClientError::Refused(_));
    let failure = ExitFailure::from(error);
    if refused {
        return failure;
    }
    let file = match daemon.stop_file() {
        Some(path) => path.display().to_string(),
        None => "STOP in the daemon's state directory (`sealift config` has its path)".to_owned(),
    };
    let message = format!(
        "{}\nWithout its answer: a file {file} stops everything at once, and at its next start; the reason is its text",
        failure.message
    );
    ExitFailure { message, ..failure }
}

fn report(answer: &StopAnswer, format: DocumentFormat) -> Result<Exit> {
    let mut out = term::stdout();
    match format {
        DocumentFormat::Table if answer.verb == "stop" => {
            writeln!(out, "stopped: nothing that changes anything is sent until `sealift start`")?;
            let followed = match answer.in_flight {
                0 => "nothing is in flight".to_owned(),
                1 => "1 in flight is followed to its end".to_owned(),
                n => format!("{n} in flight are followed to their end"),
            };
            term::say(&format!("{followed}; the daemon runs on, and reads go on"));
        }
        DocumentFormat::Table => writeln!(out, "started: work goes on")?,
        DocumentFormat::Json => writeln!(out, "{}", pretty(answer)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(answer)?)?,
    }
    if let Some(file) = answer.stop_file.as_ref().filter(|_| answer.verb == "start") {
        term::say(&clean(&format!("the file {file} still stops everything; remove it to go on")));
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// What stops everything, a line each: the first thing that `status` says.
pub fn lines(attention: &AttentionDoc, style: &Style) -> Vec<String> {
    let line = |row: &AttentionRow| {
        let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
        match (row.word.as_str(), &row.by, row.since) {
            ("stopped", Some(by), Some(since)) => {
                Some(format!("STOPPED by {by} {}{why}; `sealift start` goes on", style.ago(since)))
            }
            ("stop_file", _, _) => Some(format!(
                "STOPPED {}{why}; remove it to go on",
                row.text.replacen("everything is stopped ", "", 1)
            )),
            _ => None,
        }
    };
    attention.rows.iter().filter_map(line).map(|line| clean(&line)).collect()
}
