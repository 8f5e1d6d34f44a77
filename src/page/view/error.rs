//! What a reader sees in place of a view: what, where, the next step, the code.

use askama::Template;

use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};

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
    pub fn new(around: &ViewSource, title: &str, detail: &str, code: &str, candidates: Vec<(String, String)>, clock: ViewClock) -> Self {
        let shell = Shell::new(around, "", title.to_owned(), clock);
        Self { shell, title: title.to_owned(), detail: detail.to_owned(), code: code.to_owned(), candidates }
    }
}
