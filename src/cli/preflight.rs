//! `preflight`: all that a plan's rollout needs, looked at before its window: go or no-go, with the
//! reasons.
//!
//! Invariants: nothing is changed; one thing that stands in the way makes it a no-go, and what a
//! look cannot tell is said to be so. The daemon looks, with its own credentials and from its own
//! place in the network; here it is only told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::args::{DocumentFormat, PreflightArgs};
use super::client::Client;
use super::enforce::opposed;
use super::exit::{Exit, ExitFailure};
use super::look::LookProgress;
use super::output::{fitted, line, pretty};
use super::reach::DaemonAddress;
use super::text::count;
use super::wire::{
    CheckRow, DaemonDoc, LOOK_INSTANCES_MAX, PORTS_WITHIN, PreflightInstance, PreflightRequest,
};
use super::{discovered, term};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::target::Target;
use crate::domain::window::Opening;
use crate::planfile::LoadedPlan;
use crate::words::text::{Style, clean};

/// Lines of one kind shown in a table; the rest is counted.
const SHOWN: usize = 10;

/// The same of what does not stand in the way.
const NOTES_SHOWN: usize = 3;

/// What `-o json` prints.
#[derive(Serialize)]
struct PreflightVerdict<'a> {
    go: bool,
    checks: &'a [CheckRow],
}

/// `preflight`.
pub async fn preflight(
    client: &Client,
    args: &PreflightArgs,
    daemon: &DaemonAddress,
    style: &Style,
) -> Result<Exit> {
    match (&args.lanes, &args.plan) {
        (None, Some(plan)) => of_a_plan(client, plan, args, daemon, style).await,
        (lanes, _) => of_lanes(client, lanes.clone().unwrap_or_default(), args).await,
    }
}

/// The daemon and these lanes alone; without names all of them.
async fn of_lanes(client: &Client, lanes: Vec<String>, args: &PreflightArgs) -> Result<Exit> {
    let lanes = if lanes.is_empty() {
        let daemon: DaemonDoc = client.get("/v1/daemon", &[]).await?;
        daemon.lanes.into_iter().map(|lane| lane.lane).collect()
    } else {
        lanes
    };
    if lanes.is_empty() {
        let none = "the daemon has no lane; add one to `lanes` of its configuration";
        return Err(ExitFailure::new(Exit::Error, none).into());
    }
    let request = PreflightRequest { daemon: true, lanes, ..PreflightRequest::default() };
    let mut rows = Vec::new();
    let mut take = |row| rows.push(row);
    answered(client.preflight(&request, &mut take)).await??;
    conclude(&rows, 0, true, args.output.output)
}

/// An answer, unless the user gives up before.
async fn answered<T>(asked: impl Future<Output = T>) -> Result<T> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        biased;
        interrupted = interrupted => {
            interrupted?;
            let given_up = "the preflight was given up; nothing was changed";
            Err(ExitFailure::new(Exit::Interrupted, given_up).into())
        }
        answered = asked => Ok(answered),
    }
}

async fn of_a_plan(
    client: &Client,
    plan: &Path,
    args: &PreflightArgs,
    daemon: &DaemonAddress,
    style: &Style,
) -> Result<Exit> {
    let planned = discovered::load(plan, &args.discovered, daemon, || Ok(client.clone())).await?;
    let opposing = planned.opposing(plan, client).await;
    let loaded = planned.loaded;
    let mut out = term::stdout();
    let lines = matches!(args.output.output, DocumentFormat::Jsonl);
    let mut printed = 0;
    let now = || SystemClock.times().boot;
    let mut found = PreflightFinding {
        rows: Vec::new(),
        proxies: 0,
        last_proxy: now(),
        progress: LookProgress::new(loaded.targets.len()),
    };
    let mut ports_left = PORTS_WITHIN;
    found.rows.extend(of_plan(&loaded, style));
    found.rows.extend(match opposing {
        Ok(opposing) => opposed(&opposing, style)
            .into_iter()
            .map(|text| note(&loaded, "opposed", text))
            .collect(),
        Err(error) => vec![note(
            &loaded,
            "not_told",
            format!("what enforcements keep was not looked at: {error:#}"),
        )],
    });
    let interrupted = tokio::signal::ctrl_c();
    let mut interrupted = std::pin::pin!(interrupted);
    for mut request in requests(&loaded, !args.no_ports) {
        found.leave_out_lanes_that_are_down(&mut request);
        if !request.daemon && request.instances.is_empty() {
            continue;
        }
        request.ports_within_ms =
            request.ports.then(|| u64::try_from(ports_left.as_millis()).unwrap_or(u64::MAX));
        found.last_proxy = now();
        let mut take = |row| found.take(row);
        let asked = client.preflight(&request, &mut take);
        tokio::select! {
            biased;
            interrupted = &mut interrupted => {
                interrupted?;
                found.progress.clear();
                return Err(ExitFailure::new(Exit::Interrupted, "the preflight was given up; nothing was changed").into());
            }
            answered = asked => answered?,
        }
        // A request tells of its proxies first, and looks at their ports then.
        if !request.instances.is_empty() {
            ports_left = ports_left.saturating_sub(now().saturating_sub(found.last_proxy));
        }
        if lines {
            found.progress.clear();
            printed = print(&mut out, &found.rows, printed)?;
        }
    }
    found.progress.clear();
    found.rows.extend(found.not_looked_at(&loaded));
    conclude(&found.rows, printed, loaded.plan.ssl_option, args.output.output)
}

/// Prints what was found, the first of it being printed already, and says what it amounts to.
fn conclude(
    rows: &[CheckRow],
    printed: usize,
    ssl_option: bool,
    format: DocumentFormat,
) -> Result<Exit> {
    let mut out = term::stdout();
    let stands: Vec<&CheckRow> = rows.iter().filter(|row| row.verdict == CheckRow::NO_GO).collect();
    let go = stands.is_empty();
    match format {
        DocumentFormat::Json => {
            writeln!(out, "{}", pretty(&PreflightVerdict { go, checks: rows })?)?
        }
        DocumentFormat::Jsonl => drop(print(&mut out, rows, printed)?),
        DocumentFormat::Table => write!(out, "{}", table(rows, ssl_option, term::width()))?,
    }
    out.flush()?;
    let n = u32::try_from(stands.len()).unwrap_or(u32::MAX);
    if go {
        term::say("go: nothing stands in the way, as far as a look can tell");
        return Ok(Exit::Done);
    }
    let things = count(n, "thing stands in the way", "things stand in the way");
    term::say(&format!("no-go: {things}"));
    Ok(Exit::Failed)
}

/// The rows from this one on, one a line; how many are printed then.
fn print(out: &mut impl std::io::Write, rows: &[CheckRow], from: usize) -> Result<usize> {
    for row in &rows[from..] {
        writeln!(out, "{}", line(row)?)?;
    }
    Ok(rows.len())
}

/// A line about the plan that is worth knowing.
fn note(loaded: &LoadedPlan, word: &str, text: String) -> CheckRow {
    let name = loaded.plan.name.to_string();
    CheckRow { verdict: CheckRow::NOTE.into(), what: "plan".into(), name, word: word.into(), text }
}

/// What the plan itself says of tonight.
fn of_plan(loaded: &LoadedPlan, style: &Style) -> Option<CheckRow> {
    let note = |word: &str, text: String| note(loaded, word, text);
    let style =
        style.in_zone(loaded.plan.calendar.windows().first().map(|window| window.zone().name()));
    match loaded.plan.opening(style.now, false) {
        Opening::Open { until: Some(until) } => {
            Some(note("open", format!("its window is open until {}", style.until(until))))
        }
        Opening::Open { until: None } => None,
        Opening::Shut { next: Some(next), .. } => {
            Some(note("shut", format!("it may begin {}", style.until(next))))
        }
        Opening::Shut { next: None, .. } => Some(CheckRow {
            verdict: CheckRow::NO_GO.into(),
            ..note("never", "no window of it opens any more".into())
        }),
    }
}

/// The daemon and the lanes first, then instance by instance.
fn requests(loaded: &LoadedPlan, ports: bool) -> Vec<PreflightRequest> {
    let mut instances: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for Target { lane, instance_id, proxy_id, .. } in loaded.targets.iter() {
        instances
            .entry((lane.to_string(), instance_id.to_string()))
            .or_default()
            .push(proxy_id.to_string());
    }
    let lanes: BTreeSet<String> =
        loaded.targets.iter().map(|target| target.lane.to_string()).collect();
    let blank = PreflightRequest {
        ssl_option: loaded.plan.ssl_option,
        ports,
        wire: loaded.plan.wire.is_some(),
        ..PreflightRequest::default()
    };
    let mut requests = vec![PreflightRequest {
        daemon: true,
        lanes: lanes.into_iter().collect(),
        ..blank.clone()
    }];
    let all: Vec<PreflightInstance> = instances
        .into_iter()
        .map(|((lane, instance_id), proxies)| PreflightInstance { lane, instance_id, proxies })
        .collect();
    requests.extend(
        all.chunks(LOOK_INSTANCES_MAX)
            .map(|some| PreflightRequest { instances: some.to_vec(), ..blank.clone() }),
    );
    requests
}

struct PreflightFinding {
    rows: Vec<CheckRow>,
    proxies: usize,
    /// When the last proxy was told, since boot.
    last_proxy: Duration,
    progress: LookProgress,
}

impl PreflightFinding {
    /// Reads of a lane that has just failed would wait until its pause is over, only to fail again.
    fn leave_out_lanes_that_are_down(&self, request: &mut PreflightRequest) {
        let down = |lane: &str| {
            self.rows
                .iter()
                .any(|row| row.what == "lane" && row.name == lane && row.verdict == CheckRow::NO_GO)
        };
        request.instances.retain(|instance| !down(&instance.lane));
    }

    /// Targets of such lanes.
    fn not_looked_at(&self, loaded: &LoadedPlan) -> Option<CheckRow> {
        let left =
            u32::try_from(loaded.targets.len().saturating_sub(self.proxies)).unwrap_or(u32::MAX);
        (left > 0).then(|| CheckRow {
            verdict: CheckRow::NOTE.into(),
            what: "proxy".into(),
            name: String::new(),
            word: "not_looked_at".into(),
            text: format!(
                "{} of lanes that cannot be reached were not looked at",
                count(left, "proxy", "proxies")
            ),
        })
    }

    fn take(&mut self, row: CheckRow) {
        if row.what == "proxy" {
            self.proxies += 1;
            self.last_proxy = SystemClock.times().boot;
            self.progress.tick(self.proxies);
        }
        self.rows.push(row);
    }
}

/// What was looked at, in the order in which a rollout needs it.
const KINDS: [&str; 8] = ["plan", "daemon", "store", "lane", "permission", "beta", "proxy", "port"];

/// The table: what stands in the way and what is worth knowing one by one, what is as it must be
/// summed up where it is many.
pub(super) fn table(rows: &[CheckRow], ssl_option: bool, width: usize) -> String {
    let mut cells: Vec<Vec<String>> = Vec::new();
    for kind in KINDS {
        let of_kind: Vec<&CheckRow> = rows.iter().filter(|row| row.what == kind).collect();
        let many = matches!(kind, "proxy" | "port" | "beta");
        for (verdict, shown) in
            [(CheckRow::NO_GO, "NO-GO"), (CheckRow::NOTE, "note"), (CheckRow::GO, "go")]
        {
            let these: Vec<&&CheckRow> =
                of_kind.iter().filter(|row| row.verdict == verdict).collect();
            if these.is_empty() {
                continue;
            }
            if verdict == CheckRow::GO && !many && these.len() > SHOWN {
                let names: BTreeSet<&str> = these.iter().map(|row| row.name.as_str()).collect();
                let text = format!("{} are as they must be", names.len());
                cells.push(vec![shown.into(), plural(kind).into(), text]);
                continue;
            }
            if many && verdict == CheckRow::GO {
                cells.push(vec![
                    shown.into(),
                    plural(kind).into(),
                    summed(kind, &these, of_kind.len(), ssl_option),
                ]);
                continue;
            }
            let few = verdict == CheckRow::NOTE && (many || these.len() > SHOWN);
            let most = if few { NOTES_SHOWN } else { SHOWN };
            for row in these.iter().take(most) {
                cells.push(vec![
                    shown.into(),
                    clean(format!("{kind} {}", row.name).trim_end()),
                    clean(&row.text),
                ]);
            }
            if these.len() > most {
                let more = these.len() - most;
                cells.push(vec![
                    shown.into(),
                    plural(kind).into(),
                    format!("and {more} more; `-o jsonl` has them all"),
                ]);
            }
        }
    }
    fitted(&["", "WHAT", ""], true, &cells, &mut Vec::new(), width)
}

fn plural(kind: &str) -> &str {
    match kind {
        "proxy" => "proxies",
        "port" => "ports",
        "lane" => "lanes",
        "permission" => "permissions",
        other => other,
    }
}

fn summed(kind: &str, these: &[&&CheckRow], all: usize, ssl_option: bool) -> String {
    let n = these.len();
    if kind == "port" {
        return format!("{n} of {all} answer as MySQL does");
    }
    let right = these.iter().filter(|row| row.word == "right").count();
    let to = if ssl_option { "on" } else { "off" };
    format!(
        "{n} of {all} are listed and ACTIVE: {} to switch {to}, {right} {to} already",
        n - right
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(verdict: &str, what: &str, name: &str, word: &str, text: &str) -> CheckRow {
        CheckRow {
            verdict: verdict.into(),
            what: what.into(),
            name: name.into(),
            word: word.into(),
            text: text.into(),
        }
    }

    #[test]
    fn what_stands_in_the_way_comes_before_what_is_well() {
        let mut rows = vec![
            row("go", "port", "a", "ok", "10.0.0.1:3306 answers"),
            row("no_go", "proxy", "b", "not_listed", "instance i has no such proxy"),
            row("go", "proxy", "a", "right", "it shows the wanted value already"),
            row("go", "proxy", "c", "to_switch", "it is ACTIVE"),
            row("go", "daemon", "", "ok", "sealift runs, and nothing stops it"),
            row(
                "note",
                "permission",
                "lab",
                "not_told",
                "whether the account may switch is not told by a read",
            ),
        ];
        rows.extend((0..13).map(|n| {
            row("note", "port", &format!("p{n:02}"), "timed_out", "no greeting \u{1b}[31mcame")
        }));
        let text = table(&rows, true, 200);
        let expected = [
            "       WHAT",
            "go     daemon          sealift runs, and nothing stops it",
            "note   permission lab  whether the account may switch is not told by a read",
            "NO-GO  proxy b         instance i has no such proxy",
            "go     proxies         2 of 3 are listed and ACTIVE: 1 to switch on, 1 on already",
        ];
        assert_eq!(
            text.lines().take(expected.len()).map(str::trim_end).collect::<Vec<_>>(),
            expected,
            "{text}"
        );
        assert!(
            text.contains("and 10 more; `-o jsonl` has them all")
                && text.contains("1 of 14 answer as MySQL does"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "what a server says must not act on a terminal");
    }
}
