//! What a reader sees in place of a view: what, where, the next step, the code.

use askama::Template;

use crate::api::wire::{Problem, RolloutRow};
use crate::page::assets;
use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::upper;
use crate::page::viewer::Viewer;

#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorView {
    shell: Shell,
    title: String,
    detail: String,
    code: String,
    /// What an ambiguous reference may mean: names and addresses.
    candidates: Vec<(String, String)>,
}

impl ErrorView {
    /// An answer that is not a success.
    pub fn new(around: &ViewSource, problem: &Problem, clock: ViewClock) -> Self {
        let title = upper(&problem.title);
        let candidate = |row: &RolloutRow| {
            (
                format!("{} revision {}, {}", row.name, row.revision, row.phase),
                format!("/rollouts/{}", row.id),
            )
        };
        Self {
            shell: Shell::new(around, "", title.clone(), clock),
            title,
            detail: problem.detail.clone(),
            code: problem.code.as_str().to_owned(),
            candidates: problem.candidates.iter().map(candidate).collect(),
        }
    }
}

/// The same with nothing around it, for whoever may not see what is there.
#[derive(Template)]
#[template(path = "refused.html")]
pub struct BareErrorView {
    title: String,
    detail: String,
    code: String,
    who: Option<String>,
    form: String,
}

impl BareErrorView {
    /// What this viewer is told.
    pub fn new(problem: &Problem, viewer: Viewer) -> Self {
        Self {
            title: upper(&problem.title),
            detail: problem.detail.clone(),
            code: problem.code.as_str().to_owned(),
            who: viewer.caller.map(|caller| caller.name.to_string()),
            form: viewer.form,
        }
    }

    fn asset(name: &str) -> String {
        assets::address(name)
    }
}
