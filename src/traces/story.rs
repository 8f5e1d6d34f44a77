//! From a change's journal entries to the spans of its trace.
//!
//! Invariant: pure, and the same entries give the same trace. One span stands for the change, from
//! its release to its outcome, and below it one for each stay in a state; an answer of the cloud is
//! an event of the state that asked.
//!
//! Deliberately not here: which entries are read (`follower`), and bytes (`otlp`).

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::change::StateKind;
use crate::domain::id::ChangeId;
use crate::domain::journal::{Entry, JournalEvent, Trace};

/// A key and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) key: &'static str,
    pub(super) value: String,
}

impl Attribute {
    pub(super) fn text(key: &'static str, value: impl Into<String>) -> Self {
        Self { key, value: value.into() }
    }
}

/// Something that happened at one instant of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpanEvent {
    /// Nanoseconds since 1970, as everywhere here.
    pub(super) at: u64,
    pub(super) name: &'static str,
    pub(super) attributes: Vec<Attribute>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<Attribute>,
    pub(super) events: Vec<SpanEvent>,
    /// Why, of a change that failed or is in doubt.
    pub(super) failed: Option<String>,
}

/// One trace: the change's own span first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) spans: Vec<Span>,
}

/// The trace's id, which follows from the change alone.
pub(super) fn trace_id(change: ChangeId) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(change.rollout.as_bytes());
    hash.update(change.ordinal.to_be_bytes());
    hash.finalize().first_chunk().copied().expect("32 bytes begin with 16")
}

/// The id of a span of this trace that an entry begins.
fn span_id(trace: [u8; 16], kind: &str, seq: u64) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(trace);
    hash.update(kind);
    hash.update(seq.to_be_bytes());
    hash.finalize().first_chunk().copied().expect("32 bytes begin with 8")
}

/// Whether the trace of this change is among so many hundredths of a percent of all.
pub(super) fn is_sampled(change: ChangeId, hundredths: u32) -> bool {
    let id = trace_id(change);
    let low = id.last_chunk().copied().map_or(0, u64::from_be_bytes);
    low % 10_000 < u64::from(hundredths)
}

/// The states whose changes are always drawn: a person looks at them.
pub(super) fn is_always_drawn(outcome: StateKind) -> bool {
    matches!(outcome, StateKind::Failed | StateKind::InDoubt)
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

/// The trace of a change that has settled, from its entries in their order; `None`: there are none.
/// `cut`: there are earlier ones that nobody read.
pub(super) fn draw(change: ChangeId, plan: &str, entries: &[Entry], cut: bool) -> Option<Drawn> {
    let moves: Vec<MoveLine<'_>> =
        entries.iter().filter_map(|entry| moved(entry, change)).collect();
    let (first, last) = (moves.first()?, moves.last()?);
    let trace = trace_id(change);
    let root = span_id(trace, "change", first.seq);
    let mut attributes = vec![
        Attribute::text("sealift.rollout", change.rollout.to_string()),
        Attribute::text("sealift.plan", plan),
        Attribute::text("sealift.ordinal", change.ordinal.to_string()),
        Attribute::text("sealift.instance_id", first.instance),
        Attribute::text("sealift.proxy_id", first.proxy),
        Attribute::text("sealift.outcome", last.to),
        Attribute::text("sealift.why", last.why),
    ];
    attributes.extend(last.jobs.iter().map(|job| Attribute::text("sealift.job_id", job.clone())));
    attributes.extend(cut.then(|| Attribute::text("sealift.beginning_missing", "true")));
    let failed = StateKind::parse(last.to).is_some_and(is_always_drawn);
    let mut spans = vec![Span {
        trace,
        id: root,
        parent: None,
        name: format!("change {}", last.to),
        began: nanoseconds(first.at),
        ended: nanoseconds(last.at),
        attributes,
        events: Vec::new(),
        failed: failed.then(|| last.why.to_owned()),
    }];
    for pair in moves.windows(2) {
        let [entered, next] = pair else { continue };
        let event = next.answer.map(|answer| answered(answer, next.at));
        let stays = spans.len() > 1 && entered.from == entered.to;
        match spans.last_mut().filter(|_| stays) {
            Some(span) => {
                span.ended = nanoseconds(next.at);
                span.events.extend(event);
            }
            None => spans.push(Span {
                trace,
                id: span_id(trace, "state", entered.seq),
                parent: Some(root),
                name: entered.to.to_owned(),
                began: nanoseconds(entered.at),
                ended: nanoseconds(next.at),
                attributes: vec![Attribute::text("sealift.why", entered.why)],
                events: event.into_iter().collect(),
                failed: None,
            }),
        }
    }
    Some(Drawn { spans })
}

/// An answer of the cloud, or what the wire showed.
fn answered(answer: &Trace, at: Timestamp) -> SpanEvent {
    let mut attributes = vec![Attribute::text("sealift.call", answer.call.clone())];
    let id = answer.request_id.as_ref();
    attributes.extend(id.map(|id| Attribute::text("sealift.request_id", id.clone())));
    let status = answer.status.map(|status| status.to_string());
    attributes.extend(status.map(|status| Attribute::text("sealift.status", status)));
    let code = answer.code.as_ref();
    attributes.extend(code.map(|code| Attribute::text("sealift.code", code.clone())));
    SpanEvent { at: nanoseconds(at), name: "answer", attributes }
}

/// One entry of the change.
struct MoveLine<'e> {
    seq: u64,
    at: Timestamp,
    instance: &'e str,
    proxy: &'e str,
    from: &'e str,
    to: &'e str,
    why: &'e str,
    answer: Option<&'e Trace>,
    jobs: Vec<String>,
}

fn moved(entry: &Entry, change: ChangeId) -> Option<MoveLine<'_>> {
    let JournalEvent::Change {
        ordinal, instance_id, proxy_id, from, to, why, answer, record, ..
    } = &entry.what
    else {
        return None;
    };
    (entry.rollout == change.rollout && *ordinal == change.ordinal).then(|| MoveLine {
        seq: entry.seq,
        at: entry.at,
        instance: instance_id.as_str(),
        proxy: proxy_id.as_str(),
        from,
        to,
        why,
        answer: answer.as_ref(),
        jobs: record.jobs.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests;
