//! Who may do what: the roles of `api.people` at every door, and that nobody is let in unnamed.

use std::sync::Arc;

use axum::body::Body;
use reqwest::StatusCode;
use sealift::domain::people::{ListedPerson, People, Role, Roles};
use sealift::store::Store;
use serde_json::json;
use tower::ServiceExt as _;

use super::world::{ApiWorld, form, plan, targets};

/// A list of one person, `ada`: the user who runs the test, with these roles beside `read`.
async fn ada(roles: &[Role]) -> People {
    let whoami = ApiWorld::new().await.get("/v1/whoami").await;
    let unix = whoami.json["name"].as_str().map(str::to_owned);
    let may = roles.iter().copied().chain([Role::Read]).collect();
    People {
        persons: vec![ListedPerson { name: "ada".into(), unix, certificate: None, may }],
        groups: Vec::new(),
    }
}

/// A world whose only listed person is `ada`.
pub async fn world_of_ada(roles: &[Role]) -> ApiWorld {
    ApiWorld::with_people(ada(roles).await).await
}

/// A world in which the user who runs the test is nobody of the list.
pub async fn world_of_nobody() -> ApiWorld {
    let mut people = ada(&[]).await;
    people.persons[0].may = Roles::default();
    ApiWorld::with_people(people).await
}

/// A world over this store in which `ada` may only read.
pub async fn reader_of(store: Arc<dyn Store>) -> ApiWorld {
    ApiWorld::over(store, ada(&[]).await).await
}

#[tokio::test]
async fn without_a_list_whoever_opens_the_socket_may_all() {
    let answered = ApiWorld::new().await.get("/v1/whoami").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.json["may"], json!(["read", "operate", "approve", "off"]));
    assert_eq!(answered.json["via"], "socket");
    assert!(answered.json["uid"].is_u64(), "{answered:?}");
}

#[tokio::test]
async fn a_reader_sees_everything_and_does_nothing() {
    let world = world_of_ada(&[]).await;
    let whoami = world.get("/v1/whoami").await;
    assert_eq!(
        (&whoami.json["name"], &whoami.json["may"]),
        (&json!("ada"), &json!(["read"])),
        "one name, whatever the user's"
    );
    for path in ["/v1/daemon", "/v1/rollouts", "/v1/events", "/v1/enforcements"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
    let text = plan("mine", &targets('a', 1), "");
    assert_eq!(world.upload("/v1/plans/preview", form(&text, &[])).await.status, StatusCode::OK);
    assert_eq!(world.submit(&text).await.status, StatusCode::FORBIDDEN);
    for path in [
        "/v1/rollouts/mine/pause",
        "/v1/rollouts/mine/resume",
        "/v1/rollouts/mine/promote",
        "/v1/rollouts/mine/approve",
        "/v1/rollouts/mine/retry",
        "/v1/rollouts/mine/resolve",
        "/v1/rollouts/mine/abort",
        "/v1/rollouts/mine/revert",
        "/v1/lanes/lab/pause",
        "/v1/lanes/lab/resume",
        "/v1/stop",
        "/v1/start",
        "/v1/enforcements/mine/stop",
        "/v1/enforcements/mine/release",
        "/v1/looks",
        "/v1/preflight",
    ] {
        assert_eq!(world.post(path, json!({})).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(world.get("/v1/instances?lane=lab").await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.get("/v1/rollouts").await.json["rows"], json!([]), "nothing was submitted");
}

#[tokio::test]
async fn an_approval_takes_its_own_role_and_its_one_name() {
    let world = world_of_ada(&[Role::Operate]).await;
    let text = plan("agreed", &targets('a', 1), "approval: {required: 1}\n");
    assert_eq!(world.submit(&text).await.status, StatusCode::CREATED);
    let held = world
        .until("/v1/rollouts/agreed", |answered| {
            answered.json["holds"][0]["word"] == "awaiting_approval"
        })
        .await;
    assert_eq!(held.json["by"], "ada", "the name of the list, not the user's");
    let digest = held.json["approval"]["digest"].clone();
    let refused = world.post("/v1/rollouts/agreed/approve", json!({"digest": digest})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
}

#[tokio::test]
async fn what_switches_off_takes_the_role_for_it_a_revert_too() {
    let world = world_of_ada(&[Role::Operate]).await;
    let off = plan("dark", &targets('b', 1), "").replace("ssl_option: true", "ssl_option: false");
    assert_eq!(
        world.upload("/v1/rollouts?confirm=dark", form(&off, &[])).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(world.get("/v1/rollouts").await.json["rows"], json!([]));
    world.cloud.busy(true);
    assert_eq!(
        world.submit(&plan("bright", &targets('a', 1), "")).await.status,
        StatusCode::CREATED
    );
    world.until("/v1/rollouts/bright", |answered| answered.json["phase"] == "advancing").await;
    assert_eq!(
        world.post("/v1/rollouts/bright/revert", json!({})).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        world.get("/v1/rollouts/bright").await.json["phase"],
        "advancing",
        "nothing was done"
    );
    assert_eq!(
        world.post("/v1/rollouts/bright/pause", json!({"reason": "a look"})).await.status,
        StatusCode::OK
    );
    assert_eq!(
        world.post("/v1/rollouts/bright/abort", json!({"reason": "over"})).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_request_of_nobody_is_answered_401() {
    let world = ApiWorld::new().await;
    for (method, path) in [
        ("GET", "/v1/whoami"),
        ("GET", "/v1/rollouts"),
        ("POST", "/v1/stop"),
        ("POST", "/v1/rollouts/x/approve"),
    ] {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .expect("a request");
        let answered = world.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    let open =
        axum::http::Request::builder().uri("/healthz").body(Body::empty()).expect("a request");
    assert_eq!(
        world.router.clone().oneshot(open).await.expect("an answer").status(),
        StatusCode::OK
    );
}

/// The roles that the document names are those that the routes ask for.
#[tokio::test]
async fn a_verb_is_told_as_possible_to_those_alone_who_may() {
    for (roles, lacking) in [
        (&[Role::Operate][..], &["approve", "revert"][..]),
        (&[Role::Operate, Role::Approve, Role::Off], &[]),
    ] {
        let world = world_of_ada(roles).await;
        world.cloud.busy(true);
        world.submit(&plan("whose", &targets('a', 1), "")).await;
        world.until("/v1/rollouts/whose", |answered| answered.json["phase"] == "advancing").await;
        let could = world.get("/v1/rollouts/whose/verbs").await;
        let verbs = could.json["verbs"].as_array().expect("verbs");
        let may = |word: &str| word == "operate" || roles.iter().any(|role| role.as_str() == word);
        let wanting = |verb: &&serde_json::Value| {
            !verb["asks"]["roles"]
                .as_array()
                .expect("roles")
                .iter()
                .all(|role| may(role.as_str().expect("a word")))
        };
        let found: Vec<_> = verbs
            .iter()
            .filter(wanting)
            .map(|verb| verb["verb"].as_str().expect("a word"))
            .collect();
        assert_eq!(found, lacking);
        for word in lacking {
            let told = verbs.iter().find(|verb| verb["verb"] == *word).expect("it is told");
            assert!(told["possible"] == json!(false) && told["why_not"].is_string(), "{told}");
            let answered = world
                .post(&format!("/v1/rollouts/whose/{word}"), json!({"confirm": "whose"}))
                .await;
            let answered = if *word == "approve" {
                world.post("/v1/rollouts/whose/approve", json!({})).await
            } else {
                answered
            };
            assert_eq!(answered.status, StatusCode::FORBIDDEN, "{word}: {answered:?}");
        }
    }
}

#[tokio::test]
async fn whoever_may_nothing_sees_no_view_either() {
    let world = world_of_nobody().await;
    for path in [
        "/v1/daemon",
        "/",
        "/rollouts",
        "/rollouts/none",
        "/lanes",
        "/windows",
        "/enforcement",
        "/journal",
        "/find?begins=none",
    ] {
        let answered = world.get(path).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{path}: {answered:?}");
        // A view says it as a view, the API as a problem; neither says more.
        let said = match path.starts_with("/v1/") {
            true => answered.json["code"] == "forbidden",
            false => answered.json.as_str().is_some_and(|view| view.contains("Not allowed")),
        };
        assert!(said, "{path}: {answered:?}");
    }
}
