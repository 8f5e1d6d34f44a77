//! `token`: the file of `api.tokens_file`, on the daemon's host and without the daemon.
//!
//! Invariant: a token is printed once and kept nowhere; the file has what the daemon needs to know
//! it again.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::{TokenArgs, TokenListArgs, TokenNewArgs, TokenRevokeArgs, TokenVerb};
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow};
use super::reach;
use super::reach::Reach;
use super::term;
use crate::api::door::tokens::{ListedToken, TOKENS_MAX, TokenFile, draw};
use crate::config::Config;
use crate::domain::people::{Role, Roles};
use crate::words::text::{Style, clean};

/// How long a token that is over is still listed, so that somebody sees why theirs is not taken.
const KEPT_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Longest label.
const LABEL_BYTES_MAX: usize = 100;

/// `token`.
pub fn token(args: &TokenArgs, at: &Reach, style: &Style) -> Result<Exit> {
    let config = reach::config(at)?;
    let path = config.door.tokens_file.clone().ok_or_else(|| {
        failed("the configuration names no file of tokens: write `tokens_file: /var/lib/sealift/tokens.yaml` into `api`, beside `people`")
    })?;
    match &args.verb {
        TokenVerb::New(args) => new(args, &config, &path, style),
        TokenVerb::List(args) => list(args, &path, style),
        TokenVerb::Revoke(args) => revoke(args, &path),
    }
}

fn failed(message: impl Into<String>) -> ExitFailure {
    ExitFailure::new(Exit::Error, message)
}

fn new(args: &TokenNewArgs, config: &Config, path: &Path, style: &Style) -> Result<Exit> {
    let person = config.people.as_ref().and_then(|people| people.of_name(&args.name));
    let person = person.ok_or_else(|| {
        failed(format!("`api.people` names no {}; add them there first", clean(&args.name)))
    })?;
    let may: Roles = args.may.iter().filter_map(|word| Role::of_word(word)).collect();
    if may.both(&person.may) != may {
        return Err(failed(format!(
            "{} may {}, and a token gives no more; {may} was asked for",
            clean(&person.name),
            person.may
        ))
        .into());
    }
    if may.has(Role::Off) && !may.has(Role::Operate) {
        return Err(failed("`off` alone allows nothing; add `operate`").into());
    }
    if args.label.len() > LABEL_BYTES_MAX || args.label.chars().any(char::is_control) {
        return Err(failed("a label is a few words").into());
    }
    let mut file = TokenFile::read(path)?;
    // Those that are over for long make room.
    file.tokens.retain(|token| style.now.duration_since(token.until) < KEPT_AFTER);
    if file.tokens.len() >= TOKENS_MAX {
        return Err(failed(format!(
            "{} has {TOKENS_MAX} tokens; revoke some first",
            path.display()
        ))
        .into());
    }
    let until =
        style.now.checked_add(args.lasts.get()).map_err(|error| failed(error.to_string()))?;
    let (text, listed) = draw(&person.name, &args.label, &may, until);
    let told = format!(
        "token {} of {} may {may} until {}; it is shown this once",
        listed.id,
        clean(&listed.name),
        style.until(until)
    );
    file.tokens.push(listed);
    write(&file, path)?;
    let mut out = term::stdout();
    writeln!(out, "{text}")?;
    out.flush()?;
    term::say(&told);
    if config.door.listen.is_none() {
        term::say("the daemon listens on its socket alone: `api.listen` opens it to the network");
    }
    Ok(Exit::Done)
}

fn write(file: &TokenFile, path: &Path) -> Result<(), ExitFailure> {
    file.write(path).map_err(|error| {
        failed(format!("cannot write {}: {error}; run it as the daemon's user: sudo -u sealift sealift token …", path.display()))
    })
}

/// One token, without anything that is secret.
#[derive(Debug, Serialize)]
struct TokenRow {
    id: String,
    name: String,
    label: String,
    may: Vec<String>,
    until: Timestamp,
    /// Whether its time is over.
    over: bool,
}

impl ListingRow for TokenRow {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "LABEL", "MAY", "UNTIL"];
    const FIELDS: &'static [&'static str] = &["id", "name", "label", "may", "until", "over"];

    fn cells(&self, style: &Style) -> Vec<String> {
        let until = style.time(self.until);
        let until = if self.over { format!("{until} (over)") } else { until };
        vec![self.id.clone(), self.name.clone(), self.label.clone(), self.may.join(","), until]
    }

    fn record(&self) -> Vec<String> {
        let (may, until, over) =
            (self.may.join(","), self.until.to_string(), self.over.to_string());
        vec![self.id.clone(), self.name.clone(), self.label.clone(), may, until, over]
    }
}

fn list(args: &TokenListArgs, path: &Path, style: &Style) -> Result<Exit> {
    let tokens = TokenFile::read(path)?.tokens;
    let row = |ListedToken { id, name, label, may, until, .. }: ListedToken| TokenRow {
        id,
        name,
        label,
        may,
        until,
        over: until <= style.now,
    };
    let rows: Vec<TokenRow> = tokens.into_iter().map(row).collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut listing = ListingPrinter::new(&mut out, args.output.output, style.clone());
    listing.page(&rows)?;
    listing.end::<TokenRow>()?;
    if rows.is_empty() {
        term::say("no token yet; `sealift token new` makes one");
    }
    Ok(Exit::Done)
}

fn revoke(args: &TokenRevokeArgs, path: &Path) -> Result<Exit> {
    let mut file = TokenFile::read(path)?;
    // Whoever pastes the whole token means the same.
    let id = args
        .id
        .strip_prefix("sealift_")
        .and_then(|rest| rest.split('_').next())
        .unwrap_or(&args.id);
    let Some(at) = file.tokens.iter().position(|token| token.id == id) else {
        return Err(failed(format!(
            "there is no token {}; `sealift token list` shows which there are",
            clean(id)
        ))
        .into());
    };
    let gone = file.tokens.remove(at);
    write(&file, path)?;
    term::say(&format!(
        "token {} of {} is none any more, and its sessions have ended",
        gone.id,
        clean(&gone.name)
    ));
    Ok(Exit::Done)
}
