//! *Enforcement*: what is kept as it is, what drifted, what is held.

use askama::Template;

use crate::api::wire::EnforcementDoc;
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::grouped;

#[derive(Template)]
#[template(path = "enforcement.html")]
pub struct EnforcementsView {
    shell: Shell,
    lines: Vec<EnforcementLine>,
}

struct EnforcementLine {
    one: EnforcementDoc,
    next: Option<Moment>,
    last: Vec<(String, &'static str)>,
    result: String,
    tone: &'static str,
}

impl EnforcementsView {
    /// Every enforcement, or the one that was asked for.
    pub fn new(around: &ViewSource, found: Vec<EnforcementDoc>, clock: ViewClock) -> Self {
        let lines = found.into_iter().map(|one| line(one, &clock)).collect();
        Self { lines, shell: Shell::new(around, "Enforcement", "Enforcement".into(), clock) }
    }
}

fn line(one: EnforcementDoc, clock: &ViewClock) -> EnforcementLine {
    let counted =
        |number: Option<u32>| number.map_or_else(|| "–".to_owned(), |number| grouped(&number));
    let last = one.last_run.iter().flat_map(|run| {
        [
            (counted(run.right), "right"),
            (counted(run.drifted), "drifted"),
            (grouped(&run.switched), "put right"),
            (counted(run.left_out), "held"),
            (grouped(&run.failed), "failed"),
        ]
    });
    let tone = match one.stage.as_str() {
        "held" => "amber",
        "ended" => "",
        _ if one.held.is_some() => "amber",
        _ => "green",
    };
    EnforcementLine {
        next: one.next_tick.map(|tick| clock.short(tick)),
        last: last.collect(),
        result: one.last_run.as_ref().and_then(|run| run.result.clone()).unwrap_or_default(),
        tone,
        one,
    }
}
