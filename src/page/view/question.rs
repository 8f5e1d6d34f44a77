//! The question of a verb: what it would do now, and what it wants to know before.
//!
//! Invariant: it is a page of its own, so that it is asked with script or without; the form carries
//! the tag of the record that it speaks of.

use askama::Template;

use crate::api::wire::{ChangeRow, RolloutDoc, VerbDoc};
use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};

#[derive(Template)]
#[template(path = "question.html")]
pub struct QuestionView {
    shell: Shell,
    rollout: RolloutDoc,
    verb: VerbDoc,
    title: String,
    icon: &'static str,
    label: &'static str,
    class: &'static str,
    rows: Vec<(&'static str, String)>,
    tag: String,
    form: String,
    /// Why the form that was sent was not taken, and what was typed.
    said: Option<String>,
    typed: TypedAnswers,
    frozen: Option<FrozenPlan>,
}

/// What an approval is bound to: the plan as it was submitted, and its first targets.
pub struct FrozenPlan {
    /// Its keys with their texts, as the file has them.
    pub keys: Vec<(String, String)>,
    pub targets: Vec<ChangeRow>,
}

/// What a person typed into the form of a verb.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct TypedAnswers {
    pub tag: String,
    pub form: String,
    pub reason: String,
    pub until: String,
    pub confirm: String,
    pub digest: String,
    pub in_doubt: String,
    pub proxy: String,
    pub job: String,
    pub give_up: String,
}

/// How a verb looks.
pub fn look(verb: &str) -> (&'static str, &'static str, &'static str) {
    match verb {
        "pause" => ("longer", "Pause", ""),
        "resume" => ("resume", "Resume", "first"),
        "promote" => ("up", "Promote", "first"),
        "approve" => ("person", "Approve", "first"),
        "retry" => ("retry", "Retry", ""),
        "resolve" => ("doubt", "Resolve", ""),
        "revert" => ("back", "Revert", "away"),
        _ => ("abort", "Abort", "away"),
    }
}

impl QuestionView {
    /// The question of `verb`, whose record has this tag; `said` is why it was sent back.
    pub fn new(
        around: &ViewSource,
        rollout: RolloutDoc,
        verb: VerbDoc,
        tag: String,
        (typed, said): (TypedAnswers, Option<String>),
        frozen: Option<FrozenPlan>,
        clock: ViewClock,
    ) -> Self {
        let (icon, label, class) = look(&verb.verb);
        let title = match verb.verb.as_str() {
            "revert" => format!("Put back what {} changed?", rollout.name),
            "approve" => format!("Approve {}?", rollout.name),
            "resolve" => format!("What became of a change of {}?", rollout.name),
            _ => format!("{label} {}?", rollout.name),
        };
        let rows = rows(&rollout, &verb, &clock);
        let class = if verb.asks.confirm.is_some() { "off" } else { class };
        let form = around.form.clone();
        let shell = Shell::new(around, "Rollouts", title.clone(), clock);
        Self {
            shell,
            title,
            icon,
            label,
            class,
            rows,
            tag,
            form,
            said,
            typed,
            frozen,
            rollout,
            verb,
        }
    }
}

fn rows(rollout: &RolloutDoc, verb: &VerbDoc, clock: &ViewClock) -> Vec<(&'static str, String)> {
    let Some(effect) = &verb.effect else { return Vec::new() };
    let mut rows = Vec::new();
    if effect.put_back > 0 {
        let waves: Vec<String> = rollout
            .waves
            .iter()
            .rev()
            .filter(|wave| wave.tally.succeeded + wave.tally.active > 0)
            .map(|wave| format!("{} {}", wave.name, wave.tally.succeeded + wave.tally.active))
            .collect();
        rows.push(("Waves", waves.join("; then ")));
        let left = rollout.tally.in_doubt + rollout.tally.skipped + rollout.tally.failed;
        if left > 0 {
            rows.push((
                "Left alone",
                format!(
                    "{} failed, {} in doubt, {} skipped",
                    rollout.tally.failed, rollout.tally.in_doubt, rollout.tally.skipped
                ),
            ));
        }
    }
    if effect.cancelled > 0 {
        rows.push(("Cancelled", format!("{} that were never begun, for good", effect.cancelled)));
    }
    if effect.requeued > 0 {
        rows.push(("Queued again", effect.requeued.to_string()));
    }
    if effect.in_flight > 0 {
        rows.push(("In flight", format!("{}, followed to their end", effect.in_flight)));
    }
    if matches!(verb.verb.as_str(), "resume" | "promote" | "retry" | "approve") {
        rows.push((
            "May run",
            match (rollout.open_until, rollout.next_opening) {
                (Some(until), _) => format!("now, new work until {}", clock.short(until).shown),
                (None, Some(next)) => format!("from {}", clock.short(next).shown),
                (None, None) => "at any time".to_owned(),
            },
        ));
    }
    if let Some(forecast) = rollout
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.p50)
        .filter(|_| verb.verb == "approve" || verb.verb == "promote")
    {
        rows.push((
            "Ends",
            format!("{}, half of the forecast's runs", clock.short(forecast).shown),
        ));
    }
    rows.push((
        "Afterwards",
        match verb.verb.as_str() {
            "revert" | "abort" => {
                "nothing leads back to going on; a new revision begins again".to_owned()
            }
            "pause" => "`resume` goes on where it was".to_owned(),
            _ => format!("it is {}", crate::page::state::spoken(&effect.phase)),
        },
    ));
    rows
}
