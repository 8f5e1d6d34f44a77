//! Browsers at the API's doors: how one is let in, what it may do from which page, and what ends
//! its session.

use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use sealift::api::door::tokens::TokenFile;
use sealift::config::DoorConfig;
use sealift::domain::people::{ListedPerson, People, Role, Roles};
use serde_json::{Value, json};

use super::door::{people, plain, token};
use super::world::{ApiWorld, plan, targets};

/// The people of the other tests, and `carol`, who is the user that runs the test.
async fn with_carol() -> People {
    let whoami = ApiWorld::new().await.get("/v1/whoami").await;
    let unix = whoami.json["name"].as_str().map(str::to_owned);
    let mut people = people();
    people.persons.push(ListedPerson {
        name: "carol".into(),
        unix,
        certificate: None,
        may: Roles::all(),
    });
    people
}

/// A browser on a page of ours.
struct Browser {
    http: reqwest::Client,
    /// Where its connections go.
    base: String,
    host: String,
    cookie: Option<String>,
    form: String,
}

impl Browser {
    fn at_network(world: &ApiWorld) -> Self {
        let address = world.network.expect("a door");
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let host = format!("sealift.localhost:{}", address.port());
        Self { http, base: format!("http://{address}"), host, cookie: None, form: String::new() }
    }

    /// By a port that leads to the socket.
    fn at_socket(world: &ApiWorld) -> Self {
        let http = reqwest::Client::builder()
            .unix_socket(&*world.socket)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Self {
            http: http.expect("a client"),
            base: "http://localhost:9999".into(),
            host: "localhost:9999".into(),
            cookie: None,
            form: String::new(),
        }
    }

    /// What a browser sends from a page of ours, for a script that knows the form's token.
    fn own(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("a value"))
        };
        set("host", &self.host);
        set("origin", &format!("http://{}", self.host));
        set("sec-fetch-site", "same-origin");
        set("sec-fetch-mode", "cors");
        set("x-sealift-form", &self.form);
        self.cookie.iter().for_each(|cookie| drop(set("cookie", cookie)));
        headers
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Value>,
    ) -> reqwest::Response {
        let request = self.http.request(method, format!("{}{path}", self.base)).headers(headers);
        body.iter()
            .fold(request, |request, body| request.json(body))
            .send()
            .await
            .expect("an answer")
    }

    /// A form of a page of ours.
    async fn fill(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = self.own();
        headers.remove("x-sealift-form");
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers
            .insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        let request = self.http.post(format!("{}{path}", self.base)).headers(headers).body(body);
        request.send().await.expect("an answer")
    }

    async fn get(&self, path: &str) -> StatusCode {
        let mut headers = self.own();
        headers.remove(ORIGIN);
        self.send(Method::GET, path, headers, None).await.status()
    }

    async fn post(&self, path: &str) -> StatusCode {
        self.send(Method::POST, path, self.own(), Some(json!({"reason": "a test"}))).await.status()
    }

    /// Signs in, and keeps cookie and form.
    async fn sign_in(&mut self, with: Value) -> StatusCode {
        let answer = self.send(Method::POST, "/sign-in", self.own(), Some(with)).await;
        let status = answer.status();
        if let Some(cookie) = answer.headers().get(SET_COOKIE) {
            let text = cookie.to_str().expect("text");
            assert!(
                text.starts_with("__Host-sealift=")
                    && text.ends_with("; HttpOnly; Secure; SameSite=Lax; Path=/"),
                "{text}"
            );
            self.cookie = text.split(';').next().map(str::to_owned);
            let signed_in: Value = answer.json().await.expect("a document");
            self.form = signed_in["form"].as_str().expect("a token").to_owned();
        }
        status
    }
}

/// Whether everything is stopped, as the socket tells it.
async fn is_stopped(world: &ApiWorld) -> bool {
    !world.get("/v1/daemon").await.json["stopped"].is_null()
}

#[tokio::test]
async fn a_link_brings_a_browser_in_once() {
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[])).await;
    let given = world.post("/v1/links", json!({})).await;
    assert_eq!(given.status, StatusCode::OK, "{given:?}");
    let port = world.network.expect("a door").port();
    let code = given.json["code"].as_str().expect("a code").to_owned();
    assert_eq!(given.json["url"], format!("http://sealift.localhost:{port}/sign-in#{code}"));
    let mut browser = Browser::at_network(&world);
    assert_eq!(browser.get("/v1/whoami").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in(json!({"code": code})).await, StatusCode::OK);
    let whoami: Value = browser
        .send(Method::GET, "/v1/whoami", browser.own(), None)
        .await
        .json()
        .await
        .expect("a document");
    assert_eq!((&whoami["name"], &whoami["via"]), (&json!("carol"), &json!("session")));
    let mut thief = Browser::at_network(&world);
    assert_eq!(thief.sign_in(json!({"code": code})).await, StatusCode::UNAUTHORIZED, "it was used");
    assert_eq!(thief.get("/v1/whoami").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.post("/v1/links").await, StatusCode::FORBIDDEN, "a session makes no links");
    let program = reqwest::Client::builder().no_proxy().build().expect("a client");
    let elsewhere =
        program.post(format!("http://127.0.0.1:{port}/v1/links")).send().await.expect("an answer");
    assert_eq!(elsewhere.status(), StatusCode::UNAUTHORIZED, "the network tells nobody's name");
}

#[tokio::test]
async fn a_session_acts_from_our_page_alone() {
    let (text, listed) = token("ada", &[Role::Read, Role::Operate]);
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[&listed])).await;
    let mut browser = Browser::at_network(&world);
    assert_eq!(browser.post("/v1/stop").await, StatusCode::UNAUTHORIZED, "nobody is signed in");
    assert_eq!(browser.sign_in(json!({"token": text})).await, StatusCode::OK);
    assert_eq!(browser.get("/v1/daemon").await, StatusCode::OK);
    let port = world.network.expect("a door").port();
    let foreign: &[(&str, &str, StatusCode)] = &[
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("origin", "http://sealift.localhost:1", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("origin", "", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("x-sealift-form", "", StatusCode::FORBIDDEN),
        (
            "x-sealift-form",
            "0000000000000000000000000000000000000000000000000000000000000000",
            StatusCode::FORBIDDEN,
        ),
        ("cookie", "", StatusCode::UNAUTHORIZED),
        ("cookie", "__Host-sealift=00.00", StatusCode::UNAUTHORIZED),
        ("host", "evil.example", StatusCode::MISDIRECTED_REQUEST),
    ];
    let other_name = format!("http://127.0.0.1:{port}");
    for (name, value, status) in
        foreign.iter().copied().chain([("origin", other_name.as_str(), StatusCode::FORBIDDEN)])
    {
        let mut headers = browser.own();
        let name: HeaderName = name.parse().expect("a name");
        match value {
            "" => drop(headers.remove(&name)),
            _ => drop(headers.insert(&name, HeaderValue::from_str(value).expect("a value"))),
        }
        let answer = browser
            .send(Method::POST, "/v1/stop", headers, Some(json!({"reason": "an attack"})))
            .await;
        assert_eq!(answer.status(), status, "{name}: {value}");
        assert!(!is_stopped(&world).await, "{name}: {value}");
    }
    // A token does not make a browser a program: its page could be anybody's.
    let mut headers = browser.own();
    headers.remove("cookie");
    headers.insert(
        "authorization",
        HeaderValue::from_str(&format!("Bearer {text}")).expect("a value"),
    );
    assert_eq!(
        browser.send(Method::POST, "/v1/stop", headers, Some(json!({}))).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let preflight = browser.send(Method::OPTIONS, "/v1/stop", browser.own(), None).await;
    assert!(
        !preflight.headers().keys().any(|name| name.as_str().starts_with("access-control-")),
        "{preflight:?}"
    );
    assert!(!is_stopped(&world).await);
    assert_eq!(browser.post("/v1/stop").await, StatusCode::OK);
    assert!(is_stopped(&world).await);
}

#[tokio::test]
async fn a_form_without_script_carries_its_token_in_a_field() {
    let (text, listed) = token("ada", &[Role::Read, Role::Operate]);
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[&listed])).await;
    let mut browser = Browser::at_network(&world);
    let form = async |browser: &Browser, path: &str, fields: &[(&str, &str)]| {
        let mut headers = browser.own();
        headers.remove("x-sealift-form");
        let body: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        headers
            .insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        let request =
            browser.http.post(format!("{}{path}", browser.base)).headers(headers).body(body);
        request.send().await.expect("an answer")
    };
    for (next, to) in [("/rollouts", "/rollouts"), ("//evil.example", "/")] {
        let answer = form(&browser, "/sign-in", &[("token", &text), ("next", next)]).await;
        assert_eq!(
            (answer.status(), answer.headers()[LOCATION].to_str().expect("text")),
            (StatusCode::SEE_OTHER, to)
        );
    }
    assert_eq!(browser.sign_in(json!({"token": text})).await, StatusCode::OK);
    assert_eq!(form(&browser, "/sign-out", &[]).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(form(&browser, "/sign-out", &[("form", "x")]).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/v1/daemon").await, StatusCode::OK, "nothing was done");
    let out = form(&browser, "/sign-out", &[("form", &browser.form)]).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    assert!(out.headers()[SET_COOKIE].to_str().is_ok_and(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(
        browser.get("/v1/daemon").await,
        StatusCode::UNAUTHORIZED,
        "a copy of the cookie is worth nothing"
    );
}

#[tokio::test]
async fn nobody_is_signed_in_by_another_page_and_a_session_ends_with_its_token() {
    let (text, listed) = token("ada", &[Role::Read]);
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[&listed])).await;
    let mut browser = Browser::at_network(&world);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let mut headers = browser.own();
        headers.insert(name, HeaderValue::from_static(value));
        let answer =
            browser.send(Method::POST, "/sign-in", headers, Some(json!({"token": text}))).await;
        assert_eq!(
            (answer.status(), answer.headers().contains_key(SET_COOKIE)),
            (StatusCode::FORBIDDEN, false),
            "{name}"
        );
    }
    let mut headers = browser.own();
    [ORIGIN.as_str(), "sec-fetch-site", "sec-fetch-mode"]
        .iter()
        .for_each(|name| drop(headers.remove(*name)));
    let answer =
        browser.send(Method::POST, "/sign-in", headers, Some(json!({"token": text}))).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "whoever does not say where it comes from");
    assert_eq!(browser.sign_in(json!({"token": &text[..60]})).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        browser.sign_in(json!({"go_on": true})).await,
        StatusCode::UNAUTHORIZED,
        "the network tells nobody's name"
    );
    assert_eq!(browser.sign_in(json!({"token": text, "code": "x"})).await, StatusCode::BAD_REQUEST);
    assert_eq!(browser.sign_in(json!({"token": text})).await, StatusCode::OK);
    assert_eq!(browser.get("/v1/daemon").await, StatusCode::OK);
    TokenFile::default().write(&world.folder.path().join("tokens.yaml")).expect("written");
    assert_eq!(browser.get("/v1/daemon").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_browser_that_a_tunnel_brings_to_the_socket_is_nobody_before_it_says_so() {
    let world = ApiWorld::opened(with_carol().await, |_| DoorConfig::default()).await;
    let mut browser = Browser::at_socket(&world);
    assert_eq!(
        world.get("/v1/whoami").await.json["name"],
        "carol",
        "a program is whoever the kernel tells"
    );
    assert_eq!(browser.get("/v1/whoami").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.post("/v1/stop").await, StatusCode::UNAUTHORIZED);
    // Any page can reach a forwarded port.
    let mut headers = browser.own();
    headers.insert(ORIGIN, HeaderValue::from_static("https://evil.example"));
    assert_eq!(
        browser
            .send(Method::POST, "/sign-in", headers, Some(json!({"go_on": true})))
            .await
            .status(),
        StatusCode::FORBIDDEN
    );
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("rebound.example:9999"));
    assert_eq!(
        browser.send(Method::GET, "/v1/daemon", headers, None).await.status(),
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(browser.sign_in(json!({"go_on": true})).await, StatusCode::OK);
    assert_eq!(browser.get("/v1/whoami").await, StatusCode::OK);
    assert!(!is_stopped(&world).await);
    assert_eq!(browser.post("/v1/stop").await, StatusCode::OK);
    assert!(is_stopped(&world).await);
}

#[tokio::test]
async fn from_elsewhere_a_browser_may_only_follow_a_link() {
    let (text, listed) = token("ada", &[Role::Read]);
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[&listed])).await;
    let mut browser = Browser::at_network(&world);
    assert_eq!(browser.sign_in(json!({"token": text})).await, StatusCode::OK);
    for (mode, to, status) in [
        ("navigate", "document", StatusCode::OK),
        ("navigate", "iframe", StatusCode::FORBIDDEN),
        ("no-cors", "image", StatusCode::FORBIDDEN),
        ("cors", "empty", StatusCode::FORBIDDEN),
    ] {
        let mut headers = browser.own();
        headers.remove(ORIGIN);
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static(mode));
        headers.insert("sec-fetch-dest", HeaderValue::from_static(to));
        let answer = browser.send(Method::GET, "/v1/daemon", headers, None).await;
        assert_eq!(answer.status(), status, "{mode} {to}");
        let policy = answer.headers()["content-security-policy"].to_str().expect("text");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers()[name], value, "{mode} {to}");
        }
    }
}

/// What a browser sends when somebody opens an address, or follows a link of a page of ours.
fn navigation(browser: &Browser) -> HeaderMap {
    let mut headers = browser.own();
    headers.remove(ORIGIN);
    headers.remove("x-sealift-form");
    headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    headers
}

#[tokio::test]
async fn a_person_signs_in_on_the_page_acts_by_its_form_and_signs_out() {
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[])).await;
    world.cloud.busy(true);
    world.submit(&plan("night", &targets('a', 2), "")).await;
    let code =
        world.post("/v1/links", json!({})).await.json["code"].as_str().expect("a code").to_owned();
    let mut browser = Browser::at_network(&world);

    // Somebody unknown is sent to the view where they sign in, and it says where they wanted to go.
    let first =
        browser.send(Method::GET, "/rollouts/night?state=all", navigation(&browser), None).await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    assert_eq!(first.headers()[LOCATION], "/sign-in?next=%2Frollouts%2Fnight%3Fstate%3Dall");
    let sign_in = browser
        .send(Method::GET, "/sign-in?next=%2Frollouts%2Fnight", navigation(&browser), None)
        .await;
    assert_eq!(sign_in.status(), StatusCode::OK);
    let policy = sign_in.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(
        policy.starts_with("default-src 'none'")
            && policy.contains("require-trusted-types-for 'script'"),
        "{policy}"
    );
    let html = sign_in.text().await.expect("a view");
    assert!(
        html.contains("name=\"next\" value=\"/rollouts/night\"") && !html.contains("Go on as"),
        "{html}"
    );

    let typed = [("code", code.as_str()), ("next", "/rollouts/night")];
    let signed_in = browser.fill("/sign-in", &typed).await;
    assert_eq!(
        (signed_in.status(), &signed_in.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &HeaderValue::from_static("/rollouts/night"))
    );
    let cookie = signed_in.headers()[SET_COOKIE].to_str().expect("text");
    browser.cookie = cookie.split(';').next().map(str::to_owned);

    // The question carries the session's token; without it nothing is done, whatever else is right.
    let question = browser
        .send(Method::GET, "/rollouts/night/pause", navigation(&browser), None)
        .await
        .text()
        .await
        .expect("a view");
    let field = |name: &str| {
        question
            .split(&format!("name=\"{name}\" value=\""))
            .nth(1)
            .and_then(|rest| rest.split('"').next())
    };
    let (tag, form) =
        (field("tag").expect("a tag").to_owned(), field("form").expect("a token").to_owned());
    assert!(!form.is_empty());
    let bare =
        browser.fill("/rollouts/night/pause", &[("tag", &tag), ("reason", "no token")]).await;
    assert_eq!(bare.status(), StatusCode::FORBIDDEN);
    assert!(world.get("/v1/rollouts/night").await.json["paused"].is_null(), "nothing was done");
    let paused = browser
        .fill("/rollouts/night/pause", &[("tag", &tag), ("form", &form), ("reason", "by hand")])
        .await;
    assert_eq!(paused.status(), StatusCode::SEE_OTHER);
    assert_eq!(world.get("/v1/rollouts/night").await.json["paused"]["by"], "carol");
    let journal = world.get("/v1/rollouts/night/journal?limit=1000").await;
    let rows = journal.json["rows"].as_array().expect("rows").iter();
    let doors: Vec<_> = rows.filter(|row| row["by"] == "carol").map(|row| &row["via"]).collect();
    assert_eq!(doors, ["socket", "session"], "submitted on the host, paused by a browser");

    let out = browser.fill("/sign-out", &[("form", &form)]).await;
    assert_eq!(
        (out.status(), &out.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &HeaderValue::from_static("/sign-in"))
    );
    assert_eq!(
        browser.send(Method::GET, "/", navigation(&browser), None).await.status(),
        StatusCode::SEE_OTHER,
        "the cookie is worth nothing"
    );
}

#[tokio::test]
async fn whoever_was_signed_out_when_a_form_was_sent_is_told_and_led_back() {
    let (text, listed) = token("ada", &[Role::Read, Role::Operate]);
    let world = ApiWorld::opened(with_carol().await, |folder| plain(folder, &[&listed])).await;
    world.cloud.busy(true);
    world.submit(&plan("night", &targets('a', 2), "")).await;
    let mut browser = Browser::at_network(&world);
    let view = async |answer: reqwest::Response| {
        let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
        let html = answer.text().await.expect("a view");
        assert!(kind.to_str().is_ok_and(|kind| kind.starts_with("text/html")), "{html}");
        (status, html)
    };
    for (path, back) in [
        ("/rollouts/night/pause", "/rollouts/night/pause"),
        ("/rollouts/night/pause?zone=utc", "/rollouts/night/pause?zone=utc"),
        ("/plans/submit", "/plans/new"),
    ] {
        let sent = browser.fill(path, &[("reason", "too late"), ("form", "x")]).await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER, "{path}");
        let leads = sent.headers()[LOCATION].to_str().expect("text").to_owned();
        let shown = browser.send(Method::GET, &leads, navigation(&browser), None).await;
        let (status, html) = view(shown).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(html.contains("nothing was done"), "{path}: {html}");
        assert!(html.contains(&format!("name=\"next\" value=\"{back}\"")), "{path}: {html}");
    }
    let program = browser.fill("/v1/rollouts/night/pause", &[]).await;
    assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(program.headers()["content-type"], "application/problem+json");

    // What the door refuses is a view too, for a person.
    let (status, html) = view(browser.fill("/sign-in", &[("code", "used")]).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(html.contains("counts once") && html.contains("href=\"/sign-in\""), "{html}");
    assert_eq!(browser.sign_in(json!({"token": text})).await, StatusCode::OK);
    let other = [("form", "of another session"), ("reason", "by hand")];
    let (status, html) = view(browser.fill("/rollouts/night/pause", &other).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("load the page again"), "{html}");
    assert_eq!(world.get("/v1/rollouts/night").await.json.get("paused"), None);
}
