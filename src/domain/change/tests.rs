//! The table of `decide`, cell by cell, and what holds on every way through it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::*;
use crate::domain::call::{Call, CallError, Disposition, JobSeen, JobView, ProxyStatus, ProxyView};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, JobId};
use crate::domain::id::{Name, RolloutId};
use crate::domain::retry;
use crate::domain::target::Target;
use crate::domain::window::{Opening, ShutBy};

/// One row a cell: state ; event ; circumstances => next record | call | wake. A cell without
/// circumstances (`-`) is decided with gate and window open, nothing waited and one attempt of
/// three spent where a PUT was sent.
///
/// * held, withdrawn, shut: the gate or the window says so. late: longer waited than any limit.
/// * clock: the clocks are too far apart. silent: the cloud tells no time, and its list covered
///   nothing. uncovered: the list did not cover the time of the PUT.
/// * tried: one PUT was sent before. spent: all three attempts are. missed: all looks but one
///   failed. weary: one wait is left.
///
/// The next record is its state and what stands in it beside the version: a(ttempts), w(aits),
/// m(isses), before, jobs.
const TABLE: &str = "
queued       ; release             ; -         => ready | - | now
queued       ; cancel              ; -         => cancelled | - | never
ready        ; woken               ; -         => inspecting | inspect | never
ready        ; woken               ; held      => queued | - | never
ready        ; woken               ; withdrawn => cancelled | - | never
ready        ; woken               ; shut      => queued | - | never
ready        ; woken               ; clock     => ready | - | clock look
ready        ; woken               ; silent    => inspecting | inspect | never
ready        ; cancel              ; -         => cancelled | - | never
inspecting   ; woken               ; -         => inspecting | inspect | never
inspecting   ; observed none       ; -         => failed not_found | - | never
inspecting   ; observed right      ; -         => succeeded already_right | - | never
inspecting   ; observed right      ; tried     => succeeded switched_job_unknown a1 | - | never
inspecting   ; observed other      ; -         => submitting a1 before=false | submit | never
inspecting   ; observed other      ; missed    => submitting a1 before=false | submit | never
inspecting   ; observed other      ; held      => ready | - | now
inspecting   ; observed other      ; withdrawn => ready | - | now
inspecting   ; observed other      ; shut      => ready | - | now
inspecting   ; observed other      ; clock     => ready | - | clock look
inspecting   ; observed other      ; silent    => submitting a1 before=false | submit | never
inspecting   ; observed right      ; clock     => succeeded already_right | - | never
inspecting   ; observed other      ; spent     => failed attempts_spent a3 | - | never
inspecting   ; observed untold     ; -         => submitting a1 | submit | never
inspecting   ; observed busy       ; -         => ready w1 | - | poll 1
inspecting   ; observed busy       ; missed    => ready w1 | - | poll 1
inspecting   ; observed busy       ; weary     => failed busy w149 | - | never
inspecting   ; observed busy_right ; -         => ready w1 | - | poll 1
inspecting   ; observed faulty     ; -         => failed faulty | - | never
inspecting   ; error withheld      ; -         => ready | - | now
inspecting   ; error throttled     ; -         => ready | - | now
inspecting   ; error unauthorised  ; -         => ready | - | now
inspecting   ; error misdated      ; -         => ready | - | now
inspecting   ; error busy          ; -         => ready w1 | - | poll 1
inspecting   ; error not_done      ; -         => ready m1 | - | backoff 1
inspecting   ; error not_done      ; weary     => ready w149 m1 | - | backoff 1
inspecting   ; error not_done      ; missed    => failed unreadable m9 | - | never
inspecting   ; error unknown       ; -         => ready m1 | - | backoff 1
inspecting   ; error unknown       ; weary     => ready w149 m1 | - | backoff 1
inspecting   ; error unknown       ; missed    => failed unreadable m9 | - | never
inspecting   ; error not_found     ; -         => failed not_found | - | never
inspecting   ; error fatal         ; -         => failed refused | - | never
submitting   ; woken               ; -         => recovering a1 before=false | - | settle
submitting   ; accepted job        ; -         => following a1 before=false jobs=late | - | poll 0
submitting   ; accepted job        ; weary     => following a1 before=false jobs=late | - | poll 0
submitting   ; accepted nothing    ; -         => recovering a1 before=false | - | settle
submitting   ; error withheld      ; -         => ready | - | now
submitting   ; error throttled     ; -         => ready | - | now
submitting   ; error unauthorised  ; -         => ready | - | now
submitting   ; error misdated      ; -         => ready | - | now
submitting   ; error withheld      ; spent     => ready a2 before=false | - | now
submitting   ; error throttled     ; spent     => ready a2 before=false | - | now
submitting   ; error unauthorised  ; spent     => ready a2 before=false | - | now
submitting   ; error misdated      ; spent     => ready a2 before=false | - | now
submitting   ; error busy          ; -         => ready w1 | - | poll 1
submitting   ; error busy          ; weary     => failed busy a1 w149 before=false | - | never
submitting   ; error not_done      ; -         => ready a1 before=false | - | backoff 1
submitting   ; error not_done      ; weary     => ready a1 before=false | - | backoff 1
submitting   ; error not_done      ; spent     => failed attempts_spent a3 before=false | - | never
submitting   ; error unknown       ; -         => recovering a1 before=false | - | settle
submitting   ; error unknown       ; spent     => recovering a3 before=false | - | settle
submitting   ; error not_found     ; -         => failed not_found a1 before=false | - | never
submitting   ; error fatal         ; -         => failed refused a1 before=false | - | never
recovering   ; woken               ; -         => recovering a1 before=false | - | settle
recovering   ; woken               ; held      => recovering a1 before=false | - | settle
recovering   ; woken               ; shut      => recovering a1 before=false | - | settle
recovering   ; woken               ; late      => recovering a1 before=false | find_jobs | never
recovering   ; found nothing       ; -         => recovering 0 a1 before=false | inspect | never
recovering   ; found nothing       ; silent    => recovering 0 uncovered a1 before=false | inspect | never
recovering   ; found nothing       ; clock     => recovering 0 a1 before=false | inspect | never
recovering   ; found one           ; silent    => following a1 before=false jobs=found presumed=found | - | poll 0
recovering   ; found one           ; -         => following a1 before=false jobs=found presumed=found | - | poll 0
recovering   ; found two           ; -         => recovering 2 a1 before=false | inspect | never
recovering   ; accepted job        ; -         => following a1 before=false jobs=late | - | poll 0
recovering   ; observed none       ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed none       ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; observed right      ; -         => succeeded switched_job_unknown a1 before=false | - | never
recovering   ; observed other      ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed other      ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; observed untold     ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed untold     ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; observed busy       ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed busy       ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; observed busy_right ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed busy_right ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; observed faulty     ; -         => recovering a1 before=false | - | poll 0
recovering   ; observed faulty     ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error withheld      ; -         => recovering a1 before=false | - | poll 0
recovering   ; error withheld      ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error not_done      ; -         => recovering a1 before=false | - | poll 0
recovering   ; error not_done      ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error throttled     ; -         => recovering a1 before=false | - | poll 0
recovering   ; error throttled     ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error busy          ; -         => recovering a1 before=false | - | poll 0
recovering   ; error busy          ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error unauthorised  ; -         => recovering a1 before=false | - | poll 0
recovering   ; error misdated      ; -         => recovering a1 before=false | - | poll 0
recovering   ; error unauthorised  ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error misdated      ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error unknown       ; -         => recovering a1 before=false | - | poll 0
recovering   ; error unknown       ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error not_found     ; -         => recovering a1 before=false | - | poll 0
recovering   ; error not_found     ; late      => in_doubt unreadable a1 before=false | - | never
recovering   ; error fatal         ; -         => recovering a1 before=false | - | poll 0
recovering   ; error fatal         ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; woken               ; -         => recovering 0 a1 before=false | inspect | never
recovering 0 ; woken               ; held      => recovering 0 a1 before=false | inspect | never
recovering 0 ; woken               ; shut      => recovering 0 a1 before=false | inspect | never
recovering 0 ; found nothing       ; -         => recovering 0 a1 before=false | inspect | never
recovering 0 ; found one           ; -         => following a1 before=false jobs=found presumed=found | - | poll 0
recovering 0 ; found two           ; -         => recovering 2 a1 before=false | inspect | never
recovering 0 ; accepted job        ; -         => following a1 before=false jobs=late | - | poll 0
recovering 0 ; observed none       ; -         => recovering a1 before=false | - | poll 0
recovering 0 ; observed none       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; observed right      ; -         => succeeded switched_job_unknown a1 before=false | - | never
recovering 0 ; observed other      ; -         => ready a1 before=false | - | backoff 1
recovering 0 ; observed other      ; silent    => recovering a1 before=false | - | poll 0
recovering 0 ; observed right      ; silent    => succeeded switched_job_unknown a1 before=false | - | never
recovering 0 ; observed right      ; uncovered => recovering a1 before=false | - | poll 0
recovering 0 ; observed right      ; uncovered late => succeeded switched_job_unknown a1 before=false | - | never
recovering 0 ; observed other      ; late      => ready a1 before=false | - | backoff 1
recovering 0 ; observed other      ; spent     => failed attempts_spent a3 before=false | - | never
recovering 0 ; observed untold     ; -         => recovering a1 before=false | - | poll 0
recovering 0 ; observed untold     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; observed busy       ; -         => recovering a1 before=false | - | poll 0
recovering 0 ; observed busy       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; observed busy_right ; -         => recovering a1 before=false | - | poll 0
recovering 0 ; observed busy_right ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; observed faulty     ; -         => recovering a1 before=false | - | poll 0
recovering 0 ; observed faulty     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error withheld      ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error withheld      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error not_done      ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error not_done      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error throttled     ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error throttled     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error busy          ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error busy          ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error unauthorised  ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error misdated      ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error unauthorised  ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error misdated      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error unknown       ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error unknown       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error not_found     ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error not_found     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 0 ; error fatal         ; -         => recovering 0 a1 before=false | - | poll 0
recovering 0 ; error fatal         ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; woken               ; -         => recovering 2 a1 before=false | inspect | never
recovering 2 ; woken               ; held      => recovering 2 a1 before=false | inspect | never
recovering 2 ; woken               ; shut      => recovering 2 a1 before=false | inspect | never
recovering 2 ; found nothing       ; -         => recovering 0 a1 before=false | inspect | never
recovering 2 ; found one           ; -         => following a1 before=false jobs=found presumed=found | - | poll 0
recovering 2 ; found two           ; -         => recovering 2 a1 before=false | inspect | never
recovering 2 ; accepted job        ; -         => following a1 before=false jobs=late | - | poll 0
recovering 2 ; observed none       ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed none       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; observed right      ; -         => succeeded switched_job_unknown a1 before=false | - | never
recovering 2 ; observed other      ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed other      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; observed untold     ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed untold     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; observed busy       ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed busy       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; observed busy_right ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed busy_right ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; observed faulty     ; -         => recovering a1 before=false | - | poll 0
recovering 2 ; observed faulty     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error withheld      ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error withheld      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error not_done      ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error not_done      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error throttled     ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error throttled     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error busy          ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error busy          ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error unauthorised  ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error misdated      ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error unauthorised  ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error misdated      ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error unknown       ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error unknown       ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error not_found     ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error not_found     ; late      => in_doubt unreadable a1 before=false | - | never
recovering 2 ; error fatal         ; -         => recovering 2 a1 before=false | - | poll 0
recovering 2 ; error fatal         ; late      => in_doubt unreadable a1 before=false | - | never
following    ; woken               ; -         => following a1 before=false jobs=known | follow | never
following    ; woken               ; withdrawn => following a1 before=false jobs=known | follow | never
following    ; job running         ; -         => following a1 before=false jobs=known | - | poll 0
following    ; job running         ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; job completed       ; -         => verifying a1 before=false jobs=known | inspect | never
following    ; job broken          ; -         => ready a1 before=false jobs=known | - | backoff 1
following    ; job broken          ; spent     => failed attempts_spent a3 before=false jobs=known | - | never
following    ; error withheld      ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error withheld      ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error not_done      ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error not_done      ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error throttled     ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error throttled     ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error busy          ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error busy          ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error unauthorised  ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error misdated      ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error unauthorised  ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error misdated      ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error unknown       ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error unknown       ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
following    ; error not_found     ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error not_found     ; late      => verifying a1 before=false jobs=known | inspect | never
following    ; error fatal         ; -         => following a1 before=false jobs=known | - | poll 0
following    ; error fatal         ; late      => in_doubt job_limit a1 before=false jobs=known | - | never
verifying    ; woken               ; -         => verifying a1 before=false jobs=known | inspect | never
verifying    ; observed none       ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed none       ; late      => failed not_found a1 before=false jobs=known | - | never
verifying    ; observed right      ; -         => succeeded switched a1 before=false jobs=known | - | never
verifying    ; observed right      ; late      => succeeded switched a1 before=false jobs=known | - | never
verifying    ; observed other      ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed other      ; late      => failed unverified a1 before=false jobs=known | - | never
verifying    ; observed untold     ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed untold     ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; observed busy       ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed busy       ; late      => failed unverified a1 before=false jobs=known | - | never
verifying    ; observed busy_right ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed busy_right ; late      => failed unverified a1 before=false jobs=known | - | never
verifying    ; observed faulty     ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; observed faulty     ; late      => failed unverified a1 before=false jobs=known | - | never
verifying    ; error withheld      ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error withheld      ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error not_done      ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error not_done      ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error throttled     ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error throttled     ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error busy          ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error busy          ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error unauthorised  ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error misdated      ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error unauthorised  ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error misdated      ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error unknown       ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error unknown       ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error not_found     ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error not_found     ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
verifying    ; error fatal         ; -         => verifying a1 before=false jobs=known | - | poll 0
verifying    ; error fatal         ; late      => in_doubt unreadable a1 before=false jobs=known | - | never
failed       ; requeue             ; -         => queued before=false jobs=known | - | never
in_doubt     ; requeue             ; -         => queued before=false jobs=known | - | never
in_doubt     ; adopt               ; -         => queued a1 before=false jobs=known adopted | - | never
in_doubt     ; give up             ; -         => failed given_up a1 before=false jobs=known | - | never
succeeded    ; undo                ; -         => queued before=false jobs=known undo 0 | - | never
";

pub(super) fn job(name: &str) -> JobId {
    name.parse().expect("a job id")
}

/// A job of the instance, under a name that no document has.
fn seen(name: &str) -> JobSeen {
    let instance_id = "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id");
    JobSeen { job: job(name), instance_id, name: "SomethingNew".into(), created: None }
}

pub(super) fn reason() -> Reason {
    Reason { word: ReasonWord::Refused, message: "no".into() }
}

pub(super) const SENT: Timestamp = Timestamp::UNIX_EPOCH;

/// The cloud's clock when it was sent; as ours, and known to two seconds.
pub(super) const CLOUD: Option<TimeSpan> =
    Some(TimeSpan { from: Timestamp::constant(-1, 0), to: Timestamp::constant(1, 0) });

fn recovering(candidates: Option<u16>) -> State {
    State::Recovering { sent: SENT, cloud: CLOUD, candidates, covered: candidates.is_some() }
}

fn found(jobs: &[&str]) -> Event {
    let asked =
        TimeSpan { from: Timestamp::constant(-1_200, 0), to: Timestamp::constant(1_200, 0) };
    Event::Answer(AnswerEvent::Found { jobs: jobs.iter().map(|name| seen(name)).collect(), asked })
}

/// A PUT in doubt of which nothing was asked yet.
pub(super) fn doubt() -> State {
    recovering(None)
}

/// Every state, by the name that it has in the table.
pub(super) fn states() -> BTreeMap<&'static str, State> {
    BTreeMap::from([
        ("queued", State::Queued),
        ("ready", State::Ready),
        ("inspecting", State::Inspecting),
        ("submitting", State::Submitting { sent: SENT, cloud: CLOUD }),
        ("recovering", recovering(None)),
        ("recovering 0", recovering(Some(0))),
        ("recovering 2", recovering(Some(2))),
        ("following", State::Following { job: job("known") }),
        ("verifying", State::Verifying { job: Some(job("known")) }),
        ("succeeded", State::Succeeded { how: How::Switched }),
        ("failed", State::Failed { reason: reason() }),
        ("in_doubt", State::InDoubt { reason: reason() }),
        ("cancelled", State::Cancelled),
        ("reverted", State::Reverted { how: How::Switched }),
        ("skipped", State::Skipped { reason: reason() }),
    ])
}

/// Every event, by the name that it has in the table. The wanted value is `true`.
pub(super) fn events() -> BTreeMap<String, Event> {
    let view = |ssl_option, status, word: &str| {
        Event::Answer(AnswerEvent::Observed(Some(ProxyView {
            ssl_option,
            status,
            word: word.into(),
            endpoint: None,
        })))
    };
    let mut events = BTreeMap::from([
        ("woken".to_owned(), Event::Woken),
        ("release".to_owned(), Event::Rollout(Directive::Release)),
        ("cancel".to_owned(), Event::Rollout(Directive::Cancel)),
        ("requeue".to_owned(), Event::Verb(ByPerson::Requeue)),
        ("adopt".to_owned(), Event::Verb(ByPerson::Adopt(job("named")))),
        ("give up".to_owned(), Event::Verb(ByPerson::GiveUp("given up by alice".into()))),
        ("undo".to_owned(), Event::Rollout(Directive::Undo)),
        ("observed none".to_owned(), Event::Answer(AnswerEvent::Observed(None))),
        ("observed right".to_owned(), view(Some(true), ProxyStatus::Idle, "ACTIVE")),
        ("observed other".to_owned(), view(Some(false), ProxyStatus::Idle, "ACTIVE")),
        ("observed untold".to_owned(), view(None, ProxyStatus::Idle, "ACTIVE")),
        ("observed busy".to_owned(), view(Some(false), ProxyStatus::Busy, "REBOOTING")),
        ("observed busy_right".to_owned(), view(Some(true), ProxyStatus::Busy, "REBOOTING")),
        ("observed faulty".to_owned(), view(Some(true), ProxyStatus::Faulty, "ABNORMAL")),
        ("accepted job".to_owned(), Event::Answer(AnswerEvent::Accepted(Some(job("late"))))),
        ("accepted nothing".to_owned(), Event::Answer(AnswerEvent::Accepted(None))),
        (
            "job running".to_owned(),
            Event::Answer(AnswerEvent::Job(JobView::Running { process: "60%".into() })),
        ),
        ("job completed".to_owned(), Event::Answer(AnswerEvent::Job(JobView::Completed))),
        (
            "job broken".to_owned(),
            Event::Answer(AnswerEvent::Job(JobView::Broken { reason: "disk full".into() })),
        ),
        ("found nothing".to_owned(), found(&[])),
        ("found one".to_owned(), found(&["found"])),
        ("found two".to_owned(), found(&["found", "other"])),
    ]);
    for disposition in Disposition::ALL {
        let error = CallError {
            disposition,
            retry_after: None,
            status: None,
            code: None,
            request_id: None,
            message: "no luck".into(),
        };
        events.insert(
            format!("error {}", plain(&disposition)),
            Event::Answer(AnswerEvent::Error(error)),
        );
    }
    events
}

/// The word that serde gives a value.
fn plain(value: &impl Serialize) -> String {
    serde_json::to_value(value).expect("a value").as_str().expect("a word").to_owned()
}

pub(super) const RETRY: retry::Policy =
    retry::Policy { max_attempts: 3, initial_ms: 100_000, max_ms: 900_000 };
const TIMING: Timing = Timing {
    settle: Duration::from_secs(10),
    poll: Duration::from_secs(2),
    poll_max: Duration::from_secs(20),
    job_limit: Duration::from_secs(600),
    recover_limit: Duration::from_secs(300),
};
pub(super) const LATE: Duration = Duration::from_secs(3600);

pub(super) fn change(record: Record) -> Change {
    let target = Target {
        lane: Name::parse("prod", "lane").expect("a name"),
        instance_id: "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id"),
        proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id"),
        tags: None,
        seen: None,
        instance_name: None,
    };
    Change {
        id: ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal: 3 },
        target,
        wave: 0,
        desired: true,
        record,
    }
}

pub(super) fn context(gate: Clearance, shut: bool, waited: Duration) -> Context<'static> {
    let window = if shut {
        Opening::Shut { next: None, by: ShutBy::Window }
    } else {
        Opening::Open { until: None }
    };
    let verify_timeout = Duration::from_secs(180);
    Context {
        now: SENT,
        cloud: CLOUD,
        lane_held: None,
        gate,
        window,
        timing: &TIMING,
        retry: &RETRY,
        verify_timeout,
        waited,
        looks: 0,
        survey: false,
        wire: None,
        occupied: None,
    }
}

/// The record with which a row begins.
pub(super) fn record(state: &State, circumstances: &str) -> Record {
    let sent =
        !matches!(state, State::Queued | State::Ready | State::Inspecting | State::Cancelled);
    let jobs = match state {
        State::Following { .. }
        | State::Verifying { .. }
        | State::Succeeded { .. }
        | State::Failed { .. }
        | State::InDoubt { .. } => {
            vec![job("known")]
        }
        _ => vec![],
    };
    let mut record = Record {
        state: state.clone(),
        attempts: u16::from(sent),
        before: sent.then_some(false),
        jobs,
        ..Record::queued()
    };
    match circumstances {
        "tried" => record.attempts = 1,
        "spent" => record.attempts = RETRY.max_attempts,
        "missed" => record.misses = LOOKS_MAX - 1,
        "weary" => record.waits = BUSY_WAITS_MAX - 1,
        "silent" | "uncovered" | "uncovered late" => {
            if let State::Recovering { covered, .. } = &mut record.state {
                *covered = false;
            }
        }
        "-" | "held" | "withdrawn" | "shut" | "late" | "clock" => {}
        other => panic!("unknown circumstances {other}"),
    }
    record
}

pub(super) fn describe_record(record: &Record) -> String {
    let mut text = record.state.as_str().to_owned();
    match &record.state {
        State::Succeeded { how } | State::Reverted { how } => text += &format!(" {}", plain(how)),
        State::Failed { reason } | State::InDoubt { reason } | State::Skipped { reason } => {
            text += &format!(" {}", plain(&reason.word))
        }
        State::Recovering { candidates: Some(n), covered, .. } => {
            text += &format!(" {n}{}", if *covered { "" } else { " uncovered" });
        }
        _ => {}
    }
    for (letter, n) in [("a", record.attempts), ("w", record.waits), ("m", record.misses)] {
        if n > 0 {
            text += &format!(" {letter}{n}");
        }
    }
    if let Some(before) = record.before {
        text += &format!(" before={before}");
    }
    if !record.jobs.is_empty() {
        let jobs: Vec<&str> = record.jobs.iter().map(JobId::as_str).collect();
        text += &format!(" jobs={}", jobs.join(","));
    }
    if let Some(presumed) = &record.presumed {
        let jobs: Vec<&str> = presumed.jobs.iter().map(JobId::as_str).collect();
        text += &format!(" presumed={}", jobs.join(","));
    }
    if record.adopted.is_some() {
        text += " adopted";
    }
    if let Some(undo) = record.undo {
        text += &format!(" undo {}", undo.puts);
    }
    if let Some(shown) = &record.shown {
        text += &format!(" shown {}", plain(&shown.how));
    }
    if let Some(proof) = &record.proof {
        text += &format!(" proof {}", proof.version.map_or("none", |version| version.as_str()));
    }
    text
}

pub(super) fn describe(change: &Change, decision: &Decision) -> String {
    let backoff = |wait| {
        (1..4)
            .find(|attempt| RETRY.delay(*attempt, change.id) == wait)
            .map(|attempt| format!("backoff {attempt}"))
    };
    let polls = [
        ("poll 0", 2_000),
        ("poll 1", 3_000),
        ("clock look", 5_000),
        ("settle", 10_000),
        ("now", 0),
    ];
    let wake = match decision.wake {
        Wake::Never => "never".to_owned(),
        Wake::In(wait) => match polls.iter().find(|(_, ms)| Duration::from_millis(*ms) == wait) {
            Some((word, _)) => (*word).to_owned(),
            None => backoff(wait).unwrap_or_else(|| format!("{wait:?}")),
        },
    };
    let act = decision.call.as_ref().map(Call::as_str).or(decision.probe.as_ref().map(|_| "probe"));
    format!("{} | {} | {wake}", describe_record(&decision.record), act.unwrap_or("-"))
}

#[test]
fn every_cell_is_as_the_table_says() {
    every_cell_is_as(TABLE, |state, circumstances| change(record(state, circumstances)));
}

/// Whether a change, as `made` from a state and circumstances, does in every cell what the table
/// says.
#[track_caller]
pub(super) fn every_cell_is_as(table: &str, made: impl Fn(&State, &str) -> Change) {
    let (states, events) = (states(), events());
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (left, expected) = line.split_once(" => ").expect("a row");
        let [state, event, circumstances] =
            <[&str; 3]>::try_from(left.split(';').map(str::trim).collect::<Vec<_>>())
                .expect("three columns");
        let change = made(&states[state], circumstances);
        let gate = match circumstances {
            "held" => Clearance::Held,
            "withdrawn" => Clearance::Withdrawn,
            _ => Clearance::Open,
        };
        let waited = if circumstances.ends_with("late") { LATE } else { Duration::ZERO };
        let cloud = CLOUD.filter(|_| circumstances != "silent");
        let lane_held = (circumstances == "clock").then_some("its lane's clock");
        let ctx = Context { cloud, lane_held, ..context(gate, circumstances == "shut", waited) };
        let found = match decide(&change, &events[event], &ctx) {
            Ok(decision) => describe(&change, &decision),
            Err(Stale) => "stale".to_owned(),
        };
        if found != expected {
            wrong.push(format!("{left} => {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the table does not list is stale, whatever the circumstances; what it lists is not.
#[test]
fn every_other_cell_is_stale() {
    let listed: BTreeSet<(String, String)> = TABLE
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut columns = line.split(';').map(|column| column.trim().to_owned());
            (columns.next().expect("a state"), columns.next().expect("an event"))
        })
        .collect();
    for (gate, shut, waited) in [
        (Clearance::Open, false, Duration::ZERO),
        (Clearance::Held, false, Duration::ZERO),
        (Clearance::Withdrawn, true, LATE),
        (Clearance::Open, true, LATE),
    ] {
        let mut moving = BTreeSet::new();
        for (state_name, state) in states() {
            for (event_name, event) in events() {
                if decide(&change(record(&state, "-")), &event, &context(gate, shut, waited))
                    .is_ok()
                {
                    moving.insert((state_name.to_owned(), event_name));
                }
            }
        }
        // A rollout that goes no way but back puts nothing into the queue again.
        let wanted = |cell: &&(String, String)| {
            gate != Clearance::Withdrawn || !["requeue", "adopt", "give up"].contains(&&*cell.1)
        };
        assert_eq!(moving, listed.iter().filter(wanted).cloned().collect());
    }
    assert_eq!(
        states().values().map(State::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(State::WORDS),
        "every state is tried"
    );
}

/// The job that a person names is followed before anything is sent, once its change has a place and
/// an open window again.
#[test]
fn a_named_job_is_followed_first() {
    let in_doubt = change(record(&State::InDoubt { reason: reason() }, "-"));
    let open = context(Clearance::Open, false, Duration::ZERO);
    let named = decide(&in_doubt, &Event::Verb(ByPerson::Adopt(job("named"))), &open)
        .expect("not stale")
        .record;
    let ready = change(Record { state: State::Ready, ..named });
    let held = decide(&ready, &Event::Woken, &context(Clearance::Open, true, Duration::ZERO))
        .expect("not stale");
    assert_eq!(
        (held.record.state, held.record.adopted),
        (State::Queued, Some(job("named"))),
        "it is kept over a shut window"
    );
    let followed = decide(&ready, &Event::Woken, &open).expect("not stale");
    assert_eq!(
        (followed.call, &followed.record.state),
        (None, &State::Following { job: job("named") })
    );
    assert_eq!(
        (followed.record.jobs.last(), &followed.record.adopted),
        (Some(&job("named")), &None)
    );
    let following = change(followed.record);
    let broken = decide(
        &following,
        &Event::Answer(AnswerEvent::Job(JobView::Broken { reason: "disk full".into() })),
        &open,
    )
    .expect("not stale");
    assert_eq!(
        (broken.record.state, broken.record.adopted),
        (State::Ready, None),
        "then it is tried again, after a look"
    );
    let known =
        change(Record { state: State::Ready, adopted: Some(job("known")), ..ready.record.clone() });
    let again = decide(&known, &Event::Woken, &open).expect("not stale").record;
    assert_eq!(
        again.jobs,
        vec![job("known")],
        "a job that it has already is not written down twice"
    );
}

#[test]
fn only_the_latest_job_ids_are_kept() {
    let mut record = record(&State::Submitting { sent: SENT, cloud: CLOUD }, "-");
    record.jobs = (0..JOBS_MAX).map(|n| job(&format!("job-{n}"))).collect();
    let decision = decide(
        &change(record),
        &Event::Answer(AnswerEvent::Accepted(Some(job("late")))),
        &context(Clearance::Open, false, Duration::ZERO),
    );
    let jobs = decision.expect("not stale").record.jobs;
    assert_eq!(
        (jobs.len(), jobs[0].as_str(), jobs[JOBS_MAX - 1].as_str()),
        (JOBS_MAX, "job-1", "late")
    );
}

/// An instance that looks idle and refuses each PUT as busy must not be asked for ever, nor at the
/// same pace.
#[test]
fn a_busy_refusal_after_an_idle_look_counts_on() {
    let mut change = change(record(&State::Inspecting, "-"));
    let events = events();
    let mut waits = Vec::new();
    for _ in 0..BUSY_WAITS_MAX {
        for event in [&events["observed other"], &events["error busy"], &Event::Woken] {
            if change.record.state.is_settled() {
                break;
            }
            let decision = decide(&change, event, &context(Clearance::Open, false, Duration::ZERO))
                .expect("not stale");
            if let (State::Ready, Wake::In(wait)) = (&decision.record.state, decision.wake) {
                waits.push(wait);
            }
            change.record = decision.record;
        }
    }
    assert_eq!(describe_record(&change.record), "failed busy a1 w149 before=false");
    assert!(waits.is_sorted() && waits.last() == Some(&TIMING.poll_max), "{waits:?}");
}

/// A plan that allows one switch allows it after looks that failed, and after them the one switch
/// is all there is.
#[test]
fn looks_that_fail_spend_no_attempt() {
    let once = retry::Policy { max_attempts: 1, ..RETRY };
    let ctx = Context { retry: &once, ..context(Clearance::Open, false, Duration::ZERO) };
    let events = events();
    let mut change = change(record(&State::Inspecting, "-"));
    for looks in 1..LOOKS_MAX {
        for event in ["error unknown", "woken"] {
            change.record = decide(&change, &events[event], &ctx).expect("not stale").record;
        }
        assert_eq!(
            (change.record.state.as_str(), change.record.attempts, change.record.misses),
            ("inspecting", 0, looks)
        );
    }
    change.record = decide(&change, &events["observed other"], &ctx).expect("not stale").record;
    assert_eq!(
        (change.record.state.as_str(), change.record.attempts, change.record.misses),
        ("submitting", 1, 0)
    );
    change.record = decide(&change, &events["error not_done"], &ctx).expect("not stale").record;
    assert_eq!(describe_record(&change.record), "failed attempts_spent a1 before=false");
}

#[test]
fn a_proxy_that_was_right_before_any_put_of_ours_is_never_ours() {
    let mut change = change(record(&State::Inspecting, "-"));
    let events = events();
    // The PUT was withheld; then somebody else switched the proxy.
    for event in ["observed other", "error withheld", "woken", "observed right"] {
        let decision =
            decide(&change, &events[event], &context(Clearance::Open, false, Duration::ZERO))
                .expect("not stale");
        change.record = decision.record;
    }
    assert_eq!(change.record.state, State::Succeeded { how: How::AlreadyRight });
}

/// Compare, then set: by what the list of targets says, what the look shows, and whether a PUT of
/// ours was sent.
#[test]
fn a_proxy_that_is_not_as_it_was_seen_is_left_to_a_person() {
    let events = events();
    let table = [
        (None, "observed other", 0, "submitting"),
        (Some(false), "observed other", 0, "submitting"),
        (Some(true), "observed other", 0, "skipped"),
        (Some(true), "observed busy", 0, "skipped"),
        (Some(false), "observed busy", 0, "ready"),
        (Some(false), "observed busy_right", 0, "ready"),
        (Some(false), "observed untold", 0, "skipped"),
        // What is right already needs nothing, whoever did it.
        (Some(false), "observed right", 0, "succeeded"),
        (Some(true), "observed right", 0, "succeeded"),
        (Some(true), "observed other", 1, "submitting"),
    ];
    for (seen, event, attempts, becomes) in table {
        let mut change = change(Record { attempts, ..record(&State::Inspecting, "-") });
        change.target.seen = seen;
        let decision =
            decide(&change, &events[event], &context(Clearance::Open, false, Duration::ZERO))
                .expect("not stale");
        assert_eq!(
            decision.record.state.as_str(),
            becomes,
            "seen {seen:?}, {event}, {attempts} attempts"
        );
    }
    // What is put back has a comparison of its own.
    let mut change = change(Record {
        before: Some(false),
        undo: Some(Undo::default()),
        ..record(&State::Inspecting, "-")
    });
    (change.desired, change.target.seen) = (false, Some(false));
    let decision = decide(
        &change,
        &events["observed right"],
        &context(Clearance::Open, false, Duration::ZERO),
    )
    .expect("not stale");
    assert_eq!(decision.record.state.as_str(), "submitting");
}

fn any_event() -> impl Strategy<Value = Event> {
    let events: Vec<Event> = events().into_values().collect();
    prop::sample::select(events)
}

fn any_undo() -> impl Strategy<Value = Option<Undo>> {
    prop_oneof![2 => Just(None), 1 => (0u16..4).prop_map(|puts| Some(Undo { puts }))]
}

fn any_presumed() -> impl Strategy<Value = Option<Box<Presumed>>> {
    let presumed = (1..=PRESUMED_MAX, any::<bool>()).prop_map(|(count, named)| {
        let others = (1..count).map(|n| job(&format!("job-{n}")));
        Some(Box::new(Presumed {
            doubt: doubt(),
            jobs: others.chain([job("known")]).collect(),
            named,
        }))
    });
    prop_oneof![2 => Just(None), 1 => presumed]
}

fn any_record() -> impl Strategy<Value = Record> {
    let states: Vec<State> = states().into_values().collect();
    (
        prop::sample::select(states),
        any::<u16>(),
        any::<u16>(),
        any::<u16>(),
        any::<Option<bool>>(),
        0..JOBS_MAX,
        any_undo(),
        any::<bool>(),
        any_presumed(),
        0..u64::MAX / 2,
    )
        .prop_map(
            |(state, attempts, waits, misses, before, jobs, undo, named, presumed, version)| {
                Record {
                    state,
                    attempts,
                    waits,
                    misses,
                    before,
                    jobs: (0..jobs).map(|n| job(&format!("job-{n}"))).collect(),
                    adopted: named.then(|| job("named")),
                    presumed,
                    setbacks: None,
                    undo,
                    shown: None,
                    proof: None,
                    version,
                }
            },
        )
}

/// What must hold of every single decision.
fn sound(
    change: &Change,
    event: &Event,
    ctx: &Context<'_>,
    decision: &Decision,
) -> Result<(), TestCaseError> {
    let (was, is) = (&change.record, &decision.record);
    if was.state.is_settled() {
        let in_doubt = matches!(was.state, State::InDoubt { .. });
        let named_job = in_doubt && matches!(event, Event::Verb(ByPerson::Adopt(_)));
        let retried = named_job
            || matches!(was.state, State::Failed { .. } | State::InDoubt { .. })
                && *event == Event::Verb(ByPerson::Requeue);
        let given_up = in_doubt
            && matches!(event, Event::Verb(ByPerson::GiveUp(_)))
            && matches!(is.state, State::Failed { .. });
        let undone = matches!(was.state, State::Succeeded { .. })
            && *event == Event::Rollout(Directive::Undo);
        prop_assert!(retried || undone || given_up, "settled is settled");
        let named = undone && matches!(is.state, State::Skipped { .. });
        prop_assert!(named || given_up || is.state == State::Queued);
        prop_assert!(
            retried || named || given_up || is.undo == Some(Undo::default()),
            "what is put back is marked"
        );
    } else {
        prop_assert_eq!(
            is.undo.is_some(),
            was.undo.is_some(),
            "nothing else marks a change, and the mark stays"
        );
    }
    let same = Record { version: was.version, ..is.clone() } == *was;
    prop_assert_eq!(is.version, was.version + u64::from(!same), "the version counts transitions");
    match &decision.call {
        Some(Call::Submit { ssl_option, .. }) => {
            prop_assert!(
                was.state == State::Inspecting
                    && matches!(event, Event::Answer(AnswerEvent::Observed(Some(_))))
            );
            prop_assert!(
                matches!(is.state, State::Submitting { .. }) && is.attempts == was.attempts + 1,
                "an intent goes with its call"
            );
            prop_assert!(is.attempts <= RETRY.max_attempts, "attempts are bounded");
            prop_assert!(
                ctx.gate == Clearance::Open && matches!(ctx.window, Opening::Open { .. }),
                "gate and window are open"
            );
            prop_assert_eq!(*ssl_option, change.desired);
        }
        Some(_) => prop_assert!(is.attempts <= was.attempts),
        None => {
            prop_assert!(is.attempts <= was.attempts);
            prop_assert!(
                !matches!(is.state, State::Submitting { .. }),
                "an intent goes with its call"
            );
        }
    }
    prop_assert!(decision.call.is_none() || decision.probe.is_none(), "one thing at a time");
    if decision.call.is_some()
        || decision.probe.is_some()
        || is.state.is_settled()
        || is.state == State::Queued
    {
        prop_assert_eq!(decision.wake, Wake::Never);
    } else {
        prop_assert!(
            matches!(decision.wake, Wake::In(_)),
            "an active change is woken by something"
        );
    }
    if let Event::Answer(AnswerEvent::Accepted(Some(read))) = event {
        prop_assert_eq!(
            is.jobs.last(),
            Some(read),
            "a job id that was read is in the very next record"
        );
    }
    if let Event::Answer(AnswerEvent::Found { jobs, .. }) = event
        && let [read] = &jobs[..]
    {
        prop_assert_eq!(is.jobs.last(), Some(&read.job));
        prop_assert!(is.presumes(&read.job), "what was adopted as the only one is presumed");
    }
    if ChangeStep::new(change, event, ctx).presumes() {
        let word = is.state.as_str();
        let ends = ["following", "verifying", "recovering", "succeeded", "reverted", "in_doubt"]
            .contains(&word);
        let unproven =
            matches!(&is.state, State::Failed { reason } if reason.word == ReasonWord::NotProven);
        prop_assert!(
            ends || unproven,
            "a presumed job leads to no PUT and to no failure of its own: {word}"
        );
    }
    prop_assert!(
        is.presumed
            .as_ref()
            .is_none_or(|presumed| (1..=PRESUMED_MAX).contains(&presumed.jobs.len()))
    );
    prop_assert!(is.jobs.len() <= JOBS_MAX);
    match is.state {
        State::Succeeded { .. } | State::Cancelled => prop_assert!(is.undo.is_none(), "forward"),
        State::Reverted { how } => {
            prop_assert!(
                is.undo.is_some() && how != How::AlreadyRight,
                "what is called put back was sent by us"
            );
        }
        _ => {}
    }
    if let State::Succeeded { how: How::Switched } | State::Reverted { how: How::Switched } =
        is.state
    {
        prop_assert!(
            matches!(was.state, State::Verifying { .. }),
            "what is called our doing was seen after our job"
        );
    }
    prop_assert!(!decision.why.is_empty());
    let stored = serde_json::to_string(is).expect("a text");
    prop_assert_eq!(&serde_json::from_str::<Record>(&stored).expect("the same"), is);
    Ok(())
}

fn any_context() -> impl Strategy<Value = Context<'static>> {
    let gates = prop_oneof![4 => Just(Clearance::Open), 1 => Just(Clearance::Held), 1 => Just(Clearance::Withdrawn)];
    (gates, prop::bool::weighted(0.2), prop_oneof![3 => 0u64..30, 1 => 0u64..4000], any::<u32>())
        .prop_map(|(gate, shut, waited, looks)| Context {
            looks,
            ..context(gate, shut, Duration::from_secs(waited))
        })
}

proptest! {
    /// From any record, plausible or not, every event is decided soundly or is stale.
    #[test]
    fn any_record_takes_any_event(record in any_record(), event in any_event(), ctx in any_context()) {
        let change = change(record);
        if let Ok(decision) = decide(&change, &event, &ctx) {
            sound(&change, &event, &ctx, &decision)?;
        }
    }

    /// However the events fall, a change keeps to its attempts.
    #[test]
    fn any_walk_is_sound(steps in prop::collection::vec((any_event(), any_context()), 1..200)) {
        let mut change = change(Record::queued());
        for (event, ctx) in &steps {
            // Events that fit are rare in a blind walk; a wake-up and a release keep it going.
            for event in [event, &Event::Woken, &Event::Rollout(Directive::Release)] {
                if let Ok(decision) = decide(&change, event, ctx) {
                    sound(&change, event, ctx, &decision)?;
                    change.record = decision.record;
                    prop_assert!(change.record.attempts <= RETRY.max_attempts);
                    prop_assert!(change.record.waits < BUSY_WAITS_MAX && change.record.misses < LOOKS_MAX);
                }
            }
        }
    }
    /// A plan that only looks sends nothing, whatever it meets: nothing but looks leaves a change
    /// that never sent.
    #[test]
    fn a_survey_sends_nothing(steps in prop::collection::vec((any_event(), any_context()), 1..200)) {
        let mut change = change(Record::queued());
        for (event, ctx) in &steps {
            let ctx = Context { survey: true, ..ctx.clone() };
            for event in [event, &Event::Woken, &Event::Rollout(Directive::Release)] {
                if let Ok(decision) = decide(&change, event, &ctx) {
                    prop_assert!(!decision.call.as_ref().is_some_and(Call::is_write), "{:?}", decision);
                    change.record = decision.record;
                    prop_assert_eq!(change.record.attempts, 0);
                }
            }
        }
    }
}

#[test]
fn a_survey_separates_drifted_from_right_and_from_unknown() {
    let ctx = Context { survey: true, ..context(Clearance::Open, false, Duration::ZERO) };
    let looked = change(Record { state: State::Inspecting, version: 2, ..Record::queued() });
    for (ssl_option, word) in
        [(Some(true), "succeeded"), (Some(false), "skipped"), (None, "failed")]
    {
        let view = ProxyView {
            ssl_option,
            status: ProxyStatus::Idle,
            word: "ACTIVE".into(),
            endpoint: None,
        };
        let decision = decide(&looked, &Event::Answer(AnswerEvent::Observed(Some(view))), &ctx)
            .expect("a look's answer");
        assert_eq!((decision.record.state.as_str(), decision.call), (word, None), "{ssl_option:?}");
        if let State::Skipped { reason } = &decision.record.state {
            assert_eq!(reason.word, ReasonWord::Drifted);
        }
    }
    let busy = ProxyView {
        ssl_option: Some(false),
        status: ProxyStatus::Busy,
        word: "MODIFYING".into(),
        endpoint: None,
    };
    let decision = decide(&looked, &Event::Answer(AnswerEvent::Observed(Some(busy))), &ctx)
        .expect("a look's answer");
    assert_eq!(decision.record.state, State::Ready, "what is being changed is looked at again");
}

#[test]
fn other_work_is_named_where_it_is_known() {
    let running = JobSeen {
        job: job("theirs"),
        instance_id: change(Record::queued()).target.instance_id,
        name: "RebootInstance".into(),
        created: None,
    };
    let looking = change(Record { state: State::Inspecting, ..Record::queued() });
    let view = ProxyView {
        ssl_option: Some(false),
        status: ProxyStatus::Busy,
        word: "REBOOTING".into(),
        endpoint: None,
    };
    let ctx =
        Context { occupied: Some(&running), ..context(Clearance::Open, false, Duration::ZERO) };
    let why = |ctx: &Context<'_>| {
        decide(&looking, &Event::Answer(AnswerEvent::Observed(Some(view.clone()))), ctx)
            .expect("its answer")
            .why
    };
    let named = format!(
        "the proxy is REBOOTING; RebootInstance (job {}) runs on its instance",
        job("theirs")
    );
    assert_eq!(why(&ctx), named);
    assert_eq!(why(&Context { occupied: None, ..ctx }), "the proxy is REBOOTING");
}

#[test]
fn over_a_held_lane_nothing_begins_that_may_switch_and_the_rest_goes_on() {
    let held = Context {
        lane_held: Some("its lane is paused"),
        ..context(Clearance::Open, false, Duration::ZERO)
    };
    let (states, events) = (states(), events());
    let waits =
        |decision: &Decision| (decision.record.state.clone(), decision.call.clone(), decision.wake);
    let ready = change(record(&State::Ready, "-"));
    let decision = decide(&ready, &Event::Woken, &held).expect("it waits");
    assert_eq!(waits(&decision), (State::Ready, None, Wake::In(HELD_LOOK)));
    assert_eq!(decision.record.version, ready.record.version, "no commit says so");
    let inspecting = change(record(&State::Inspecting, "-"));
    let decision = decide(&inspecting, &events["observed other"], &held).expect("it waits");
    assert_eq!(waits(&decision), (State::Ready, None, Wake::In(HELD_LOOK)));
    let gate = Context { gate: Clearance::Held, ..held.clone() };
    assert_eq!(
        decide(&ready, &Event::Woken, &gate).expect("it moves").record.state,
        State::Queued,
        "its rollout's word comes first"
    );
    // A look that sends nothing, a job that a person named, and all that is in flight.
    let survey = Context { survey: true, ..held.clone() };
    assert_eq!(
        decide(&ready, &Event::Woken, &survey).expect("it looks").record.state,
        State::Inspecting
    );
    let mut named = ready.clone();
    named.record.adopted = Some(job("named"));
    assert_eq!(
        decide(&named, &Event::Woken, &held).expect("it follows").record.state.as_str(),
        "following"
    );
    let open = context(Clearance::Open, false, Duration::ZERO);
    for (word, state) in states.iter().filter(|(word, _)| !matches!(**word, "ready" | "inspecting"))
    {
        let change = change(record(state, "-"));
        for (event, happens) in &events {
            assert_eq!(
                decide(&change, happens, &held),
                decide(&change, happens, &open),
                "{word} ; {event}"
            );
        }
    }
}
