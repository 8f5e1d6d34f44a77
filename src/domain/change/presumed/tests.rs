//! The table of `decide` for a change whose job is presumed; the columns are those of the table
//! beside it.

use std::time::Duration;

use super::super::tests::{
    LATE, change, context, describe_record, doubt, events, every_cell_is_as, job, record,
};
use super::super::{Change, Clearance, Event, State, decide};
use super::*;

/// -: its job is presumed, under a name that no document has. named: it is called the switch. late:
/// longer waited than any limit. failed: its end was a failure.
const TABLE: &str = "
following    ; woken               ; -           => following a1 before=false jobs=known presumed=known | follow | never
following    ; job running         ; -           => following a1 before=false jobs=known presumed=known | - | poll 0
following    ; job running         ; late        => in_doubt job_limit a1 before=false jobs=known presumed=known | - | never
following    ; job completed       ; -           => verifying a1 before=false jobs=known presumed=known | inspect | never
following    ; job broken          ; -           => verifying a1 before=false jobs=known presumed=known | inspect | never
following    ; job broken          ; named       => verifying a1 before=false jobs=known presumed=known | inspect | never
following    ; error unknown       ; -           => following a1 before=false jobs=known presumed=known | - | poll 0
following    ; error not_found     ; late        => verifying a1 before=false jobs=known presumed=known | inspect | never
following    ; accepted job        ; -           => following a1 before=false jobs=known,late presumed=known | - | poll 0
verifying    ; woken               ; -           => verifying a1 before=false jobs=known presumed=known | inspect | never
verifying    ; accepted job        ; -           => following a1 before=false jobs=known,late presumed=known | - | poll 0
verifying    ; accepted job        ; failed      => following a1 before=false jobs=known,late presumed=known | - | poll 0
verifying    ; observed right      ; -           => succeeded switched_job_unknown a1 before=false jobs=known presumed=known | - | never
verifying    ; observed right      ; late        => succeeded switched_job_unknown a1 before=false jobs=known presumed=known | - | never
verifying    ; observed right      ; failed      => succeeded switched_job_unknown a1 before=false jobs=known presumed=known | - | never
verifying    ; observed right      ; named       => succeeded switched a1 before=false jobs=known | - | never
verifying    ; observed other      ; -           => verifying a1 before=false jobs=known presumed=known | - | poll 0
verifying    ; observed other      ; failed      => verifying a1 before=false jobs=known presumed=known | - | poll 0
verifying    ; observed none       ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed other      ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed other      ; named late  => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed other      ; failed late => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed untold     ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed busy       ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed busy_right ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; observed faulty     ; late        => recovering a1 before=false jobs=known presumed=known | - | settle
verifying    ; error unknown       ; late        => in_doubt unreadable a1 before=false jobs=known presumed=known | - | never
recovering   ; found one           ; -           => following a1 before=false jobs=known,found presumed=known,found | - | poll 0
recovering   ; found nothing       ; -           => recovering 0 a1 before=false jobs=known presumed=known | inspect | never
recovering 0 ; observed other      ; -           => ready a1 before=false jobs=known presumed=known | - | backoff 1
in_doubt     ; requeue             ; -           => queued before=false jobs=known presumed=known | - | never
";

fn presuming(state: &State, circumstances: &str) -> Change {
    let mut record = record(state, "-");
    if circumstances.starts_with("failed") {
        record.state = State::Verifying { job: None };
    }
    record.jobs = vec![job("known")];
    let named = circumstances.starts_with("named");
    record.presumed = Some(Box::new(Presumed { doubt: doubt(), jobs: vec![job("known")], named }));
    change(record)
}

#[test]
fn every_cell_is_as_the_table_says() {
    every_cell_is_as(TABLE, presuming);
}

#[test]
fn only_a_name_that_speaks_of_ssl_is_the_switch() {
    for (name, switch) in [
        ("GaussDBforMySQLSwitchSSL", true),
        ("SwitchGaussDBforMySQLProxySSL", true),
        ("GaussDBforMySQLModifyProxySsl", true),
        ("GaussDBforMySQLUndocumented", false),
        ("", false),
    ] {
        assert_eq!(is_switch(name), switch, "{name}");
    }
}

#[test]
fn what_was_set_aside_often_enough_is_a_person_s() {
    let jobs: Vec<JobId> = (0..PRESUMED_MAX).map(|n| job(&format!("job-{n}"))).collect();
    let last = jobs.last().cloned();
    let presumed = Some(Box::new(Presumed { doubt: doubt(), jobs: jobs.clone(), named: false }));
    let verifying = change(Record {
        state: State::Verifying { job: last },
        attempts: 1,
        jobs,
        presumed,
        ..Record::queued()
    });
    let decision =
        decide(&verifying, &events()["observed other"], &context(Clearance::Open, false, LATE))
            .expect("a look's answer");
    let State::InDoubt { reason } = &decision.record.state else {
        panic!("{:?}", decision.record.state)
    };
    assert_eq!(
        reason.message,
        "the proxy is ACTIVE, ssl_option false, after 8 jobs that were presumed to be its own"
    );
    // After a person's word the next one may be presumed, and the oldest gives way.
    let recovering = change(Record { state: doubt(), ..decision.record });
    let decision =
        decide(&recovering, &events()["found one"], &context(Clearance::Open, false, LATE))
            .expect("an answer");
    let presumed = decision.record.presumed.as_ref().expect("one more");
    assert_eq!((presumed.jobs.len(), presumed.jobs.last()), (PRESUMED_MAX, Some(&job("found"))));
    assert_eq!(decision.record.jobs, presumed.jobs);
}

#[test]
fn a_job_that_a_person_names_is_no_longer_presumed() {
    let presumed = Some(Box::new(Presumed {
        doubt: doubt(),
        jobs: vec![job("known"), job("named")],
        named: false,
    }));
    let state = State::Ready;
    let record = Record {
        state,
        jobs: vec![job("known"), job("named")],
        adopted: Some(job("named")),
        presumed,
        ..Record::queued()
    };
    let decision =
        decide(&change(record), &Event::Woken, &context(Clearance::Open, false, Duration::ZERO))
            .expect("its turn");
    assert_eq!(describe_record(&decision.record), "following jobs=known,named presumed=known");
}
