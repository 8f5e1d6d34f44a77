//! One change's story: its journal entries as people tell them.
//!
//! Invariant: every entry stands in it, in order; nothing is guessed from what is not there.

use super::moment::{Moment, ViewClock};
use crate::api::wire::JournalRow;
use crate::words::text::length;

/// One step of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryStep {
    pub seq: u64,
    pub at: Moment,
    /// Since the step before; empty for the first.
    pub after: String,
    /// Icon and tone.
    pub icon: &'static str,
    pub tone: &'static str,
    pub title: String,
    /// The journal's words, or what they mean.
    pub why: String,
    pub call: Option<&'static str>,
    pub job_id: Option<String>,
    pub request_id: Option<String>,
}

/// What part of a change's time a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoryPart {
    Waiting,
    Look,
    Switch,
    Doubt,
    Job,
    Proof,
}

impl StoryPart {
    /// What it is called, and its tone.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("waiting", "rest"),
            Self::Look => ("look", "blue"),
            Self::Switch => ("switch", "amber"),
            Self::Doubt => ("in doubt", "violet"),
            Self::Job => ("job", "blue"),
            Self::Proof => ("proof", "green"),
        }
    }

    fn of(from: &str) -> Option<Self> {
        Some(match from {
            "queued" | "ready" => Self::Waiting,
            "inspecting" => Self::Look,
            "submitting" => Self::Switch,
            "recovering" | "in_doubt" => Self::Doubt,
            "following" => Self::Job,
            "verifying" => Self::Proof,
            _ => return None,
        })
    }
}

/// The steps of these entries, oldest first.
pub fn story(entries: &[JournalRow], clock: &ViewClock) -> Vec<StoryStep> {
    let mut before: Option<&JournalRow> = None;
    let mut steps = Vec::with_capacity(entries.len());
    for entry in entries {
        let (icon, tone, title) = title(entry);
        let job = entry
            .job_id
            .clone()
            .filter(|job| before.and_then(|before| before.job_id.as_ref()) != Some(job));
        let named =
            entry.job_id.clone().filter(|_| matches!(entry.from.as_deref(), Some("following")));
        steps.push(StoryStep {
            seq: entry.seq,
            at: clock.fine(entry.at),
            after: before.map_or_else(String::new, |before| {
                format!("+{}", lapse(entry.at.duration_since(before.at)))
            }),
            icon,
            tone,
            title: entry
                .by
                .as_ref()
                .map_or_else(|| title.clone(), |by| format!("{title}, by {by}")),
            why: why(&entry.why).to_owned(),
            call: entry.call.as_deref().and_then(call),
            job_id: job.or(named),
            request_id: entry.request_id.clone(),
        });
        before = Some(entry);
    }
    steps
}

/// Where the time went: how long each part lasted, from its entry to the next, in order; equal
/// neighbours are one.
pub fn stretches(entries: &[JournalRow]) -> Vec<(StoryPart, jiff::SignedDuration)> {
    let mut parts: Vec<(StoryPart, jiff::SignedDuration)> = Vec::new();
    let begun = entries.iter().skip_while(|entry| entry.to == "queued");
    for (entry, next) in begun.clone().zip(begun.skip(1)) {
        let Some(part) = StoryPart::of(&entry.to) else { continue };
        let lasted = next.at.duration_since(entry.at);
        match parts.last_mut() {
            Some((last, whole)) if *last == part => *whole += lasted,
            _ => parts.push((part, lasted)),
        }
    }
    parts
}

/// The journal's words; those that its title says already give way to what they mean.
fn why(words: &str) -> &str {
    match words {
        "released" => "its wave had a place and its instance was free",
        "switch" => "the intent was on disk before the call left",
        "accepted" => "the cloud gave a job, whose id was on disk before anything else",
        words => words,
    }
}

/// `0.2 s` below a minute, else as everywhere.
pub fn lapse(lasted: jiff::SignedDuration) -> String {
    let seconds = lasted.as_secs_f64();
    if seconds < 60.0 { format!("{seconds:.1} s") } else { length(lasted) }
}

fn call(word: &str) -> Option<&'static str> {
    Some(match word {
        "inspect" => "GET …/instances/ID/proxies",
        "submit" => "PUT …/proxy/ID/ssl",
        "follow" => "GET …/jobs?id=",
        "recover" => "GET …/immediate-jobs",
        _ => return None,
    })
}

fn title(entry: &JournalRow) -> (&'static str, &'static str, String) {
    let say = |icon, tone, title: &str| (icon, tone, title.to_owned());
    match (entry.from.as_deref().unwrap_or_default(), entry.to.as_str()) {
        ("queued", "ready") => say("dot", "soft", "Released"),
        ("queued", "queued") => say("dot", "soft", "Passed over"),
        (_, "queued") => say("dot", "soft", "Put back into the queue"),
        ("submitting", "following") => say("dot", "soft", "Accepted: the job id is saved"),
        ("submitting", "recovering") => {
            let answer = entry
                .status
                .map_or_else(|| "No answer".to_owned(), |status| format!("Answered {status}"));
            ("failed", "red", format!("{answer}: the outcome is unknown"))
        }
        ("recovering", "recovering") => say("doubt", "violet", "Asked, not known yet"),
        ("recovering", "following") => {
            say("doubt", "violet", "Found out by asking: the job is ours")
        }
        ("recovering", "ready") => say("doubt", "violet", "Found out by asking: nothing was done"),
        ("recovering", "verifying") => say("doubt", "violet", "Found out by asking"),
        ("following", "verifying") => say("dot", "soft", "Job completed"),
        ("following", "ready") => say("failed", "red", "Job failed"),
        ("verifying", "verifying") => say("dot", "soft", "Looked again"),
        (_, "ready") if entry.status.is_some() => (
            "failed",
            "red",
            format!("Answered {}: tried again later", entry.status.unwrap_or_default()),
        ),
        (_, "ready") => say("dot", "soft", "Waits for its turn"),
        (_, "inspecting") => say("dot", "soft", "Looks at the proxy"),
        (_, "submitting") => say("dot", "soft", "Switch sent"),
        (_, "recovering") => say("doubt", "violet", "In doubt: asks"),
        (_, "following") => say("dot", "soft", "Follows the job"),
        (_, "verifying") => say("dot", "soft", "Looks whether it shows"),
        (_, "succeeded") if entry.proof.is_some() => say("done", "green", "Proven on the wire"),
        (_, "succeeded") => say("done", "green", "Effective"),
        (_, "reverted") => say("back", "green", "Put back"),
        (_, "failed") => say("failed", "red", "Failed"),
        (_, "in_doubt") => say("doubt", "violet", "In doubt: waits for a person"),
        (_, "skipped") => say("skipped", "soft", "Left alone"),
        (_, "cancelled") => say("skipped", "soft", "Withdrawn before anything was sent"),
        (_, to) => say("dot", "soft", to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, at: &str, from: &str, to: &str) -> JournalRow {
        let row = serde_json::json!({"seq": seq, "at": at, "rollout": "r", "kind": "change", "from": from, "to": to, "why": "because"});
        serde_json::from_value(row).expect("a row")
    }

    fn lost() -> Vec<JournalRow> {
        vec![
            entry(1, "2026-11-27T17:22:26.104Z", "queued", "ready"),
            entry(2, "2026-11-27T17:22:26.310Z", "ready", "inspecting"),
            entry(3, "2026-11-27T17:22:26.702Z", "inspecting", "submitting"),
            JournalRow {
                status: Some(500),
                ..entry(4, "2026-11-27T17:22:41.811Z", "submitting", "recovering")
            },
            JournalRow {
                job_id: Some("j".into()),
                ..entry(5, "2026-11-27T17:23:02.114Z", "recovering", "following")
            },
            JournalRow {
                job_id: Some("j".into()),
                ..entry(6, "2026-11-27T17:29:40.390Z", "following", "verifying")
            },
            JournalRow {
                job_id: Some("j".into()),
                ..entry(7, "2026-11-27T17:29:43.277Z", "verifying", "succeeded")
            },
        ]
    }

    #[test]
    fn a_lost_answer_is_told_as_asked_and_not_repeated() {
        let clock = ViewClock::new(
            "2026-11-27T17:52:08Z".parse().expect("an instant"),
            Some("Asia/Singapore"),
        );
        let steps = story(&lost(), &clock);
        let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(
            titles[2..5],
            [
                "Switch sent",
                "Answered 500: the outcome is unknown",
                "Found out by asking: the job is ours"
            ]
        );
        assert_eq!(
            (steps[3].after.as_str(), steps[3].at.shown.as_str()),
            ("+15.1 s", "01:22:41.811")
        );
        assert_eq!(
            steps.iter().filter(|step| step.job_id.is_some()).count(),
            2,
            "where it was found and where it ended"
        );
    }

    #[test]
    fn the_time_of_a_change_is_told_by_its_parts() {
        let parts: Vec<(&str, String)> = stretches(&lost())
            .iter()
            .map(|(part, lasted)| (part.words().0, lapse(*lasted)))
            .collect();
        let expected = [
            ("waiting", "0.2 s"),
            ("look", "0.4 s"),
            ("switch", "15.1 s"),
            ("in doubt", "20.3 s"),
            ("job", "6m 38s"),
            ("proof", "2.9 s"),
        ];
        assert_eq!(parts, expected.map(|(word, lasted)| (word, lasted.to_owned())));
    }
}
