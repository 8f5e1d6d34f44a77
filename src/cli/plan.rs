//! `check` and `plan`: what can be said of a plan file without any network; where a daemon is at
//! hand, which enforcements keep its targets at the other value; and with `--look` what its proxies
//! show.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use super::args::{CheckArgs, CloudArgs, DocumentFormat, OutputFormat, PlanArgs};
use super::assume::assume;
use super::client::Client;
use super::enforce::opposed;
use super::exit::Exit;
use super::look::{look, save};
use super::output::{aligned, line, pretty};
use super::reach::DaemonAddress;
use super::text::{count, wrap_all};
use super::wire::{ExcludedRow, Preview};
use super::{discovered, term};
use crate::api::preview::{excluded, preview, warning};
use crate::planfile::{self, Diagnostics, LoadedPlan, ReadPlan};
use crate::rehearse::Forecast;
use crate::store::Submission;
use crate::words::text::{Style, clean, clean_lines, limits, seconds, then};

/// Targets shown of each wave unless all are asked for.
const PER_WAVE: usize = 5;

/// One file of `check -o json`.
#[derive(Serialize)]
struct CheckedFile<'a> {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mistakes: Option<&'a Diagnostics>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// `check`: every file is read, whatever the others hold.
pub fn check(args: &CheckArgs, daemon: &DaemonAddress) -> Result<Exit> {
    let mut out = term::stdout();
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for path in &args.plans {
        let read = planfile::read(path, None).and_then(|read| {
            daemon.lanes().map_or(Ok(()), |known| read.lanes().check(known)).map(|()| read)
        });
        if read.is_err() {
            exit = Exit::Error;
        }
        let file = clean(&path.display().to_string());
        match args.output.output {
            DocumentFormat::Table => report(&mut out, &file, &read)?,
            DocumentFormat::Json | DocumentFormat::Jsonl => {
                let checked = match &read {
                    Ok(read) => CheckedFile {
                        file,
                        ok: true,
                        name: Some(read.name().to_string()),
                        targets: match read {
                            ReadPlan::Whole(loaded) => Some(loaded.targets.len()),
                            ReadPlan::Open(_) => None,
                        },
                        mistakes: None,
                        warnings: read.warnings().iter().map(warning).collect(),
                    },
                    Err(mistakes) => CheckedFile {
                        file,
                        ok: false,
                        name: None,
                        targets: None,
                        mistakes: Some(mistakes),
                        warnings: Vec::new(),
                    },
                };
                documents.push(line(&checked)?);
            }
        }
    }
    match args.output.output {
        DocumentFormat::Json => writeln!(out, "[\n{}\n]", documents.join(",\n"))?,
        DocumentFormat::Jsonl => {
            documents.iter().try_for_each(|document| writeln!(out, "{document}"))?
        }
        DocumentFormat::Table => {}
    }
    out.flush()?;
    Ok(exit)
}

fn report(out: &mut impl Write, file: &str, read: &Result<ReadPlan, Diagnostics>) -> Result<()> {
    match read {
        Ok(read) => {
            if !read.warnings().is_empty() {
                term::say(&planfile::render_warnings(read.warnings(), term::colour()));
            }
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let targets = match read {
                ReadPlan::Whole(loaded) => {
                    let waves = count(number(loaded.plan.strategy.waves.len()), "wave", "waves");
                    format!(
                        "{} in {waves}",
                        count(number(loaded.targets.len()), "proxy", "proxies")
                    )
                }
                ReadPlan::Open(outline) => {
                    let selectors = count(number(outline.discover.len()), "entry", "entries");
                    format!("proxies to be discovered by {selectors} of `targets.discover`")
                }
            };
            writeln!(
                out,
                "{file}: ok, plan {} revision {}, {targets}",
                read.name(),
                read.revision()
            )?;
        }
        Err(mistakes) => {
            term::say(mistakes.render(term::colour()).trim_end());
        }
    }
    Ok(())
}

/// `plan`; with a look, of what the proxies show now. The daemon is asked for only where it is
/// needed.
pub async fn plan(
    args: &PlanArgs,
    daemon: &DaemonAddress,
    client: impl Fn() -> Result<Client>,
    style: &Style,
) -> Result<Exit> {
    let planned = match &args.save_discovered {
        Some(into) => discovered::load_and_save(&args.plan, into, daemon, &client).await?,
        None => discovered::load(&args.plan, &args.discovered, daemon, &client).await?,
    };
    let opposing = match daemon.place().may_answer() && !args.members {
        true => planned.opposing(&args.plan, &client()?).await,
        // Without a daemon, this is what can be said of the plan alone.
        false => Ok(Vec::new()),
    };
    let opposing = opposing.unwrap_or_else(|error| {
        term::say(&clean(&format!("note: what enforcements keep was not looked at: {error:#}")));
        Vec::new()
    });
    let mut loaded = planned.loaded;
    let as_listed = of_loaded(&loaded, 0, style);
    let mut looked = None;
    if args.look {
        let found = look(&client()?, &loaded.targets).await?;
        loaded.targets = found.targets.clone();
        if let Some(path) = &args.save_targets {
            save(path, &found.targets)?;
        }
        looked = Some(found);
    }
    let right = loaded.targets.iter().all(|target| target.seen == Some(loaded.plan.ssl_option));
    let pending = if args.detailed_exitcode && !(looked.is_some() && right) {
        Exit::Pending
    } else {
        Exit::Done
    };
    if args.members {
        super::members::list(&loaded, args.output.output, style)?;
        return Ok(pending);
    }
    let per_wave = if args.all { usize::MAX } else { PER_WAVE };
    let mut preview = Preview { opposing, ..of_loaded(&loaded, per_wave, style) };
    if let Some(found) = looked {
        // A look binds nothing: the rollout is still that of the list, and so is what an approval
        // is for.
        (preview.rollout, preview.digest) = (as_listed.rollout, as_listed.digest);
        preview.looked_at = Some(found.at);
        preview.warnings.extend(found.warnings);
    }
    if !args.no_forecast {
        foresee(&mut preview, &loaded, &args.cloud, daemon, style)?;
    }
    let mut out = term::stdout();
    match args.output.output {
        OutputFormat::Table => write!(out, "{}", wrap_all(&text(&preview, style), term::width()))?,
        OutputFormat::Json => writeln!(out, "{}", pretty(&preview)?)?,
        OutputFormat::Jsonl => writeln!(out, "{}", line(&preview)?)?,
        OutputFormat::Csv => anyhow::bail!(
            "a preview has no rows for CSV; use -o json, or --members for the list of targets"
        ),
    }
    out.flush()?;
    Ok(pending)
}

/// Adds the forecast, and says what is wrong with it among the warnings.
pub fn foresee(
    preview: &mut Preview,
    loaded: &LoadedPlan,
    cloud: &CloudArgs,
    daemon: &DaemonAddress,
    style: &Style,
) -> Result<()> {
    if preview.openings.is_empty() {
        // That nothing would ever be done is told already.
        return Ok(());
    }
    let (scenario, basis) =
        assume(loaded.plan.clone(), loaded.targets.clone(), daemon, cloud, style.now)?;
    match Forecast::of(&scenario, basis)? {
        Some(forecast) => {
            preview.warnings.extend(forecast.warnings.iter().cloned());
            preview.forecast = Some(forecast.into());
        }
        None => preview.warnings.push(format!(
            "no forecast is made for more than {} proxies; `sealift rehearse` runs the whole plan once",
            crate::rehearse::forecast::CHANGES_MAX
        )),
    }
    Ok(())
}

/// The preview of a plan that was read here.
pub fn of_loaded(loaded: &LoadedPlan, per_wave: usize, style: &Style) -> Preview {
    // Who submits it and when is not part of a preview.
    let submission = Submission {
        plan: loaded.plan.clone(),
        targets: loaded.targets.clone(),
        by: "".into(),
        at: style.now,
        note: String::new(),
    };
    let warnings = loaded.warnings.iter().map(warning).collect();
    Preview {
        excluded: excluded(loaded, per_wave),
        discovered_at: loaded.discovered_at,
        ..preview(&submission, warnings, per_wave, style.now)
    }
}

/// The preview for people.
pub fn text(preview: &Preview, style: &Style) -> String {
    let style = &style.in_zone(preview.time_zone.as_deref());
    let to = if preview.ssl_option { "on" } else { "off" };
    let mut text = format!("plan {} revision {}  ssl -> {to}", preview.name, preview.revision);
    for (word, value) in [("", &preview.change_ref), ("owner ", &preview.owner)] {
        if !value.is_empty() {
            text.push_str(&format!("  {word}{value}"));
        }
    }
    text.push('\n');
    if !preview.description.is_empty() {
        text.push_str(&format!("{}\n", preview.description));
    }
    for (index, wave) in preview.waves.iter().enumerate() {
        let after = then(wave.soak_seconds, &wave.promote);
        let after = if after == "-" { String::new() } else { format!(", then {after}") };
        let budget = count(wave.max_failures, "failure halts it", "failures halt it");
        // Only where the budget is what bounds it.
        let bound = wave.max_in_flight < preview.max_in_flight.min(wave.size);
        let pace =
            if bound { format!(", so {} at a time", wave.max_in_flight) } else { String::new() };
        let size = count(wave.size, "proxy", "proxies");
        text.push_str(&format!(
            "\nwave {} {}: {size}, {budget}{pace}{after}\n",
            index + 1,
            wave.name
        ));
        let cells: Vec<Vec<String>> = wave
            .targets
            .iter()
            .map(|target| {
                let (sign, what) = expected(target.ssl_option, preview);
                vec![
                    format!("  {sign} {}", target.proxy_id),
                    target.lane.clone(),
                    target.instance_id.clone(),
                    what,
                ]
            })
            .collect();
        text.push_str(&aligned(&["", "", "", ""], false, &cells, &mut Vec::new()));
        let hidden = wave.size as usize - wave.targets.len();
        if hidden > 0 {
            text.push_str(&format!("  ~ and {hidden} more (--all shows them)\n"));
        }
    }
    text.push_str(&left_out(&preview.excluded));
    if let Some(at) = preview.discovered_at {
        text.push_str(&format!(
            "\ndiscovered {}; `plan --save-discovered FILE` and `apply --discovered FILE` keep to one set\n",
            style.time(at)
        ));
    }
    let listed = preview.seen.right + preview.seen.other > 0;
    text.push_str(&match preview.looked_at {
        Some(at) => format!(
            "\nlooked at {}; each proxy is read again when its change begins, and one that is right already is left alone\n",
            style.time(at)
        ),
        None => {
            let what = "\nWhat a proxy shows today is read when its change begins; one that is right already is left alone";
            format!("{what}{}\n", if listed { ",\nand one that shows another value than the list says is skipped and named." } else { "." })
        }
    });
    text.push_str(&windows(preview, style));
    text.push_str(&format!(
        "at most {} in flight and 1 on an instance, up to {} each, halt at {} or after {} of open window without a result\n",
        count(preview.max_in_flight, "change", "changes"),
        count(u32::from(preview.max_attempts), "switch call", "switch calls"),
        count(preview.max_failures, "failure", "failures"),
        seconds(preview.progress_deadline_seconds),
    ));
    text.push_str(&format!(
        "a check before a switch that fails is no such call: it is repeated with growing waits, and {} in a row fail its change\n",
        preview.looks_max
    ));
    if let Some(wire) = &preview.wire {
        let chain = match wire.authorities {
            0 => "its certificate is recorded".to_owned(),
            1 => "its certificate signed by the authority of `ca_file`".to_owned(),
            n => format!("its certificate signed by one of the {n} authorities of `ca_file`"),
        };
        let shows = if preview.ssl_option {
            format!("TLS {} or newer, {chain}", wire.min_tls)
        } else {
            "no TLS".to_owned()
        };
        let within = seconds(preview.verify_timeout_seconds);
        text.push_str(&format!(
            "each is proven on the wire: within {within} its port must show {shows}\n"
        ));
    }
    if let Some(limits) = limits(&preview.max_in_flight_per) {
        text.push_str(&format!(
            "in flight {limits}; a change whose group is full waits until a place is free\n"
        ));
    }
    text.push_str(&guards(preview));
    text.push_str(&enforced(preview, style));
    if let Some(forecast) = &preview.forecast {
        text.push_str(&format!("\n{}\n", super::forecast::text(forecast, style)));
    }
    for warning in preview.warnings.iter().cloned().chain(opposed(&preview.opposing, style)) {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let lanes: Vec<String> = preview.lanes.iter().map(|(lane, n)| format!("{lane} {n}")).collect();
    text.push_str(&format!(
        "\n{} on {} to switch {to}, in {}; lanes: {}\n",
        count(preview.targets, "proxy", "proxies"),
        count(preview.instances, "instance", "instances"),
        count(u32::try_from(preview.waves.len()).unwrap_or(u32::MAX), "wave", "waves"),
        lanes.join(", "),
    ));
    if listed || preview.looked_at.is_some() {
        let seen = &preview.seen;
        let by = if preview.looked_at.is_some() { "now" } else { "by the list" };
        text.push_str(&format!(
            "{by} {} {}, {} {to} already, {} unknown\n",
            seen.other,
            other(preview),
            seen.right,
            seen.unknown
        ));
    }
    text.push_str(&format!("rollout {}\ndigest  {}\n", preview.rollout, preview.digest));
    clean_lines(&text)
}

/// What `targets.exclude` leaves out, and why.
fn left_out(excluded: &[ExcludedRow]) -> String {
    let mut text = String::new();
    for row in excluded {
        text.push_str(&format!(
            "\nleft out, {}: {}\n",
            count(row.targets, "proxy", "proxies"),
            row.reason
        ));
        let cells = row.first.iter().map(|target| {
            let name = target.instance_name.clone().unwrap_or_default();
            vec![
                format!("  - {}", target.proxy_id),
                target.lane.clone(),
                target.instance_id.clone(),
                name,
            ]
        });
        text.push_str(&aligned(
            &["", "", "", ""],
            false,
            &cells.collect::<Vec<_>>(),
            &mut Vec::new(),
        ));
        let hidden = row.targets as usize - row.first.len();
        if hidden > 0 {
            text.push_str(&format!("  - and {hidden} more\n"));
        }
    }
    text
}

/// The sign and the change of one target, by what the list says of it.
fn expected(seen: Option<bool>, preview: &Preview) -> (char, String) {
    let to = if preview.ssl_option { "on" } else { "off" };
    match seen {
        Some(value) if value == preview.ssl_option => ('=', format!("ssl {to} already")),
        Some(_) => ('~', format!("ssl {} -> {to}", other(preview))),
        // Of a list that says nothing at all, the question marks would say nothing either.
        None if preview.seen.unknown == preview.targets => ('~', format!("ssl -> {to}")),
        None => ('~', format!("ssl ? -> {to}")),
    }
}

/// The value that is not wanted.
fn other(preview: &Preview) -> &'static str {
    if preview.ssl_option { "off" } else { "on" }
}

/// What follows when too much fails, and who must agree first.
fn guards(preview: &Preview) -> String {
    let when = if preview.revert_in_window {
        "inside the windows only"
    } else {
        "outside the windows too, except in freezes"
    };
    let then = if preview.on_failure == "revert" {
        "puts back by itself what it changed"
    } else {
        "waits for a person"
    };
    let mut text = format!("when a failure budget is spent it {then}; a revert runs {when}\n");
    if preview.approvals > 0 {
        let people = count(u32::from(preview.approvals), "approval", "approvals");
        text.push_str(&format!("begins after {people} by somebody else than who submits it, each for the digest below\n"));
    }
    text
}

/// What follows once the rollout has completed.
fn enforced(preview: &Preview, style: &Style) -> String {
    let Some(enforce) = &preview.enforce else { return String::new() };
    let style = style.in_zone(Some(&enforce.time_zone));
    let next = enforce.next.map_or_else(|| "never again".to_owned(), |next| style.until(next));
    let does = match enforce.mode.as_str() {
        "apply" => format!(
            "up to {} that drifted put right, more is held",
            count(enforce.max_drift, "proxy", "proxies")
        ),
        _ => "drift is reported".into(),
    };
    format!(
        "once completed it is enforced at `{}` {}, next {next}: {does}\n",
        enforce.cron, enforce.time_zone
    )
}

fn windows(preview: &Preview, style: &Style) -> String {
    let span = |from: String, until: Option<jiff::Timestamp>| match until {
        Some(until) => format!("{from} until {}", style.time(until)),
        None => from,
    };
    match preview.openings.as_slice() {
        [] => "window: none ever opens\n".into(),
        [only] if preview.open_now && only.until.is_none() => "window: open at any time\n".into(),
        rows => rows
            .iter()
            .enumerate()
            .map(|(index, row)| {
                let from = if index == 0 && preview.open_now {
                    "open now".into()
                } else {
                    style.until(row.from)
                };
                format!("window: {}\n", span(from, row.until))
            })
            .collect(),
    }
}
