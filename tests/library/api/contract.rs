//! The contract: `docs/openapi.json` is what the handlers say, it has every route, and it only
//! grows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use reqwest::StatusCode;
use sealift::api;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::world::ApiWorld;

/// Keys whose value says something to people alone.
const SAID: [&str; 5] = ["description", "summary", "title", "version", "tags"];

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json")
}

fn document() -> Value {
    serde_json::from_str(&api::openapi()).expect("the document is JSON")
}

/// Every operation: its path and its method.
fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| {
        item.as_object()
            .expect("an item")
            .keys()
            .map(|method| (path.clone(), method.to_uppercase()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

fn texts(value: Option<&Value>) -> BTreeSet<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What of `old` a client may rely on and `new` no longer says, each by its place.
fn shrunk(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let place = format!("{place}/{key}");
                match (key.as_str(), new.get(key)) {
                    (key, _) if SAID.contains(&key) => {}
                    ("required", now) if value.is_array() => required(&place, value, now, found),
                    (_, None) => found.push(format!("{place} is gone")),
                    ("parameters", Some(now)) => parameters(&place, value, now, found),
                    ("enum", Some(now)) => {
                        let gone = texts(Some(value))
                            .difference(&texts(Some(now)))
                            .map(|word| format!("{place} lacks {word}"))
                            .collect::<Vec<_>>();
                        found.extend(gone);
                    }
                    (_, Some(now)) => shrunk(&place, value, now, found),
                }
            }
            // What a client need not send yet must not become needed.
            if place.ends_with("Request")
                && !old.contains_key("required")
                && new.contains_key("required")
            {
                found.push(format!("{place} needs more than before"));
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(format!("{place}: {old} became {new}")),
    }
}

/// What an answer always has it keeps; a request needs no more than before.
fn required(place: &str, old: &Value, new: Option<&Value>, found: &mut Vec<String>) {
    let (old, new) = (texts(Some(old)), texts(new));
    let of_request = place.split('/').any(|part| part.ends_with("Request") || part == "PlanUpload");
    let (lost, than) = if of_request {
        (new.difference(&old), "newly needed")
    } else {
        (old.difference(&new), "no longer always there")
    };
    found.extend(lost.map(|field| format!("{place}: {field} is {than}")));
}

fn parameters(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let named = |list: &Value| {
        let list = list.as_array().cloned().unwrap_or_default();
        list.into_iter()
            .map(|one| ((one["in"].to_string(), one["name"].to_string()), one))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (old, new) = (named(old), named(new));
    for (name, one) in &old {
        match new.get(name) {
            Some(now) => shrunk(&format!("{place}/{}", name.1), one, now, found),
            None => found.push(format!("{place} lacks {}", name.1)),
        }
    }
    let needed =
        new.iter().filter(|(name, one)| one["required"] == json!(true) && !old.contains_key(*name));
    found.extend(needed.map(|(name, _)| format!("{place} newly needs {}", name.1)));
}

/// Without descriptions: words may be written anew.
fn undescribed(value: &Value) -> Value {
    match value {
        Value::Object(parts) => {
            let told = |(key, part): &(&String, &Value)| *key != "description" || !part.is_string();
            let parts = parts.iter().filter(told);
            parts.map(|(key, part)| (key.clone(), undescribed(part))).collect()
        }
        Value::Array(parts) => parts.iter().map(undescribed).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_document_is_checked_in_and_only_grows() {
    let path = checked_in();
    let (fresh, kept) = (api::openapi(), fs::read_to_string(&path).unwrap_or_default());
    if !kept.is_empty() {
        let mut found = Vec::new();
        shrunk(
            "",
            &undescribed(&serde_json::from_str(&kept).expect("the document is JSON")),
            &undescribed(&document()),
            &mut found,
        );
        assert!(found.is_empty(), "what a client relies on was taken away:\n{}", found.join("\n"));
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") && kept != fresh {
        fs::write(&path, &fresh).expect("the document can be written");
        return;
    }
    assert!(
        kept == fresh,
        "docs/openapi.json is not what the handlers say; `make golden` writes it anew"
    );
}

#[test]
fn whatever_is_taken_away_is_found() {
    let old = json!({
        "paths": {"/a": {"get": {"parameters": [{"name": "after", "in": "query", "schema": {"type": "string"}}]}}},
        "components": {"schemas": {
            "Row": {"required": ["id"], "properties": {"id": {"type": "string"}, "word": {"enum": ["one", "two"]}}},
            "PauseRequest": {"properties": {"reason": {"type": "string"}}},
        }},
    });
    let found = |bend: &dyn Fn(&mut Value)| {
        let (mut new, mut found) = (old.clone(), Vec::new());
        bend(&mut new);
        shrunk("", &old, &new, &mut found);
        found.len()
    };
    let schemas = "/components/schemas";
    let set = |new: &mut Value, place: &str, value: Value| {
        *new.pointer_mut(place).expect("a place") = value
    };
    assert_eq!(found(&|_| ()), 0);
    assert_eq!(found(&|new| new["paths"]["/b"] = json!({"get": {}})), 0, "a path more");
    assert_eq!(
        found(&|new| new["components"]["schemas"]["Row"]["properties"]["more"] =
            json!({"type": "string"})),
        0,
        "a field more"
    );
    assert_eq!(
        found(&|new| set(
            new,
            &format!("{schemas}/Row/properties/word/enum"),
            json!(["one", "two", "three"])
        )),
        0,
        "a word more"
    );
    assert_eq!(found(&|new| set(new, "/paths", json!({}))), 1, "a path less");
    assert_eq!(
        found(&|new| set(new, "/paths/~1a/get/parameters", json!([]))),
        1,
        "a parameter less"
    );
    assert_eq!(
        found(&|new| set(new, "/paths/~1a/get/parameters/0/schema/type", json!("integer"))),
        1,
        "another type"
    );
    assert_eq!(
        found(&|new| set(new, &format!("{schemas}/Row/properties/word/enum"), json!(["one"]))),
        1,
        "a word less"
    );
    assert_eq!(
        found(&|new| set(new, &format!("{schemas}/Row/required"), json!([]))),
        1,
        "a field that may be missing"
    );
    assert_eq!(
        found(&|new| new["components"]["schemas"]["PauseRequest"]["required"] = json!(["reason"])),
        1,
        "a field that is needed"
    );
}

/// Every route comes into the router by the macro that also puts it into the document.
#[test]
fn no_route_is_put_in_beside_the_document() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api")];
    let mut by_macro = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the API") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("readable");
            let beside = [".route(", ".nest(", ".route_service("];
            assert!(!beside.iter().any(|call| text.contains(call)), "{}", path.display());
            by_macro += text.matches("routes!(").count();
        }
    }
    assert_eq!(by_macro, operations(&document()).len(), "two routes may have one name");
}

#[tokio::test]
async fn every_operation_is_there_and_asks_who_calls() {
    let world = ApiWorld::new().await;
    let document = document();
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    for (path, method) in operations(&document) {
        // Before a door nobody can sign in; each of these has its own tests.
        if matches!(path.as_str(), "/sign-in" | "/sign-out" | "/v1/links") {
            let answered = world.post(&path, json!({})).await;
            assert_ne!(answered.status, StatusCode::NOT_FOUND, "{path}: {answered:?}");
            continue;
        }
        let uri = path
            .replace("{reference}", "x")
            .replace("{lane}", "x")
            .replace("{name}", "x")
            .replace("{ordinal}", "0");
        let request = axum::http::Request::builder()
            .method(method.as_str())
            .uri(uri)
            .body(Body::empty())
            .expect("a request");
        let answered = world.router.clone().oneshot(request).await.expect("an answer");
        let open = matches!(path.as_str(), "/healthz" | "/readyz");
        let wanted = if open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(answered.status(), wanted, "{method} {path}");
        if !open {
            let kind = answered.headers().get("content-type").and_then(|kind| kind.to_str().ok());
            assert_eq!(kind, Some("application/problem+json"), "{method} {path}");
        }
    }
}
