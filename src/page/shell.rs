//! What stands around every view: the bar, what is told everywhere, the foot.

use super::assets;
use super::choices::Choices;
use super::moment::ViewClock;
use super::state::grouped;
use super::wants::{self, Want};
use crate::api::wire::{AttentionDoc, DaemonDoc, EnforcementDoc};
use crate::api::{Caller, OpenRollout};

/// The views of the bar, with their addresses.
const VIEWS: &[(&str, &str)] = &[
    ("Now", "/"),
    ("Rollouts", "/rollouts"),
    ("Lanes", "/lanes"),
    ("Windows", "/windows"),
    ("Enforcement", "/enforcement"),
    ("Journal", "/journal"),
    ("Plans", "/plans/new"),
];

/// Leading characters of an id that are shown strong.
const HEAD: usize = 8;

/// The frame of a view.
#[derive(Debug, Clone)]
pub struct Shell {
    pub title: String,
    /// One of [`VIEWS`].
    pub view: &'static str,
    pub clock: ViewClock,
    /// Things that want a person.
    pub wants: usize,
    pub who: String,
    pub may: String,
    /// Of the form that signs out; empty: there is no session.
    pub form: String,
    /// `light` or `dark`, where the reader chose one.
    pub theme: Option<&'static str>,
    /// Single keys do nothing.
    pub no_keys: bool,
    /// What is told on every view.
    pub notices: Vec<Notice>,
    /// Sequence of the journal that the view was made at.
    pub seq: u64,
    pub foot: Vec<String>,
}

/// Something that is told on every view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub icon: &'static str,
    pub tone: &'static str,
    pub title: String,
    pub text: String,
}

/// What every view is made from.
#[derive(Debug)]
pub struct ViewSource {
    pub daemon: DaemonDoc,
    pub attention: AttentionDoc,
    pub open: Vec<OpenRollout>,
    pub enforcements: Vec<EnforcementDoc>,
    pub caller: Caller,
    /// What the forms of its session carry; empty without a session.
    pub form: String,
    pub choices: Choices,
    /// The zone that the reader asked for.
    pub zone: Option<String>,
}

impl ViewSource {
    /// The clock of a view about something that is read in `zone`.
    pub fn clock(&self, now: jiff::Timestamp, zone: Option<&str>) -> ViewClock {
        match self.zone.as_deref() {
            None | Some("plan") => ViewClock::new(
                now,
                zone.or_else(|| {
                    self.open.iter().find_map(|open| open.document.time_zone.as_deref())
                }),
            ),
            Some("utc") => ViewClock::new(now, Some("UTC")),
            Some(name) => ViewClock::new(now, Some(name)),
        }
    }

    /// What wants a person, the most urgent first.
    pub fn wants(&self, clock: &ViewClock) -> Vec<Want> {
        wants::wants(&self.attention, &self.caller.may, clock)
    }
}

impl Shell {
    /// The frame of the view `view` with this title.
    pub fn new(around: &ViewSource, view: &'static str, title: String, clock: ViewClock) -> Self {
        let daemon = &around.daemon;
        let store = &daemon.store;
        let mut foot = vec![
            format!("sealift {}", daemon.version),
            format!("up since {}", clock.long(daemon.started_at).shown),
            format!("journal {} entries, head {}", grouped(&store.seq), head(&store.head)),
        ];
        foot.extend(store.growth.as_ref().map(crate::api::wire::GrowthDoc::message));
        Self {
            title: format!("{title} · Sealift"),
            view,
            wants: around.attention.rows.len(),
            who: around.caller.name.to_string(),
            may: around.caller.may.to_string(),
            form: around.form.clone(),
            theme: around.choices.theme,
            no_keys: around.choices.no_keys,
            notices: notices(daemon),
            seq: store.seq,
            foot,
            clock,
        }
    }

    /// When the view was made: `01:52:08`.
    pub fn at(&self) -> String {
        self.clock.second(self.clock.now).shown
    }

    /// When the view was made, whole: for paper.
    pub fn made(&self) -> String {
        self.clock.second(self.clock.now).full
    }

    /// The day of the view.
    pub fn day(&self) -> String {
        self.clock.date(self.clock.now)
    }

    /// The views of the bar.
    pub fn views(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        VIEWS.iter().copied()
    }

    /// The address of an asset, by its content.
    pub fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

fn notices(daemon: &DaemonDoc) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut stop = |title: &str, text: String| {
        notices.push(Notice { icon: "stop", tone: "stop red", title: title.into(), text })
    };
    if let Some(mark) = &daemon.stopped {
        let why =
            if mark.reason.is_empty() { String::new() } else { format!(" “{}”", mark.reason) };
        stop(
            "Everything is stopped",
            format!(
                "by {}{why}; nothing that changes anything is sent until `sealift start`.",
                mark.by
            ),
        );
    }
    if let Some(text) = &daemon.stop {
        stop(
            "The STOP file is there",
            format!(
                "{} “{text}”; nothing that changes anything is sent while it is.",
                daemon.stop_file
            ),
        );
    }
    if let Some(why) = &daemon.store.refusing {
        stop("The store takes nothing new", format!("{why}."));
    }
    if daemon.draining {
        notices.push(Notice {
            icon: "wait",
            tone: "amber",
            title: "The daemon is ending".into(),
            text: "It begins nothing new; what is out is followed by the next one.".into(),
        });
    }
    notices
}

/// The beginning of an id, that is read out loud.
pub fn head(id: &str) -> String {
    id.chars().take(HEAD).collect()
}

/// The rest of it.
pub fn rest(id: &str) -> String {
    id.chars().skip(HEAD).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stops_everything_is_told_on_every_view() {
        let store = json!({"kind": "sled", "seq": 1, "head": "", "journal_bytes": 1, "queue_bytes": 1,
            "refusing": "1 MiB are free"});
        let daemon = json!({"version": "1", "pid": 1, "started_at": "2026-11-27T17:00:00Z", "passes": 1,
            "calls": 1, "stop": "drill", "stop_file": "/state/STOP", "draining": true, "store": store,
            "stopped": {"by": "ada", "reason": "incident", "at": "2026-11-27T17:00:00Z"}, "lanes": []});
        let daemon: DaemonDoc = serde_json::from_value(daemon).expect("a document");
        let told = notices(&daemon);
        let told: Vec<_> = told.iter().map(|one| (one.title.as_str(), one.text.as_str())).collect();
        let titles: Vec<_> = told.iter().map(|(title, _)| *title).collect();
        let stops = ["Everything is stopped", "The STOP file is there"];
        assert_eq!(titles[..2], stops);
        assert_eq!(titles[2..], ["The store takes nothing new", "The daemon is ending"]);
        for (place, said) in
            ["ada “incident”", "“drill”", "1 MiB are free", "nothing new"].iter().enumerate()
        {
            assert!(told[place].1.contains(said), "{told:?}");
        }
    }
}
