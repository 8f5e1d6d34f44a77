//! `enforce`: what is enforced, what the last run found and what is held; and the verbs `stop` and
//! `release` on it.

use std::io::Write as _;

use anyhow::Result;

use super::args::{DocumentArgs, DocumentFormat, EnforceArgs, EnforceVerb, OutputFormat};
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow, aligned, line, pretty};
use super::term::{self, say};
use super::text::count;
use super::wire::{EnforcementDoc, EnforcementRunDoc, OpposingRow, ReleaseRequest, StopRequest};
use crate::domain::enforce::STOPPED;
use crate::words::text::{Style, clean};

/// `enforce`.
pub async fn enforce(client: &Client, args: &EnforceArgs, style: &Style) -> Result<Exit> {
    match (&args.verb, &args.name) {
        (Some(EnforceVerb::Stop(verb)), _) => {
            let request = StopRequest { reason: verb.reason.clone() };
            let after = client.enforcement_verb(&verb.name, "stop", &request).await?;
            report(&after, &verb.output, style, "stopped")?;
            if let Some(run) =
                after.last_run.as_ref().filter(|run| run.result.as_deref() == Some(STOPPED))
            {
                let rollout = run.applied.as_ref().unwrap_or(&run.survey);
                say(&format!(
                    "its run {} may still be under way; `sealift abort {}` ends that, too",
                    run.number,
                    clean(rollout)
                ));
            }
        }
        (Some(EnforceVerb::Release(release)), _) => {
            let request = ReleaseRequest {
                reason: release.verb.reason.clone(),
                target: release.target.clone(),
            };
            let after = client.enforcement_verb(&release.verb.name, "release", &request).await?;
            report(&after, &release.verb.output, style, "released")?;
        }
        (None, Some(name)) => {
            let no_rows = || {
                ExitFailure::new(
                    Exit::Error,
                    "one enforcement has no rows for CSV; use -o json, or `sealift enforce -o csv`",
                )
            };
            let format = args.output.output.document().ok_or_else(no_rows)?;
            let found = client.enforcement(name).await?;
            document(&found, format, || view(&found, style))?;
        }
        (None, None) => return list(client, args.output.output, style).await,
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, format: OutputFormat, style: &Style) -> Result<Exit> {
    let page = client.page::<EnforcementDoc>("/v1/enforcements", &[]).await?;
    let mut out = term::stdout();
    let mut listing = ListingPrinter::new(&mut out, format, style.clone());
    listing.page(&page.rows)?;
    if page.rows.is_empty() && format == OutputFormat::Table {
        say(
            "no plan is enforced; one with `enforce` is from the time on when its rollout has completed",
        );
    }
    listing.end::<EnforcementDoc>()?;
    Ok(Exit::Done)
}

fn report(after: &EnforcementDoc, output: &DocumentArgs, style: &Style, done: &str) -> Result<()> {
    document(after, output.output, || {
        format!(
            "{}: {done}; the enforcement is {}{}\n",
            clean(&after.name),
            after.stage,
            next(after, style)
        )
    })
}

fn document(
    found: &EnforcementDoc,
    format: DocumentFormat,
    text: impl FnOnce() -> String,
) -> Result<()> {
    let mut out = term::stdout();
    match format {
        DocumentFormat::Table => write!(out, "{}", text())?,
        DocumentFormat::Json => writeln!(out, "{}", pretty(found)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(found)?)?,
    }
    Ok(out.flush()?)
}

fn next(found: &EnforcementDoc, style: &Style) -> String {
    let style = style.in_zone(Some(&found.time_zone));
    found.next_tick.map_or(String::new(), |tick| format!(", next tick {}", style.until(tick)))
}

/// One line for `status`.
pub fn summary(found: &EnforcementDoc, style: &Style) -> String {
    let halted = found.last_run.as_ref().filter(|run| run.result.is_none() && run.halted.is_some());
    let held = match (&found.held, found.held_targets) {
        (Some(held), _) => format!(": {held}; `sealift enforce release {}`", found.name),
        (None, _) if halted.is_some() => {
            halted.map(|run| format!(": {}", ran(run, style))).unwrap_or_default()
        }
        (None, 0) => String::new(),
        (None, n) => format!(
            ", {} held; `sealift enforce {}` names them",
            count(n, "target", "targets"),
            found.name
        ),
    };
    clean(&format!("enforced ({}), {}{held}{}", found.mode, found.stage, next(found, style)))
}

fn ran(run: &EnforcementRunDoc, style: &Style) -> String {
    let under_way = run
        .halted
        .as_ref()
        .map_or_else(|| "under way".to_owned(), |why| format!("{why}; the next tick ends it"));
    format!(
        "run {} of {}: {}",
        run.number,
        style.time(run.tick),
        run.result.as_ref().unwrap_or(&under_way)
    )
}

/// Of these, those that hold something until a person releases it, a line each.
pub fn holding(found: &[EnforcementDoc], style: &Style) -> Vec<String> {
    let holds = |one: &&EnforcementDoc| {
        one.stage != "ended" && (one.held.is_some() || one.held_targets > 0)
    };
    found
        .iter()
        .filter(holds)
        .map(|one| format!("{}: {}", clean(&one.name), summary(one, style)))
        .collect()
}

/// What enforcements keep at the other value than a plan wants, for whoever is about to submit it;
/// a line each.
pub fn opposed(rows: &[OpposingRow], style: &Style) -> Vec<String> {
    let line = |row: &OpposingRow| {
        let style = style.in_zone(Some(&row.time_zone));
        let when = match (row.held, row.next_tick) {
            (true, _) => "its next run after a release puts them back".to_owned(),
            (_, Some(tick)) => format!("its next run, {}, puts them back", style.until(tick)),
            (_, None) => "its next run puts them back".to_owned(),
        };
        let more = (row.targets as usize).saturating_sub(row.first.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (name, to, first) =
            (&row.name, if row.ssl_option { "on" } else { "off" }, row.first.join(", "));
        let targets = count(row.targets, "target", "targets");
        clean(&format!(
            "the enforcement {name} keeps {targets} of this plan at ssl {to}; {when} ({first}{more}); \
             end it with `sealift enforce stop {name}`, or leave them out"
        ))
    };
    rows.iter().map(line).collect()
}

/// One enforcement for people.
pub fn view(found: &EnforcementDoc, style: &Style) -> String {
    let style = &style.in_zone(Some(&found.time_zone));
    let to = if found.ssl_option { "on" } else { "off" };
    let does = match found.mode.as_str() {
        "apply" => format!("puts right up to {} in a run, more is held", found.max_drift),
        _ => "reports what drifted".into(),
    };
    let mut lines = vec![
        format!("{}  revision {}  ssl {to}  {}", found.name, found.revision, found.stage),
        format!("  rollout {}  {}", found.rollout, count(found.targets, "proxy", "proxies")),
        format!("  at `{}` {}: {does}", found.cron, found.time_zone),
    ];
    lines.extend(found.next_tick.map(|tick| format!("  next tick {}", style.until(tick))));
    lines.extend(found.last_run.as_ref().map(|run| format!("  {}", ran(run, style))));
    if found.skipped_ticks > 0 {
        lines
            .push(format!("  {} without a run since", count(found.skipped_ticks, "tick", "ticks")));
    }
    if let Some(run) = &found.last_run {
        let rollouts = run
            .applied
            .iter()
            .fold(run.survey.clone(), |survey, applied| format!("{survey}, {applied}"));
        lines.push(format!("  its rollouts, revision {}: {rollouts}", run.number));
    }
    if let Some(held) = &found.held {
        let survey = found.last_run.as_ref().map_or("", |run| run.survey.as_str());
        lines.push(format!("  held: {held}"));
        lines.push(format!("  which: `sealift changes {survey} --state skipped`; go on: `sealift enforce release {}`", found.name));
    }
    if let Some(mark) = &found.stopped {
        let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
        lines.push(format!("  stopped by {} {}{why}", mark.by, style.ago(mark.at)));
    }
    lines.extend(
        found.superseded_by.map(|revision| {
            format!("  ended by revision {revision}, which asks for no enforcement")
        }),
    );
    let mut text: String = lines.iter().map(|line| clean(line) + "\n").collect();
    if found.held_targets > 0 {
        text.push_str(&format!(
            "\n  {} held: flipped back again and again\n",
            count(found.held_targets, "target is", "targets are")
        ));
        let cells: Vec<Vec<String>> = found
            .held_list
            .iter()
            .map(|held| {
                let runs: Vec<String> = held.runs.iter().map(ToString::to_string).collect();
                vec![
                    clean(&held.proxy_id),
                    clean(&held.lane),
                    clean(&held.instance_id),
                    format!("put right by runs {}", runs.join(", ")),
                ]
            })
            .collect();
        let rows = aligned(&["", "", "", ""], false, &cells, &mut Vec::new());
        text.extend(rows.lines().map(|row| format!("  {row}\n")));
    }
    text
}

impl ListingRow for EnforcementDoc {
    const COLUMNS: &'static [&'static str] =
        &["PLAN", "#REV", "MODE", "STAGE", "#RUNS", "#DRIFTED", "#HELD", "NEXT TICK", "LAST RUN"];
    const FIELDS: &'static [&'static str] = &[
        "name",
        "revision",
        "rollout",
        "ssl_option",
        "stage",
        "mode",
        "cron",
        "time_zone",
        "max_drift",
        "targets",
        "runs",
        "next_tick",
        "skipped_ticks",
        "last_tick",
        "drifted",
        "switched",
        "failed",
        "result",
        "held",
        "held_targets",
        "moved_at",
        "held_drift",
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let style = &style.in_zone(Some(&self.time_zone));
        let run = self.last_run.as_ref();
        vec![
            self.name.clone(),
            self.revision.to_string(),
            self.mode.clone(),
            self.stage.clone(),
            self.runs.to_string(),
            run.and_then(|run| run.drifted)
                .map_or_else(|| "-".into(), |drifted| drifted.to_string()),
            self.held_targets.saturating_add(self.held_drift).to_string(),
            self.next_tick.map_or_else(|| "-".into(), |tick| style.until(tick)),
            run.map_or_else(|| "-".into(), |run| ran(run, style)),
        ]
    }

    fn record(&self) -> Vec<String> {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        let run = self.last_run.as_ref();
        vec![
            self.name.clone(),
            self.revision.to_string(),
            self.rollout.clone(),
            self.ssl_option.to_string(),
            self.stage.clone(),
            self.mode.clone(),
            self.cron.clone(),
            self.time_zone.clone(),
            self.max_drift.to_string(),
            self.targets.to_string(),
            self.runs.to_string(),
            text(self.next_tick),
            self.skipped_ticks.to_string(),
            text(run.map(|run| run.tick)),
            text(run.and_then(|run| run.drifted)),
            text(run.map(|run| run.switched)),
            text(run.map(|run| run.failed)),
            text(run.and_then(|run| run.result.clone())),
            text(self.held.clone()),
            self.held_targets.to_string(),
            self.moved_at.to_string(),
            self.held_drift.to_string(),
        ]
    }
}
