//! Keys, the words of states with their shapes, and what a reader may choose.

use askama::Template;

use crate::page::moment::ViewClock;
use crate::page::shell::{Shell, ViewSource};
use crate::words::meaning;

/// What each key does.
const KEYS: &[(&str, &str)] = &[
    ("/", "seek an id"),
    ("g n", "Now; r rollouts, l lanes, w windows, e enforcement, j journal, p plans"),
    ("j k", "the row below, the row above"),
    ("Enter", "open the row"),
    ("c", "copy the row’s id, or the view’s"),
    ("[ ]", "the one before, the next: of changes, of nights"),
    ("?", "this"),
    ("Esc", "close a question; nothing is done"),
];

#[derive(Template)]
#[template(path = "help.html")]
pub struct HelpView {
    shell: Shell,
    keys: &'static [(&'static str, &'static str)],
    words: &'static [(&'static str, &'static str)],
    themes: Vec<ChoiceOption>,
    zones: Vec<ChoiceOption>,
    form: String,
}

/// One of what may be chosen.
struct ChoiceOption {
    value: String,
    label: String,
    chosen: bool,
}

impl HelpView {
    /// The view, with what this reader has chosen.
    pub fn new(around: &ViewSource, clock: ViewClock) -> Self {
        let option = |value: &str, label: &str, chosen: &str| ChoiceOption {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: value == chosen,
        };
        let theme = around.choices.theme.unwrap_or("auto");
        let themes = [("auto", "as the system has it"), ("light", "light"), ("dark", "dark")];
        let zone = around.choices.zone.as_deref().unwrap_or("plan");
        let mut zones =
            vec![option("plan", "in the plan’s zone", zone), option("utc", "in UTC", zone)];
        if zones.iter().all(|known| !known.chosen) {
            zones.push(option(zone, &format!("in {zone}"), zone));
        }
        Self {
            keys: KEYS,
            words: &meaning::CHANGES,
            themes: themes.into_iter().map(|(word, label)| option(word, label, theme)).collect(),
            zones,
            form: around.form.clone(),
            shell: Shell::new(around, "", "Keys and words".into(), clock),
        }
    }
}
