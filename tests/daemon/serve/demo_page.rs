//! `demo --page`: a newcomer's first rollout, watched in a browser.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::serve::world::sealift;

/// Ends with the test, however that ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_demo_is_watched_on_the_page() {
    let mut command = sealift();
    command.args(["demo", "--page"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = Demo(command.spawn().expect("it starts"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let mut until = |text: &str| {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("it never said {text}"))
    };
    let link = until("/sign-in#");
    let (origin, code) = link.trim().split_once("/sign-in#").expect("a link");
    until("$ sealift apply");

    // As the page's script does it; the name of the link is this machine for every browser.
    let here = origin.replace("sealift.localhost", "127.0.0.1");
    let host = origin.trim_start_matches("http://");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let sign_in =
        http.post(format!("{here}/sign-in")).header("host", host).header("origin", origin);
    let signed_in = sign_in.json(&json!({"code": code})).send().await.expect("an answer");
    assert_eq!(signed_in.status(), StatusCode::OK);
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let mut page = String::new();
    for _ in 0..100 {
        let asked = http.get(format!("{here}/rollouts/demo")).header("host", host);
        let answer = asked.header("cookie", &cookie).header("sec-fetch-site", "same-origin");
        page = answer.send().await.expect("an answer").text().await.expect("text");
        if page.contains("canary") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(page.contains("canary") && page.contains("DEMO-1"), "{page}");

    // Ctrl-C before its end: it ends in peace.
    let pid = Pid::from_child(&demo.0);
    kill_process(pid, Signal::INT).expect("it runs");
    let ended = demo.0.wait().expect("it ends");
    assert!(ended.code().is_some(), "{ended:?}");
}
