//! `enforce` against the plan's name and the number of targets.

use super::raw;
use super::targets::TargetSet;
use crate::domain::enforce::{Enforce, Mode, NAME_MAX};
use crate::yaml::share::CountOrShare;
use crate::yaml::{Diagnostic, Document, Mistakes, plain};

/// `enforce.max_drift` when the plan does not say: a twentieth of all targets, in hundredths of a
/// percent.
const MAX_DRIFT_DEFAULT: CountOrShare = CountOrShare::Hundredths(500);

/// Reads `enforce`; `Some(None)` when the plan has none, `None` after a mistake.
pub fn read(
    written: Option<raw::RawEnforce>,
    document: &Document<'_>,
    set: Option<&TargetSet>,
    mistakes: &mut Mistakes,
) -> Option<Option<Enforce>> {
    let Some(written) = written else { return Some(None) };
    let before = mistakes.count();
    for warning in written.cron.warnings() {
        mistakes
            .push(Diagnostic::warning("cron", plain(warning)).at(document.place("enforce.cron")));
    }
    // Read off the tree, so that it is told though other parts of the plan hold mistakes.
    let name = document.exact("name").and_then(|node| node.text()).map_or(0, str::len);
    if name > NAME_MAX {
        let message = format!(
            "the name of a plan with `enforce` has at most {NAME_MAX} characters, this one has {name}"
        );
        let long = Diagnostic::error("name", message).at(document.place("name"));
        mistakes.push(
            long.also(document.place("enforce"), "its runs are named NAME-drift and NAME-enforce")
                .help("shorten the name"),
        );
    }
    let share = written.max_drift.unwrap_or(MAX_DRIFT_DEFAULT);
    if matches!(share, CountOrShare::Count(0) | CountOrShare::Hundredths(0)) {
        let none = Diagnostic::error("value", "with a `max_drift` of 0 nothing is ever put right")
            .at(document.place("enforce.max_drift"));
        mistakes.push(none.help("write `mode: inform` to have drift reported only"));
    }
    let total = u32::try_from(set?.targets.len()).expect("bounded by TARGETS_MAX");
    let mode = match written.mode {
        Some(raw::RawMode::Apply) => Mode::Apply,
        Some(raw::RawMode::Inform) | None => Mode::Inform,
    };
    if mode == Mode::Inform && written.max_drift.is_some() {
        let idle = Diagnostic::warning(
            "idle",
            "`max_drift` bounds what is put right, and `mode: inform` puts nothing right",
        );
        mistakes.push(
            idle.at(document.place("enforce.max_drift"))
                .help("leave it out, or write `mode: apply`"),
        );
    }
    let max_drift = share.down(total).max(1);
    (mistakes.count() == before).then_some(Some(Enforce {
        cron: written.cron,
        time_zone: written.time_zone,
        mode,
        max_drift,
    }))
}
