//! The cells in which a change that is put back differs from one that goes forward, and the same
//! cells where it must not.

use crate::domain::change::tests::{
    CLOUD, RETRY, SENT, change, context, describe, events, every_cell_is_as, job, reason,
};
use crate::domain::change::{
    Change, Clearance, Directive, Event, How, Record, Stale, State, Undo, decide,
};
use std::time::Duration;

/// As the table of `change`, for changes of a plan that switched SSL on: what is wanted now is off,
/// and `observed right` shows that it still is on. An `undo` counts the PUTs that may have put it
/// back.
///
/// * tried: one such PUT was sent. retried: one was, before a person's retry. again: two were.
///   spent: all attempts are.
const TABLE: &str = "
queued       ; release         ; -         => ready before=false jobs=known undo 0 | - | now
queued       ; cancel          ; -         => skipped revert_aborted before=false jobs=known undo 0 | - | never
ready        ; cancel          ; tried     => skipped revert_aborted a1 before=false jobs=known undo 1 | - | never
ready        ; woken           ; -         => inspecting before=false jobs=known undo 0 | inspect | never
ready        ; woken           ; held      => queued before=false jobs=known undo 0 | - | never
ready        ; woken           ; shut      => queued before=false jobs=known undo 0 | - | never
ready        ; woken           ; withdrawn => skipped revert_aborted before=false jobs=known undo 0 | - | never
inspecting   ; observed right  ; -         => submitting a1 before=false jobs=known undo 1 | submit | never
inspecting   ; observed right  ; tried     => submitting a2 before=false jobs=known undo 2 | submit | never
inspecting   ; observed right  ; retried   => submitting a1 before=false jobs=known undo 2 | submit | never
inspecting   ; observed right  ; spent     => failed attempts_spent a3 before=false jobs=known undo 3 | - | never
inspecting   ; observed right  ; held      => ready before=false jobs=known undo 0 | - | now
inspecting   ; observed right  ; shut      => ready before=false jobs=known undo 0 | - | now
inspecting   ; observed other  ; -         => skipped changed_since before=false jobs=known undo 0 | - | never
inspecting   ; observed other  ; shut      => skipped changed_since before=false jobs=known undo 0 | - | never
inspecting   ; observed other  ; tried     => reverted switched_job_unknown a1 before=false jobs=known undo 1 | - | never
inspecting   ; observed other  ; retried   => reverted switched_job_unknown before=false jobs=known undo 1 | - | never
inspecting   ; observed none   ; -         => skipped changed_since before=false jobs=known undo 0 | - | never
inspecting   ; observed untold ; -         => failed unreadable before=false jobs=known undo 0 | - | never
inspecting   ; observed busy   ; -         => ready w1 before=false jobs=known undo 0 | - | poll 1
inspecting   ; observed faulty ; -         => failed faulty before=false jobs=known undo 0 | - | never
inspecting   ; error not_found ; -         => failed not_found before=false jobs=known undo 0 | - | never
submitting   ; woken           ; tried     => recovering a1 before=false jobs=known undo 1 | - | settle
submitting   ; error withheld  ; tried     => ready before=false jobs=known undo 0 | - | now
submitting   ; error withheld  ; again     => ready a1 before=false jobs=known undo 1 | - | now
submitting   ; error throttled ; tried     => ready before=false jobs=known undo 0 | - | now
submitting   ; error not_done  ; tried     => ready a1 before=false jobs=known undo 1 | - | backoff 1
submitting   ; error unknown   ; tried     => recovering a1 before=false jobs=known undo 1 | - | settle
submitting   ; accepted job    ; tried     => following a1 before=false jobs=known,late undo 1 | - | poll 0
recovering 0 ; observed right  ; tried     => ready a1 before=false jobs=known undo 1 | - | backoff 1
recovering 0 ; observed other  ; tried     => reverted switched_job_unknown a1 before=false jobs=known undo 1 | - | never
recovering 2 ; observed right  ; late      => in_doubt unreadable a1 before=false jobs=known undo 1 | - | never
following    ; job broken      ; tried     => ready a1 before=false jobs=known undo 1 | - | backoff 1
following    ; job completed   ; tried     => verifying a1 before=false jobs=known undo 1 | inspect | never
verifying    ; observed other  ; tried     => reverted switched a1 before=false jobs=known undo 1 | - | never
verifying    ; observed right  ; tried     => verifying a1 before=false jobs=known undo 1 | - | poll 0
verifying    ; observed right  ; late      => failed unverified a1 before=false jobs=known undo 1 | - | never
failed       ; requeue         ; -         => queued before=false jobs=known undo 0 | - | never
failed       ; requeue         ; tried     => queued before=false jobs=known undo 1 | - | never
in_doubt     ; requeue         ; tried     => queued before=false jobs=known undo 1 | - | never
failed       ; undo            ; -         => stale
reverted     ; undo            ; -         => stale
reverted     ; requeue         ; -         => stale
skipped      ; undo            ; -         => stale
skipped      ; requeue         ; -         => stale
";

fn undone(state: &State, circumstances: &str) -> Change {
    let (attempts, puts) = match circumstances {
        "tried" | "late" => (1, 1),
        "retried" => (0, 1),
        "again" => (2, 2),
        "spent" => (RETRY.max_attempts, RETRY.max_attempts),
        _ => (0, 0),
    };
    let record = Record {
        state: state.clone(),
        attempts,
        before: Some(false),
        jobs: vec![job("known")],
        undo: Some(Undo { puts }),
        ..Record::queued()
    };
    let desired = record.desired(true);
    Change { desired, ..change(record) }
}

#[test]
fn every_cell_is_as_the_table_says() {
    every_cell_is_as(TABLE, undone);
}

#[test]
fn only_what_was_surely_switched_from_a_known_value_is_put_back() {
    let cases = [
        (How::Switched, Some(false), "queued before=false undo 0"),
        (How::Switched, None, "skipped before_unknown"),
        (How::Switched, Some(true), "stale"),
        (How::SwitchedJobUnknown, Some(false), "skipped not_surely_ours before=false"),
        (How::AlreadyRight, None, "stale"),
    ];
    for (how, before, expected) in cases {
        let change = change(Record { state: State::Succeeded { how }, before, ..Record::queued() });
        let found = match decide(
            &change,
            &Event::Rollout(Directive::Undo),
            &context(Clearance::Withdrawn, true, Duration::ZERO),
        ) {
            Ok(decision) => {
                describe(&change, &decision).split(" |").next().unwrap_or_default().to_owned()
            }
            Err(Stale) => "stale".into(),
        };
        assert_eq!(found, expected, "{how:?} {before:?}");
    }
}

/// Somebody else puts it back while our own PUT is withheld: nothing of ours reached it, so nothing
/// is claimed.
#[test]
fn what_somebody_else_put_back_is_never_ours() {
    let events = events();
    let mut change = undone(&State::Inspecting, "-");
    for event in ["observed right", "error withheld", "woken", "observed other"] {
        let decision =
            decide(&change, &events[event], &context(Clearance::Open, false, Duration::ZERO))
                .expect("not stale");
        change.record = decision.record;
    }
    assert!(matches!(change.record.state, State::Skipped { .. }), "{:?}", change.record);
}

#[test]
fn a_record_of_before_there_were_reverts_is_read() {
    let old = r#"{"state":{"is":"failed","reason":{"word":"refused","message":"no"}},"version":3}"#;
    let record: Record = serde_json::from_str(old).expect("readable");
    assert_eq!(
        record,
        Record { state: State::Failed { reason: reason() }, version: 3, ..Record::queued() }
    );
    let sent = Record {
        state: State::Submitting { sent: SENT, cloud: CLOUD },
        undo: Some(Undo { puts: 1 }),
        ..Record::queued()
    };
    let stored = serde_json::to_string(&sent).expect("a text");
    assert_eq!(serde_json::from_str::<Record>(&stored).expect("the same"), sent);
}
