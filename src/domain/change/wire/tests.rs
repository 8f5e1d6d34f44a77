//! The cells in which a plan with `verify.wire` differs from one without.

use std::time::Duration;

use crate::domain::change::tests::{LATE, change, context, describe, events, record};
use crate::domain::change::{
    AnswerEvent, Change, Clearance, Context, Event, How, ShownByApi, Stale, State, decide,
};
use crate::domain::id::Digest;
use crate::domain::proof::{
    Anchors, Certificate, Demand, Endpoint, Greeting, Handshake, Login, Proof, TlsVersion, Trouble,
    TroubleWord,
};

fn endpoint() -> Endpoint {
    "10.0.0.7:3306".parse().expect("an endpoint")
}

fn silent(word: TroubleWord) -> Proof {
    let trouble = Trouble { word, message: "no luck".into() };
    Proof {
        endpoint: endpoint(),
        at: super::super::tests::SENT,
        took_ms: 9,
        greeting: None,
        tls: None,
        login: None,
        trouble: Some(trouble),
    }
}

fn shows(tls: bool) -> Proof {
    let certificate = Certificate {
        subject: "CN=proxy".into(),
        issuer: "CN=authority".into(),
        names: vec!["10.0.0.7".into()],
        not_before: None,
        not_after: Some("2027-11-24T00:00:00Z".parse().expect("an instant")),
        sha256: Digest::of(b"der"),
    };
    let handshake = Handshake {
        version: TlsVersion::V12,
        cipher: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".into(),
        chain: vec![certificate],
        anchors: Anchors::CaFile,
        objections: Vec::new(),
    };
    Proof {
        greeting: Some(Greeting { version: "8.0.22".into(), tls, capabilities: 0 }),
        tls: tls.then_some(handshake),
        login: Some(Login::Refused { code: 1045, message: "denied".into(), insecure: false }),
        trouble: None,
        ..silent(TroubleWord::Closed)
    }
}

/// What a probe brings back, by the name that it has in the table.
fn proof(name: &str) -> Option<Event> {
    let proof = match name {
        "proved on" => shows(true),
        "proved off" => shows(false),
        "proved silent" => silent(TroubleWord::TimedOut),
        "proved blocked" => silent(TroubleWord::HostBlocked),
        "proved too_old" => {
            let old = Trouble { word: TroubleWord::TlsTooOld, message: "TLS 1.1".into() };
            Proof { tls: None, trouble: Some(old), ..shows(true) }
        }
        _ => return None,
    };
    Some(Event::Answer(AnswerEvent::Proved(Box::new(proof))))
}

/// As the table of `change`. A state `shown HOW` is verifying, after the API showed the wanted
/// value.
const TABLE: &str = "
inspecting  ; observed right ; -       => verifying shown already_right | probe | never
inspecting  ; observed right ; tried   => verifying a1 shown switched_job_unknown | probe | never
inspecting  ; observed right ; unnamed => failed not_proven | - | never
inspecting  ; observed right ; retried => verifying shown switched | probe | never
inspecting  ; observed other ; retried => submitting a1 before=false | submit | never
recovering  ; observed right ; -       => verifying a1 before=false shown switched_job_unknown | probe | never
verifying   ; observed right ; -       => verifying a1 before=false jobs=known shown switched | probe | never
verifying   ; observed right ; late    => verifying a1 before=false jobs=known shown switched | probe | never
verifying   ; observed other ; -       => verifying a1 before=false jobs=known | - | poll 0
verifying   ; proved on      ; -       => stale
shown       ; woken          ; -       => verifying a1 before=false jobs=known shown switched | probe | never
shown       ; woken          ; held    => verifying a1 before=false jobs=known shown switched | probe | never
shown       ; woken          ; shut    => verifying a1 before=false jobs=known shown switched | probe | never
shown       ; observed right ; -       => stale
shown       ; error unknown  ; -       => stale
shown       ; cancel         ; -       => stale
shown       ; proved on      ; -       => succeeded switched a1 before=false jobs=known shown switched proof 1.2 | - | never
shown       ; proved on      ; late    => succeeded switched a1 before=false jobs=known shown switched proof 1.2 | - | never
shown       ; proved on      ; strict  => verifying a1 before=false jobs=known shown switched | - | poll 0
shown       ; proved off     ; -       => verifying a1 before=false jobs=known shown switched | - | poll 0
shown       ; proved off     ; late    => failed not_proven a1 before=false jobs=known shown switched | - | never
shown       ; proved silent  ; -       => verifying a1 before=false jobs=known shown switched | - | poll 0
shown       ; proved silent  ; late    => failed not_proven a1 before=false jobs=known shown switched | - | never
shown       ; proved blocked ; -       => failed not_proven a1 before=false jobs=known shown switched | - | never
shown       ; proved too_old ; -       => failed not_proven a1 before=false jobs=known shown switched | - | never
undone      ; proved off     ; -       => reverted switched a1 before=false jobs=known undo 1 shown switched proof none | - | never
undone      ; proved on      ; -       => verifying a1 before=false jobs=known undo 1 shown switched | - | poll 0
succeeded   ; proved on      ; -       => stale
succeeded   ; undo           ; -       => queued before=false jobs=known undo 0 | - | never
unproven    ; undo           ; -       => queued before=false jobs=known undo 0 | - | never
unproven    ; undo           ; unknown => stale
unproven    ; requeue        ; -       => queued before=false jobs=known shown switched | - | never
unundone    ; undo           ; -       => stale
";

/// A change as a row begins with it.
fn begun(state: &str, circumstances: &str) -> Change {
    let verifying = record(&State::Verifying { job: Some("known".parse().expect("an id")) }, "-");
    let shown = Some(Box::new(ShownByApi { endpoint: endpoint(), how: How::Switched }));
    let mut change = match state {
        "shown" => change(super::super::Record { shown, ..verifying }),
        "undone" => {
            let undo = Some(super::super::Undo { puts: 1 });
            Change { desired: false, ..change(super::super::Record { shown, undo, ..verifying }) }
        }
        "unproven" | "unundone" => {
            let reason = super::super::Reason {
                word: super::super::ReasonWord::NotProven,
                message: "silent".into(),
            };
            let shown = shown.map(|shown| {
                if circumstances == "unknown" {
                    Box::new(ShownByApi { how: How::SwitchedJobUnknown, ..*shown })
                } else {
                    shown
                }
            });
            let undo = (state == "unundone").then_some(super::super::Undo { puts: 1 });
            change(super::super::Record { shown, undo, ..record(&State::Failed { reason }, "-") })
        }
        other => {
            let plain = if circumstances == "tried" { "tried" } else { "-" };
            change(record(&crate::domain::change::tests::states()[other], plain))
        }
    };
    if circumstances == "retried" {
        change.record.shown =
            Some(Box::new(ShownByApi { endpoint: endpoint(), how: How::Switched }));
    }
    if state == "succeeded" {
        change.record.shown =
            Some(Box::new(ShownByApi { endpoint: endpoint(), how: How::Switched }));
        change.record.proof = Some(Box::new(shows(true).summary()));
    }
    change
}

#[test]
fn every_cell_is_as_the_table_says() {
    let mut wrong = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let (left, expected) = line.split_once(" => ").expect("a row");
        let [state, name, circumstances] =
            <[&str; 3]>::try_from(left.split(';').map(str::trim).collect::<Vec<_>>())
                .expect("three columns");
        let mut event = proof(name).unwrap_or_else(|| events()[name].clone());
        if let Event::Answer(AnswerEvent::Observed(Some(view))) = &mut event {
            view.endpoint = (circumstances != "unnamed").then(endpoint);
        }
        let gate = if circumstances == "held" { Clearance::Held } else { Clearance::Open };
        let waited = if circumstances == "late" { LATE } else { Duration::ZERO };
        let min_tls = if circumstances == "strict" { TlsVersion::V13 } else { TlsVersion::V12 };
        let ctx = Context {
            wire: Some(Demand { min_tls, trusted: true }),
            ..context(gate, circumstances == "shut", waited)
        };
        let change = begun(state, circumstances);
        let found = match decide(&change, &event, &ctx) {
            Ok(decision) => describe(&change, &decision),
            Err(Stale) => "stale".into(),
        };
        if found != expected {
            wrong.push(format!("{left} => {found}\n    the table says {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_proof_leaves_beside_its_change_is_stored_and_read() {
    let record = begun("succeeded", "-").record;
    let text = serde_json::to_string(&record).expect("a text");
    assert!(text.len() < 700, "a row stays small: {text}");
    assert_eq!(serde_json::from_str::<super::super::Record>(&text).expect("a record"), record);
    assert!(text.contains(r#""expires":"2027-11-24T00:00:00Z""#), "{text}");
}
