//! `rehearse`: a whole rollout in virtual time, and its verdict.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::args::{Format, RehearseArgs};
use super::emulate::read;
use super::exit::Exit;
use super::output::{aligned, line, pretty};
use super::plan::load;
use super::reach::Daemon;
use super::term;
use super::text::{Style, clean_lines, count, length};
use crate::api::journal_row;
use crate::cloud::faults::Faults;
use crate::domain::journal::Entry;
use crate::rehearse::scene::FOR_MAX;
use crate::rehearse::story::{Setting, with};
use crate::rehearse::{Ending, Scene, Verdict, run};

/// Largest number of crashes: beyond it nothing new is learnt.
const CRASHES_MAX: usize = 1000;

/// `rehearse`.
pub fn rehearse(args: &RehearseArgs, daemon: &Daemon, style: &Style) -> Result<Exit> {
    let mut scene = scene(args, daemon, style)?;
    if let Some(targets) = args.targets {
        scene = scene.cut_to(targets);
    }
    scene.seed = args.seed;
    scene.crashes = args.crash.iter().map(|crash| crash.get()).collect();
    let run = run(&scene)?;
    if let Some(file) = &args.journal {
        write_journal(file, &run.journal).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let zone = scene.plan.calendar.windows().first().map(|window| window.zone().name().to_owned());
    let told = Told { verdict: &run.verdict, assumed: assumed(args, &scene, daemon), journal_lines: run.journal.len() };
    let mut out = term::stdout();
    match args.output.output {
        Format::Table => write!(out, "{}", text(&told, &style.in_zone(zone.as_deref())))?,
        Format::Json => writeln!(out, "{}", pretty(&told)?)?,
        Format::Jsonl => writeln!(out, "{}", line(&told)?)?,
        Format::Csv => anyhow::bail!("a verdict has no rows for CSV; use -o json"),
    }
    out.flush()?;
    Ok(exit(&run.verdict))
}

/// A verdict with what it rests on.
#[derive(Serialize)]
pub struct Told<'a> {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: &'a Verdict,
    /// What was assumed, because nobody told it better.
    pub assumed: Vec<String>,
    /// Lines of the journal.
    pub journal_lines: usize,
}

/// The scene that the arguments describe, with the whole fleet and the first seed.
fn scene(args: &RehearseArgs, daemon: &Daemon, style: &Style) -> Result<Scene> {
    let loaded = load(&args.plan, daemon)?;
    // A second is as fine as anybody reads it, and it makes the command repeatable.
    let from = args.from.unwrap_or_else(|| jiff::Timestamp::from_second(style.now.as_second()).unwrap_or(style.now));
    let mut scene = Scene::new(loaded.plan, loaded.targets, daemon.configured(), from);
    if let Some(lasts) = args.lasts {
        let lasts = lasts.get();
        anyhow::ensure!(lasts <= FOR_MAX && !lasts.is_zero(), "--for lies between 1ms and {} days; give less", FOR_MAX.as_secs() / 86_400);
        scene.lasts = lasts;
    }
    anyhow::ensure!(args.crash.len() <= CRASHES_MAX, "{} crashes are more than {CRASHES_MAX}; give fewer", args.crash.len());
    if let Some(file) = &args.faults {
        let text = read(file)?;
        let written = Faults::from_yaml(&text).with_context(|| format!("{}", file.display()))?;
        let (job_time, latency) = (scene.faults.job_time, scene.faults.latency);
        scene.faults = written;
        // What the file leaves open is assumed as it is without a file: an emulator's quick jobs would flatter.
        if !says(&text, "job_time") {
            scene.faults.job_time = job_time;
        }
        if !says(&text, "latency") {
            scene.faults.latency = latency;
        }
    }
    scene.faults = with(&scene.faults, &settings(args)?)?;
    Ok(scene)
}

fn says(text: &str, field: &str) -> bool {
    serde_yaml::from_str::<serde_yaml::Value>(text).is_ok_and(|file| file.get(field).is_some())
}

fn settings(args: &RehearseArgs) -> Result<Vec<Setting>> {
    let setting = |text: &String| {
        let (key, value) = text.split_once('=').with_context(|| format!("--fault {text:?} is no FIELD=VALUE, as job_fails=0.02"))?;
        Ok(Setting { key: key.trim().into(), value: value.trim().into() })
    };
    args.fault.iter().map(setting).collect()
}

fn write_journal(file: &Path, journal: &[Entry]) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for entry in journal {
        writeln!(out, "{}", line(&journal_row(entry))?)?;
    }
    Ok(out.flush()?)
}

/// What the verdict rests on.
fn assumed(args: &RehearseArgs, scene: &Scene, daemon: &Daemon) -> Vec<String> {
    let mut told = Vec::new();
    let job_time = scene.faults.job_time;
    let file = args.faults.as_ref().and_then(|file| read(file).ok());
    let given = args.fault.iter().any(|fault| fault.starts_with("job_time")) || file.is_some_and(|text| says(&text, "job_time"));
    let between = format!("{} to {}", span(job_time.min), span(job_time.max));
    told.push(if given { format!("jobs take {between}, as given") } else { format!("jobs take {between} (--fault job_time=… tells it better)") });
    for lane in &scene.lanes {
        let known = daemon.configured().iter().any(|known| known.name == lane.name);
        let quota = lane.quota.map_or("no quota".to_owned(), |quota| format!("{} calls in any {}", quota.requests, span(quota.per)));
        let from = if known { "as configured" } else { "no configuration names it" };
        told.push(format!("lane {}: {quota}, {from}", lane.name));
    }
    if scene.plan.strategy.waves.iter().any(|wave| wave.promote == crate::domain::plan::Promote::Manual) {
        told.push("a person promotes as soon as the rollout waits for it".into());
    }
    let other = if scene.plan.ssl_option { "off" } else { "on" };
    told.push(format!("every proxy begins with SSL {other}"));
    told
}

/// A length as people read it.
fn span(of: Duration) -> String {
    crate::document::length::Length::from(of).to_string()
}

/// The exit code of a verdict.
pub fn exit(verdict: &Verdict) -> Exit {
    match verdict.ending {
        // A promise that was broken is a defect of ours, whatever else came out.
        _ if !verdict.holds() => Exit::Error,
        Ending::Halted | Ending::Stopped => Exit::Stopped,
        Ending::NotEnded => Exit::WindowClosed,
        Ending::Completed if verdict.tally.in_doubt > 0 => Exit::InDoubt,
        Ending::Completed if verdict.tally.failed > 0 => Exit::Failed,
        Ending::Completed => Exit::Done,
    }
}

/// The verdict for people.
pub fn text(told: &Told<'_>, style: &Style) -> String {
    let verdict = told.verdict;
    let to = if verdict.ssl_option { "on" } else { "off" };
    let mut text = format!("rehearsal of plan {} revision {}  ssl -> {to}\n", verdict.plan, verdict.revision);
    text.push_str(&format!("from {}, seed {}, {}\n", style.time(verdict.from), verdict.seed, count(verdict.targets, "proxy", "proxies")));
    for assumed in &told.assumed {
        text.push_str(&format!("assumed: {assumed}\n"));
    }
    text.push_str(&format!("\n{}\n\n", ending(verdict, style)));
    text.push_str(&waves(verdict, style));
    if !verdict.windows.is_empty() {
        text.push('\n');
        text.push_str(&windows(verdict, style));
    }
    text.push('\n');
    for worst in &verdict.worst {
        let interval = span(Duration::from_millis(worst.interval_ms));
        let allowed = worst.allowed.map(|allowed| format!(" of {allowed} allowed")).unwrap_or_default();
        text.push_str(&format!("lane {}: at most {} calls{allowed} in any {interval}\n", worst.lane, worst.calls));
    }
    text.push_str(&format!("{} calls, {} of them switches, {} journal lines\n", verdict.calls, verdict.switches, told.journal_lines));
    for (fault, times) in &verdict.faults {
        text.push_str(&format!("met {fault} {}\n", count(u32::try_from(*times).unwrap_or(u32::MAX), "time", "times")));
    }
    if verdict.crashes > 0 {
        text.push_str(&format!("the daemon was killed {}\n", count(verdict.crashes, "time", "times")));
    }
    for halt in &verdict.halts {
        text.push_str(&format!("halted {} in wave {}: {}\n", style.time(halt.at), halt.wave, halt.why));
    }
    for change in &verdict.troubled {
        text.push_str(&format!("{} {}: {}\n", change.proxy_id, change.state.replace('_', " "), change.why));
    }
    text.push('\n');
    for checked in &verdict.invariants {
        match &checked.broken {
            None => text.push_str(&format!("held    {}\n", checked.promise)),
            Some(broken) => text.push_str(&format!("BROKEN  {}: {} ({})\n", checked.promise, broken.how, style.time(broken.at))),
        }
    }
    clean_lines(&text)
}

/// How it ended, in one line.
pub fn ending(verdict: &Verdict, style: &Style) -> String {
    let tally = &verdict.tally;
    let outcome = format!("{} switched, {} failed, {} in doubt", tally.succeeded, tally.failed, tally.in_doubt);
    let after = length(verdict.ended_at.duration_since(verdict.from));
    let at = style.time(verdict.ended_at);
    match verdict.ending {
        Ending::Completed => format!("completed {at}, after {after}: {outcome}"),
        Ending::Halted => format!("halted {at}, after {after}: {outcome}, {} not begun", tally.queued),
        Ending::Stopped => format!("stopped {at}, after {after}: {outcome}, {} withdrawn", tally.cancelled),
        Ending::NotEnded => format!("not ended by {at}, after {after}: {outcome}, {} still to do", tally.queued + tally.active),
    }
}

fn waves(verdict: &Verdict, style: &Style) -> String {
    let at = |at: Option<jiff::Timestamp>| at.map_or("-".into(), |at| style.time(at));
    let window = |number: Option<usize>| number.map_or("-".into(), |number| number.to_string());
    let cells: Vec<Vec<String>> = verdict
        .waves
        .iter()
        .map(|wave| {
            let windows = if wave.begins_in == wave.ends_in || wave.ends_in.is_none() {
                window(wave.begins_in)
            } else {
                format!("{} to {}", window(wave.begins_in), window(wave.ends_in))
            };
            vec![wave.name.clone(), wave.size.to_string(), at(wave.began_at), at(wave.ended_at), windows]
        })
        .collect();
    aligned(&["WAVE", "#SIZE", "BEGAN", "ENDED", "WINDOW"], true, &cells, &mut Vec::new())
}

/// Windows shown; a verdict as JSON has them all.
const WINDOWS_SHOWN: usize = 40;

fn windows(verdict: &Verdict, style: &Style) -> String {
    let cells: Vec<Vec<String>> = verdict
        .windows
        .iter()
        .take(WINDOWS_SHOWN)
        .map(|window| {
            let until = window.cutoff.map_or("-".into(), |cutoff| style.time(cutoff));
            vec![window.number.to_string(), style.time(window.open), until, window.switches.to_string(), window.settled.to_string()]
        })
        .collect();
    let mut text = aligned(&["#WINDOW", "OPEN", "CUTOFF", "#SWITCHES", "#SETTLED"], true, &cells, &mut Vec::new());
    let hidden = verdict.windows.len() - cells.len();
    if hidden > 0 {
        text.push_str(&format!("and {hidden} windows more (-o json has them)\n"));
    }
    let opened = u32::try_from(verdict.windows_opened).unwrap_or(u32::MAX);
    text.push_str(&format!("{} opened, {} used\n", count(opened, "window", "windows"), verdict.windows.len()));
    text
}
