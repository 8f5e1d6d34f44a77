//! What wants a person, gathered from what stops everything, the store, the rollouts, the
//! enforcements and the lanes.
//!
//! Invariant: nothing here decides; a row is a hold that a person lifts, or a state that no time
//! ends.

use jiff::Timestamp;

use super::fault::ApiError;
use super::wire::{AttentionDoc, AttentionRow, HoldView};
use super::{Api, enforcement, find, hold};
use crate::domain::count::count;
use crate::domain::stop::Stop;
use crate::engine::Snapshot;
use crate::store::Rollout;
use crate::words::attention::{EXPIRES_SOON, Overall, headline};

/// Holds of a rollout that a person lifts, the gravest first.
const FOR_PEOPLE: [&str; 6] =
    ["halted", "in_doubt", "overdue", "paused", "awaiting_promotion", "awaiting_approval"];

impl Api {
    /// What wants a person, and the first sentence of the whole.
    pub async fn attention(&self) -> Result<AttentionDoc, ApiError> {
        let (now, engine, health) = (self.now(), self.engine(), self.store.health());
        let open = find::open_rollouts(&*self.store).await?;
        let open: Vec<&Rollout> =
            open.iter().filter(|rollout| !rollout.record.phase.is_final()).collect();
        let mut rows = stops(&engine.stop);
        rows.extend(health.refusing.clone().map(|why| AttentionRow {
            word: "store_refusing".into(),
            text: "the store takes nothing new".into(),
            why,
            ..AttentionRow::default()
        }));
        let mut overall = Overall {
            stopped: engine.stop.stands(),
            refusing: health.refusing.is_some(),
            draining: engine.draining,
            open: u32::try_from(open.len()).unwrap_or(u32::MAX),
            ..Overall::default()
        };
        let mut of_rollouts = Vec::new();
        for rollout in open {
            let holds = hold::of_rollout(rollout, &engine, false, now);
            overall.moving += u32::from(holds.is_empty());
            let ends = holds.first().and_then(|hold| hold.until);
            overall.until = [overall.until, ends].into_iter().flatten().min();
            of_rollouts.extend(holds.into_iter().filter_map(|hold| held(rollout, hold)));
            of_rollouts.extend(in_doubt(rollout));
        }
        of_rollouts.sort_by_key(|row| FOR_PEOPLE.iter().position(|word| *word == row.word));
        rows.extend(of_rollouts);
        rows.extend(self.enforcements_held(now).await?);
        rows.extend(lanes(&engine));
        rows.extend(self.own_certificate(now));
        rows.extend(self.untold(now));
        rows.extend(self.certificates(now).await?);
        let (headline, until) = headline(&overall);
        Ok(AttentionDoc { headline, until, rows, as_of: now })
    }

    fn own_certificate(&self, now: Timestamp) -> Option<AttentionRow> {
        let (ends, file) = self.doors.as_ref()?.certificate_ending(now)?;
        Some(AttentionRow {
            word: "api_certificate_ends".into(),
            text: "the API's own certificate ends".into(),
            why: format!("put a new one in place of {}; it is read by itself", file.display()),
            until: Some(ends),
            ..AttentionRow::default()
        })
    }

    async fn enforcements_held(&self, now: Timestamp) -> Result<Vec<AttentionRow>, ApiError> {
        let mut rows = Vec::new();
        for known in self.store.enforcements().await? {
            let Some(origin) = self.store.rollout(known.record.origin).await? else { continue };
            let doc = enforcement::document(&known, &origin, &[], now);
            if doc.stage == "ended" {
                continue;
            }
            let text = match (doc.held, doc.held_targets) {
                (Some(why), _) => why,
                (None, 0) => continue,
                (None, targets) => {
                    format!("{} flipped back again and again", count(targets, "target", "targets"))
                }
            };
            rows.push(AttentionRow {
                word: "enforcement_held".into(),
                text,
                command: Some(format!("sealift enforce release {}", doc.name)),
                verb: Some("release".into()),
                name: Some(doc.name),
                since: Some(doc.moved_at),
                ..AttentionRow::default()
            });
        }
        Ok(rows)
    }

    async fn certificates(&self, now: Timestamp) -> Result<Vec<AttentionRow>, ApiError> {
        let mut rows = Vec::new();
        for (rollout, end) in self.certificate_ends().await? {
            if end.duration_since(now) < EXPIRES_SOON {
                rows.push(AttentionRow {
                    text: "the first certificate that the wire showed ends".into(),
                    until: Some(end),
                    ..about(&rollout, "certificate_ends")
                });
            }
        }
        Ok(rows)
    }
}

fn about(rollout: &Rollout, word: &str) -> AttentionRow {
    let (rollout, name) = (Some(rollout.id.to_string()), Some(rollout.plan.name.to_string()));
    AttentionRow { word: word.to_owned(), rollout, name, ..AttentionRow::default() }
}

fn held(rollout: &Rollout, hold: HoldView) -> Option<AttentionRow> {
    let HoldView { word, text, by, why, verb, command, since, until, help: _ } = hold;
    // What holds everything, or a lane, is told once.
    FOR_PEOPLE.contains(&word.as_str()).then(|| AttentionRow {
        text,
        by,
        why,
        verb,
        command,
        since,
        until,
        ..about(rollout, &word)
    })
}

fn in_doubt(rollout: &Rollout) -> Option<AttentionRow> {
    let (doubts, name) = (rollout.total().in_doubt, &rollout.plan.name);
    (doubts > 0).then(|| AttentionRow {
        text: format!(
            "{} in doubt: nobody knows whether the cloud did it",
            count(doubts, "change is", "changes are")
        ),
        since: Some(rollout.moved_at),
        verb: Some("resolve".into()),
        command: Some(format!("sealift changes {name} --state in_doubt")),
        ..about(rollout, "in_doubt")
    })
}

fn stops(stop: &Stop) -> Vec<AttentionRow> {
    let by = stop.by.iter().map(|mark| AttentionRow {
        word: "stopped".into(),
        text: "everything is stopped".into(),
        by: Some(mark.by.clone()),
        why: mark.reason.clone(),
        since: Some(mark.at),
        verb: Some("start".into()),
        command: Some("sealift start".into()),
        ..AttentionRow::default()
    });
    let file = stop.file.iter().map(|file| AttentionRow {
        word: "stop_file".into(),
        text: format!("everything is stopped by the file {}", file.path),
        why: file.text.trim().to_owned(),
        since: file.since,
        ..AttentionRow::default()
    });
    by.chain(file).collect()
}

fn lanes(engine: &Snapshot) -> Vec<AttentionRow> {
    let mut rows = Vec::new();
    for lane in &engine.lanes {
        let (name, of) = (&lane.lane, Some(lane.lane.to_string()));
        rows.extend(lane.held.as_ref().map(|(mark, _)| AttentionRow {
            word: "lane_held".into(),
            text: format!("lane {name} is paused"),
            lane: of.clone(),
            by: Some(mark.by.clone()),
            why: mark.reason.clone(),
            since: Some(mark.at),
            verb: Some("resume".into()),
            command: Some(format!("sealift resume --lane {name}")),
            ..AttentionRow::default()
        }));
        rows.extend(lane.paused.as_ref().filter(|pause| pause.refused).map(|pause| AttentionRow {
            word: "lane_credentials".into(),
            text: format!("the cloud refuses the credentials of lane {name}"),
            lane: of.clone(),
            why: pause.why.clone(),
            since: Some(pause.since),
            ..AttentionRow::default()
        }));
    }
    rows
}
