use super::*;
use crate::domain::change::{Reason, ReasonWord, Record, State};
use crate::domain::id::{JobId, RolloutId};

const CHANGE: ChangeId = ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal: 3 };

/// An entry at this second, from one state to another; an answer of this call led to it.
fn entry(
    seq: u64,
    second: i64,
    from: &'static str,
    to: State,
    call: Option<&'static str>,
) -> Entry {
    let to_word = to.as_str();
    let record = Record { state: to, ..Record::queued() };
    let answer = call.map(|call| Trace {
        call: call.into(),
        request_id: Some(format!("req-{seq}")),
        ..Trace::default()
    });
    let what = JournalEvent::Change {
        ordinal: CHANGE.ordinal,
        instance_id: "a0000000000000000000000000000000in07".parse().expect("an id"),
        proxy_id: "a0000000000000000000000000000000po01".parse().expect("an id"),
        from: from.into(),
        to: to_word.into(),
        why: format!("entry {seq}"),
        call: None,
        answer,
        earlier: None,
        via: None,
        by: None,
        record,
    };
    let at = Timestamp::from_second(second).expect("an instant");
    Entry { seq, at, rollout: CHANGE.rollout, what }
}

fn job() -> JobId {
    "job-1".parse().expect("a job id")
}

/// Released, looked at, sent, followed twice, and then so.
fn entries(end: State) -> Vec<Entry> {
    vec![
        entry(10, 100, "queued", State::Ready, None),
        entry(12, 101, "ready", State::Inspecting, None),
        entry(15, 103, "inspecting", State::Following { job: job() }, Some("inspect")),
        entry(16, 105, "following", State::Following { job: job() }, Some("jobs")),
        entry(20, 109, "following", end, Some("follow")),
    ]
}

fn seconds(span: &Span) -> (u64, u64) {
    (span.began / 1_000_000_000, span.ended / 1_000_000_000)
}

#[test]
fn a_change_is_a_span_with_one_for_each_state_below_it() {
    let end = State::Succeeded { how: crate::domain::change::How::Switched };
    let drawn = draw(CHANGE, "night", &entries(end), false).expect("it has entries");
    let shown: Vec<_> =
        drawn.spans.iter().map(|span| (span.name.as_str(), seconds(span))).collect();
    let wanted = [
        ("change succeeded", (100, 109)),
        ("ready", (100, 101)),
        ("inspecting", (101, 103)),
        ("following", (103, 109)),
    ];
    assert_eq!(shown, wanted);
    let [root, _, inspecting, following] = &drawn.spans[..] else { panic!("four spans") };
    assert!(root.parent.is_none() && root.failed.is_none());
    assert!(drawn.spans[1..].iter().all(|span| span.parent == Some(root.id)));
    assert!(drawn.spans.iter().all(|span| span.trace == trace_id(CHANGE)));
    let mut ids: Vec<_> = drawn.spans.iter().map(|span| span.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each has an id of its own");
    let answers = |span: &Span| {
        let calls = span
            .events
            .iter()
            .map(|event| (event.at / 1_000_000_000, event.attributes[0].value.clone()));
        calls.collect::<Vec<_>>()
    };
    assert_eq!(
        answers(inspecting),
        [(103, "inspect".to_owned())],
        "the answer that ended the state"
    );
    assert_eq!(answers(following), [(105, "jobs".to_owned()), (109, "follow".to_owned())]);
    let ids = following.events.iter().map(|event| event.attributes[1].value.as_str());
    assert_eq!(ids.collect::<Vec<_>>(), ["req-16", "req-20"]);
}

#[test]
fn what_failed_says_why_and_the_same_entries_give_the_same_trace() {
    let reason = Reason { word: ReasonWord::Refused, message: "no".into() };
    let failed = entries(State::Failed { reason });
    let drawn = draw(CHANGE, "night", &failed, true).expect("it has entries");
    assert_eq!(drawn.spans[0].failed.as_deref(), Some("entry 20"));
    assert_eq!(draw(CHANGE, "night", &failed, true), Some(drawn.clone()));
    let missing = |drawn: &Drawn| {
        drawn.spans[0].attributes.iter().any(|one| one.key == "sealift.beginning_missing")
    };
    assert!(missing(&drawn));
    assert!(!missing(&draw(CHANGE, "night", &failed, false).expect("it has entries")));
    assert_eq!(draw(ChangeId { ordinal: 4, ..CHANGE }, "night", &failed, false), None, "another's");
}

#[test]
fn a_share_of_the_changes_is_sampled_and_always_the_same_ones() {
    let sampled = |hundredths| {
        let all = (0..10_000).map(|ordinal| ChangeId { ordinal, ..CHANGE });
        all.filter(|id| is_sampled(*id, hundredths)).collect::<Vec<_>>()
    };
    assert_eq!((sampled(0).len(), sampled(10_000).len()), (0, 10_000));
    let few = sampled(500);
    assert!((400..600).contains(&few.len()), "{}", few.len());
    let more = sampled(1_000);
    assert!(few.iter().all(|id| more.contains(id)), "a larger share holds the smaller one");
}
