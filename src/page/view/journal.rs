//! *Journal*: newest first.

use askama::Template;

use super::now::{EntryLine, entry_line};
use crate::api::wire::JournalRow;
use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::grouped;

#[derive(Template)]
#[template(path = "journal.html")]
pub struct JournalView {
    shell: Shell,
    /// The rollout that it is about, with its id.
    rollout: Option<(String, String)>,
    entries: Vec<(String, EntryLine)>,
    next: Option<String>,
}

impl JournalView {
    /// `rollout`: name and id, where it is the journal of one; `next`: address of the entries
    /// before these.
    pub fn new(
        around: &ViewSource,
        rollout: Option<(String, String)>,
        entries: &[JournalRow],
        next: Option<String>,
        clock: ViewClock,
    ) -> Self {
        let entries =
            entries.iter().map(|entry| (grouped(&entry.seq), entry_line(entry, &clock))).collect();
        let title = rollout
            .as_ref()
            .map_or_else(|| "Journal".to_owned(), |(name, _)| format!("Journal of {name}"));
        Self { entries, next, shell: Shell::new(around, "Journal", title, clock), rollout }
    }
}
