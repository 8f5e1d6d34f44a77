//! `store`: looks after a store's directory: check, backup, export, import, new, repair, compact. Of
//! one in PostgreSQL it checks, and prints the SQL; the rest is for the database's owner, and says so.
//!
//! Invariant: a copy of a store on which a daemon works is made by that daemon, which knows what is
//! synced; everything else is refused while a daemon works there.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::io::SyncIoBridge;

use super::args::{
    BackupArgs, CompactArgs, DocumentArgs, DocumentFormat, ExportArgs, ImportArgs, RepairArgs,
    StateArgs, StoreArgs, StoreCheckArgs, StoreVerb, TakeBackArgs,
};
use super::client::Client;
use super::client_error::ClientError;
use super::database;
use super::exit::{Exit, ExitFailure};
use super::output::{aligned, line, pretty};
use super::reach::{self, Reach};
use super::term::{self, ask, can_ask};
use super::text::count;
use crate::api::note_copy;
use crate::config::{StoreConfig, state_dir};
use crate::store::maintenance::begin::begin;
use crate::store::maintenance::check::{QueueReport, Report, check};
use crate::store::maintenance::compact::compact;
use crate::store::maintenance::export::{Export, new_file};
use crate::store::maintenance::hand_over::{hand_over, read, take_back};
use crate::store::maintenance::import::{CopySource, Imported, import, keep};
use crate::store::maintenance::manifest::Manifest;
use crate::store::maintenance::refusal::CopyError;
use crate::store::maintenance::repair::repair;
use crate::store::maintenance::stream::pass_on;
use crate::words::text::{Style, clean, clean_lines};

/// Stands for standard input or output.
const STREAM: &str = "-";

/// `store`.
pub async fn store(args: &StoreArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    quiet_threads();
    match &args.verb {
        StoreVerb::Check(args) => check_up(args, reach).await,
        StoreVerb::Sql(args) => database::sql(args, reach),
        StoreVerb::Backup(args) => backup(args, reach, style).await,
        StoreVerb::Export(args) => export(args, reach, style).await,
        StoreVerb::Import(args) => take_in(args, reach, style),
        StoreVerb::New(args) => new(args, reach),
        StoreVerb::TakeBack(args) => back(args, reach, style),
        StoreVerb::Repair(args) => mend(args, reach, style),
        StoreVerb::Compact(args) => smaller(args, reach),
    }
}

/// sled panics on much damage; it is caught and told with the place, so the panic itself is not
/// printed.
fn quiet_threads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let of_sled = panic.location().is_some_and(|place| place.file().contains("sled-"));
        if !of_sled {
            usual(panic);
        }
    }));
}

/// What is done instead about a store in PostgreSQL.
const COPY_INSTEAD: &str = "copy the database with `pg_dump`, or as its owner does it";
const IMPORT_INSTEAD: &str =
    "name a directory with --state DIR; this version imports into no database";
const NEW_INSTEAD: &str =
    "name an empty database or another schema, and give the daemon a state directory of its own";
const BACK_INSTEAD: &str = "nothing is handed over from a database";
const REPAIR_INSTEAD: &str =
    "`sealift store check` tells what is wrong, and the database's owner restores a copy";
const COMPACT_INSTEAD: &str = "the server's autovacuum does that";

/// The directory that a verb works on.
fn directory(state: Option<&Path>, reach: &Reach, instead: &str) -> Result<PathBuf> {
    if let Some(state) = state {
        return Ok(state.to_owned());
    }
    match reach::config(reach)?.store {
        StoreConfig::Sled(folder) => Ok(folder),
        StoreConfig::Postgres(config) => {
            let message = format!(
                "the store is in PostgreSQL at {}, and this verb works on a directory: {instead}",
                config.url.place()
            );
            Err(ExitFailure::new(Exit::Error, message).into())
        }
    }
}

fn of(args: &StateArgs, reach: &Reach, instead: &str) -> Result<PathBuf> {
    directory(args.state.as_deref(), reach, instead)
}

/// Where a copy comes from.
enum From {
    Daemon(Client),
    Directory(PathBuf),
}

/// The daemon, if one answers and no directory was named; else the directory.
async fn from(state: Option<&Path>, reach: &Reach) -> Result<From> {
    if state.is_none() {
        if reach.addr.is_none() {
            directory(None, reach, COPY_INSTEAD)?;
        }
        // Without a daemon the directory is read: nobody is waited for.
        let client =
            Client::new(reach::find(reach)?.place().clone())?.waiting(std::time::Duration::ZERO);
        match client.get::<super::wire::DaemonDoc>("/v1/daemon", &[]).await {
            Ok(_) => return Ok(From::Daemon(client)),
            Err(ClientError::Unreachable { .. }) if reach.addr.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(From::Directory(directory(state, reach, COPY_INSTEAD)?))
}

async fn check_up(args: &StoreCheckArgs, reach: &Reach) -> Result<Exit> {
    let store = match &args.state.state {
        Some(state) => StoreConfig::Sled(state.clone()),
        None => reach::config(reach)?.store,
    };
    let dir = match store {
        StoreConfig::Sled(dir) => dir,
        StoreConfig::Postgres(config) => return database::check_up(&config, &args.output).await,
    };
    let report = check(&dir)?;
    let mut out = term::stdout();
    match args.output.output {
        DocumentFormat::Json => writeln!(out, "{}", pretty(&report)?)?,
        DocumentFormat::Jsonl => {
            for finding in &report.findings {
                writeln!(out, "{}", line(finding)?)?;
            }
        }
        DocumentFormat::Table => write!(out, "{}", view(&dir, &report))?,
    }
    out.flush()?;
    Ok(if report.sound { Exit::Done } else { Exit::Failed })
}

fn view(dir: &Path, report: &Report) -> String {
    let mut text = format!("{}\n", clean(&dir.display().to_string()));
    let mut row =
        |name: &str, text_of: String| text.push_str(&format!("  {name:<12} {}\n", clean(&text_of)));
    row("store", report.store.clone().unwrap_or_else(|| "cannot be told".into()));
    if let Some(pid) = &report.daemon {
        row(
            "daemon",
            format!(
                "pid {pid} works on it; journal and submissions are checked as far as they are written"
            ),
        );
    }
    let segments = count(u32::try_from(report.segments).unwrap_or(u32::MAX), "segment", "segments");
    row(
        "journal",
        format!(
            "{} in {segments}, up to {} {}",
            count(report.entries, "entry", "entries"),
            report.seq,
            report.head
        ),
    );
    row("submissions", report.submissions.to_string());
    match &report.queue {
        QueueReport::Compared { keys, behind: 0, .. } => {
            row("queue", format!("{keys} keys compared with the journal"))
        }
        QueueReport::Compared { keys, reached, behind } => {
            row(
                "queue",
                format!(
                    "{keys} keys compared with the journal up to entry {reached}; the next start brings the {behind} after it"
                ),
            );
        }
        QueueReport::No { why } => row("queue", format!("not compared: {why}")),
    }
    database::verdict(&mut text, &report.findings, report.sound);
    text
}

async fn backup(args: &BackupArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    let (dir, now) = (args.dir.clone(), style.now);
    let manifest = match from(args.state.as_deref(), reach).await? {
        From::Daemon(client) => {
            let stream = client.export().await?;
            blocking(move || {
                keep(
                    CopySource::Stream(Box::new(SyncIoBridge::new(stream))),
                    "of the daemon",
                    &dir,
                    now,
                )
            })
            .await?
        }
        From::Directory(state) => {
            let export = looked_at(&state)?;
            let at_home = export.is_at_home();
            let source = CopySource::Export(Box::new(export));
            let manifest = keep(source, &state.display().to_string(), &dir, now)?;
            if at_home {
                note(&state, &manifest, now);
            }
            manifest
        }
    };
    report(&manifest, &format!("{} is a backup", args.dir.display()), &args.output, false, style)?;
    term::say(&format!(
        "what happens from now on is not in it; to work with it: sealift store import {} --state DIR",
        clean(&args.dir.display().to_string())
    ));
    Ok(Exit::Done)
}

/// A directory that is to be copied; says what a copy of it cannot make sure of.
fn looked_at(dir: &Path) -> Result<Export, CopyError> {
    let export = Export::of_directory(dir)?;
    for note in export.notes() {
        term::say(&format!("note: {}", clean(note)));
    }
    Ok(export)
}

async fn export(args: &ExportArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    let (now, streams) = (style.now, args.file.as_os_str() == STREAM);
    if streams && io::stdout().is_terminal() {
        return Err(ExitFailure::new(
            Exit::Error,
            "standard output is a terminal; name a file, or send it through a pipe",
        )
        .into());
    }
    let file = args.file.clone();
    let manifest = match from(args.state.as_deref(), reach).await? {
        From::Daemon(_) if args.hand_over => {
            let message = "a daemon works on the store; stop it (systemctl stop sealift) and say this again: after a hand-over none starts here";
            return Err(ExitFailure::new(Exit::Error, message).into());
        }
        From::Daemon(client) => {
            let stream = client.export().await?;
            blocking(move || {
                let stream = SyncIoBridge::new(stream);
                if streams {
                    pass_on(stream, "of the daemon", &mut io::stdout())
                } else {
                    new_file(&file, |out| pass_on(stream, "of the daemon", out))
                }
            })
            .await?
        }
        From::Directory(state) => offline(&state, &args.file, args.hand_over, now)?,
    };
    let what = if args.hand_over {
        "holds the store, which goes on where it is imported"
    } else {
        "holds a copy of the store"
    };
    let name = if streams { "the export".into() } else { args.file.display().to_string() };
    report(&manifest, &format!("{name} {what}"), &args.output, streams, style)?;
    if args.hand_over {
        term::say(
            "no daemon starts on the old directory any more; `sealift store take-back` undoes it, if the file is imported nowhere",
        );
    }
    Ok(Exit::Done)
}

fn offline(dir: &Path, file: &Path, over: bool, now: Timestamp) -> Result<Manifest, CopyError> {
    let export = looked_at(dir)?;
    let write = |export: &Export| match file.as_os_str() == STREAM {
        true => export.write(now, over, io::stdout()),
        false => export.write_file(now, over, file),
    };
    let manifest = if over {
        hand_over(dir, now, &file.display().to_string(), &export, write)?
    } else {
        write(&export)?
    };
    if export.is_at_home() {
        note(dir, &manifest, now);
    }
    Ok(manifest)
}

/// Leaves the time of a copy for the next daemon, whose metrics have its age.
fn note(store: &Path, manifest: &Manifest, now: Timestamp) {
    if let Err(error) = note_copy(&state_dir(store), now, manifest.seq) {
        let why = clean(&error.to_string());
        term::say(&format!("note: the daemon's metrics will not know of this copy: {why}"));
    }
}

fn take_in(args: &ImportArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    let dir = of(&args.state, reach, IMPORT_INSTEAD)?;
    let name = if args.from.as_os_str() == STREAM {
        "on standard input".into()
    } else {
        args.from.display().to_string()
    };
    let source = if args.from.as_os_str() == STREAM {
        CopySource::Stream(Box::new(io::stdin()))
    } else {
        CopySource::at(&args.from)?
    };
    let Imported { manifest, store } = import(source, &name, &dir, style.now)?;
    report(
        &manifest,
        &format!("{} is ready for a daemon", dir.display()),
        &args.output,
        false,
        style,
    )?;
    if !manifest.hand_over {
        term::say(&clean_lines(&format!(
            "It goes on under an id of its own, {store}: the original may go on too.\nThis is the store as it was at {}. What its original did after that is not known here: job ids saved and verbs given\n\
             since then are missing, and changes that it believes queued may have been switched. A proxy is looked at before it is\n\
             switched, and a call in doubt is asked for, so nothing is switched again without need; but never start a daemon here\n\
             while the original's still works.",
            style.time(manifest.at)
        )));
    }
    Ok(Exit::Done)
}

fn new(args: &StateArgs, reach: &Reach) -> Result<Exit> {
    let dir = of(args, reach, NEW_INSTEAD)?;
    let begun = begin(&dir)?;
    let mut out = term::stdout();
    writeln!(out, "{}: a new, empty store, {}", clean(&dir.display().to_string()), begun.store)?;
    out.flush()?;
    if let Some(before) = &begun.before {
        term::say(&format!(
            "the store {} belonged here before; what it knew, job ids and verbs among it, is not known here",
            clean(before)
        ));
    }
    Ok(Exit::Done)
}

fn back(args: &TakeBackArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    let dir = of(&args.state, reach, BACK_INSTEAD)?;
    if !args.yes {
        if let Some(handed) = read(&dir)? {
            let what = format!(
                "{} was handed over at {}, with entry {}, into {}.\nIf that file was imported anywhere, two daemons will act on the same proxies.",
                dir.display(),
                style.time(handed.at),
                handed.seq,
                handed.to
            );
            term::say(&clean_lines(&what));
        }
        if !can_ask() {
            return Err(ExitFailure::nobody(
                "say --yes to take a hand-over back without being asked",
            )
            .into());
        }
        if !matches!(ask("Take it back? [y/N]")?.as_str(), "y" | "Y" | "yes") {
            term::say("nothing was done");
            return Ok(Exit::Error);
        }
    }
    let handed = take_back(&dir)?;
    let mut out = term::stdout();
    writeln!(
        out,
        "{}: taken back; a daemon may work on it again. {} must not be imported any more.",
        clean(&dir.display().to_string()),
        clean(&handed.to)
    )?;
    out.flush()?;
    Ok(Exit::Done)
}

fn mend(args: &RepairArgs, reach: &Reach, style: &Style) -> Result<Exit> {
    let dir = of(&args.state, reach, REPAIR_INSTEAD)?;
    let name = args.from.as_ref().map(|from| from.display().to_string()).unwrap_or_default();
    let from =
        args.from.as_deref().map(CopySource::at).transpose()?.map(|source| (source, name.as_str()));
    let repaired = repair(&dir, from, style.now)?;
    let mut out = term::stdout();
    for done in &repaired.done {
        writeln!(out, "{}", clean(done))?;
    }
    let verdict = if repaired.done.is_empty() { "nothing was to be repaired" } else { "repaired" };
    writeln!(
        out,
        "{}: {verdict}; the journal is sound up to entry {}",
        clean(&dir.display().to_string()),
        repaired.seq
    )?;
    out.flush()?;
    Ok(Exit::Done)
}

fn smaller(args: &CompactArgs, reach: &Reach) -> Result<Exit> {
    let dir = of(&args.state, reach, COMPACT_INSTEAD)?;
    let compacted = compact(&dir)?;
    for mended in &compacted.mended {
        term::say(&format!("note: {}", clean(mended)));
    }
    let mut out = term::stdout();
    let (before, after) = (compacted.before, compacted.after);
    writeln!(
        out,
        "{}: the queue took {before} bytes and takes {after}; it shows entry {}",
        clean(&dir.display().to_string()),
        compacted.seq
    )?;
    out.flush()?;
    Ok(Exit::Done)
}

/// Runs what waits for the disk beside the client, which goes on reading.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

/// What a copy holds, as JSON.
#[derive(Serialize)]
struct CopyDoc<'m> {
    what: &'m str,
    #[serde(flatten)]
    manifest: &'m Manifest,
}

fn report(
    manifest: &Manifest,
    what: &str,
    output: &DocumentArgs,
    beside: bool,
    style: &Style,
) -> Result<()> {
    let doc = CopyDoc { what, manifest };
    let text = match output.output {
        DocumentFormat::Json => pretty(&doc)? + "\n",
        DocumentFormat::Jsonl => line(&doc)? + "\n",
        DocumentFormat::Table => {
            let rows: Vec<Vec<String>> = [
                ("store", manifest.store.clone()),
                ("as of", style.time(manifest.at)),
                (
                    "journal",
                    format!(
                        "{} in {}",
                        count(manifest.seq, "entry", "entries"),
                        count(manifest.segments, "segment", "segments")
                    ),
                ),
                ("head", manifest.head.to_string()),
                ("submissions", manifest.submissions.to_string()),
                ("bytes", manifest.bytes.to_string()),
            ]
            .into_iter()
            .map(|(name, text_of)| vec![name.to_owned(), clean(&text_of)])
            .collect();
            format!("{}\n{}", clean(what), aligned(&["", ""], false, &rows, &mut Vec::new()))
        }
    };
    if beside {
        term::say(text.trim_end());
    } else {
        let mut out = term::stdout();
        write!(out, "{text}")?;
        out.flush()?;
    }
    Ok(())
}
