//! `rehearse`: a whole rollout in virtual time, and its verdict.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::args::{DocumentFormat, Find, RehearseArgs};
use super::assume::{assume, span};
use super::client::Client;
use super::exit::Exit;
use super::output::{aligned, line, pretty};
use super::reach::DaemonAddress;
use super::text::count;
use super::windows::{clock_remark, instant};
use super::{discovered, term};
use crate::api::journal_row;
use crate::cloud::safe_text::for_a_shell;
use crate::domain::journal::Entry;
use crate::domain::window::Calendar;
use crate::rehearse::repro::Repro;
use crate::rehearse::scenario::FOR_MAX;
use crate::rehearse::search::{SearchResult, search};
use crate::rehearse::verdict::WindowVerdict;
use crate::rehearse::{Ending, RehearsalVerdict, Scenario, run};
use crate::words::text::{Style, clean_lines, length};

/// Largest number of crashes: beyond it nothing new is learnt.
const CRASHES_MAX: usize = 1000;

/// `rehearse`.
pub async fn rehearse(
    args: &RehearseArgs,
    daemon: &DaemonAddress,
    client: impl FnOnce() -> Result<Client>,
    style: &Style,
) -> Result<Exit> {
    let loaded = discovered::load(&args.plan, &args.discovered, daemon, client).await?.loaded;
    // A second is as fine as anybody reads it, and it makes the command repeatable.
    let zone = loaded
        .plan
        .calendar
        .windows()
        .first()
        .map_or_else(|| style.zone.clone(), |window| window.zone().rules().clone());
    let now = jiff::Timestamp::from_second(style.now.as_second()).unwrap_or(style.now);
    let from = args.from.as_deref().map_or(Ok(now), |text| instant("--from", text, &zone))?;
    let (mut scenario, mut basis) = assume(loaded.plan, loaded.targets, daemon, &args.cloud, from)?;
    basis.push(begins(&scenario));
    if let Some(lasts) = args.lasts {
        let lasts = lasts.get();
        anyhow::ensure!(
            lasts <= FOR_MAX && !lasts.is_zero(),
            "--for lies between 1ms and {} days; give less",
            FOR_MAX.as_secs() / 86_400
        );
        scenario.lasts = lasts;
    }
    scenario.until()?;
    anyhow::ensure!(
        args.crash.len() <= CRASHES_MAX,
        "{} crashes are more than {CRASHES_MAX}; give fewer",
        args.crash.len()
    );
    if let Some(targets) = args.targets {
        scenario = scenario.cut_to(targets);
    }
    if let Some(seeds) = args.seeds {
        return look_for(args, &scenario, seeds);
    }
    scenario.seed = args.seed;
    scenario.crashes = args.crash.iter().map(|crash| crash.get()).collect();
    let run = run(&scenario)?;
    if let Some(file) = &args.journal {
        write_journal(file, &run.journal)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let style = Style { zone, ..style.clone() };
    let clocks = clocks(&scenario.plan.calendar, &run.verdict);
    let report =
        RehearsalReport { verdict: &run.verdict, basis, clocks, journal_lines: run.journal.len() };
    let mut out = term::stdout();
    match args.output.output {
        DocumentFormat::Table => write!(out, "{}", text(&report, &style))?,
        DocumentFormat::Json => writeln!(out, "{}", pretty(&report)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(&report)?)?,
    }
    out.flush()?;
    Ok(exit(&run.verdict))
}

/// A verdict with what it rests on.
#[derive(Serialize)]
pub struct RehearsalReport<'a> {
    #[serde(flatten)]
    pub verdict: &'a RehearsalVerdict,
    /// What it rests on: given or assumed.
    pub basis: Vec<String>,
    /// What clocks do to the windows that were used, by the window's number; most have no entry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clocks: BTreeMap<usize, String>,
    /// Lines of the journal.
    pub journal_lines: usize,
}

/// What the proxies show at the start.
fn begins(scenario: &Scenario) -> String {
    let other = if scenario.plan.ssl_option { "off" } else { "on" };
    let listed = scenario.targets.iter().filter(|target| target.seen.is_some()).count();
    match scenario.targets.len() - listed {
        0 => "every proxy begins with what the list says".into(),
        rest if listed == 0 => {
            format!(
                "{} SSL {other}",
                count(
                    u32::try_from(rest).unwrap_or(u32::MAX),
                    "proxy begins with",
                    "proxies begin with"
                )
            )
        }
        rest => format!(
            "{listed} of the proxies begin with what the list says, the other {rest} with SSL {other}"
        ),
    }
}

/// The windows that meet a change of clocks.
fn clocks(calendar: &Calendar, verdict: &RehearsalVerdict) -> BTreeMap<usize, String> {
    let met = |window: &WindowVerdict| {
        let outlook = calendar.outlook(window.open, None, 1);
        let sight = outlook.sights.first()?;
        let zone = sight.zone?.rules();
        let remarks: Vec<String> =
            sight.clocks.iter().map(|change| clock_remark(change, zone, window.open)).collect();
        (!remarks.is_empty()).then(|| (window.number, remarks.join("; ")))
    };
    verdict.windows.iter().filter_map(met).collect()
}

fn write_journal(file: &Path, journal: &[Entry]) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for entry in journal {
        writeln!(out, "{}", line(&journal_row(entry))?)?;
    }
    Ok(out.flush()?)
}

/// The exit code of a verdict.
pub fn exit(verdict: &RehearsalVerdict) -> Exit {
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
pub fn text(report: &RehearsalReport<'_>, style: &Style) -> String {
    let verdict = report.verdict;
    let to = if verdict.ssl_option { "on" } else { "off" };
    let mut text =
        format!("rehearsal of plan {} revision {}  ssl -> {to}\n", verdict.plan, verdict.revision);
    text.push_str(&format!(
        "from {}, seed {}, {}\n",
        style.time(verdict.from),
        verdict.seed,
        count(verdict.targets, "proxy", "proxies")
    ));
    for basis in &report.basis {
        text.push_str(&format!("  {basis}\n"));
    }
    text.push_str(&format!("\n{}\n\n", ending(verdict, style)));
    text.push_str(&waves(verdict, style));
    if !verdict.windows.is_empty() {
        text.push('\n');
        text.push_str(&windows(report, style));
    }
    text.push('\n');
    for worst in &verdict.worst {
        let interval = span(Duration::from_millis(worst.interval_ms));
        let allowed =
            worst.allowed.map(|allowed| format!(" of {allowed} allowed")).unwrap_or_default();
        text.push_str(&format!(
            "lane {}: at most {}{allowed} in any {interval}\n",
            worst.lane,
            count(worst.calls as u64, "call", "calls")
        ));
    }
    text.push_str(&format!(
        "{} calls, {} of them switches, {} journal lines\n",
        verdict.calls, verdict.switches, report.journal_lines
    ));
    for (fault, times) in &verdict.faults {
        text.push_str(&format!(
            "met {fault} {}\n",
            count(u32::try_from(*times).unwrap_or(u32::MAX), "time", "times")
        ));
    }
    if verdict.crashes > 0 {
        text.push_str(&format!(
            "the daemon was killed {}\n",
            count(verdict.crashes, "time", "times")
        ));
    }
    for halt in &verdict.halts {
        text.push_str(&format!(
            "halted {} in wave {}: {}\n",
            style.time(halt.at),
            halt.wave,
            halt.why
        ));
    }
    for change in &verdict.troubled {
        text.push_str(&format!(
            "{} {}: {}\n",
            change.proxy_id,
            change.state.replace('_', " "),
            change.why
        ));
    }
    text.push('\n');
    for checked in &verdict.invariants {
        match &checked.broken {
            None => text.push_str(&format!("held    {}\n", checked.promise)),
            Some(broken) => text.push_str(&format!(
                "BROKEN  {}: {} ({})\n",
                checked.promise,
                broken.how,
                style.time(broken.at)
            )),
        }
    }
    clean_lines(&text)
}

/// `rehearse --seeds`.
fn look_for(args: &RehearseArgs, base: &Scenario, seeds: u32) -> Result<Exit> {
    let aim: &(dyn Fn(&RehearsalVerdict) -> bool + Sync) = match args.find {
        Find::Broken => &|verdict| !verdict.holds(),
        Find::Halted => &|verdict| verdict.ending == Ending::Halted,
        Find::Failed => &|verdict| verdict.tally.failures() > 0,
        Find::Late => &|verdict| verdict.ending == Ending::NotEnded,
    };
    let found = search(base, seeds, aim)?;
    let document = SearchDoc::of(&found, &|repro: &Repro| command(args, base, repro));
    let mut out = term::stdout();
    match args.output.output {
        DocumentFormat::Table => {
            write!(out, "{}", clean_lines(&search_text(&document, args.find)))?
        }
        DocumentFormat::Json => writeln!(out, "{}", pretty(&document)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(&document)?)?,
    }
    out.flush()?;
    Ok(match (&found.repro, args.find) {
        (None, _) => Exit::Done,
        (Some(_), Find::Broken) => Exit::Error,
        (Some(_), Find::Halted) => Exit::Stopped,
        (Some(_), Find::Failed) => Exit::Failed,
        (Some(_), Find::Late) => Exit::WindowClosed,
    })
}

/// What a search found, as a document.
#[derive(Serialize)]
struct SearchDoc {
    searched: usize,
    endings: BTreeMap<&'static str, usize>,
    #[serde(rename = "story", skip_serializing_if = "Option::is_none")]
    repro: Option<ReproDoc>,
}

#[derive(Serialize)]
struct ReproDoc {
    drawn_with_faults: usize,
    drawn_with_targets: u32,
    faults: Vec<String>,
    crashes: usize,
    targets: u32,
    seed: u64,
    shrunk_in: usize,
    command: String,
}

impl SearchDoc {
    fn of(found: &SearchResult, command: &dyn Fn(&Repro) -> String) -> Self {
        let repro = found.repro.as_ref().map(|(drawn, short)| ReproDoc {
            drawn_with_faults: drawn.settings.len() + drawn.crashes.len(),
            drawn_with_targets: drawn.targets,
            faults: short
                .settings
                .iter()
                .map(|setting| format!("{}={}", setting.key, setting.value))
                .collect(),
            crashes: short.crashes.len(),
            targets: short.targets,
            seed: short.seed,
            shrunk_in: found.shrunk_in,
            command: command(short),
        });
        Self { searched: found.searched, endings: found.endings.clone(), repro }
    }
}

/// The command that runs a repro again.
fn command(args: &RehearseArgs, base: &Scenario, repro: &Repro) -> String {
    let mut words =
        vec!["sealift".to_owned(), "rehearse".to_owned(), args.plan.display().to_string()];
    words.extend(
        args.cloud
            .faults
            .iter()
            .flat_map(|file| ["--faults".to_owned(), file.display().to_string()]),
    );
    words.extend(args.cloud.fault.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]));
    words.extend(["--from".to_owned(), base.from.to_string()]);
    words.extend(args.lasts.iter().flat_map(|lasts| ["--for".to_owned(), lasts.to_string()]));
    words.extend(repro.arguments());
    words.iter().map(|word| for_a_shell(word)).collect::<Vec<_>>().join(" ")
}

fn search_text(found: &SearchDoc, find: Find) -> String {
    let endings: Vec<_> =
        found.endings.iter().map(|(ending, times)| format!("{times} {ending}")).collect();
    let mut text =
        format!("{} stories with drawn faults: {}\n", found.searched, endings.join(", "));
    let what = match find {
        Find::Broken => "breaks a promise",
        Find::Halted => "is halted by a guard",
        Find::Failed => "ends with a failed change or one in doubt",
        Find::Late => "does not end in the time given",
    };
    let Some(repro) = &found.repro else {
        text.push_str(&format!("none of them {what}\n"));
        return text;
    };
    let times =
        |n: usize, one: &str, many: &str| count(u32::try_from(n).unwrap_or(u32::MAX), one, many);
    text.push_str(&format!(
        "one {what}; shrunk from {} and {} to {} and {}, in {}:\n\n",
        times(repro.drawn_with_faults, "fault", "faults"),
        count(repro.drawn_with_targets, "target", "targets"),
        times(repro.faults.len() + repro.crashes, "fault", "faults"),
        count(repro.targets, "target", "targets"),
        times(repro.shrunk_in, "run", "runs"),
    ));
    text.push_str(&format!("  {}\n", repro.command));
    text
}

/// How it ended, in one line.
pub fn ending(verdict: &RehearsalVerdict, style: &Style) -> String {
    let tally = &verdict.tally;
    let outcome = format!(
        "{} switched, {} failed, {} in doubt",
        tally.succeeded, tally.failed, tally.in_doubt
    );
    let after = length(verdict.ended_at.duration_since(verdict.from));
    let at = style.time(verdict.ended_at);
    match verdict.ending {
        Ending::Completed => format!("completed {at}, after {after}: {outcome}"),
        Ending::Halted => {
            format!("halted {at}, after {after}: {outcome}, {} not begun", tally.queued)
        }
        Ending::Stopped => {
            format!("stopped {at}, after {after}: {outcome}, {} withdrawn", tally.cancelled)
        }
        Ending::NotEnded => format!(
            "not ended by {at}, after {after}: {outcome}, {} still to do",
            tally.queued + tally.active
        ),
    }
}

fn waves(verdict: &RehearsalVerdict, style: &Style) -> String {
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
            vec![
                wave.name.clone(),
                wave.size.to_string(),
                at(wave.began_at),
                at(wave.ended_at),
                windows,
            ]
        })
        .collect();
    aligned(&["WAVE", "#SIZE", "BEGAN", "ENDED", "WINDOW"], true, &cells, &mut Vec::new())
}

/// Windows shown; a verdict as JSON has them all.
const WINDOWS_SHOWN: usize = 40;

fn windows(report: &RehearsalReport<'_>, style: &Style) -> String {
    let verdict = report.verdict;
    let cells: Vec<Vec<String>> = verdict
        .windows
        .iter()
        .take(WINDOWS_SHOWN)
        .map(|window| {
            let until = window.cutoff.map_or("-".into(), |cutoff| style.time(cutoff));
            let clocks = report.clocks.get(&window.number).cloned().unwrap_or_default();
            let (switches, settled) = (window.switches.to_string(), window.settled.to_string());
            vec![
                window.number.to_string(),
                style.time(window.open),
                until,
                switches,
                settled,
                clocks,
            ]
        })
        .collect();
    let mut text = aligned(
        &[
            "#WINDOW",
            "OPEN",
            "CUTOFF",
            "#SWITCHES",
            "#SETTLED",
            if report.clocks.is_empty() { "" } else { "CLOCKS" },
        ],
        true,
        &cells,
        &mut Vec::new(),
    );
    let hidden = verdict.windows.len() - cells.len();
    if hidden > 0 {
        text.push_str(&format!(
            "and {} more (-o json has them)\n",
            count(u32::try_from(hidden).unwrap_or(u32::MAX), "window", "windows")
        ));
    }
    let opened = u32::try_from(verdict.windows_opened).unwrap_or(u32::MAX);
    text.push_str(&format!(
        "{} opened, {} used\n",
        count(opened, "window", "windows"),
        verdict.windows.len()
    ));
    text
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::quota::Quota;
    use crate::rehearse::Forecast;
    use crate::rehearse::invariants::staged::{StagedRun, after};
    use crate::rehearse::repro::{FaultSetting, with};

    fn golden(name: &str, text: &str) {
        insta::with_settings!({snapshot_path => "../../tests/golden/cli", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, text);
        });
    }

    fn scenario() -> Scenario {
        let mut stage = StagedRun::of(12, 8, &[("canary", 2), ("rest", 10)]);
        stage.windows_in(&["Asia/Singapore"], "0 1 * * *", 300, 60);
        stage.scenario.lanes[0].quota = Some(Quota { requests: 30, per: Duration::from_secs(60) });
        stage.scenario.plan.strategy.max_in_flight = 2;
        let jobs = FaultSetting { key: "job_time".into(), value: "{min: 30s, max: 1m}".into() };
        stage.scenario.faults = with(&stage.scenario.faults, &[jobs]).expect("a fault");
        stage.scenario
    }

    fn rehearsed(scenario: &Scenario) -> (String, String, Exit) {
        let zone = scenario.plan.calendar.windows()[0].zone().rules().clone();
        let style = Style { now: after(0), zone };
        let run = run(scenario).expect("a fleet");
        let basis = vec!["jobs take 30s to 1m, as given".into()];
        let clocks = clocks(&scenario.plan.calendar, &run.verdict);
        let report = RehearsalReport {
            verdict: &run.verdict,
            basis,
            clocks,
            journal_lines: run.journal.len(),
        };
        (text(&report, &style), pretty(&report).expect("JSON"), exit(&run.verdict))
    }

    #[test]
    fn a_rehearsal_that_goes_well() {
        let (text, json, exit) = rehearsed(&scenario());
        golden("rehearsal", &text);
        golden("rehearsal-json", &json);
        assert_eq!(exit, Exit::Done);
    }

    #[test]
    fn the_nights_on_which_clocks_change_are_marked() {
        let mut stage = StagedRun::of(8, 8, &[("all", 8)]);
        stage.windows_in(&["Europe/Berlin"], "30 2 * * *", 60, 0);
        stage.scenario.plan.strategy.max_in_flight = 2;
        stage.scenario.faults = with(
            &stage.scenario.faults,
            &[FaultSetting { key: "job_time".into(), value: "50s".into() }],
        )
        .expect("a fault");
        for (from, name) in [
            ("2027-03-27T00:00:00Z", "rehearsal-spring"),
            ("2027-10-30T00:00:00Z", "rehearsal-autumn"),
        ] {
            stage.scenario.from = from.parse().expect("an instant");
            let (text, json, _) = rehearsed(&stage.scenario);
            let from = text
                .find("CUTOFF")
                .map_or(0, |at| text[..at].rfind('\n').map_or(0, |line| line + 1));
            golden(name, text[from..].split("\n\n").next().unwrap_or_default());
            assert_eq!(json.matches("\"clocks\"").count(), 1, "{json}");
        }
    }

    #[test]
    fn a_rehearsal_that_halts() {
        let mut scenario = scenario();
        let setting =
            |key: &str, value: &str| FaultSetting { key: key.into(), value: value.into() };
        scenario.faults = with(&scenario.faults, &[setting("job_fails", "0.7")]).expect("a fault");
        scenario.plan.strategy.max_failures = 2;
        scenario.plan.retry.max_attempts = 1;
        scenario.crashes = vec![Duration::from_secs(17 * 3600 + 30)];
        let (text, _, exit) = rehearsed(&scenario);
        golden("rehearsal-halted", &text);
        assert_eq!(exit, Exit::Stopped);
    }

    #[test]
    fn every_ending_has_its_exit_code() {
        let well = run(&scenario()).expect("a fleet").verdict;
        let with = |ending, failed, in_doubt| {
            let mut verdict = RehearsalVerdict { ending, ..well.clone() };
            (verdict.tally.failed, verdict.tally.in_doubt) = (failed, in_doubt);
            exit(&verdict)
        };
        assert_eq!(with(Ending::Completed, 1, 0), Exit::Failed);
        assert_eq!(with(Ending::Completed, 1, 1), Exit::InDoubt);
        assert_eq!(with(Ending::Halted, 1, 1), Exit::Stopped);
        assert_eq!(with(Ending::NotEnded, 0, 0), Exit::WindowClosed);
        let mut broken = well;
        broken.invariants[0].broken =
            Some(crate::rehearse::invariants::Violation { at: after(0), how: "twice".into() });
        assert_eq!(exit(&broken), Exit::Error);
    }

    #[test]
    fn the_forecast_of_a_plan() {
        let style = Style { now: after(0), zone: TimeZone::UTC }.in_zone(Some("Asia/Singapore"));
        let forecast = Forecast::of(&scenario(), vec!["jobs take 30s to 1m, as given".into()])
            .expect("a fleet")
            .expect("small");
        let forecast = super::super::wire::ForecastDoc::from(forecast);
        golden("forecast", &super::super::forecast::text(&forecast, &style));
        golden("forecast-lines", &super::super::forecast::lines(&forecast, &style, 8).join("\n"));
        golden("forecast-json", &pretty(&forecast).expect("JSON"));
    }

    #[test]
    fn the_shortest_repro_is_reported_with_its_command() {
        let found = SearchDoc {
            searched: 17,
            endings: [("completed", 16), ("halted", 1)].into(),
            repro: Some(ReproDoc {
                drawn_with_faults: 6,
                drawn_with_targets: 40,
                faults: vec!["job_fails=1".into()],
                crashes: 0,
                targets: 3,
                seed: 17,
                shrunk_in: 23,
                command: "sealift rehearse night.yaml --seed 17 --targets 3 --fault job_fails=1"
                    .into(),
            }),
        };
        golden("search", &search_text(&found, Find::Halted));
        golden("search-nothing", &search_text(&SearchDoc { repro: None, ..found }, Find::Broken));
        assert_eq!(for_a_shell("job_time={min: 1s, max: 2s}"), "'job_time={min: 1s, max: 2s}'");
        assert_eq!(for_a_shell("it's"), r"'it'\''s'");
    }
}
