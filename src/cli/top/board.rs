//! What `top` shows, read from the API: the same documents that the page and the other verbs read.
//!
//! Invariant: every read is bounded; a board is read whole or not at all.

use std::collections::BTreeSet;

use crate::cli::client::Client;
use crate::cli::client_error::ClientError;
use crate::cli::wire::{
    AttentionDoc, ChangeRow, DaemonDoc, Events, JournalRow, Listing, RolloutDoc, RolloutRow,
    VerbsDoc, Whoami,
};

/// Rollouts of the list that are over.
const OVER: usize = 20;

/// Changes of each kind.
const CHANGES: usize = 100;

/// Changes that are next in line.
const NEXT: usize = 10;

/// Entries of the journal that are looked through, from its end, for those of one rollout.
pub const LOOKED_THROUGH: u64 = 200;

/// Entries that are shown of them.
const ENTRIES: usize = 100;

/// Where one looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopPlace {
    /// At everything; with the journal of this rollout.
    Now(Option<String>),
    /// At this rollout, by its id.
    Rollout(String),
}

impl TopPlace {
    /// The rollout whose journal is read.
    pub fn rollout(&self) -> Option<&str> {
        match self {
            Self::Now(chosen) => chosen.as_deref(),
            Self::Rollout(id) => Some(id),
        }
    }
}

/// All that was read at one moment.
#[derive(Debug, Clone)]
pub struct Board {
    /// Where it was read for.
    pub place: TopPlace,
    pub whoami: Whoami,
    pub daemon: DaemonDoc,
    pub attention: AttentionDoc,
    /// What is open, and what was over last.
    pub rollouts: Vec<BoardRow>,
    pub rollout: Option<Box<RolloutBoard>>,
    /// The latest entries of the place's rollout, newest first.
    pub entries: Vec<JournalRow>,
}

/// A rollout of the list.
#[derive(Debug, Clone)]
pub enum BoardRow {
    /// With its holds and its outlook.
    Open(Box<RolloutDoc>),
    Over(Box<RolloutRow>),
}

impl BoardRow {
    pub fn id(&self) -> &str {
        match self {
            Self::Open(document) => &document.id,
            Self::Over(row) => &row.id,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Open(document) => &document.name,
            Self::Over(row) => &row.name,
        }
    }

    /// Of its record, as `If-Match` takes it.
    pub fn tag(&self) -> &str {
        match self {
            Self::Open(document) => &document.tag,
            Self::Over(row) => &row.tag,
        }
    }
}

/// One rollout.
#[derive(Debug, Clone)]
pub struct RolloutBoard {
    pub document: RolloutDoc,
    pub verbs: VerbsDoc,
    /// Changes under their heads, as on the page: what moves, what is wrong, what is next.
    pub changes: Vec<(&'static str, Listing<ChangeRow>)>,
}

/// Reads what is shown at a place.
pub async fn read(client: &Client, place: TopPlace) -> Result<Board, ClientError> {
    let whoami = client.get("/v1/whoami", &[]);
    let (whoami, daemon, attention) = tokio::try_join!(
        whoami,
        client.get::<DaemonDoc>("/v1/daemon", &[]),
        client.get("/v1/attention", &[])
    )?;
    let seq = daemon.store.seq;
    let (rollouts, rollout) = match &place {
        TopPlace::Now(_) => (rollouts(client).await?, None),
        TopPlace::Rollout(id) => (Vec::new(), Some(Box::new(rollout(client, id).await?))),
    };
    // The cursor rests on the list: without one it is the first.
    let place = match place {
        TopPlace::Now(None) => TopPlace::Now(rollouts.first().map(|row| row.id().to_owned())),
        place => place,
    };
    let entries = match place.rollout() {
        Some(id) => entries(client, id, seq).await?,
        None => Vec::new(),
    };
    Ok(Board { place, whoami, daemon, attention, rollouts, rollout, entries })
}

/// What is open, newest first, then what was over last.
async fn rollouts(client: &Client) -> Result<Vec<BoardRow>, ClientError> {
    let limit = [("limit", OVER.to_string())];
    let (open, latest) = tokio::try_join!(
        client.events(None, None, 0),
        client.page::<RolloutRow>("/v1/rollouts", &limit)
    )?;
    let Events { rollouts: mut open, .. } = open;
    open.sort_by_key(|rollout| std::cmp::Reverse(rollout.submitted_at));
    let known: BTreeSet<String> = open.iter().map(|document| document.id.clone()).collect();
    let over = latest.rows.into_iter().filter(|row| !known.contains(&row.id));
    let over: Vec<BoardRow> = over.map(|row| BoardRow::Over(Box::new(row))).collect();
    Ok(open.into_iter().map(|document| BoardRow::Open(Box::new(document))).chain(over).collect())
}

async fn rollout(client: &Client, id: &str) -> Result<RolloutBoard, ClientError> {
    let path = format!("/v1/rollouts/{id}");
    let (verbs, changes) = (format!("{path}/verbs"), format!("{path}/changes"));
    let (document, verbs) = tokio::try_join!(client.rollout(id), client.get(&verbs, &[]))?;
    let tally = document.tally;
    let mut groups = Vec::new();
    for (head, count, states, limit) in [
        ("In flight", tally.active, "active", CHANGES),
        ("Wrong", tally.failed + tally.in_doubt, "failed,in_doubt", CHANGES),
        ("Left alone", tally.skipped, "skipped", CHANGES),
        ("Next in line", tally.queued, "queued", NEXT),
    ] {
        if count > 0 {
            let query = [("state", states.to_owned()), ("limit", limit.to_string())];
            groups.push((head, client.page(&changes, &query).await?));
        }
    }
    Ok(RolloutBoard { document, verbs, changes: groups })
}

async fn entries(client: &Client, id: &str, seq: u64) -> Result<Vec<JournalRow>, ClientError> {
    let after = seq.saturating_sub(LOOKED_THROUGH);
    let query = [("after", after.to_string()), ("limit", LOOKED_THROUGH.to_string())];
    let mut rows =
        client.page::<JournalRow>(&format!("/v1/rollouts/{id}/journal"), &query).await?.rows;
    rows.reverse();
    rows.truncate(ENTRIES);
    Ok(rows)
}
