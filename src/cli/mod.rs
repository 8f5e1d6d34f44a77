//! The verbs: clients of the daemon, or offline.
//!
//! Invariants: data on standard output, everything else on standard error; every ending has one of
//! the codes of `exit`; nothing that came from elsewhere is printed before characters that act on a
//! terminal are taken out.
//!
//! Deliberately not here: `serve` and `demo`, which run the daemon's own parts (`daemon`).

mod apply;
pub mod args;
mod assume;
mod away;
pub(crate) mod client;
pub(crate) mod client_error;
mod complete;
pub mod database;
mod discover;
mod discovered;
mod emulate;
mod enforce;
mod exit;
pub(crate) mod follow;
mod forecast;
mod init;
mod lanes;
pub(crate) mod listing;
mod look;
mod manual;
mod members;
mod metrics;
mod notify;
mod offline;
mod open;
mod operate;
mod output;
mod overview;
mod place;
pub(crate) mod plan;
mod preflight;
mod probe;
mod reach;
mod rehearse;
mod revert;
mod rows;
mod status;
mod stop;
mod store;
mod target_file;
pub(crate) mod term;
pub(crate) mod text;
mod token;
pub mod top;
mod walk;
mod windows;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;

use anyhow::Result;

use crate::api::wire;
use crate::clock::{Clock as _, SystemClock};
use args::{Cli, CliVerb};
use client::Client;

use crate::words::text::{Style, clean_lines};
pub use exit::{Exit, ExitFailure};
pub use reach::{Reach, serving as configuration};

/// Answers a shell that asks for completions, and ends the program then.
pub fn answer_a_shell() {
    complete::answer_a_shell(args::command);
}

/// Runs a client verb or an offline verb.
pub async fn run(cli: Cli) -> Result<Exit> {
    let style = Style::at(SystemClock.times().wall);
    let find = || reach::find(&cli.reach);
    let patience = cli.reach.wait.map_or(away::PATIENCE, |wait| wait.get());
    let client = || Ok::<_, ExitFailure>(Client::new(find()?.place().clone())?.waiting(patience));
    // Of verbs that need the daemon for some plans only.
    let asked = || Ok(client()?);
    match &cli.verb {
        CliVerb::Check(args) => plan::check(args, &reach::find_offline(&cli.reach)?),
        CliVerb::Plan(args) => {
            plan::plan(args, &reach::find_offline(&cli.reach)?, asked, &style).await
        }
        CliVerb::Rehearse(args) => {
            rehearse::rehearse(args, &reach::find_offline(&cli.reach)?, asked, &style).await
        }
        CliVerb::Windows(args) => windows::windows(args, &reach::find_offline(&cli.reach)?, &style),
        CliVerb::Preflight(args) => preflight::preflight(&client()?, args, &find()?, &style).await,
        CliVerb::Discover(args) => discover::discover(&client()?, args, &find()?, style).await,
        CliVerb::Apply(args) => apply::apply(&client()?, args, &find()?, style).await,
        CliVerb::List(args) => listing::list(&client()?, args, style).await,
        CliVerb::Lanes(args) => lanes::lanes(&client()?, args, style).await,
        CliVerb::Status(args) => overview::status(&client()?, args, style).await,
        CliVerb::Watch(args) => follow::watch(&client()?, args).await,
        CliVerb::Changes(args) => listing::changes(&client()?, args, style).await,
        CliVerb::Jobs(args) => listing::jobs(&client()?, args, style).await,
        CliVerb::Journal(args) => listing::journal(&client()?, args, style).await,
        CliVerb::Metrics => metrics::metrics(&client()?).await,
        CliVerb::Pause(args) => operate::pause(&client()?, args, &style).await,
        CliVerb::Stop(args) => stop::stop(&client()?, args, &find()?).await,
        CliVerb::Start(args) => stop::start(&client()?, args).await,
        CliVerb::Approve(args) => operate::approve(&client()?, args).await,
        CliVerb::Revert(args) => revert::revert(&client()?, args, &style).await,
        CliVerb::Enforce(args) => enforce::enforce(&client()?, args, &style).await,
        CliVerb::Resume(args) => operate::resume(&client()?, args).await,
        CliVerb::Promote(args) => operate::promote(&client()?, args).await,
        CliVerb::Retry(args) => operate::retry(&client()?, args).await,
        CliVerb::Resolve(args) => operate::resolve(&client()?, args).await,
        CliVerb::Abort(args) => operate::abort(&client()?, args).await,
        CliVerb::Probe(args) => probe::probe(args, &style).await,
        CliVerb::Top => top::top(&client()?).await,
        CliVerb::Notify(args) => notify::notify(&client()?, args, &style).await,
        CliVerb::Open(args) => open::open(&client()?, args, &find()?).await,
        CliVerb::Token(args) => token::token(args, &cli.reach, &style),
        CliVerb::Store(args) => store::store(args, &cli.reach, &style).await,
        CliVerb::Schema(args) => offline::schema(args),
        CliVerb::Completions { shell } => offline::completions(*shell),
        CliVerb::Man(args) => manual::man(args),
        CliVerb::Config(args) => offline::config(args, &cli.reach),
        CliVerb::Emulate(args) => emulate::emulate(args).await,
        CliVerb::Init(args) => init::init(args),
        CliVerb::Serve(_) | CliVerb::Demo(_) => unreachable!("`main` hands these to the daemon"),
    }
}

/// Whether the reader of our output went away, as it is told by the system or by the writer of CSV.
fn is_gone(cause: &(dyn Error + 'static)) -> bool {
    let io = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    let csv = |error: &csv::Error| matches!(error.kind(), csv::ErrorKind::Io(error) if io(error));
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        // What the writer of CSV met is wrapped once more where it passes as an error of I/O.
        return io(error)
            || error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<csv::Error>())
                .is_some_and(csv);
    }
    cause.downcast_ref::<csv::Error>().is_some_and(csv)
}

/// Ends the program: says what went wrong, and turns it into an exit code. A reader of our output
/// that went away (`sealift jobs … | head`) is no error.
pub fn conclude(result: Result<Exit>) -> Exit {
    let error = match result {
        Ok(exit) => return exit,
        Err(error) => error,
    };
    if error.chain().any(is_gone) {
        return Exit::Done;
    }
    let error = match error.downcast::<client_error::ClientError>() {
        Ok(error) => ExitFailure::from(error).into(),
        Err(error) => error,
    };
    let exit = error.downcast_ref::<ExitFailure>().map_or(Exit::Error, |failure| failure.exit);
    let text = format!("{error:#}");
    // What was drawn with its own heading is not given a second one.
    if text.starts_with("error") || text.starts_with("\x1b") {
        term::say(&text)
    } else {
        term::say(&format!("sealift: {}", clean_lines(&text)))
    }
    exit
}
