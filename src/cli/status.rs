//! How a rollout stands, in words: the view of `status` and `watch`, and the one line of a tick.
//!
//! Invariant: pure functions from the document; the same document gives the same text. Colours are
//! ANSI sequences that the writer takes out where they are not wanted.

use anstyle::{AnsiColor, Style as Paint};

use super::forecast;
use super::output::aligned;
use super::rows::held;
use super::text::{count, wrap};
use super::wire::{ForecastDoc, HoldView, MissedDoc, RolloutDoc, TallyDoc, WaveDoc, WireDoc};
use crate::words;
use crate::words::attention::EXPIRES_SOON;
use crate::words::rollout::{Reached, goal};
use crate::words::text::{Style, clean, cut, limits, then};

/// Waves shown around the current one; a plan may have a hundred.
const WAVES_SHOWN: usize = 8;

/// Width of the bar.
const BAR: usize = 30;

/// A narrower screen is taken as so wide.
const WIDTH_MIN: usize = 40;

/// A wave's name is never cut below this.
const NAME_MIN: usize = 8;

fn painted(paint: Paint, text: &str) -> String {
    format!("{paint}{text}{paint:#}")
}

fn colour(colour: AnsiColor) -> Paint {
    colour.on_default()
}

/// The phase with its colour and, if it is held, by what.
fn phase(rollout: &RolloutDoc) -> String {
    let paint = match rollout.phase.as_str() {
        "completed" if rollout.tally.failed + rollout.tally.in_doubt > 0 => {
            colour(AnsiColor::Yellow).bold()
        }
        "completed" => colour(AnsiColor::Green).bold(),
        "halted" | "aborted" => colour(AnsiColor::Red).bold(),
        "reverting" | "reverted" => colour(AnsiColor::Yellow).bold(),
        _ if !rollout.holds.is_empty() => colour(AnsiColor::Yellow).bold(),
        _ => colour(AnsiColor::Cyan).bold(),
    };
    painted(paint, &clean(&words::rollout::phase(&rollout.phase, rollout.paused.is_some())))
}

/// The view of several lines; `width` is the terminal's.
pub fn view(rollout: &RolloutDoc, style: &Style, width: usize) -> String {
    let style = &style.in_zone(rollout.time_zone.as_deref());
    let mut lines = vec![heading(rollout), identity(rollout, style)];
    // Free text, of which the beginning says enough; it is all that is ever cut.
    lines.extend(
        (!rollout.description.is_empty())
            .then(|| cut(&clean(&format!("  {}", rollout.description)), width.max(WIDTH_MIN))),
    );
    lines.push(String::new());
    for hold in &rollout.holds {
        lines.push(format!(
            "  {} {}",
            painted(colour(AnsiColor::Yellow).bold(), &format!("held{}", since(hold, style))),
            clean(&held(hold, style))
        ));
    }
    lines.push(format!("  {}", progress(rollout)));
    let limits = limits(&rollout.max_in_flight_per).filter(|_| !rollout.is_final);
    lines.extend(limits.map(|limits| clean(&format!("  in flight {limits}"))));
    lines.push(format!("  {}", cloud(rollout)));
    lines.extend(
        rollout
            .wire
            .iter()
            .flat_map(|wire| on_the_wire(wire, style))
            .map(|line| format!("  {line}")),
    );
    lines.push(format!("  {}", pace(rollout, style)));
    lines.extend(
        rollout
            .forecast
            .iter()
            .flat_map(|forecast| forecast::lines(forecast, style, WAVES_SHOWN))
            .map(|line| format!("  {line}")),
    );
    for warning in rollout.forecast.iter().flat_map(|forecast| &forecast.warnings) {
        lines.push(format!(
            "  {} {}",
            painted(colour(AnsiColor::Yellow).bold(), "warning"),
            clean(warning)
        ));
    }
    lines.extend(
        rollout.open_until.map(|until| format!("  window open until {}", style.until(until))),
    );
    lines.extend(
        rollout
            .missed_windows
            .as_ref()
            .map(|missed| format!("  {}", missed_windows(missed, &rollout.name, style))),
    );
    lines.extend(
        rollout
            .enforcement
            .as_ref()
            .map(|found| format!("  {}", super::enforce::summary(found, style))),
    );
    if rollout.tally.active > 0 && matches!(rollout.phase.as_str(), "halted" | "aborted") {
        let followed = if rollout.tally.active == 1 {
            "is followed to its end"
        } else {
            "are followed to their end"
        };
        lines.push(format!("  {} in flight {followed}", rollout.tally.active));
    }
    if let Some(revert) = &rollout.revert {
        lines.push(clean(&format!("  puts back what it changed, {}", revert.cause)));
    }
    if let Some(mark) = &rollout.aborted {
        let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
        lines.push(clean(&format!("  aborted by {} {}{why}", mark.by, style.ago(mark.at))));
    }
    let width = width.max(WIDTH_MIN);
    let mut text: String = lines.iter().map(|line| wrap(line, width) + "\n").collect();
    text.push('\n');
    text.extend(
        waves(rollout, width - 2).lines().map(|line| wrap(&format!("  {line}"), width) + "\n"),
    );
    text
}

/// ` since 2026-12-06 01:20 +08 (10m):`, or a colon alone.
fn since(hold: &HoldView, style: &Style) -> String {
    hold.since.map_or_else(
        || ":".to_owned(),
        |since| format!(" since {} ({}):", style.time(since), style.ago(since)),
    )
}

fn heading(rollout: &RolloutDoc) -> String {
    let ssl = if rollout.ssl_option { "ssl on" } else { "ssl OFF" };
    let name = painted(Paint::new().bold(), &clean(&rollout.name));
    let mut line = format!("{name}  revision {}  {ssl}  {}", rollout.revision, phase(rollout));
    if let Some(wave) = rollout.wave.map(usize::from)
        && let Some(current) = rollout.waves.get(wave)
    {
        line.push_str(&format!(
            "  wave {}/{} {}",
            wave + 1,
            rollout.waves.len(),
            clean(&current.name)
        ));
    }
    line
}

fn identity(rollout: &RolloutDoc, style: &Style) -> String {
    let mut parts = vec![
        rollout.id.clone(),
        format!("submitted {} by {}", style.ago(rollout.submitted_at), rollout.by),
    ];
    parts.extend((!rollout.change_ref.is_empty()).then(|| rollout.change_ref.clone()));
    parts.extend((!rollout.owner.is_empty()).then(|| format!("owner {}", rollout.owner)));
    clean(&format!("  {}", parts.join("  ")))
}

/// What the rollout is about: targets that show the wanted value, or that were put back once it
/// reverts, and the words for that. Outcomes of other kinds stand beside it and never in it.
pub fn done(rollout: &RolloutDoc, tally: &TallyDoc) -> (u32, &'static str) {
    let (reached, what) = goal(&rollout.phase, rollout.revert.is_some(), rollout.ssl_option);
    match reached {
        Reached::Succeeded => (tally.succeeded, what),
        Reached::Reverted => (tally.reverted, what),
    }
}

fn percent(rollout: &RolloutDoc) -> u64 {
    u64::from(done(rollout, &rollout.tally).0) * 100 / u64::from(rollout.tally.total.max(1))
}

fn bar(rollout: &RolloutDoc) -> String {
    let part =
        |n: u32| (u64::from(n) * BAR as u64 / u64::from(rollout.tally.total.max(1))) as usize;
    let (reached, _) = done(rollout, &rollout.tally);
    let filled = part(reached);
    let active = part(reached + rollout.tally.active).saturating_sub(filled);
    format!("[{}{}{}]", "#".repeat(filled), "=".repeat(active), ".".repeat(BAR - filled - active))
}

fn progress(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let (reached, what) = done(rollout, tally);
    let mut line =
        format!("{} {reached} of {} {what}, {}%", bar(rollout), tally.total, percent(rollout));
    line.push_str(&format!(
        "  in flight {} of {}  queued {}",
        tally.active, rollout.max_in_flight, tally.queued
    ));
    line.push_str(&alarming("failed", tally.failed));
    line.push_str(&alarming("in doubt", tally.in_doubt));
    for (word, n) in beside(rollout) {
        line.push_str(&format!("  {word} {n}"));
    }
    line
}

/// Further outcomes that there are; with what is done, in flight, queued, failed and in doubt they
/// add up to the targets.
fn beside(rollout: &RolloutDoc) -> impl Iterator<Item = (&'static str, u32)> {
    let tally = rollout.tally;
    let back = rollout.revert.is_some() || rollout.phase == "reverted";
    let other = if back { ("not put back", tally.succeeded) } else { ("put back", tally.reverted) };
    [other, ("cancelled", tally.cancelled), ("skipped", tally.skipped)]
        .into_iter()
        .filter(|(_, n)| *n > 0)
}

fn alarming(word: &str, n: u32) -> String {
    if n == 0 {
        format!("  {word} 0")
    } else {
        format!("  {}", painted(colour(AnsiColor::Red).bold(), &format!("{word} {n}")))
    }
}

fn cloud(rollout: &RolloutDoc) -> String {
    let counters = &rollout.counters;
    let verified = counters
        .verified
        .map_or_else(|| "verified by the API only".to_owned(), |n| format!("verified {n}"));
    let counted =
        |count: Option<u32>| count.map_or_else(|| "…".to_owned(), |count| count.to_string());
    format!(
        "accepted {}  completed {}  effective {}  {verified}",
        counted(counters.accepted),
        counted(counters.completed),
        counters.effective
    )
}

/// What the wire showed so far, and the outlook of its certificates.
pub fn on_the_wire(wire: &WireDoc, style: &Style) -> Vec<String> {
    let seen = wire.versions.iter().flatten().rev().map(|(version, n)| match version.as_str() {
        "none" => format!("no TLS {n}"),
        version => format!("TLS {version} {n}"),
    });
    let seen: Vec<String> = seen.collect();
    let seen = if seen.is_empty() { "nothing yet".to_owned() } else { seen.join("  ") };
    let trusted = if wire.trusted { ", signed by the ca_file's authorities" } else { "" };
    let mut lines =
        vec![clean(&format!("on the wire {seen}  (TLS {} or newer{trusted})", wire.min_tls))];
    lines.extend(wire.first_expiry.map(|end| {
        let text = format!("the first certificate ends {}", style.until(end));
        if end.duration_since(style.now) < EXPIRES_SOON {
            painted(colour(AnsiColor::Yellow).bold(), &text)
        } else {
            text
        }
    }));
    lines
}

/// What the last line adds when every success was proven on the wire.
fn proven(rollout: &RolloutDoc) -> &'static str {
    if rollout.counters.verified.is_some_and(|n| n > 0) { ", proven on the wire" } else { "" }
}

fn pace(rollout: &RolloutDoc, style: &Style) -> String {
    if rollout.is_final && rollout.tally.active == 0 {
        return format!("ended {}", style.ago(rollout.moved_at));
    }
    let mut parts = vec![format!(
        "failure budget {} of {} left",
        rollout.budget.left, rollout.budget.max_failures
    )];
    parts.extend(rollout.rate_per_minute.map(|rate| format!("{rate:.0}/min")));
    // The lines of a forecast tell it themselves, unless the last wave is not among them.
    let eta = rollout.eta.filter(|_| {
        rollout.forecast.as_ref().is_none_or(|forecast| forecast.waves.len() > WAVES_SHOWN)
    });
    parts.extend(eta.map(|eta| format!("ends about {}", style.until(eta))));
    let hangs = rollout
        .forecast
        .as_ref()
        .filter(|forecast| forecast.waves.len() > WAVES_SHOWN)
        .and_then(ForecastDoc::ends_after);
    parts.extend(hangs.map(|after| format!("ends after {}", clean(after))));
    parts.join("  ")
}

fn missed_windows(missed: &MissedDoc, name: &str, style: &Style) -> String {
    let text = format!("missed {}", count(missed.count, "window", "windows"));
    let last = clean(&format!(
        ", the last of {}; `sealift journal {name}` says why",
        style.time(missed.last_open)
    ));
    format!("{}{last}", painted(colour(AnsiColor::Yellow).bold(), &text))
}

fn waves(rollout: &RolloutDoc, width: usize) -> String {
    let current = rollout.wave.map_or(0, usize::from);
    let first = current
        .saturating_sub(WAVES_SHOWN / 2)
        .min(rollout.waves.len().saturating_sub(WAVES_SHOWN));
    let shown: Vec<&WaveDoc> = rollout.waves.iter().skip(first).take(WAVES_SHOWN).collect();
    let mut text = table(rollout, &shown, width);
    let hidden = rollout.waves.len() - shown.len();
    if hidden > 0 {
        text.push_str(&format!(
            "and {}\n",
            count(u32::try_from(hidden).unwrap_or(u32::MAX), "wave more", "waves more")
        ));
    }
    text
}

/// The table of the waves. On a narrow screen all but the counts that are looked at first have a
/// line of their own, and names are cut: no number is.
fn table(rollout: &RolloutDoc, shown: &[&WaveDoc], width: usize) -> String {
    let (_, what) = done(rollout, &rollout.tally);
    let heading = match what {
        "put back" => "#PUT BACK",
        "show SSL on" => "#SSL ON",
        _ => "#SSL OFF",
    };
    let first = ["WAVE", "STATE", heading, "#IN FLIGHT", "#FAILED", "#IN DOUBT"];
    let some = |of: fn(&TallyDoc) -> u32| shown.iter().any(|wave| of(&wave.tally) > 0);
    let mut columns = first.to_vec();
    columns.extend(some(|tally| tally.cancelled).then_some("#CANCELLED"));
    columns.extend(some(|tally| tally.skipped).then_some("#SKIPPED"));
    columns.extend(["#BUDGET LEFT", "THEN"]);
    let row = |wave: &&WaveDoc| columns.iter().map(|column| cell(rollout, wave, column)).collect();
    let mut cells: Vec<Vec<String>> = shown.iter().map(row).collect();
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let whole = aligned(&columns, true, &cells, &mut Vec::new());
    if widest(&whole) <= width {
        return whole;
    }
    let words = |column: &&str| column.trim_start_matches('#').to_lowercase();
    let rest = |row: &mut Vec<String>| {
        let shown_parts = row.split_off(first.len()).into_iter().zip(&columns[first.len()..]);
        let shown_parts = shown_parts
            .filter(|(cell, _)| !matches!(cell.as_str(), "0" | "-"))
            .map(|(cell, column)| format!("{} {cell}", words(column)));
        shown_parts.collect::<Vec<_>>().join("  ")
    };
    let rest: Vec<String> = cells.iter_mut().map(rest).collect();
    let narrow = widest(&aligned(&first, true, &cells, &mut Vec::new()));
    let names = cells.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(narrow.saturating_sub(names)).max(NAME_MIN);
    cells.iter_mut().for_each(|row| row[0] = cut(&row[0], room));
    let rows = aligned(&first, true, &cells, &mut Vec::new());
    let mut lines = rows.lines();
    let mut text = lines.next().map(|heading| format!("{heading}\n")).unwrap_or_default();
    for (row, rest) in lines.zip(rest) {
        text.push_str(&format!("{row}\n  {rest}\n"));
    }
    text
}

/// One cell of the table, by its column.
fn cell(rollout: &RolloutDoc, wave: &WaveDoc, column: &str) -> String {
    let tally = &wave.tally;
    match column {
        "WAVE" => clean(&wave.name),
        "STATE" => clean(&wave.state),
        "#IN FLIGHT" => tally.active.to_string(),
        "#FAILED" => tally.failed.to_string(),
        "#IN DOUBT" => tally.in_doubt.to_string(),
        "#CANCELLED" => tally.cancelled.to_string(),
        "#SKIPPED" => tally.skipped.to_string(),
        "#BUDGET LEFT" => format!("{} of {}", wave.budget.left, wave.budget.max_failures),
        "THEN" => then(wave.soak_seconds, &wave.promote),
        _ => format!("{}/{}", done(rollout, tally).0, wave.size),
    }
}

/// One line for a log or a pipe.
pub fn tick(rollout: &RolloutDoc, style: &Style) -> String {
    let style = &style.in_zone(rollout.time_zone.as_deref());
    let tally = &rollout.tally;
    let mut parts = vec![style.clock(style.now), rollout.name.clone()];
    parts.push(words::rollout::phase(&rollout.phase, rollout.paused.is_some()));
    if let Some(wave) = rollout.wave.map(usize::from)
        && let Some(current) = rollout.waves.get(wave)
    {
        parts.push(format!("wave {}/{} {}", wave + 1, rollout.waves.len(), current.name));
    }
    let (reached, what) = done(rollout, tally);
    parts.push(format!("{reached} of {} {what}, {}%", tally.total, percent(rollout)));
    parts.push(format!("in flight {}", tally.active));
    parts.push(format!("failed {}", tally.failed));
    parts.push(format!("in doubt {}", tally.in_doubt));
    parts.extend(beside(rollout).map(|(word, n)| format!("{word} {n}")));
    parts.push(format!("budget left {}", rollout.budget.left));
    parts.extend(rollout.rate_per_minute.map(|rate| format!("{rate:.0}/min")));
    parts.extend(rollout.eta.map(|eta| format!("ends about {}", style.clock(eta))));
    parts.extend(
        rollout
            .forecast
            .as_ref()
            .and_then(ForecastDoc::ends_after)
            .map(|after| format!("ends after {after}")),
    );
    // An instant and no length: a line is news only when something moved.
    let since = |hold: &HoldView| {
        hold.since.map(|since| format!(" since {}", style.time(since))).unwrap_or_default()
    };
    parts.extend(
        rollout.holds.first().map(|hold| format!("held{}: {}", since(hold), held(hold, style))),
    );
    clean(&parts.join("  "))
}

/// Every outcome beside what is done, and where those that a person may look at are listed.
fn others(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let wrong = [("failed", tally.failed), ("in doubt", tally.in_doubt)]
        .into_iter()
        .filter(|(_, n)| *n > 0);
    let shown_parts: String =
        wrong.chain(beside(rollout)).map(|(word, n)| format!(", {n} {word}")).collect();
    let listed =
        [("failed", tally.failed), ("in_doubt", tally.in_doubt), ("skipped", tally.skipped)];
    let states: Vec<&str> =
        listed.into_iter().filter(|(_, n)| *n > 0).map(|(state, _)| state).collect();
    if states.is_empty() {
        shown_parts
    } else {
        format!(
            "{shown_parts}; see `sealift changes {} --state {}`",
            rollout.name,
            states.join(",")
        )
    }
}

/// The last line of a rollout that was followed: what came out, and the next step.
pub fn verdict(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let name = &rollout.name;
    let done = format!("{} of {}", tally.succeeded, count(tally.total, "proxy", "proxies"));
    let ssl = words::rollout::ssl(rollout.ssl_option);
    let resumed =
        rollout.paused.as_ref().filter(|_| rollout.waits_for_resume() && rollout.phase != "halted");
    if let Some(pause) = resumed {
        let why =
            if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
        return clean(&format!(
            "paused by {}{why}; {done} show {ssl}; nothing begins until `sealift resume {name}`",
            pause.by
        ));
    }
    clean(&match rollout.phase.as_str() {
        "completed" if tally.failed + tally.in_doubt + tally.skipped == 0 => {
            format!("completed: {done} show {ssl}{}", proven(rollout))
        }
        "completed" => format!("completed: {done} show {ssl}{}", others(rollout)),
        "reverted" => {
            format!(
                "reverted: {} put back{}",
                count(tally.reverted, "proxy was", "proxies were"),
                others(rollout)
            )
        }
        "reverting" => format!(
            "reverting: {} of {} put back; follow it with `sealift watch {name}`",
            tally.reverted, tally.total
        ),
        "scheduled"
            if rollout
                .approval
                .as_ref()
                .is_some_and(|approval| approval.given.len() < usize::from(approval.required)) =>
        {
            let hold = rollout.approval_hold();
            hold.map_or_else(
                || "waits for an approval".to_owned(),
                |hold| format!("waits for an approval: {}", hold.line()),
            )
        }
        "aborted" => format!("aborted: {done} show {ssl}{}", others(rollout)),
        "halted" => {
            let why = rollout
                .halt
                .as_ref()
                .map(|halt| halt.text.clone())
                .unwrap_or_else(|| "halted".into());
            let half = rollout.halt.as_ref().is_some_and(|halt| halt.guard == "half");
            let promote = if half {
                format!(", `sealift promote {name} --reason TEXT`")
            } else {
                String::new()
            };
            format!(
                "{why}; see `sealift changes {name} --state failed,in_doubt`, then `sealift retry {name}`{promote}, `sealift revert {name}` or \
                 `sealift abort {name}`"
            )
        }
        "awaiting" => {
            format!(
                "waits for a person: look at the wave that is done, then `sealift promote {name}` and `sealift watch {name}`"
            )
        }
        _ => format!("{}: {done} show {ssl}; follow it with `sealift watch {name}`", rollout.phase),
    })
}
