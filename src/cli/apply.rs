//! `apply`: previews, asks, submits, follows.
//!
//! Invariant: what is submitted is what was previewed (the daemon refuses another digest), and switching SSL off always
//! needs the plan's name typed back.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::args::{ApplyArgs, CloudArgs, Format};
use super::client::{Client, Upload};
use super::discovered;
use super::exit::{Exit, Failure};
use super::follow::{Show, follow};
use super::output::{line, pretty};
use super::plan::{foresee, of_loaded, text};
use super::reach::Daemon;
use super::status::view;
use super::term::{self, ask, can_ask};
use super::text::{Style, clean, count};
use super::wire::{Preview, SubmitAnswer};

/// Targets of each wave in the preview: the whole list is `plan --all`'s business.
const PER_WAVE: usize = 3;

/// `apply`.
pub async fn apply(client: &Client, args: &ApplyArgs, daemon: &Daemon, style: Style) -> Result<Exit> {
    let planned = discovered::load(&args.plan, &args.discovered, daemon, || Ok(client.clone())).await?;
    let loaded = &planned.loaded;
    let mut preview = of_loaded(loaded, PER_WAVE, &style);
    if !args.yes && can_ask() {
        // Whoever is asked is told when it ends; with nothing else to go by, jobs take what the simulated cloud's take.
        foresee(&mut preview, loaded, &CloudArgs::default(), daemon, &style)?;
    }
    if let Some(wanted) = &args.digest
        && *wanted != preview.digest
    {
        let message =
            format!("the plan's digest is {}, not the one that was approved; look at it again with `sealift plan`", preview.digest);
        return Err(Failure::new(Exit::Error, message).into());
    }
    let files = named_files(&args.plan)?;
    let upload = Upload { plan: &args.plan, files: &files, discovered: planned.discovered() };
    if !args.yes {
        // The daemon's word comes before the question: an unknown lane is better told now than after a yes.
        client.preview(&upload).await?;
    }
    let Some(confirmed) = confirm(args, &preview, &style)? else {
        term::say("nothing was submitted");
        return Ok(Exit::Error);
    };
    let answer = client.submit(&upload, &preview.digest, confirmed.as_deref()).await?;
    tell(&answer);
    if args.detach {
        let mut out = term::stdout();
        match args.output.output {
            Format::Table => writeln!(out, "{}", answer.id)?,
            Format::Json => writeln!(out, "{}", pretty(&answer)?)?,
            Format::Jsonl => writeln!(out, "{}", line(&answer)?)?,
            Format::Csv => anyhow::bail!("a submission has no rows for CSV; use -o json (rollout {} was submitted)", answer.id),
        }
        out.flush()?;
        return Ok(Exit::Done);
    }
    let mut err = term::stderr();
    let show = if std::io::stderr().is_terminal() { Show::View(&mut err) } else { Show::Lines(&mut err) };
    let exit = follow(client, &answer.id, show).await?;
    if exit != Exit::Interrupted {
        end(client, &answer.id, args.output.output).await?;
    }
    Ok(exit)
}

fn tell(answer: &SubmitAnswer) {
    let what = if answer.new { "submitted" } else { "was submitted before; this changes nothing" };
    let targets = count(answer.targets, "change", "changes");
    term::say(&format!("rollout {} of plan {} revision {} with {targets} {what}", answer.id, answer.name, answer.revision));
    if let Some(note) = &answer.note {
        term::say(&format!("note: {}", clean(note)));
    }
}

/// The result on standard output, once the rollout is over.
async fn end(client: &Client, id: &str, format: Format) -> Result<()> {
    let rollout = client.rollout(id).await?;
    let mut out = term::stdout();
    match format {
        // On a terminal the last picture stands there already.
        Format::Table if std::io::stderr().is_terminal() => {}
        Format::Table => write!(out, "{}", view(&rollout, &Style::at(rollout.as_of), term::width()))?,
        Format::Json => writeln!(out, "{}", pretty(&rollout)?)?,
        Format::Jsonl | Format::Csv => writeln!(out, "{}", line(&rollout)?)?,
    }
    Ok(out.flush()?)
}

/// `None`: the person said no. Otherwise the name typed back, where it is needed.
fn confirm(args: &ApplyArgs, preview: &Preview, style: &Style) -> Result<Option<Option<String>>> {
    let name = &preview.name;
    let off = !preview.ssl_option;
    if let Some(typed) = &args.confirm
        && typed != name
    {
        return Err(Failure::new(Exit::Error, format!("--confirm says {typed:?}, and the plan's name is {name:?}")).into());
    }
    if off && args.confirm.is_none() && (args.yes || !can_ask()) {
        let message = format!("plan {name} switches SSL off; say --confirm {name} to do it without being asked");
        return Err(Failure::new(Exit::NeedsPerson, message).into());
    }
    if args.yes {
        return Ok(Some(args.confirm.clone()));
    }
    if !can_ask() {
        let message = "nobody can be asked here; say --yes (best with --digest, which `sealift plan` prints) to submit without a question";
        return Err(Failure::new(Exit::NeedsPerson, message).into());
    }
    term::say(&text(preview, style));
    if off && args.confirm.is_none() {
        let typed = ask("This switches SSL OFF. Type the plan's name to go on:")?;
        return Ok((typed == *name).then_some(Some(typed)));
    }
    let yes = matches!(
        ask(&format!("Switch SSL {} for {}? [y/N]", if off { "off" } else { "on" }, count(preview.targets, "proxy", "proxies")))?.as_str(),
        "y" | "Y" | "yes"
    );
    Ok(yes.then(|| args.confirm.clone()))
}

/// The files that a plan names: they travel with it. The plan was read without a mistake before.
fn named_files(plan: &Path) -> Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Plan {
        targets: Targets,
        #[serde(default)]
        verify: Option<Verify>,
    }
    #[derive(Deserialize)]
    struct Verify {
        #[serde(default)]
        wire: Option<Wire>,
    }
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        ca_file: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Targets {
        #[serde(default)]
        files: Vec<PathBuf>,
    }
    let text = std::fs::read_to_string(plan).with_context(|| format!("cannot read {}", plan.display()))?;
    let plan: Plan = serde_yaml::from_str(&text).context("the plan changed while it was read")?;
    let mut files = plan.targets.files;
    files.extend(plan.verify.and_then(|verify| verify.wire?.ca_file));
    Ok(files)
}
