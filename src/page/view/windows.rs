//! *Windows*: openings of the next two months, what freezes take, what was missed.

use askama::Template;

use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};

#[derive(Template)]
#[template(path = "windows.html")]
pub struct WindowsView {
    shell: Shell,
    calendar: String,
    rollouts: Vec<WindowsOf>,
}

/// The openings of one rollout.
pub struct WindowsOf {
    pub id: String,
    pub name: String,
    /// The plan has none: it is always open.
    pub always: bool,
    pub openings: Vec<OpeningLine>,
    /// How many were missed, and the last of them.
    pub missed: Option<(u32, Moment)>,
}

/// One opening.
pub struct OpeningLine {
    pub open: Moment,
    pub cutoff: Option<Moment>,
    pub close: Option<Moment>,
    pub frozen: bool,
    /// Freezes and changes of clocks.
    pub notes: Vec<String>,
}

impl WindowsView {
    /// `calendar`: the next days, drawn.
    pub fn new(
        around: &ViewSource,
        calendar: String,
        rollouts: Vec<WindowsOf>,
        clock: ViewClock,
    ) -> Self {
        Self { calendar, rollouts, shell: Shell::new(around, "Windows", "Windows".into(), clock) }
    }
}
