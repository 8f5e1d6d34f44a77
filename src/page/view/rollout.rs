//! *One rollout*: its verbs, why nothing begins now, waves, outlook, room, what is proven, its
//! changes.

use askama::Template;

use super::lanes::{LaneLine, lane_lines};
use super::rollouts::shares;
use crate::api::wire::{ChangeRow, HoldView, Listing, RolloutDoc, WaveDoc};
use crate::page::draw::{Share, meter};
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::shown::ChangesShown;
use crate::page::state::{grouped, of_phase, said};
use crate::words::change::explain;
use crate::words::rollout::phase;
use crate::words::text::seconds;

#[derive(Template)]
#[template(path = "rollout.html")]
pub struct RolloutView {
    shell: Shell,
    rollout: RolloutDoc,
    phase: String,
    tone: &'static str,
    submitted: Moment,
    verbs: Vec<VerbButton>,
    holds: Vec<HoldLine>,
    settled: String,
    percent: String,
    ends: String,
    waves: Vec<WavePart>,
    /// What was just done, and where it stands.
    done: Option<String>,
    timeline: String,
    warnings: Vec<String>,
    budget: String,
    places: String,
    lanes: Vec<LaneLine>,
    proven: Vec<(String, &'static str)>,
    wire: Option<WireLine>,
    filters: Vec<Filter>,
    narrow: NarrowForm,
    changes: Vec<ChangeGroup>,
    /// No change is shown.
    nothing: bool,
    /// Address of the next page of changes.
    next: Option<String>,
    /// Address of the changes that are shown, as a file.
    csv: String,
}

/// A verb on the view.
pub struct VerbButton {
    pub verb: String,
    pub label: String,
    pub icon: &'static str,
    /// `first`, `away` or empty.
    pub class: &'static str,
    /// Why it may not be; `None`: it may.
    pub why_not: Option<String>,
}

struct HoldLine {
    text: String,
    /// What lifts it.
    command: Option<String>,
    since: Option<Moment>,
    until: Option<Moment>,
    left: String,
    tone: &'static str,
}

struct WavePart {
    number: usize,
    wave: WaveDoc,
    icon: (&'static str, &'static str),
    word: String,
    meter: String,
    /// What comes behind it.
    then: Option<String>,
    current: bool,
}

struct WireLine {
    versions: Vec<(String, u32)>,
    rules: String,
    first_expiry: Option<Moment>,
}

/// The controls that narrow the changes.
struct NarrowForm {
    shown: ChangesShown,
    /// Names, and whether each is the one that is shown; empty where there is no choice.
    waves: Vec<(String, bool)>,
    lanes: Vec<(String, bool)>,
    /// The same view without them, where they narrow it.
    anywhere: Option<String>,
}

struct Filter {
    label: String,
    /// `None`: not counted.
    count: Option<u32>,
    address: String,
    icon: Option<(&'static str, &'static str)>,
    current: bool,
}

struct ChangeGroup {
    title: Option<String>,
    rows: Vec<ChangeLine>,
}

struct ChangeLine {
    row: ChangeRow,
    moved: Option<Moment>,
    why: String,
    address: String,
}

/// Pages of changes that a view shows under heads.
pub struct ChangePages {
    /// In flight, wrong, left alone, next in line; or the one page that was asked for.
    pub groups: Vec<(Option<&'static str>, Listing<ChangeRow>)>,
    /// What was just done, and where it stands.
    pub done: Option<String>,
}

impl RolloutView {
    /// `timeline`: tonight, drawn; empty where nothing is known of it.
    pub fn new(
        around: &ViewSource,
        rollout: RolloutDoc,
        verbs: Vec<VerbButton>,
        shown: &ChangesShown,
        pages: ChangePages,
        timeline: String,
        clock: ViewClock,
    ) -> Self {
        let tally = rollout.tally;
        let holds = holds(&rollout.holds, &clock);
        let waves = waves(&rollout);
        let mine = |lane: &LaneLine| {
            pages.groups.iter().any(|(_, page)| page.rows.iter().any(|row| row.lane == lane.name))
        };
        let lanes: Vec<LaneLine> = lane_lines(&around.daemon, &clock);
        let all = lanes.len() <= 4;
        let next = pages.groups.last().and_then(|(_, page)| page.next.clone());
        let next = next.map(|next| {
            let state = if shown.state.is_empty() { "queued" } else { &shown.state };
            shown.in_state(state).address(&format!("/rollouts/{}", rollout.id), Some(&next))
        });
        Self {
            phase: phase(&rollout.phase, rollout.paused.is_some()),
            tone: of_phase(
                &rollout.phase,
                rollout.paused.is_some(),
                tally.failed + tally.in_doubt > 0,
            ),
            submitted: clock.long(rollout.submitted_at),
            verbs,
            holds,
            settled: grouped(&tally.settled()),
            percent: format!(
                "{:.1} %",
                f64::from(tally.settled()) / f64::from(tally.total.max(1)) * 100.0
            ),
            ends: ends(&rollout, &clock),
            waves,
            timeline,
            done: pages.done.clone(),
            warnings: rollout
                .forecast
                .iter()
                .flat_map(|forecast| forecast.warnings.clone())
                .collect(),
            budget: budget(&rollout),
            places: meter(
                &[Share { tone: "blue", count: tally.active.into() }],
                rollout.max_in_flight.into(),
                &format!("{} of {} in flight", tally.active, rollout.max_in_flight),
            ),
            lanes: lanes.into_iter().filter(|lane| all || mine(lane)).collect(),
            proven: proven(&rollout),
            wire: rollout.wire.as_ref().map(|wire| WireLine {
                versions: wire
                    .versions
                    .iter()
                    .flatten()
                    .rev()
                    .map(|(version, n)| (version_word(version), *n))
                    .collect(),
                rules: format!(
                    "{} or newer{}",
                    wire.min_tls,
                    if wire.trusted { ", by the ca_file" } else { "" }
                ),
                first_expiry: wire.first_expiry.map(|end| clock.long(end)),
            }),
            filters: filters(&rollout, shown),
            narrow: narrow(around, &rollout, shown),
            nothing: pages.groups.iter().all(|(_, page)| page.rows.is_empty()),
            changes: groups(&rollout, pages, &clock),
            next,
            csv: shown.for_file().address(&format!("/rollouts/{}/changes.csv", rollout.id), None),
            shell: Shell::new(around, "Rollouts", rollout.name.clone(), clock),
            rollout,
        }
    }
}

/// A version of TLS as it is shown.
pub fn version_word(version: &str) -> String {
    if version == "none" { "no TLS".to_owned() } else { format!("TLS {version}") }
}

fn holds(holds: &[HoldView], clock: &ViewClock) -> Vec<HoldLine> {
    let line = |hold: &HoldView| HoldLine {
        text: said(&hold.text, hold.by.as_deref(), &hold.why),
        command: hold.command.clone(),
        since: hold.since.map(|since| clock.short(since)),
        until: hold.until.map(|until| clock.short(until)),
        left: hold
            .until
            .map(|until| format!("by itself, in {}", clock.apart(until)))
            .unwrap_or_default(),
        tone: if matches!(hold.word.as_str(), "halted" | "stopped" | "stop_file") {
            "red"
        } else {
            "amber"
        },
    };
    holds.iter().map(line).collect()
}

/// A hold in one line, with its end.
pub fn held(hold: &HoldView, clock: &ViewClock) -> String {
    let line = said(&hold.text, hold.by.as_deref(), &hold.why);
    hold.until
        .map_or_else(|| line.clone(), |until| format!("{line}, until {}", clock.short(until).shown))
}

fn ends(rollout: &RolloutDoc, clock: &ViewClock) -> String {
    if rollout.is_final {
        return format!("ended {}", clock.long(rollout.moved_at).shown);
    }
    let mut parts = Vec::new();
    parts.extend(rollout.rate_per_minute.map(|rate| format!("{rate:.1} a minute while it moved")));
    parts.extend(rollout.eta.map(|eta| format!("ends {}", clock.short(eta).shown)));
    let late = rollout.forecast.as_ref().and_then(|forecast| forecast.p90);
    parts.extend(late.map(|late| format!("9 of 10 by {}", clock.short(late).shown)));
    parts.join(" · ")
}

fn waves(rollout: &RolloutDoc) -> Vec<WavePart> {
    let last = rollout.waves.len().saturating_sub(1);
    let parts = rollout.waves.iter().enumerate().map(|(place, wave)| {
        let current = wave.state == "current";
        let word = match wave.state.as_str() {
            "current" if rollout.paused.is_some() => "now, paused".to_owned(),
            "current" => "now".to_owned(),
            word => word.to_owned(),
        };
        let icon = match wave.state.as_str() {
            "done" => ("done", "green"),
            "current" => ("moving", "blue"),
            _ => ("queued", "soft"),
        };
        let then = (place < last).then(|| {
            let soak =
                (wave.soak_seconds > 0).then(|| format!("soak {}", seconds(wave.soak_seconds)));
            let gate = if wave.promote == "manual" { "then a person" } else { "then by itself" };
            soak.map_or_else(|| gate.to_owned(), |soak| format!("{soak}, {gate}"))
        });
        let tally = &wave.tally;
        let says = format!("{} of {} settled in wave {}", tally.settled(), wave.size, wave.name);
        WavePart {
            number: place + 1,
            wave: wave.clone(),
            icon,
            word,
            meter: meter(&shares(tally), wave.size.into(), &says),
            then,
            current,
        }
    });
    parts.collect()
}

fn budget(rollout: &RolloutDoc) -> String {
    let tally = &rollout.tally;
    let share = |tone, count: u32| Share { tone, count: count.into() };
    let shares =
        [share("red", tally.failed), share("violet", tally.in_doubt), share("blue", tally.active)];
    let says = format!("{} of {} failures left", rollout.budget.left, rollout.budget.max_failures);
    meter(
        &shares,
        u64::from(rollout.budget.max_failures.max(tally.failed + tally.in_doubt + tally.active)),
        &says,
    )
}

/// What the cloud and the wire confirmed, stage by stage.
pub fn proven(rollout: &RolloutDoc) -> Vec<(String, &'static str)> {
    let counted =
        |number: Option<u32>| number.map_or_else(|| "–".to_owned(), |number| grouped(&number));
    let counters = &rollout.counters;
    let mut steps = vec![
        (counted(counters.accepted), "accepted"),
        (counted(counters.completed), "job done"),
        (grouped(&counters.effective), "effective"),
    ];
    steps.extend(counters.verified.map(|verified| (grouped(&verified), "proven")));
    steps
}

fn filters(rollout: &RolloutDoc, shown: &ChangesShown) -> Vec<Filter> {
    let path = format!("/rollouts/{}", rollout.id);
    let of_wave = place_of(rollout, &shown.wave).and_then(|place| rollout.waves.get(place));
    // By lane or id nothing is counted.
    let known = shown.lane.is_empty() && shown.id.is_empty();
    let tally = of_wave.map_or(rollout.tally, |wave| wave.tally);
    let wrong = tally.failed + tally.in_doubt + tally.skipped + tally.active;
    let filter = |label: &str, count: u32, state: &str, icon| Filter {
        label: label.to_owned(),
        count: known.then_some(count),
        address: shown.in_state(state).address(&path, None),
        icon,
        current: shown.state == state,
    };
    // Whoever seeks an id finds it in any state; of what moves or is wrong there is no such view.
    let mut filters = Vec::new();
    if shown.id.is_empty() {
        filters.push(filter("Moving or wrong", wrong, "", None));
    }
    filters.push(filter("In flight", tally.active, "active", Some(("moving", "blue"))));
    for (label, count, state) in [
        ("In doubt", tally.in_doubt, "in_doubt"),
        ("Failed", tally.failed, "failed"),
        ("Skipped", tally.skipped, "skipped"),
        ("Queued", tally.queued, "queued"),
        ("Succeeded", tally.succeeded, "succeeded"),
        ("Put back", tally.reverted, "reverted"),
        ("Cancelled", tally.cancelled, "cancelled"),
    ] {
        if count > 0 || shown.state == state {
            filters.push(filter(label, count, state, Some(crate::page::state::of_change(state))));
        }
    }
    filters.push(filter("All", tally.total, "all", None));
    filters
}

/// Place of the wave that the address means, by its name, else by its number.
fn place_of(rollout: &RolloutDoc, asked: &str) -> Option<usize> {
    let named = rollout.waves.iter().position(|wave| wave.name == asked);
    named.or_else(|| asked.parse::<usize>().ok()?.checked_sub(1))
}

fn narrow(around: &ViewSource, rollout: &RolloutDoc, shown: &ChangesShown) -> NarrowForm {
    let wave = place_of(rollout, &shown.wave);
    let waves = rollout.waves.iter().enumerate();
    let lanes = around.daemon.lanes.iter().map(|lane| &lane.lane);
    let choices = |all: Vec<(String, bool)>| {
        if all.len() > 1 || all.iter().any(|(_, is)| *is) { all } else { Vec::new() }
    };
    let path = format!("/rollouts/{}", rollout.id);
    NarrowForm {
        waves: choices(
            waves.map(|(place, known)| (known.name.clone(), wave == Some(place))).collect(),
        ),
        lanes: choices(lanes.map(|lane| (lane.clone(), *lane == shown.lane)).collect()),
        anywhere: shown.is_narrow().then(|| shown.anywhere().address(&path, None)),
        shown: shown.clone(),
    }
}

fn groups(rollout: &RolloutDoc, pages: ChangePages, clock: &ViewClock) -> Vec<ChangeGroup> {
    let groups =
        pages.groups.into_iter().filter(|(title, page)| title.is_none() || !page.rows.is_empty());
    groups
        .map(|(title, page)| ChangeGroup {
            title: title.map(str::to_owned),
            rows: page.rows.into_iter().map(|row| change_line(rollout, row, clock)).collect(),
        })
        .collect()
}

fn change_line(rollout: &RolloutDoc, row: ChangeRow, clock: &ViewClock) -> ChangeLine {
    let hold = row.hold.as_ref().map(|hold| held(hold, clock));
    let said = explain(&row.facts(hold.as_deref()));
    let why = if said.is_empty() { at_work(&row.state).to_owned() } else { said };
    ChangeLine {
        moved: row.moved_at.map(|at| clock.ago(at)),
        address: format!("/rollouts/{}/changes/{}", rollout.id, row.ordinal),
        why,
        row,
    }
}

/// What happens to a change that neither waits nor has its outcome.
fn at_work(state: &str) -> &'static str {
    match state {
        "following" => "its job runs",
        "verifying" => "its job is done; it is looked at",
        "recovering" => "its answer was lost; it is asked for",
        _ => "",
    }
}
