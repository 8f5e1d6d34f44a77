//! What is read of time: the calendar, a rollout's time line, and the journal as it grows.

use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::world::{ApiWorld, plan, targets};

/// A window of three hours a night, frozen over one of them.
const NIGHTS: &str = "windows: [{cron: \"0 2 * * *\", duration: 3h, cutoff: 1h, \
                      time_zone: Asia/Singapore}]\n";

fn instant(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test]
async fn the_calendar_has_the_windows_of_every_open_rollout() {
    let world = ApiWorld::new().await;
    world.submit(&plan("nights", &targets('a', 2), NIGHTS)).await;
    world.submit(&plan("done", &targets('b', 1), "")).await;
    world.until("/v1/rollouts/done", |answered| answered.json["phase"] == "completed").await;
    let calendar = world.get("/v1/calendar?days=3").await;
    assert_eq!(calendar.status, StatusCode::OK, "{calendar:?}");
    let rollouts = calendar.json["rollouts"].as_array().expect("rollouts");
    assert_eq!(rollouts.len(), 1, "what is over opens no more: {calendar:?}");
    assert_eq!(
        (&rollouts[0]["name"], &rollouts[0]["time_zone"]),
        (&json!("nights"), &json!("Asia/Singapore"))
    );
    let windows = rollouts[0]["windows"].as_array().expect("windows");
    assert!((3..=4).contains(&windows.len()), "one a night: {windows:?}");
    let end = instant(&calendar.json["to"]);
    for window in windows {
        let [open, cutoff, close] = ["open", "cutoff", "close"].map(|key| instant(&window[key]));
        assert!(open < cutoff && cutoff < close && open < end, "{window}");
    }
    assert_eq!(calendar.json["lanes"], json!([{"lane": "lab"}]));
    world.post("/v1/lanes/lab/pause", json!({"reason": "incident"})).await;
    let held = world.get("/v1/calendar").await;
    assert_eq!(held.json["lanes"][0]["held"]["reason"], "incident", "{held:?}");
    for query in ["days=0", "days=63", "weeks=1", "days=x"] {
        let refused = world.get(&format!("/v1/calendar?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {refused:?}");
    }
}

#[tokio::test]
async fn a_time_line_adds_up_to_what_happened() {
    let world = ApiWorld::new().await;
    let list = format!("{}{}", targets('a', 4), targets('f', 1));
    let waves = "strategy: {max_failures: {wave: 3, rollout: 3}, \
                 waves: [{name: one, size: 1}, {name: two, size: rest}]}\n";
    world.submit(&plan("line", &list, waves)).await;
    world.until("/v1/rollouts/line", |answered| answered.json["phase"] == "completed").await;
    let line = world.get("/v1/rollouts/line/timeline").await;
    assert_eq!(line.status, StatusCode::OK, "{line:?}");
    let sum = |key: &str| -> u64 {
        let bins = line.json["bins"].as_array().expect("bins").iter();
        bins.map(|bin| bin[key].as_u64().expect("a count")).sum()
    };
    assert_eq!((sum("succeeded"), sum("failed"), sum("in_doubt")), (4, 1, 0), "{line:?}");
    assert!(sum("calls") >= 10, "a look and a switch each: {line:?}");
    assert_eq!((&line.json["bin_seconds"], line.json.get("known_since")), (&json!(300), None));
    for bin in line.json["bins"].as_array().expect("bins") {
        assert_eq!(instant(&bin["at"]).as_second() % 300, 0, "{bin}");
    }
    // Of all rollouts together the same.
    let tonight = world.get("/v1/tonight").await.json;
    assert_eq!(tonight["bins"], line.json["bins"], "{tonight}");
    assert!(instant(&tonight["since"]) <= instant(&line.json["from"]), "{tonight}");
    assert_eq!(tonight.get("partly"), None, "all of it was counted");
    let now = world.view("/").await;
    for said in [">5</b>settled", "<b class=\"red\">1</b>wrong", "<b class=\"\">0</b>refused"] {
        assert!(now.contains(said), "{said}: {now}");
    }
    let waves = line.json["waves"].as_array().expect("waves");
    assert_eq!((&waves[0]["name"], &waves[1]["name"]), (&json!("one"), &json!("two")));
    for wave in waves {
        assert!(instant(&wave["worked_from"]) < instant(&wave["worked_to"]), "{wave}");
    }
    let early = "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    let before = world.get(&format!("/v1/rollouts/line/timeline?{early}")).await;
    assert_eq!(before.json["bins"], json!([]), "nothing happened then");
    for query in [
        "from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z",
        "from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z",
        "from=now",
    ] {
        let refused = world.get(&format!("/v1/rollouts/line/timeline?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {refused:?}");
    }
}

#[tokio::test]
async fn a_pause_stands_on_the_time_line() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    world.submit(&plan("held", &targets('a', 2), "")).await;
    for (verb, body) in [("pause", "lunch"), ("resume", ""), ("pause", "tea")] {
        let path = format!("/v1/rollouts/held/{verb}");
        assert_eq!(world.post(&path, json!({"reason": body})).await.status, StatusCode::OK);
    }
    let line = world.get("/v1/rollouts/held/timeline").await;
    let pauses = line.json["pauses"].as_array().expect("pauses");
    assert_eq!(pauses.len(), 2, "{line:?}");
    assert!(instant(&pauses[0]["from"]) <= instant(&pauses[0]["to"]), "{line:?}");
    assert_eq!((&pauses[1]["reason"], pauses[1].get("to")), (&json!("tea"), None), "{line:?}");
}

/// The events of a stream up to the one that is wanted, each with its id and data.
async fn heard(
    world: &ApiWorld,
    path: &str,
    seen: Option<u64>,
    wanted: impl Fn(&Value) -> bool,
) -> Vec<(u64, Value)> {
    let http = reqwest::Client::builder().unix_socket(&*world.socket).build().expect("a client");
    let mut request = http.get(format!("http://sealift{path}"));
    if let Some(seen) = seen {
        request = request.header("Last-Event-ID", seen.to_string());
    }
    let mut stream = request.send().await.expect("a stream");
    assert_eq!(stream.status(), StatusCode::OK);
    let (mut text, mut events) = (String::new(), Vec::new());
    loop {
        let part = stream.chunk().await.expect("the stream holds").expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&part));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
            };
            if field("event:") == "entry" {
                let id = field("id:").parse().expect("a sequence");
                let data = serde_json::from_str(field("data:")).expect("JSON");
                events.push((id, data));
            }
            text = rest.to_owned();
            if events.last().is_some_and(|(_, data)| wanted(data)) {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_has_every_entry_once_and_goes_on_where_it_broke_off() {
    let world = ApiWorld::new().await;
    world.submit(&plan("first", &targets('a', 3), "")).await;
    world.until("/v1/rollouts/first", |answered| answered.json["phase"] == "completed").await;
    let is_over = |data: &Value| data["kind"] == "rollout" && data["to"] == "completed";
    let begun = heard(&world, "/v1/journal/stream?after=0", None, |data| data["seq"] == 5).await;
    assert_eq!(begun.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(begun.iter().all(|(id, data)| data["seq"] == *id), "{begun:?}");
    // The header counts before the address, which a browser keeps as it was.
    let rest = heard(&world, "/v1/journal/stream?after=0", Some(5), is_over).await;
    assert_eq!(rest[0].0, 6);
    let all = world.get("/v1/rollouts/first/journal?limit=1000").await;
    let streamed: Vec<Value> = begun.into_iter().chain(rest).map(|(_, data)| data).collect();
    let wanted = all.json["rows"].as_array().expect("rows");
    assert_eq!(&streamed[..], &wanted[..streamed.len()], "word for word");

    let second = world.submit(&plan("second", &targets('b', 1), "")).await;
    let path = "/v1/journal/stream?after=0&rollout=second";
    let only = heard(&world, path, None, is_over).await;
    assert!(only.iter().all(|(_, data)| data["rollout"] == second.json["id"]), "{only:?}");
    assert_eq!(only[0].1["kind"], "submitted");
}

#[tokio::test]
async fn a_cursor_that_cannot_be_and_a_stream_too_many_are_refused() {
    let world = ApiWorld::new().await;
    let http = reqwest::Client::builder().unix_socket(&*world.socket).build().expect("a client");
    let open = async |path: &str, seen: Option<&str>| {
        let mut request = http.get(format!("http://sealift{path}"));
        if let Some(seen) = seen {
            request = request.header("Last-Event-ID", seen);
        }
        request.send().await.expect("an answer")
    };
    for (path, seen) in [
        ("/v1/journal/stream?after=7", None),
        ("/v1/journal/stream?after=-1", None),
        ("/v1/journal/stream", Some("x")),
        ("/v1/journal/stream?after=0", Some("7")),
        ("/v1/journal/stream?rollot=x", None),
    ] {
        let refused = open(path, seen).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path} {seen:?}");
    }
    let mut streams = Vec::new();
    for n in 0..8 {
        let path = if n % 2 == 0 { "/v1/journal/stream" } else { "/v1/moved" };
        streams.push(open(path, None).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
    for path in ["/v1/journal/stream", "/v1/moved"] {
        let refused = open(path, None).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        let problem: Value = refused.json().await.expect("a problem");
        assert_eq!(problem["code"], "too_many", "{problem}");
    }
    streams.clear();
    let freed = async {
        while open("/v1/moved", None).await.status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    freed.await;
}
