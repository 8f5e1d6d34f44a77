//! *One change*: outcome, before and after, where the time went, and its whole story from the
//! journal.

use askama::Template;

use super::rollout::held;
use crate::api::wire::{ChangeRow, FullProofDoc, RolloutDoc};
use crate::api::{ApiError, Story};
use crate::page::draw::{Share, meter};
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{of_change, spoken};
use crate::page::story::{StoryStep, lapse, story, stretches};

#[derive(Template)]
#[template(path = "change.html")]
pub struct ChangeView {
    shell: Shell,
    rollout: RolloutDoc,
    row: ChangeRow,
    tone: &'static str,
    summary: String,
    parts: Vec<(&'static str, &'static str, String)>,
    time: String,
    steps: Vec<StoryStep>,
    /// Why the journal could not be read.
    unread: Option<String>,
    entries: String,
    proof: Option<ProofLines>,
    tags: Vec<(String, String)>,
    before: Option<bool>,
    wanted: bool,
    shown: bool,
}

struct ProofLines {
    lines: Vec<(&'static str, String)>,
    sha256: Option<String>,
    at: Moment,
}

impl ChangeView {
    /// One change of a rollout with what the journal says of it.
    pub fn new(
        around: &ViewSource,
        rollout: RolloutDoc,
        row: ChangeRow,
        story_of: Result<Story, ApiError>,
        clock: ViewClock,
    ) -> Self {
        let (story_of, unread) = match story_of {
            Ok(story) => (story, None),
            Err(error) => {
                (Story { entries: Vec::new(), whole: true }, Some(error.problem().detail.clone()))
            }
        };
        let entries = &story_of.entries;
        let parts = stretches(entries);
        let whole: u64 =
            parts.iter().map(|(_, lasted)| lasted.as_millis().unsigned_abs() as u64).sum();
        let shares: Vec<Share> = parts
            .iter()
            .map(|(part, lasted)| Share {
                tone: part.words().1,
                count: lasted.as_millis().unsigned_abs() as u64,
            })
            .collect();
        let says = parts
            .iter()
            .map(|(part, lasted)| format!("{} {}", part.words().0, lapse(*lasted)))
            .collect::<Vec<_>>()
            .join(", ");
        let proof = entries.iter().rev().find_map(|entry| entry.proof.as_deref());
        let wanted =
            if row.undo { row.before.unwrap_or(!rollout.ssl_option) } else { rollout.ssl_option };
        Self {
            tone: of_change(&row.state).1,
            summary: summary(&row, &clock),
            time: if parts.is_empty() { String::new() } else { meter(&shares, whole, &says) },
            parts: parts
                .iter()
                .map(|(part, lasted)| (part.words().0, part.words().1, lapse(*lasted)))
                .collect(),
            steps: story(entries, &clock),
            unread,
            entries: span(entries, story_of.whole),
            proof: proof.map(|proof| proof_lines(proof, &clock)),
            tags: row.tags.clone().into_iter().collect(),
            before: row.before,
            wanted,
            shown: matches!(row.state.as_str(), "succeeded" | "reverted"),
            shell: Shell::new(
                around,
                "Rollouts",
                format!("change {} of {}", row.ordinal, rollout.name),
                clock,
            ),
            rollout,
            row,
        }
    }

    fn word(on: &bool) -> &'static str {
        if *on { "on" } else { "off" }
    }
}

fn span(entries: &[crate::api::wire::JournalRow], whole: bool) -> String {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return "nothing is in the journal yet".into();
    };
    let missing = if whole { "" } else { ", and more that were not looked through" };
    format!(
        "{} journal entries, {} to {}{missing}",
        entries.len(),
        crate::page::state::grouped(&first.seq),
        crate::page::state::grouped(&last.seq)
    )
}

fn summary(row: &ChangeRow, clock: &ViewClock) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = &row.reason {
        parts.push(reason.clone());
    }
    parts.extend(row.hold.as_ref().map(|hold| held(hold, clock)));
    if let Some(proof) = &row.proof {
        parts.push(format!("proven on the wire at {}", clock.second(proof.at).shown));
    }
    let switches = crate::domain::count::count(u32::from(row.attempts), "switch", "switches");
    let jobs = crate::domain::count::count(
        u32::try_from(row.jobs.len()).unwrap_or(u32::MAX),
        "job",
        "jobs",
    );
    parts.push(format!("{switches} sent, {jobs}"));
    parts.join(" · ")
}

fn proof_lines(proof: &FullProofDoc, clock: &ViewClock) -> ProofLines {
    let (tls, leaf) = (&proof.tls, proof.tls.as_ref().and_then(|tls| tls.chain.first()));
    let mut lines = Vec::new();
    let version = tls.as_ref().map(|tls| tls.version.clone());
    lines.push(("TLS", version.unwrap_or_else(|| "none is announced".to_owned())));
    lines.extend(tls.as_ref().map(|tls| ("Cipher", tls.cipher.clone())));
    lines.push(("Port", proof.endpoint.clone()));
    lines.extend(
        leaf.and_then(|leaf| leaf.not_after)
            .map(|end| ("Ends", format!("{}, in {}", clock.long(end).shown, clock.apart(end)))),
    );
    lines.push(("Plain text", spoken(&proof.plaintext)));
    ProofLines { lines, sha256: leaf.map(|leaf| leaf.sha256.clone()), at: clock.second(proof.at) }
}
