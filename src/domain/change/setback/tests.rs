use std::time::Duration;

use super::super::tests::{RETRY, SENT, change, context, events, job, record, states};
use super::super::*;
use super::*;

fn error(disposition: Disposition, n: u16) -> Event {
    Event::Answer(AnswerEvent::Error(CallError {
        disposition,
        retry_after: None,
        status: Some(500 + n),
        code: Some(format!("DBS.20000{n}")),
        request_id: Some(format!("request-{n}")),
        message: format!("answer {}, DBS.20000{n}: internal error", 500 + n),
    }))
}

/// What a record holds, as `to attempt status request`, the first and the last.
fn held(record: &Record) -> Vec<String> {
    let describe = |setback: &Setback| {
        let Setback { to, attempt, status, request_id, .. } = setback;
        let status = status.map_or("-".to_owned(), |status| status.to_string());
        format!("{} {attempt} {status} {}", to.as_str(), request_id.as_deref().unwrap_or("-"))
    };
    record
        .setbacks
        .iter()
        .flat_map(|setbacks| [describe(&setbacks.first), describe(setbacks.last())])
        .collect()
}

/// Takes the events one after the other.
fn walk(mut change: Change, steps: &[Event]) -> Change {
    for event in steps {
        let waited = if matches!(change.record.state, State::Recovering { .. }) {
            Duration::from_secs(20)
        } else {
            Duration::ZERO
        };
        change.record = decide(&change, event, &context(Clearance::Open, false, waited))
            .expect("not stale")
            .record;
    }
    change
}

#[test]
fn the_first_answer_and_the_last_are_held_whatever_follows_them() {
    let events = events();
    let [observed, woken, nothing] =
        ["observed other", "woken", "found nothing"].map(|name| events[name].clone());
    let mut change = change(record(&State::Inspecting, "-"));
    for n in 1..=RETRY.max_attempts {
        let lost = [observed.clone(), error(Disposition::Unknown, n), nothing.clone()];
        change = walk(change, &lost);
        assert_eq!(change.record.state.as_str(), "recovering");
        let decision = decide(&change, &observed, &context(Clearance::Open, false, Duration::ZERO))
            .expect("not stale");
        let caused = format!("answer {}, DBS.20000{n}: internal error; not executed: ", 500 + n);
        assert!(decision.why.contains(&caused), "the answer is not hidden: {}", decision.why);
        change.record = decision.record;
        if n < RETRY.max_attempts {
            change = walk(change, std::slice::from_ref(&woken));
        }
    }
    let State::Failed { reason } = &change.record.state else { panic!("{:?}", change.record) };
    assert!(
        reason.message.starts_with(
            "3 attempts, the last: answer 503, DBS.200003: internal error; not executed"
        ),
        "{}",
        reason.message
    );
    assert_eq!(held(&change.record), ["switch 1 501 request-1", "switch 3 503 request-3"]);
}

#[test]
fn a_change_that_stays_in_doubt_names_the_answer_that_brought_it_there() {
    let events = events();
    let lost = [events["observed other"].clone(), error(Disposition::Unknown, 1)];
    let in_doubt = walk(change(record(&State::Inspecting, "-")), &lost);
    let late = context(Clearance::Open, false, Duration::from_secs(3600));
    for event in ["observed untold", "error unknown"] {
        let decision = decide(&in_doubt, &events[event], &late).expect("not stale");
        let State::InDoubt { reason } = &decision.record.state else { panic!("{decision:?}") };
        assert!(
            reason.message.starts_with("answer 501, DBS.200001: internal error; "),
            "{event}: {}",
            reason.message
        );
        assert_eq!(held(&decision.record), ["switch 1 501 request-1"; 2]);
    }
    // No answer at all, as after a crash: nothing is made up.
    let unanswered = change(record(&states()["recovering 0"], "-"));
    let again = decide(
        &unanswered,
        &events["observed other"],
        &context(Clearance::Open, false, Duration::ZERO),
    )
    .expect("not stale");
    assert!(
        again.why.starts_with("not executed: ") && again.record.setbacks.is_none(),
        "{}",
        again.why
    );
}

#[test]
fn every_answer_that_costs_something_is_held_and_no_other() {
    let costs = |disposition| {
        let paid = [
            Disposition::NotDone,
            Disposition::Busy,
            Disposition::Unknown,
            Disposition::NotFound,
            Disposition::Fatal,
        ];
        paid.contains(&disposition)
    };
    for disposition in Disposition::ALL {
        for (state, expected_text) in
            [("inspecting", "look 0 501 request-1"), ("submitting", "switch 1 501 request-1")]
        {
            let after = walk(change(record(&states()[state], "-")), &[error(disposition, 1)]);
            let expected: &[&str] =
                if costs(disposition) { &[expected_text, expected_text] } else { &[] };
            assert_eq!(held(&after.record), expected, "{state} {disposition:?}");
        }
        // Questions about what is in flight cost no attempt, and hide none.
        for state in ["recovering", "following", "verifying"] {
            assert!(
                walk(change(record(&states()[state], "-")), &[error(disposition, 1)])
                    .record
                    .setbacks
                    .is_none()
            );
        }
    }
    let broken = events()["job broken"].clone();
    let after = walk(change(record(&states()["following"], "-")), std::slice::from_ref(&broken));
    assert_eq!(
        (held(&after.record), after.record.setbacks.expect("held").first.message),
        (vec!["job 1 - -".to_owned(); 2], "disk full".into())
    );
    let mut presumed = record(&states()["following"], "-");
    presumed.presumed = Some(Box::new(Presumed {
        doubt: states()["recovering"].clone(),
        jobs: vec![job("known")],
        named: false,
    }));
    assert!(
        walk(change(presumed), &[broken]).record.setbacks.is_none(),
        "it may be the end of somebody else's job"
    );
}

#[test]
fn what_begins_again_begins_without_setbacks() {
    let events = events();
    let failed =
        walk(change(record(&states()["submitting"], "-")), &[error(Disposition::Fatal, 1)]);
    assert_eq!(held(&failed.record).len(), 2);
    assert!(walk(failed.clone(), &[events["requeue"].clone()]).record.setbacks.is_none());
    let mut switched = change(Record {
        setbacks: failed.record.setbacks.clone(),
        ..record(&states()["succeeded"], "-")
    });
    assert!(walk(switched.clone(), &[events["undo"].clone()]).record.setbacks.is_none());
    // A job that a person names belongs to the attempt that was answered so.
    switched.record.state = states()["in_doubt"].clone();
    assert_eq!(held(&walk(switched, &[events["adopt"].clone()]).record).len(), 2);
}

#[test]
fn a_record_with_setbacks_is_stored_in_few_words_and_one_without_is_read() {
    let failed = walk(
        change(record(&State::Submitting { sent: SENT, cloud: None }, "-")),
        &[error(Disposition::Fatal, 1)],
    );
    let stored = serde_json::to_string(&failed.record).expect("a text");
    let expected = r#""setbacks":{"first":{"to":"switch","attempt":1,"status":501,"code":"DBS.200001","request_id":"request-1","message":"answer 501, DBS.200001: internal error"}}"#;
    assert!(stored.contains(expected), "{stored}");
    assert_eq!(serde_json::from_str::<Record>(&stored).expect("the same"), failed.record);
    let older = r#"{"state":{"is":"failed","reason":{"word":"refused","message":"no"}},"attempts":1,"version":3}"#;
    assert!(serde_json::from_str::<Record>(older).expect("readable").setbacks.is_none());
}
