//! A plan on its way to a rollout: its text with every mistake under its line, what it would do,
//! and its submission.
//!
//! Invariant: a place is that of the text shown; what is submitted is what was checked, by its
//! digest.

use askama::Template;

use crate::api::CheckedUpload;
use crate::api::wire::{OpposingRow, Preview, PreviewWave};
use crate::domain::count::count;
use crate::domain::people::Role;
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::grouped;
use crate::planfile::{Diagnostic, Mend};
use crate::words::text::seconds;

/// Lines of a plan that stand around one with a mistake.
const AROUND: usize = 2;

/// Lines of a plan that are shown whole.
const SHOWN_WHOLE: usize = 200;

#[derive(Template)]
#[template(path = "plan.html")]
pub struct PlanView {
    shell: Shell,
    form: String,
    /// The plan as it is in the field.
    text: String,
    /// The name of its file.
    file: String,
    /// Nothing was checked yet.
    fresh: bool,
    /// Mistakes in words; empty: there are none.
    mistakes: String,
    lines: Vec<SourceLine>,
    /// Mistakes that no line of the plan has, such as those of a target file.
    elsewhere: Vec<Mistake>,
    /// All fixes at once, as a form sends them.
    all: Option<String>,
    /// What went wrong apart from the plan.
    said: Option<String>,
    checked: Option<Checked>,
    may_submit: bool,
}

struct SourceLine {
    number: usize,
    /// Before the marked piece, it, and behind it.
    parts: (String, String, String),
    mistakes: Vec<Mistake>,
    /// Lines are left out before this one.
    gap: bool,
}

struct Mistake {
    code: String,
    place: String,
    message: String,
    help: Option<String>,
    /// The fix as a form sends it.
    fix: Option<String>,
}

/// When a wave begins, ends in half of all runs, and in nine of ten.
struct WaveForecast {
    name: String,
    begins: Option<Moment>,
    half: Option<Moment>,
    late: Option<Moment>,
}

struct Checked {
    preview: Preview,
    facts: Vec<(&'static str, String)>,
    waves: Vec<(PreviewWave, String)>,
    ends: Vec<WaveForecast>,
    basis: Vec<String>,
    openings: Vec<(Moment, Option<Moment>)>,
    opposing: Vec<OpposingRow>,
    /// The name to type where it switches SSL off.
    confirm: Option<String>,
}

impl PlanView {
    /// The view before anything was given.
    pub fn fresh(around: &ViewSource, clock: ViewClock) -> Self {
        Self::blank(around, clock, String::new(), "plan.yaml".to_owned(), true)
    }

    /// What became of an upload.
    pub fn checked(around: &ViewSource, clock: ViewClock, upload: &CheckedUpload) -> Self {
        let (text, file) = (upload.text.clone().unwrap_or_default(), upload.file.clone());
        let blank = Self::blank(around, clock.clone(), text, file, false);
        match &upload.outcome {
            Ok(preview) => Self { checked: Some(Checked::new(preview, &clock)), ..blank },
            Err(found) => {
                let mistakes = &found.list;
                let total = u32::try_from(mistakes.len() + found.more).unwrap_or(u32::MAX);
                let here = |mistake: &&Diagnostic| {
                    mistake.place.as_ref().is_some_and(|place| place.file == upload.file)
                };
                let (of_plan, elsewhere): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
                    mistakes.iter().partition(here);
                let mends: Vec<Mend> = of_plan.iter().filter_map(|one| Mend::of(one)).collect();
                Self {
                    mistakes: count(total, "mistake", "mistakes"),
                    lines: upload
                        .text
                        .as_deref()
                        .map_or_else(Vec::new, |text| lines(text, &of_plan)),
                    elsewhere: if upload.text.is_some() {
                        elsewhere.into_iter().map(mistake).collect()
                    } else {
                        mistakes.iter().map(mistake).collect()
                    },
                    all: (mends.len() > 1).then(|| Mend::spell(&mends)),
                    ..blank
                }
            }
        }
    }

    /// The view again, with why nothing was done.
    pub fn refused(around: &ViewSource, clock: ViewClock, text: String, why: String) -> Self {
        let blank = Self::blank(around, clock, text, "plan.yaml".to_owned(), false);
        Self { said: Some(why), ..blank }
    }

    fn blank(
        around: &ViewSource,
        clock: ViewClock,
        text: String,
        file: String,
        fresh: bool,
    ) -> Self {
        Self {
            form: around.form.clone(),
            text,
            file,
            fresh,
            mistakes: String::new(),
            lines: Vec::new(),
            elsewhere: Vec::new(),
            all: None,
            said: None,
            checked: None,
            may_submit: around.caller.may.has(Role::Operate),
            shell: Shell::new(around, "Plans", "New rollout".into(), clock),
        }
    }
}

/// The plan's lines, those with a mistake marked; of a long plan only what stands around them.
fn lines(text: &str, mistakes: &[&Diagnostic]) -> Vec<SourceLine> {
    let all: Vec<&str> = text.lines().collect();
    let of = |number: usize| {
        mistakes.iter().filter(move |one| one.place.as_ref().is_some_and(|at| at.line == number))
    };
    let near = |number: usize| {
        let range = number.saturating_sub(AROUND)..=number + AROUND;
        all.len() <= SHOWN_WHOLE || range.into_iter().any(|number| of(number).next().is_some())
    };
    let mut shown: Vec<SourceLine> = Vec::new();
    for (line, number) in all.iter().zip(1..).filter(|(_, number)| near(*number)) {
        let mark = of(number).next().and_then(|one| Mend::marked(one, line));
        let (from, to) = mark.map_or((line.len(), line.len()), |range| (range.start, range.end));
        shown.push(SourceLine {
            number,
            parts: (line[..from].to_owned(), line[from..to].to_owned(), line[to..].to_owned()),
            mistakes: of(number).map(|one| mistake(one)).collect(),
            gap: shown.last().map_or(1, |last| last.number + 1) != number,
        });
    }
    shown
}

fn mistake(one: &Diagnostic) -> Mistake {
    let place = one.place.as_ref();
    Mistake {
        code: Some(one.code.replace('-', " "))
            .filter(|code| !one.message.starts_with(code))
            .unwrap_or_default(),
        place: place
            .map_or_else(String::new, |at| format!("{}:{}:{}", at.file, at.line, at.column)),
        message: one.message.clone(),
        help: one.help.clone(),
        fix: Mend::of(one).map(|mend| Mend::spell(&[mend])),
    }
}

impl Checked {
    fn new(preview: &Preview, clock: &ViewClock) -> Self {
        let ends = preview.forecast.iter().flat_map(|forecast| &forecast.waves);
        let shown = |at: Option<jiff::Timestamp>| at.map(|at| clock.short(at));
        let openings = preview.openings.iter();
        Self {
            facts: facts(preview, clock),
            waves: preview.waves.iter().map(|wave| (wave.clone(), then(wave))).collect(),
            ends: ends
                .map(|wave| WaveForecast {
                    name: wave.name.clone(),
                    begins: shown(wave.begins),
                    half: shown(wave.p50),
                    late: shown(wave.p90),
                })
                .collect(),
            basis: preview.forecast.iter().flat_map(|forecast| forecast.basis.clone()).collect(),
            openings: openings
                .map(|opening| (clock.long(opening.from), opening.until.map(|at| clock.short(at))))
                .collect(),
            opposing: preview.opposing.clone(),
            confirm: (!preview.ssl_option).then(|| preview.name.clone()),
            preview: preview.clone(),
        }
    }
}

fn then(wave: &PreviewWave) -> String {
    let soak = (wave.soak_seconds > 0).then(|| format!("soaks {}", seconds(wave.soak_seconds)));
    let gate = (wave.promote == "manual").then(|| "waits for a promotion".to_owned());
    let parts: Vec<String> = soak.into_iter().chain(gate).collect();
    if parts.is_empty() { "goes on by itself".to_owned() } else { parts.join(", then ") }
}

fn facts(preview: &Preview, clock: &ViewClock) -> Vec<(&'static str, String)> {
    let (to, other) = if preview.ssl_option { ("on", "off") } else { ("off", "on") };
    let proxies = count(preview.targets, "proxy", "proxies");
    let instances = count(preview.instances, "instance", "instances");
    let mut facts = vec![("Proxies", format!("{proxies} on {instances}"))];
    let seen = &preview.seen;
    if seen.right + seen.other > 0 {
        let known =
            format!("{} {other}, {} {to} already", grouped(&seen.other), grouped(&seen.right));
        facts.push(("By the list", format!("{known}, {} unknown", grouped(&seen.unknown))));
    } else {
        facts.push((
            "By the list",
            "it does not say what they show; each is looked at first".into(),
        ));
    }
    if let Some(at) = preview.discovered_at {
        facts.push(("Discovered", clock.long(at).shown));
    }
    for row in &preview.excluded {
        facts.push((
            "Left out",
            format!("{}: {}", count(row.targets, "proxy", "proxies"), row.reason),
        ));
    }
    let lanes: Vec<String> = preview.lanes.iter().map(|(lane, n)| format!("{lane} {n}")).collect();
    facts.push(("Lanes", lanes.join(", ")));
    let flight = count(preview.max_in_flight, "change", "changes");
    let failures = count(preview.max_failures, "failure", "failures");
    facts.push(("Pace", format!("{flight} in flight at most; {failures} halt it")));
    for (group, most) in &preview.max_in_flight_per {
        facts.push(("Of any group", format!("{most} of any {group}")));
    }
    facts.push((
        "Approvals",
        match preview.approvals {
            0 => "none is asked for".to_owned(),
            n => format!("{n}, by others than who submits it"),
        },
    ));
    facts.push((
        "Proof",
        match &preview.wire {
            None => "by the API".to_owned(),
            Some(_) if !preview.ssl_option => "no TLS on every port".to_owned(),
            Some(wire) if wire.authorities > 0 => {
                format!("TLS {} or newer on every port, by the `ca_file`", wire.min_tls)
            }
            Some(wire) => format!("TLS {} or newer on every port", wire.min_tls),
        },
    ));
    if let Some(enforce) = &preview.enforce {
        facts.push((
            "Then enforced",
            format!("{}, {} {}", enforce.mode, enforce.cron, enforce.time_zone),
        ));
    }
    facts
}
