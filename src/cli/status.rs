//! How a rollout stands, in words: the view of `status` and `watch`, and the one line of a tick.
//!
//! Invariant: pure functions from the document; the same document gives the same text. Colours are ANSI sequences that
//! the writer takes out where they are not wanted.

use anstyle::{AnsiColor, Style as Paint};
use jiff::SignedDuration;

use super::forecast;
use super::output::aligned;
use super::plan::limits;
use super::rows::held;
use super::text::{Style, clean, count, cut, seconds};
use super::wire::{MissedDoc, RolloutDoc, WaveDoc, WireDoc};

/// Waves shown around the current one; a plan may have a hundred.
const WAVES_SHOWN: usize = 8;

/// Width of the bar.
const BAR: usize = 30;

fn painted(paint: Paint, text: &str) -> String {
    format!("{paint}{text}{paint:#}")
}

fn colour(colour: AnsiColor) -> Paint {
    colour.on_default()
}

/// The phase with its colour and, if it is held, by what.
fn phase(rollout: &RolloutDoc) -> String {
    let paint = match rollout.phase.as_str() {
        "completed" if rollout.tally.failed + rollout.tally.in_doubt > 0 => colour(AnsiColor::Yellow).bold(),
        "completed" => colour(AnsiColor::Green).bold(),
        "halted" | "aborted" => colour(AnsiColor::Red).bold(),
        "reverting" | "reverted" => colour(AnsiColor::Yellow).bold(),
        _ if !rollout.holds.is_empty() => colour(AnsiColor::Yellow).bold(),
        _ => colour(AnsiColor::Cyan).bold(),
    };
    let word = if rollout.paused.is_some() { format!("{}, paused", rollout.phase) } else { rollout.phase.clone() };
    painted(paint, &clean(&word))
}

/// The view of several lines; `width` is the terminal's.
pub fn view(rollout: &RolloutDoc, style: &Style, width: usize) -> String {
    let style = &style.in_zone(rollout.time_zone.as_deref());
    let mut lines = vec![heading(rollout), identity(rollout, style)];
    if !rollout.description.is_empty() {
        lines.push(format!("  {}", clean(&rollout.description)));
    }
    lines.push(String::new());
    lines.push(format!("  {}", progress(rollout)));
    let limits = limits(&rollout.max_in_flight_per).filter(|_| !rollout.is_final);
    lines.extend(limits.map(|limits| clean(&format!("  in flight {limits}"))));
    lines.push(format!("  {}", cloud(rollout)));
    lines.extend(rollout.wire.iter().flat_map(|wire| on_the_wire(wire, style)).map(|line| format!("  {line}")));
    lines.push(format!("  {}", pace(rollout, style)));
    lines
        .extend(rollout.forecast.iter().flat_map(|forecast| forecast::lines(forecast, style, WAVES_SHOWN)).map(|line| format!("  {line}")));
    for warning in rollout.forecast.iter().flat_map(|forecast| &forecast.warnings) {
        lines.push(format!("  {} {}", painted(colour(AnsiColor::Yellow).bold(), "warning"), clean(warning)));
    }
    lines.extend(rollout.open_until.map(|until| format!("  window open until {}", style.until(until))));
    lines.extend(rollout.missed_windows.as_ref().map(|missed| format!("  {}", missed_windows(missed, &rollout.name, style))));
    lines.extend(rollout.enforcement.as_ref().map(|found| format!("  {}", super::enforce::summary(found, style))));
    for hold in &rollout.holds {
        lines.push(format!("  {} {}", painted(colour(AnsiColor::Yellow).bold(), "held"), clean(&held(hold, style))));
    }
    if rollout.tally.active > 0 && matches!(rollout.phase.as_str(), "halted" | "aborted") {
        lines.push(format!("  still followed to the end: {} in flight", count(rollout.tally.active, "change", "changes")));
    }
    if let Some(revert) = &rollout.revert {
        lines.push(clean(&format!("  puts back what it changed, {}", revert.cause)));
    }
    if let Some(mark) = &rollout.aborted {
        let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
        lines.push(clean(&format!("  aborted by {} {}{why}", mark.by, style.ago(mark.at))));
    }
    lines.push(String::new());
    lines.extend(waves(rollout).lines().map(|line| format!("  {line}")));
    let width = width.max(40);
    lines.iter().map(|line| cut_visible(line, width) + "\n").collect()
}

/// Cuts a line with colours in it to a number of visible characters.
fn cut_visible(line: &str, width: usize) -> String {
    if anstream::adapter::strip_str(line).to_string().chars().count() <= width {
        return line.to_owned();
    }
    cut(&anstream::adapter::strip_str(line).to_string(), width)
}

fn heading(rollout: &RolloutDoc) -> String {
    let ssl = if rollout.ssl_option { "ssl on" } else { "ssl OFF" };
    let name = painted(Paint::new().bold(), &clean(&rollout.name));
    let mut line = format!("{name}  revision {}  {ssl}  {}", rollout.revision, phase(rollout));
    if let Some(wave) = rollout.wave.map(usize::from)
        && let Some(current) = rollout.waves.get(wave)
    {
        line.push_str(&format!("  wave {}/{} {}", wave + 1, rollout.waves.len(), clean(&current.name)));
    }
    line
}

fn identity(rollout: &RolloutDoc, style: &Style) -> String {
    let mut parts = vec![rollout.id.clone(), format!("submitted {} by {}", style.ago(rollout.submitted_at), rollout.by)];
    parts.extend((!rollout.change_ref.is_empty()).then(|| rollout.change_ref.clone()));
    parts.extend((!rollout.owner.is_empty()).then(|| format!("owner {}", rollout.owner)));
    clean(&format!("  {}", parts.join("  ")))
}

fn percent(rollout: &RolloutDoc) -> u64 {
    u64::from(rollout.tally.settled()) * 100 / u64::from(rollout.tally.total.max(1))
}

fn bar(rollout: &RolloutDoc) -> String {
    let part = |n: u32| (u64::from(n) * BAR as u64 / u64::from(rollout.tally.total.max(1))) as usize;
    let done = part(rollout.tally.settled());
    let active = part(rollout.tally.settled() + rollout.tally.active).saturating_sub(done);
    format!("[{}{}{}]", "#".repeat(done), "=".repeat(active), ".".repeat(BAR - done - active))
}

fn progress(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let mut line = format!(
        "{} {}/{} {}%  in flight {} of {}",
        bar(rollout),
        tally.settled(),
        tally.total,
        percent(rollout),
        tally.active,
        rollout.max_in_flight
    );
    line.push_str(&format!("  queued {}", tally.queued));
    line.push_str(&alarming("failed", tally.failed));
    line.push_str(&alarming("in doubt", tally.in_doubt));
    for (word, n) in [("cancelled", tally.cancelled), ("reverted", tally.reverted), ("skipped", tally.skipped)] {
        if n > 0 {
            line.push_str(&format!("  {word} {n}"));
        }
    }
    line
}

fn alarming(word: &str, n: u32) -> String {
    if n == 0 { format!("  {word} 0") } else { format!("  {}", painted(colour(AnsiColor::Red).bold(), &format!("{word} {n}"))) }
}

fn cloud(rollout: &RolloutDoc) -> String {
    let counters = &rollout.counters;
    let verified = counters.verified.map_or_else(|| "verified: the API's word".to_owned(), |n| format!("verified {n}"));
    let counted = |count: Option<u32>| count.map_or_else(|| "…".to_owned(), |count| count.to_string());
    format!(
        "accepted {}  completed {}  effective {}  {verified}",
        counted(counters.accepted),
        counted(counters.completed),
        counters.effective
    )
}

/// How soon the end of a certificate is told in colour: a quarter is what a renewal across a fleet takes.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What the wire showed so far, and the outlook of its certificates.
fn on_the_wire(wire: &WireDoc, style: &Style) -> Vec<String> {
    let seen = wire.versions.iter().flatten().rev().map(|(version, n)| match version.as_str() {
        "none" => format!("no TLS {n}"),
        version => format!("TLS {version} {n}"),
    });
    let seen: Vec<String> = seen.collect();
    let seen = if seen.is_empty() { "nothing yet".to_owned() } else { seen.join("  ") };
    let trusted = if wire.trusted { ", signed by the ca_file's authorities" } else { "" };
    let mut lines = vec![clean(&format!("on the wire {seen}  (TLS {} or newer{trusted})", wire.min_tls))];
    lines.extend(wire.first_expiry.map(|end| {
        let text = format!("the first certificate ends {}", style.until(end));
        if end.duration_since(style.now) < EXPIRES_SOON { painted(colour(AnsiColor::Yellow).bold(), &text) } else { text }
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
    let mut parts = vec![format!("failure budget {} of {} left", rollout.budget.left, rollout.budget.max_failures)];
    parts.extend(rollout.rate_per_minute.map(|rate| format!("{rate:.0}/min")));
    // The lines of a forecast tell it themselves, unless the last wave is not among them.
    let eta = rollout.eta.filter(|_| rollout.forecast.as_ref().is_none_or(|forecast| forecast.waves.len() > WAVES_SHOWN));
    parts.extend(eta.map(|eta| format!("ends about {}", style.until(eta))));
    parts.join("  ")
}

fn missed_windows(missed: &MissedDoc, name: &str, style: &Style) -> String {
    let text = format!("missed {}", count(missed.count, "window", "windows"));
    let last = clean(&format!(", the last of {}; `sealift journal {name}` says why", style.time(missed.last_open)));
    format!("{}{last}", painted(colour(AnsiColor::Yellow).bold(), &text))
}

fn waves(rollout: &RolloutDoc) -> String {
    let current = rollout.wave.map_or(0, usize::from);
    let first = current.saturating_sub(WAVES_SHOWN / 2).min(rollout.waves.len().saturating_sub(WAVES_SHOWN));
    let shown = rollout.waves.iter().skip(first).take(WAVES_SHOWN);
    let cells: Vec<Vec<String>> = shown.map(wave).collect();
    let mut text =
        aligned(&["WAVE", "STATE", "#DONE", "#IN FLIGHT", "#FAILED", "#IN DOUBT", "#BUDGET LEFT", "THEN"], true, &cells, &mut Vec::new());
    let hidden = rollout.waves.len() - cells.len();
    if hidden > 0 {
        text.push_str(&format!("and {}\n", count(u32::try_from(hidden).unwrap_or(u32::MAX), "wave more", "waves more")));
    }
    text
}

fn wave(wave: &WaveDoc) -> Vec<String> {
    vec![
        clean(&wave.name),
        clean(&wave.state),
        format!("{}/{}", wave.tally.settled(), wave.size),
        wave.tally.active.to_string(),
        wave.tally.failed.to_string(),
        wave.tally.in_doubt.to_string(),
        format!("{} of {}", wave.budget.left, wave.budget.max_failures),
        then(wave.soak_seconds, &wave.promote),
    ]
}

/// What comes after a wave.
pub fn then(soak_seconds: u64, promote: &str) -> String {
    let soak = (soak_seconds > 0).then(|| format!("soak {}", seconds(soak_seconds)));
    let promotion = (promote == "manual").then(|| "promotion by a person".to_owned());
    let parts: Vec<String> = soak.into_iter().chain(promotion).collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

/// One line for a log or a pipe.
pub fn tick(rollout: &RolloutDoc, style: &Style) -> String {
    let style = &style.in_zone(rollout.time_zone.as_deref());
    let tally = &rollout.tally;
    let mut parts = vec![style.clock(style.now), rollout.name.clone()];
    let word = if rollout.paused.is_some() { format!("{}, paused", rollout.phase) } else { rollout.phase.clone() };
    parts.push(word);
    if let Some(wave) = rollout.wave.map(usize::from)
        && let Some(current) = rollout.waves.get(wave)
    {
        parts.push(format!("wave {}/{} {}", wave + 1, rollout.waves.len(), current.name));
    }
    parts.push(format!("{}/{} {}%", tally.settled(), tally.total, percent(rollout)));
    parts.push(format!("in flight {}", tally.active));
    parts.push(format!("failed {}", tally.failed));
    parts.push(format!("in doubt {}", tally.in_doubt));
    parts.extend((tally.reverted > 0).then(|| format!("reverted {}", tally.reverted)));
    parts.extend((tally.skipped > 0).then(|| format!("skipped {}", tally.skipped)));
    parts.push(format!("budget left {}", rollout.budget.left));
    parts.extend(rollout.rate_per_minute.map(|rate| format!("{rate:.0}/min")));
    parts.extend(rollout.eta.map(|eta| format!("ends about {}", style.clock(eta))));
    parts.extend(rollout.holds.first().map(|hold| format!("held: {}", held(hold, style))));
    clean(&parts.join("  "))
}

/// The last line of a rollout that was followed: what came out, and the next step.
pub fn verdict(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let name = &rollout.name;
    let done = format!("{} of {}", tally.succeeded, count(tally.total, "proxy", "proxies"));
    let ssl = if rollout.ssl_option { "SSL on" } else { "SSL off" };
    clean(&match rollout.phase.as_str() {
        "completed" if tally.failed + tally.in_doubt == 0 => format!("completed: {done} show {ssl}{}", proven(rollout)),
        "completed" => format!(
            "completed: {done} show {ssl}, {} failed, {} in doubt; see `sealift changes {name} --state failed,in_doubt`",
            tally.failed, tally.in_doubt
        ),
        "reverted" => {
            let left = if tally.skipped + tally.failed + tally.in_doubt == 0 {
                String::new()
            } else {
                format!(
                    ", {} left alone, {} failed, {} in doubt before; see `sealift changes {name} --state skipped,failed,in_doubt`",
                    tally.skipped, tally.failed, tally.in_doubt
                )
            };
            format!("reverted: {} put back{left}", count(tally.reverted, "proxy was", "proxies were"))
        }
        "reverting" => format!("reverting: {} of {} put back; follow it with `sealift watch {name}`", tally.reverted, tally.total),
        "scheduled" if rollout.approval.as_ref().is_some_and(|approval| approval.given.len() < usize::from(approval.required)) => {
            let hold = rollout.approval_hold();
            hold.map_or_else(|| "waits for an approval".to_owned(), |hold| format!("waits for an approval: {}", hold.text))
        }
        "aborted" => format!("aborted: {done} show {ssl}, {} withdrawn", tally.cancelled),
        "halted" => {
            let why = rollout.halt.as_ref().map(|halt| halt.text.clone()).unwrap_or_else(|| "halted".into());
            let half = rollout.halt.as_ref().is_some_and(|halt| halt.guard == "half");
            let promote = if half { format!(", `sealift promote {name} --reason TEXT`") } else { String::new() };
            format!(
                "{why}; see `sealift changes {name} --state failed,in_doubt`, then `sealift retry {name}`{promote} or `sealift abort {name}`"
            )
        }
        "awaiting" => {
            format!("waits for a person: look at the wave that is done, then `sealift promote {name}` and `sealift watch {name}`")
        }
        _ => format!("{}: {done} show {ssl}; follow it with `sealift watch {name}`", rollout.phase),
    })
}
