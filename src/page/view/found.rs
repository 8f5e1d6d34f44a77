//! What an id is: the answer to the search of the bar.

use askama::Template;

use crate::api::wire::{FoundDoc, FoundRow};
use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{grouped, spoken};

#[derive(Template)]
#[template(path = "found.html")]
pub struct FoundView {
    shell: Shell,
    begins: String,
    rows: Vec<(FoundRow, String, String)>,
    /// How far the search got, where it did not look everywhere.
    far: Option<String>,
}

impl FoundView {
    /// What was found for `begins`.
    pub fn new(around: &ViewSource, begins: &str, found: FoundDoc, clock: ViewClock) -> Self {
        let far = (!found.whole).then(|| {
            let journal = found
                .journal_from
                .map(|seq| format!(", and the journal down to entry {}", grouped(&seq)))
                .unwrap_or_default();
            format!(
                "The search ended when its time was over: it looked through {} rollouts{journal}.",
                found.rollouts
            )
        });
        let rows = found.rows.into_iter().map(|row| {
            let address = match (row.ordinal, row.seq) {
                (Some(ordinal), Some(seq)) => {
                    format!("/rollouts/{}/changes/{ordinal}#e-{seq}", row.rollout)
                }
                (Some(ordinal), None) => format!("/rollouts/{}/changes/{ordinal}", row.rollout),
                (None, _) => format!("/rollouts/{}", row.rollout),
            };
            let state = spoken(&row.state);
            (row, address, state)
        });
        let rows = rows.collect();
        Self {
            rows,
            far,
            begins: begins.to_owned(),
            shell: Shell::new(around, "", format!("Find {begins}"), clock),
        }
    }
}
