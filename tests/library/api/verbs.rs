//! The verbs' contract: a body each, the tag of what was looked at, and the journal's entry of what
//! was done.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{ApiWorld, form, plan, targets};

/// A rollout that stays in its first wave.
async fn busy_world(name: &str) -> ApiWorld {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    let waves =
        "strategy: {max_in_flight: 1, waves: [{name: one, size: 1}, {name: two, size: rest}]}\n";
    world.submit(&plan(name, &targets('a', 3), waves)).await;
    world
        .until(&format!("/v1/rollouts/{name}"), |answered| answered.json["tally"]["active"] == 1)
        .await;
    world
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_verb_on_a_record_that_moved_does_nothing_and_says_how_it_stands() {
    let world = busy_world("seen").await;
    let seen = world.get("/v1/rollouts/seen").await;
    let tag = format!("\"{}\"", text(&seen.json["tag"]));
    let listed = world.get("/v1/rollouts").await;
    assert_eq!(
        listed.json["rows"][0]["tag"], seen.json["tag"],
        "the row and the document have one tag"
    );

    let paused = world.matching(&tag, "/v1/rollouts/seen/pause", json!({"reason": "first"})).await;
    assert_eq!(paused.status, StatusCode::OK, "{paused:?}");
    let again = world.matching(&tag, "/v1/rollouts/seen/abort", json!({"reason": "second"})).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED, "{again:?}");
    assert_eq!(again.json["code"], "moved");
    assert_eq!(
        (&again.json["now"]["phase"], &again.json["now"]["paused"]),
        (&json!("advancing"), &json!(true))
    );
    let now = world.get("/v1/rollouts/seen").await;
    assert_eq!(now.json["phase"], "advancing", "nothing was done");
    assert_eq!(again.json["now"]["tag"], now.json["tag"]);

    let fits = format!("\"{}\"", text(&now.json["tag"]));
    assert_eq!(
        world.matching(&fits, "/v1/rollouts/seen/abort", json!({"reason": "third"})).await.status,
        StatusCode::OK
    );
    for wrong in ["*", "seen", "\"12\""] {
        let answered = world.matching(wrong, "/v1/rollouts/seen/resume", json!({})).await;
        assert_eq!(
            (answered.status, &answered.json["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad_request")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_success_names_its_entry_in_the_journal() {
    let world = busy_world("named").await;
    let paused = world.post("/v1/rollouts/named/pause", json!({"reason": "look at entry"})).await;
    let seq = paused.json["seq"].as_u64().expect("a sequence");
    let journal = world.get(&format!("/v1/rollouts/named/journal?after={}&limit=1", seq - 1)).await;
    let entry = &journal.json["rows"][0];
    assert_eq!(entry["seq"], seq);
    assert!(text(&entry["why"]).contains("look at entry"), "{entry}");
    assert_eq!((&entry["by"], &entry["via"]), (&paused.json["by"], &json!("socket")));
    let all = world.get("/v1/rollouts/named/journal").await;
    assert_eq!(all.json["rows"][0]["via"], "socket", "who submits comes through a door too");
    let by_itself =
        all.json["rows"].as_array().expect("rows").iter().find(|row| row["kind"] == "change");
    assert_eq!(by_itself.and_then(|row| row.get("via")), None, "nobody did that");
}

#[tokio::test]
async fn each_verb_takes_its_own_body_and_no_other() {
    let world = busy_world("bodies").await;
    for (path, body) in [
        ("pause", json!({"in_doubt": true})),
        ("pause", json!({"digest": "0"})),
        ("resume", json!({"until": "2030-01-01T00:00:00Z"})),
        ("promote", json!({"proxy": "a"})),
        ("approve", json!({"confirm": "bodies"})),
        ("retry", json!({"job": "x"})),
        ("resolve", json!({"in_doubt": true})),
        ("abort", json!({"proxy": "a"})),
        ("revert", json!({"until": "2030-01-01T00:00:00Z"})),
    ] {
        let answered = world.post(&format!("/v1/rollouts/bodies/{path}"), body).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{path}: {answered:?}");
        assert!(text(&answered.json["detail"]).contains("unknown field"), "{path}: {answered:?}");
    }
    let typed = world
        .typed(
            Method::POST,
            "/v1/rollouts/bodies/abort",
            "application/x-www-form-urlencoded",
            "reason=x",
        )
        .await;
    assert_eq!(
        (typed.status, &typed.json["code"]),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("wrong_type")),
        "{typed:?}"
    );
    let upload = world.typed(Method::POST, "/v1/rollouts", "application/json", "{}").await;
    assert_eq!(
        (upload.status, &upload.json["code"]),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("wrong_type")),
        "{upload:?}"
    );
    assert_eq!(
        world.get("/v1/rollouts/bodies").await.json["phase"],
        "advancing",
        "none of it did anything"
    );
}

#[tokio::test]
async fn a_verb_that_needs_a_reason_does_nothing_without_one() {
    let world = busy_world("why").await;
    for (verb, body) in [
        ("pause", json!({})),
        ("pause", json!({"reason": " \t\u{1b}"})),
        ("abort", json!({})),
        ("revert", json!({"confirm": "why"})),
    ] {
        let refused = world.post(&format!("/v1/rollouts/why/{verb}"), body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{verb}: {refused:?}");
        assert_eq!(refused.json["field"], "reason", "{verb}: {refused:?}");
        assert!(text(&refused.json["detail"]).contains("--reason"), "{verb}: {refused:?}");
    }
    let now = world.get("/v1/rollouts/why").await;
    assert_eq!((&now.json["phase"], now.json.get("paused")), (&json!("advancing"), None));
    let missing = json!({"digest": 7});
    let refused = world.post("/v1/rollouts/why/approve", missing).await;
    assert_eq!(refused.json.get("field"), None, "{refused:?}");
}

#[tokio::test]
async fn a_revert_that_switches_off_wants_the_name_typed() {
    let world = busy_world("typed").await;
    for body in [json!({}), json!({"confirm": "another"})] {
        let refused = world.post("/v1/rollouts/typed/revert", body).await;
        assert_eq!(
            (refused.status, &refused.json["code"]),
            (StatusCode::FORBIDDEN, &json!("forbidden")),
            "{refused:?}"
        );
    }
    assert_eq!(
        world
            .post("/v1/rollouts/typed/revert", json!({"reason": "old drivers", "confirm": "typed"}))
            .await
            .json["phase"],
        "reverting"
    );

    let off = plan("dark", &targets('b', 1), "").replace("ssl_option: true", "ssl_option: false");
    assert_eq!(
        world.upload("/v1/rollouts?confirm=dark", form(&off, &[])).await.status,
        StatusCode::CREATED
    );
    world.until("/v1/rollouts/dark", |answered| answered.json["phase"] == "advancing").await;
    assert_eq!(
        world.post("/v1/rollouts/dark/revert", json!({"reason": "outage"})).await.status,
        StatusCode::OK,
        "this one switches on again"
    );
}

/// The verb of this word in the document, the narrow one where there are two.
fn verb<'a>(doc: &'a Value, word: &str) -> &'a Value {
    let found =
        doc["verbs"].as_array().and_then(|verbs| verbs.iter().find(|verb| verb["verb"] == word));
    found.unwrap_or_else(|| panic!("no {word} in {doc}"))
}

#[tokio::test]
async fn what_is_possible_is_told_as_the_table_decides_it() {
    let world = busy_world("could").await;
    let could = world.get("/v1/rollouts/could/verbs").await;
    assert_eq!(could.status, StatusCode::OK, "{could:?}");
    assert_eq!(could.json["tag"], world.get("/v1/rollouts/could").await.json["tag"]);
    let all =
        ["approve", "promote", "pause", "resume", "retry", "retry", "resolve", "abort", "revert"];
    let told: Vec<_> = could.json["verbs"]
        .as_array()
        .expect("verbs")
        .iter()
        .map(|verb| text(&verb["verb"]).to_owned())
        .collect();
    assert_eq!(told, all);
    for told in could.json["verbs"].as_array().expect("verbs") {
        // What is told is what the route answers: of those that are refused, nothing is done by
        // trying.
        if told["possible"] == json!(true) {
            assert!(told["effect"]["text"].is_string() && told.get("why_not").is_none(), "{told}");
            continue;
        }
        let mut body = json!({"reason": "try"});
        for (key, value) in [("digest", &told["asks"]["digest"]), ("in_doubt", &told["in_doubt"])] {
            if !value.is_null() {
                body[key] = value.clone();
            }
        }
        let word = text(&told["verb"]);
        if word == "resolve" {
            body["proxy"] = json!("a");
            body["give_up"] = json!(true);
            assert_eq!(
                world.post("/v1/rollouts/could/resolve", body).await.status,
                StatusCode::NOT_FOUND,
                "there is no such change"
            );
            continue;
        }
        let refused = world.post(&format!("/v1/rollouts/could/{word}"), body).await;
        assert_eq!(
            (refused.status, &refused.json["detail"]),
            (StatusCode::CONFLICT, &told["why_not"]),
            "{word}"
        );
    }
    let (abort, revert) = (verb(&could.json, "abort"), verb(&could.json, "revert"));
    assert_eq!(
        (&abort["effect"]["phase"], &abort["effect"]["cancelled"], &abort["effect"]["in_flight"]),
        (&json!("aborted"), &json!(2), &json!(1))
    );
    assert_eq!(
        (&revert["asks"]["confirm"], &revert["asks"]["roles"]),
        (&json!("could"), &json!(["operate", "off"]))
    );
    assert_eq!(
        (
            &abort["asks"]["reason_required"],
            &verb(&could.json, "resume")["asks"]["reason_required"]
        ),
        (&json!(true), &json!(false))
    );
    let aborted = world.post("/v1/rollouts/could/abort", json!({"reason": "as told"})).await;
    assert_eq!(aborted.json["phase"], abort["effect"]["phase"]);
    let over = world.get("/v1/rollouts/could/verbs").await;
    assert!(
        over.json["verbs"]
            .as_array()
            .expect("verbs")
            .iter()
            .all(|verb| verb["possible"] == json!(false)),
        "{over:?}"
    );
}
