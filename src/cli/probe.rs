//! `probe`: one look at a port from here, over the wire, and what it proves.
//!
//! Invariant: needs neither daemon nor plan nor account, and makes exactly one connection.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use super::args::{DocumentFormat, ProbeArgs, Value};
use super::exit::Exit;
use super::output::{aligned, line, pretty};
use super::term;
use crate::authorities::CA_FILE_BYTES_MAX;
use crate::clock::SystemClock;
use crate::domain::proof::{
    Certificate, Demand, Handshake, Login, PlaintextLogin, Proof, ProofVerdict, judge,
};
use crate::probe::{Prober, Roots};
use crate::words::text::{Style, clean};
use crate::yaml::open;

/// What is printed as JSON: all that was seen, and what it amounts to.
#[derive(Serialize)]
struct ProbeDoc<'a> {
    #[serde(flatten)]
    proof: &'a Proof,
    plaintext: PlaintextLogin,
    verdict: VerdictDoc<'a>,
}

#[derive(Serialize)]
struct VerdictDoc<'a> {
    word: &'a str,
    message: &'a str,
}

/// `probe`.
pub async fn probe(args: &ProbeArgs, style: &Style) -> Result<Exit> {
    let roots = match &args.ca_file {
        Some(file) => authorities(file)?,
        None => Roots::platform(),
    };
    let demand = Demand { min_tls: args.min_tls, trusted: args.ca_file.is_some() };
    let proof = Prober::new(Arc::new(SystemClock)).look(&args.endpoint, &roots).await;
    let verdict = judge(&proof, args.expect == Value::On, &demand);
    let doc = ProbeDoc {
        proof: &proof,
        plaintext: proof.plaintext(),
        verdict: VerdictDoc { word: verdict.as_str(), message: verdict.message() },
    };
    let mut out = term::stdout();
    match args.output.output {
        DocumentFormat::Json => writeln!(out, "{}", pretty(&doc)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(&doc)?)?,
        DocumentFormat::Table => write!(out, "{}", view(&proof, &verdict, style))?,
    }
    out.flush()?;
    Ok(match verdict {
        ProofVerdict::Proven { .. } => Exit::Done,
        ProofVerdict::Refuted { .. } => Exit::Failed,
        ProofVerdict::Unseen { .. } => Exit::InDoubt,
    })
}

fn authorities(file: &Path) -> Result<Roots> {
    let mut opened = open::named(file, CA_FILE_BYTES_MAX)
        .map_err(|complaint| anyhow!("{}: {}", file.display(), complaint.message))?;
    let pem = open::read(&mut opened, CA_FILE_BYTES_MAX)
        .map_err(|complaint| anyhow!("{}: {}", file.display(), complaint.message))?;
    Roots::of_pem(&pem).with_context(|| format!("{}", file.display()))
}

/// The verdict, then all that was seen.
fn view(proof: &Proof, verdict: &ProofVerdict, style: &Style) -> String {
    let mut rows: Vec<[String; 2]> =
        vec![[verdict.as_str().to_owned(), verdict.message().to_owned()]];
    let mut row = |name: &str, text: String| rows.push([name.to_owned(), text]);
    if let Some(greeting) = &proof.greeting {
        row("server", greeting.version.clone());
        let offered = if greeting.tls { "TLS is announced" } else { "no TLS is announced" };
        row("greeting", format!("{offered} (capabilities {:#010x})", greeting.capabilities));
        row("plain text", plaintext(proof.plaintext()).to_owned());
    }
    if let Some(tls) = &proof.tls {
        spoken(tls, style, &mut row);
    }
    match &proof.login {
        Some(Login::Refused { code, message, .. }) => {
            row("login", format!("refused, as it must be ({code}: {message})"))
        }
        Some(Login::Accepted) => {
            row("login", "ACCEPTED: the server lets an unknown user in with any password".into())
        }
        Some(Login::Unanswered { message }) => {
            row(
                "login",
                format!(
                    "not answered ({message}): the server may count a broken connection against this host"
                ),
            );
        }
        None => {}
    }
    row("took", format!("{} ms, at {}", proof.took_ms, style.time(proof.at)));
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    aligned(&["", ""], false, &rows, &mut Vec::new())
}

fn spoken(tls: &Handshake, style: &Style, row: &mut impl FnMut(&str, String)) {
    row("handshake", format!("{}, {}", tls.version, tls.cipher));
    for (depth, certificate) in tls.chain.iter().enumerate() {
        row(
            if depth == 0 { "certificate" } else { "sent with it" },
            format!("{}, signed by {}", certificate.subject, certificate.issuer),
        );
        if depth == 0 && !certificate.names.is_empty() {
            row("", format!("for {}", certificate.names.join(", ")));
        }
        row("", validity(certificate, style));
        row("", format!("sha256 {}", certificate.sha256));
    }
    for objection in &tls.objections {
        row("objection", format!("{}: {}", objection.word.as_str(), objection.message));
    }
}

fn validity(certificate: &Certificate, style: &Style) -> String {
    match (certificate.not_before, certificate.not_after) {
        (Some(begin), Some(end)) => {
            format!("valid from {} until {}", style.time(begin), style.until(end))
        }
        _ => "its dates cannot be read".into(),
    }
}

fn plaintext(plaintext: PlaintextLogin) -> &'static str {
    match plaintext {
        PlaintextLogin::Only => "is all that is spoken there",
        PlaintextLogin::NotExcluded => {
            "not excluded: a greeting does not tell whether TLS is required"
        }
        PlaintextLogin::Refused => "is refused",
    }
}
