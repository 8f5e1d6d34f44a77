//! What wants a person, as lines of a view: shapes, instants and addresses beside the API's words.

use super::moment::{Moment, ViewClock};
use super::state::said;
use crate::api::wire::{AttentionDoc, AttentionRow};
use crate::domain::people::{Role, Roles};

/// Something that wants a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    pub icon: &'static str,
    pub tone: &'static str,
    /// What it is about: bold.
    pub title: String,
    pub text: String,
    /// The command that lifts it, where the view has no button for it.
    pub command: Option<String>,
    /// The instant that matters, and what it is.
    pub when: Option<(Moment, &'static str)>,
    /// What to do: the label and the address.
    pub verb: Option<(&'static str, String)>,
}

/// The lines of what wants a person, in the document's order, with the verbs of whoever `may` that.
pub fn wants(attention: &AttentionDoc, may: &Roles, clock: &ViewClock) -> Vec<Want> {
    attention.rows.iter().map(|row| want(row, may, clock)).collect()
}

fn want(row: &AttentionRow, may: &Roles, clock: &ViewClock) -> Want {
    let (icon, tone) = shape(&row.word);
    let about = row.name.as_ref().or(row.lane.as_ref());
    let text = said(&row.text, row.by.as_deref(), &row.why);
    let when = match (row.until, row.since) {
        (Some(until), _) if row.word.ends_with("certificate_ends") => {
            Some((clock.long(until), "ends"))
        }
        (Some(until), _) => Some((clock.short(until), "goes on by itself")),
        (None, Some(since)) => Some((clock.ago(since), "since")),
        (None, None) => None,
    };
    let verb = address(row, may);
    Want {
        icon,
        tone,
        title: about.cloned().unwrap_or_else(|| "Sealift".to_owned()),
        text,
        command: row.command.clone().filter(|_| verb.is_none()),
        when,
        verb,
    }
}

/// Icon and tone of something that wants a person, by its word.
pub fn shape(word: &str) -> (&'static str, &'static str) {
    match word {
        "stopped" | "stop_file" | "store_refusing" => ("stop", "red"),
        "halted" | "lane_credentials" => ("abort", "red"),
        "in_doubt" => ("doubt", "violet"),
        "awaiting_promotion" => ("up", "blue"),
        "awaiting_approval" => ("person", "blue"),
        "certificate_ends" | "api_certificate_ends" => ("shield", "amber"),
        "paused" | "lane_held" | "enforcement_held" => ("pause", "amber"),
        _ => ("warning", "amber"),
    }
}

fn address(row: &AttentionRow, may: &Roles) -> Option<(&'static str, String)> {
    let rollout = |part: &str| row.rollout.as_ref().map(|id| format!("/rollouts/{id}{part}"));
    match row.word.as_str() {
        "paused" if may.has(Role::Operate) => Some(("Resume…", rollout("/resume")?)),
        "awaiting_promotion" if may.has(Role::Operate) => Some(("Promote…", rollout("/promote")?)),
        "awaiting_approval" if may.has(Role::Approve) => Some(("Approve…", rollout("/approve")?)),
        "in_doubt" => Some(("Look", rollout("?state=in_doubt")?)),
        "halted" => Some(("Look", rollout("?state=failed,in_doubt")?)),
        "enforcement_held" => {
            row.name.as_ref().map(|name| ("Look", format!("/enforcement/{name}")))
        }
        "lane_held" | "lane_credentials" => Some(("Look", "/lanes".to_owned())),
        _ => Some(("Look", rollout("")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_want_says_what_to_do() {
        let clock = ViewClock::new(
            "2026-11-27T17:52:08Z".parse().expect("an instant"),
            Some("Asia/Singapore"),
        );
        let row = AttentionRow {
            word: "paused".into(),
            text: "paused".into(),
            rollout: Some("81dd".into()),
            name: Some("proxy-ssl".into()),
            by: Some("mia.tan".into()),
            why: "checking <b>".into(),
            until: Some("2026-11-27T18:15:00Z".parse().expect("an instant")),
            ..AttentionRow::default()
        };
        let paused = want(&row, &Roles::all(), &clock);
        assert_eq!(
            (paused.title.as_str(), paused.text.as_str()),
            ("proxy-ssl", "paused by mia.tan: “checking <b>”")
        );
        assert_eq!(paused.verb, Some(("Resume…", "/rollouts/81dd/resume".to_owned())));
        assert_eq!(
            paused.when.map(|(at, word)| (at.shown, word)),
            Some(("02:15".to_owned(), "goes on by itself"))
        );
        let reader = [Role::Read].into_iter().collect();
        let read = want(&row, &reader, &clock);
        assert_eq!(read.verb, Some(("Look", "/rollouts/81dd".to_owned())), "no verb of a reader's");
        let row = AttentionRow {
            word: "stopped".into(),
            command: Some("sealift start".into()),
            ..AttentionRow::default()
        };
        let stopped = want(&row, &Roles::all(), &clock);
        assert_eq!((stopped.verb, stopped.command.as_deref()), (None, Some("sealift start")));
    }
}
