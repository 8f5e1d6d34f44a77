//! Every shape against a golden file, and against texts that would like to be more than text.

use proptest::prelude::*;

use super::*;
use crate::domain::notify::NoticeWord;
use crate::notify::draw::Subject;

fn notice() -> Notification {
    Notification {
        word: NoticeWord::Halted,
        at: "2026-11-27T17:52:08Z".parse().expect("an instant"),
        sequence: 18_992,
        summary: "night: halted: 3 failures reach the budget of 3, in wave canary".into(),
        command: "sealift retry night".into(),
        why: "3 failures reach the budget of 3".into(),
        by: String::new(),
        path: "/rollouts/81dd".into(),
        about: Subject {
            plan: "night".into(),
            revision: 2,
            rollout: "81dd".into(),
            phase: "halted".into(),
            wave: "canary".into(),
            lane: String::new(),
            change_ref: "CHG-10421".into(),
            owner: "dba-oncall".into(),
        },
        counts: "97 of 100 show SSL on, 3 failed".into(),
    }
}

fn free() -> MessageShape {
    MessageShape::Free(json!({
        "msg_type": "text",
        "content": { "text": "${summary} $${kept} ${command}", "n": 7, "list": ["${plan}", true] },
    }))
}

fn shapes() -> Vec<MessageShape> {
    MessageShape::NAMED.into_iter().chain([free()]).collect()
}

fn rendered(shape: &MessageShape, notice: &Notification) -> Vec<u8> {
    let origin = Some("https://sealift.example.net:7633");
    body(shape, notice, &Letterhead { origin, routing_key: "R0UTE" })
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn every_shape_is_as_its_receiver_reads_it() {
    let mut text = String::new();
    for shape in shapes() {
        let value = parsed(&rendered(&shape, &notice()));
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        text.push_str(&format!("# {}\n{pretty}\n", shape.as_str()));
    }
    let at_golden = "../../../tests/golden/notify";
    insta::with_settings!({snapshot_path => at_golden, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("shapes", text);
    });
}

#[test]
fn without_an_origin_there_is_no_link() {
    for shape in shapes() {
        let body = body(&shape, &notice(), &Letterhead { origin: None, routing_key: "" });
        let text = String::from_utf8(body).expect("text");
        assert!(!text.contains("/rollouts/") && !text.contains("OpenUrl"), "{text}");
    }
}

/// What goes on or is over closes the incident that the same rollout opened.
#[test]
fn a_pager_has_one_incident_a_rollout() {
    let sent = |word| {
        let value = parsed(&rendered(&MessageShape::PagerDuty, &Notification { word, ..notice() }));
        (value["event_action"].clone(), value["dedup_key"].clone())
    };
    assert_eq!(sent(NoticeWord::Halted), (json!("trigger"), json!("sealift-81dd")));
    assert_eq!(sent(NoticeWord::Completed), (json!("resolve"), json!("sealift-81dd")));
}

/// The same document with every text empty: what a text could change if it were more than text.
fn skeleton(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::String(String::new()),
        Value::Array(items) => items.iter().map(skeleton).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), skeleton(value))).collect()
        }
        other => other.clone(),
    }
}

fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(map) => map.values().for_each(|item| strings(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn hostile(text: &str) -> Notification {
    let text = || format!("x{text}");
    let about =
        Subject { plan: text(), wave: text(), change_ref: text(), owner: text(), ..notice().about };
    Notification { summary: text(), why: text(), by: text(), counts: text(), about, ..notice() }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let usual = Notification { by: "ada".into(), ..notice() };
    for shape in shapes() {
        let body = rendered(&shape, &hostile(text));
        prop_assert!(body.len() <= BODY_MAX, "{}: {} bytes", shape.as_str(), body.len());
        let value = parsed(&body);
        prop_assert_eq!(skeleton(&value), skeleton(&parsed(&rendered(&shape, &usual))));
        let mut found = Vec::new();
        strings(&value, &mut found);
        for text in found {
            prop_assert!(!text.chars().any(crate::words::text::acts) || text == "\n", "{:?}", text);
        }
        if shape == MessageShape::Slack {
            let shown = value["text"].as_str().unwrap_or_default();
            prop_assert!(!shown.contains(['<', '>']), "{}", shown);
            let bare = shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!bare.contains('&'), "{}", shown);
        }
    }
    Ok(())
}

#[test]
fn hostile_texts_are_text_in_every_shape() {
    for text in [
        "<script>alert(1)</script>",
        "<!channel> <https://evil.example|click>",
        "**bold** [link](https://evil.example) `code`",
        "=HYPERLINK(\"https://evil.example\")",
        "${why} $${by} ${nothing}",
        "\",\"event_action\":\"resolve\",\"x\":\"",
        "\u{202e}gnirts\u{2066}\u{200f}",
        "\u{1b}[31m\r\n\0\u{7}\u{9b}",
    ] {
        check(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
    // A placeholder in a text is not filled in again.
    let value = parsed(&rendered(&free(), &hostile("${plan}")));
    assert_eq!(value["content"]["text"], json!("x${plan} ${kept} sealift retry night"));
}

#[test]
fn a_body_is_bounded_and_what_is_typed_stays_whole() {
    let long = "\u{10348}".repeat(100_000);
    for shape in shapes() {
        let body = rendered(&shape, &hostile(&long));
        assert!(body.len() <= BODY_MAX, "{}: {}", shape.as_str(), body.len());
        assert!(String::from_utf8(body).expect("text").contains("sealift retry night"));
    }
    let many = vec!["${why}"; crate::domain::notify::PLACEHOLDERS_MAX].join("");
    let shape = MessageShape::Free(json!({ "text": many }));
    assert!(rendered(&shape, &hostile(&long)).len() <= BODY_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_text(text in "\\PC{0,300}|.{0,300}") {
        check(&text)?;
    }

    #[test]
    fn the_parts_of_a_text_are_the_text(text in "[${}a-c]{0,40}") {
        let joined: String = pieces(&text)
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Placeholder(name) => format!("${{{name}}}"),
            })
            .collect();
        prop_assert_eq!(joined, text.replace("$${", "${"));
    }
}
