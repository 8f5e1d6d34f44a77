//! `strategy.waves` and `strategy.max_failures` against the number of targets.
//!
//! Invariant: the waves that come out lie side by side, none is empty, and together they cover
//! every target.
//!
//! Rules: a wave's share is one of all targets and rounds up; a budget's share rounds down, and a
//! budget of 0 is kept as 1, which is the same promise: the first failure halts. A wave's budget is
//! half of the wave where the plan does not say, and never above the rollout's. A written budget
//! that can never be reached is a warning: it guards nothing.

use super::raw;
use crate::domain::id::Name;
use crate::domain::plan::{Promote, Wave};
use crate::yaml::share::{CountOrShare, WaveSize};
use crate::yaml::tree::Node;
use crate::yaml::{Diagnostic, Document, Mistakes, quote};

/// `max_failures.rollout` when the plan does not say.
pub const MAX_FAILURES_DEFAULT: u32 = 20;

/// Waves whose names are compared: the most that a plan may have.
const WAVES_MAX: usize = 100;

/// All targets, in hundredths of a percent.
const ALL: u32 = 10_000;

/// The budget of the whole rollout.
pub fn rollout_budget(strategy: &raw::RawStrategy, total: u32) -> u32 {
    let share = match &strategy.max_failures {
        None => None,
        Some(raw::MaxFailures::One(share)) => Some(*share),
        Some(raw::MaxFailures::Two(budgets)) => budgets.rollout,
    };
    share.unwrap_or(CountOrShare::Count(MAX_FAILURES_DEFAULT)).down(total).max(1)
}

fn wave_budget(strategy: &raw::RawStrategy, size: u32, rollout: u32) -> u32 {
    written_wave_budget(strategy).map_or((size / 2).min(rollout), |share| share.down(size)).max(1)
}

fn written_wave_budget(strategy: &raw::RawStrategy) -> Option<CountOrShare> {
    match &strategy.max_failures {
        Some(raw::MaxFailures::Two(budgets)) => budgets.wave,
        Some(raw::MaxFailures::One(_)) | None => None,
    }
}

/// Warns of written budgets that no number of failures reaches.
pub fn check_budgets(
    strategy: &raw::RawStrategy,
    waves: &[Wave],
    rollout: u32,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) {
    let total: u32 = waves.iter().map(|wave| wave.size).sum();
    let (rollout_at, written) = match &strategy.max_failures {
        None => return,
        Some(raw::MaxFailures::One(_)) => ("strategy.max_failures", true),
        Some(raw::MaxFailures::Two(budgets)) => {
            ("strategy.max_failures.rollout", budgets.rollout.is_some())
        }
    };
    let mut warn = |at: &str, what: String, why: String, help: &str| {
        let warning = Diagnostic::warning(
            "budget",
            format!("the failure budget of {what} can never be reached: {why}"),
        );
        mistakes.push(warning.at(document.place(at)).help(help));
    };
    if written && rollout > total {
        let help = format!("write at most {total}");
        warn(
            rollout_at,
            format!("{rollout} of the rollout"),
            format!("the number of targets is {total}"),
            &help,
        );
    }
    let Some(wave) = waves.iter().find(|wave| wave.max_failures > wave.size.min(rollout)) else {
        return;
    };
    if written_wave_budget(strategy).is_some() {
        let (budget, name) = (wave.max_failures, quote(wave.name.as_str()));
        let why = if budget > wave.size {
            format!("its size is {}, and it halts as it ends when half of it failed", wave.size)
        } else {
            format!("the rollout halts at {rollout}")
        };
        let help = "write a share such as `10%`, or leave it out for half of each wave";
        warn("strategy.max_failures.wave", format!("{budget} of the wave {name}"), why, help);
    }
}

/// Shares of more than all targets cannot be meant, however many targets there are.
fn more_than_all(written: &[raw::RawWave], document: &Document<'_>, mistakes: &mut Mistakes) {
    let mut sum = 0;
    let mut over = None;
    for (index, wave) in written.iter().enumerate() {
        if let WaveSize::Share(CountOrShare::Hundredths(part)) = wave.size {
            sum += part;
            over = over.or((sum > ALL).then_some(index));
        }
    }
    if let Some(over) = over {
        let sum = CountOrShare::Hundredths(sum);
        let message =
            format!("the shares of the waves add up to {sum}, which is more than all targets");
        let more = Diagnostic::error("waves", message)
            .at(document.place(&format!("strategy.waves[{over}].size")));
        mistakes.push(more.help("each share is one of all targets, not of what the waves before left; for that write `size: rest`"));
    }
}

/// Two waves of one name, whatever else is wrong with them or with the targets.
pub fn check_names(document: &Document<'_>, mistakes: &mut Mistakes) {
    let path = |index: usize| format!("strategy.waves[{index}].name");
    let waves = document.exact("strategy.waves").map_or(0, Node::len).min(WAVES_MAX);
    let names: Vec<_> =
        (0..waves).map(|index| document.exact(&path(index)).and_then(Node::text)).collect();
    for (index, name) in names.iter().enumerate() {
        let (Some(name), Some(first)) =
            (name, names[..index].iter().position(|other| other == name))
        else {
            continue;
        };
        let twice =
            Diagnostic::error("duplicate-wave", format!("two waves are named {}", quote(name)));
        let twice = twice
            .also(document.place(&path(first)), "the first one")
            .help("give each a name of its own");
        mistakes.push(twice.at(document.place(&path(index))));
    }
}

/// Resolves the waves; `None` after a mistake.
pub fn resolve(
    strategy: &raw::RawStrategy,
    total: u32,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Wave>> {
    let budget = rollout_budget(strategy, total);
    let Some(written) = &strategy.waves else {
        let name = Name::parse("all", "wave").expect("three letters");
        let max_failures = wave_budget(strategy, total, budget);
        return Some(vec![Wave {
            name,
            first: 0,
            size: total,
            soak_ms: 0,
            promote: Promote::Auto,
            max_failures,
        }]);
    };
    let before = mistakes.count();
    more_than_all(written, document, mistakes);
    let mut waves: Vec<Wave> = Vec::with_capacity(written.len());
    let mut first = 0;
    let mut rest_at = None;
    for (index, wave) in written.iter().enumerate() {
        let path = |key: &str| format!("strategy.waves[{index}].{key}");
        if let Some(rest) = rest_at {
            let late = Diagnostic::error(
                "waves",
                format!(
                    "after the rest nothing is left for the wave {}",
                    quote(wave.name.as_str())
                ),
            );
            let late = late.also(
                document.place(&format!("strategy.waves[{rest}].size")),
                "all the rest goes here",
            );
            mistakes.push(
                late.at(document.place(&path("size"))).help("put the wave with `size: rest` last"),
            );
            continue;
        }
        let left = total - first;
        let wanted = match wave.size {
            WaveSize::Share(share) => share.up(total),
            WaveSize::Rest => {
                rest_at = Some(index);
                left
            }
        };
        let size = wanted.min(left);
        if size < wanted || size == 0 {
            let name = quote(wave.name.as_str());
            let message = match size {
                0 => format!(
                    "the wave {name} is empty and is left out: the waves before it hold all of the targets, {total}"
                ),
                _ => {
                    format!("the wave {name} has only {size} of {wanted} targets: no more are left")
                }
            };
            mistakes.push(Diagnostic::warning("wave", message).at(document.place(&path("size"))));
        }
        if size > 0 {
            let promote = match wave.promote {
                None | Some(raw::RawPromote::Auto) => Promote::Auto,
                Some(raw::RawPromote::Manual) => Promote::Manual,
            };
            let soak_ms = wave.soak.map_or(0, crate::yaml::length::Length::millis);
            let max_failures = wave_budget(strategy, size, budget);
            waves.push(Wave {
                name: wave.name.clone(),
                first,
                size,
                soak_ms,
                promote,
                max_failures,
            });
            first += size;
        }
    }
    if first < total && mistakes.count() == before {
        let message = format!(
            "the waves hold {first} of {total} targets, {} would never be changed",
            total - first
        );
        let short = Diagnostic::error("waves", message).at(document.place("strategy.waves"));
        mistakes.push(short.help("add a last wave: `- {name: rest, size: rest}`"));
    }
    (mistakes.count() == before).then_some(waves)
}
