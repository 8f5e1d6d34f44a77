//! Completions: what a shell offers after Tab, with the rollouts and lanes of the daemon and the
//! states of a change.
//!
//! Invariant: a Tab waits a moment at most, changes nothing, and offers nothing where no daemon
//! answers.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use clap::Command;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use serde::de::DeserializeOwned;
use tokio::runtime::Builder;

use super::client::Client;
use super::reach::{self, Reach};
use super::wire::{DaemonDoc, Listing, RolloutRow};
use crate::domain::change::State;

/// Set by a shell that asks what may follow; the script that `sealift completions` prints sets it.
const VARIABLE: &str = "SEALIFT_COMPLETE";

/// How long a Tab waits for the daemon.
const WAIT: Duration = Duration::from_secs(1);

/// Rollouts that are offered, the newest: more than anybody reads.
const ROLLOUTS_MAX: usize = 100;

/// Answers a shell that asks what may follow in this command line, and ends the program then.
pub fn answer_a_shell(command_line: fn() -> Command) {
    CompleteEnv::with_factory(command_line).var(VARIABLE).complete();
}

/// The script that lets a shell ask.
pub fn script(shell: clap_complete::Shell) -> std::io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell.to_string())
        .ok_or_else(|| std::io::Error::other(format!("no completions for {shell}")))?;
    completer.write_registration(VARIABLE, "sealift", "sealift", "sealift", &mut script)?;
    if shell == clap_complete::Shell::Zsh {
        // As a file of zsh's own folders it is read at the first Tab, and has to answer that one
        // too.
        script.extend_from_slice(
            b"[ \"$funcstack[1]\" = \"_sealift\" ] && _clap_dynamic_completer_sealift \"$@\"\n",
        );
    }
    Ok(script)
}

/// For an argument that names a rollout.
pub fn rollouts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page =
            ask::<Listing<RolloutRow>>("/v1/rollouts", &[("limit", ROLLOUTS_MAX.to_string())]);
        let rows = page.map(|page| page.rows).unwrap_or_default();
        let mut seen = BTreeSet::new();
        // A name stands for its newest revision.
        let newest = rows.into_iter().filter(|row| seen.insert(row.name.clone()));
        newest.map(|row| CompletionCandidate::new(row.name).help(Some(row.phase.into()))).collect()
    })
}

/// For an argument that names a lane.
pub fn lanes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let lanes =
            ask::<DaemonDoc>("/v1/daemon", &[]).map(|daemon| daemon.lanes).unwrap_or_default();
        lanes.into_iter().map(|lane| CompletionCandidate::new(lane.lane)).collect()
    })
}

/// For an argument of states with commas between.
pub fn states() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let (before, current) =
            typed.rsplit_once(',').map_or(("", &*typed), |(before, current)| (before, current));
        let lead = if before.is_empty() { String::new() } else { format!("{before},") };
        let words =
            State::WORDS.into_iter().chain(["active"]).filter(|word| word.starts_with(current));
        words.map(|word| CompletionCandidate::new(format!("{lead}{word}"))).collect()
    })
}

/// One document of the daemon that the environment or the default configuration names.
fn ask<T: DeserializeOwned>(path: &str, query: &[(&str, String)]) -> Option<T> {
    let reach = Reach {
        addr: std::env::var("SEALIFT_ADDR").ok().filter(|addr| !addr.is_empty()),
        ..Reach::default()
    };
    let client =
        Client::new(reach::find(&reach).ok()?.place().clone()).ok()?.waiting(Duration::ZERO);
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(WAIT, client.get(path, query)).await.ok()?.ok() })
}
