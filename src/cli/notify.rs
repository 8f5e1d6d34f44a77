//! `notify`: who is told what happens and how that goes; and the test of one receiver.

use std::io::Write as _;

use anyhow::Result;

use super::args::{DocumentFormat, NotifyArgs, NotifyTestArgs, NotifyVerb, OutputFormat};
use super::client::Client;
use super::exit::Exit;
use super::output::{ListingPrinter, ListingRow, line, pretty};
use super::term::{self, say};
use super::wire::{DaemonDoc, NotifyTestAnswer, ReceiverDoc};
use crate::words::text::{Style, clean};

/// `notify`.
pub async fn notify(client: &Client, args: &NotifyArgs, style: &Style) -> Result<Exit> {
    if let Some(NotifyVerb::Test(args)) = &args.verb {
        return test(client, args).await;
    }
    let daemon: DaemonDoc = client.get("/v1/daemon", &[]).await?;
    let (mut out, format) = (term::stdout(), args.output.output);
    let mut listing = ListingPrinter::new(&mut out, format, style.clone());
    listing.page(&daemon.notify)?;
    if daemon.notify.is_empty() && format == OutputFormat::Table {
        say("nobody is told; the configuration's `notify` names receivers");
    }
    listing.end::<ReceiverDoc>()?;
    if format == OutputFormat::Table {
        for trouble in daemon.notify.iter().filter_map(ReceiverDoc::trouble) {
            writeln!(out, "{}", clean(&trouble))?;
        }
        out.flush()?;
    }
    Ok(Exit::Done)
}

async fn test(client: &Client, args: &NotifyTestArgs) -> Result<Exit> {
    let answer = client.test_receiver(&args.name).await?;
    let mut out = term::stdout();
    match args.output.output {
        DocumentFormat::Table => writeln!(out, "{}", said(&answer))?,
        DocumentFormat::Json => writeln!(out, "{}", pretty(&answer)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(&answer)?)?,
    }
    out.flush()?;
    Ok(if answer.taken { Exit::Done } else { Exit::Failed })
}

fn said(answer: &NotifyTestAnswer) -> String {
    let NotifyTestAnswer { name, taken, text, excerpt } = answer;
    let what = if *taken { "it took the test" } else { "it did not take the test" };
    let excerpt = if excerpt.is_empty() { String::new() } else { format!(": {excerpt}") };
    clean(&format!("{name}: {what}, {text}{excerpt}"))
}

/// What `status` says of the receivers: those in trouble, else that all is well.
pub fn lines(receivers: &[ReceiverDoc]) -> Vec<String> {
    let mut lines: Vec<String> =
        receivers.iter().filter_map(ReceiverDoc::trouble).map(|line| clean(&line)).collect();
    if lines.is_empty() {
        lines.extend(ReceiverDoc::all_well(receivers));
    }
    lines
}

impl ListingRow for ReceiverDoc {
    const COLUMNS: &'static [&'static str] = &[
        "RECEIVER",
        "SHAPE",
        "#WAITING",
        "OLDEST",
        "#TAKEN",
        "LAST",
        "#FAILED",
        "#GIVEN UP",
        "NEXT",
    ];
    const FIELDS: &'static [&'static str] = &[
        "name",
        "shape",
        "on",
        "waiting",
        "oldest",
        "taken",
        "taken_at",
        "failed",
        "given_up",
        "off",
        "failing_since",
        "why",
        "next",
        "blocked",
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let none = || "-".to_owned();
        let next = if self.off.is_some() {
            "off".to_owned()
        } else {
            self.next.map_or_else(none, |next| style.until(next))
        };
        vec![
            self.name.clone(),
            self.shape.clone(),
            self.waiting.to_string(),
            self.oldest.map_or_else(none, |at| style.ago(at)),
            self.taken.to_string(),
            self.taken_at.map_or_else(none, |at| style.ago(at)),
            self.failed.to_string(),
            self.given_up.to_string(),
            next,
        ]
    }

    fn record(&self) -> Vec<String> {
        let at = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            self.name.clone(),
            self.shape.clone(),
            self.on.join(" "),
            self.waiting.to_string(),
            at(self.oldest),
            self.taken.to_string(),
            at(self.taken_at),
            self.failed.to_string(),
            self.given_up.to_string(),
            at(self.off),
            at(self.failing_since),
            self.why.clone(),
            at(self.next),
            self.blocked.clone().unwrap_or_default(),
        ]
    }
}
