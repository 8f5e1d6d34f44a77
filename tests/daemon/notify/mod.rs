//! Notifications of a real daemon: verified by the reference library in another language, told
//! through kills, and told of in every listing without a secret.
//!
//! The reference library is pinned, and lives in an environment of its own; it judges in
//! `tests/daemon/notify/receiver.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use sealift::domain::notify::NoticeWord;
use sealift::notify::draw::{DrawnWith, notices};
use sealift::store::Store as _;
use sealift::store::sled::{SledOptions, SledStore};
use serde_json::Value;

use crate::end_to_end::Score;
use crate::serve::world::{PATIENCE, ServeWorld};

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "whsec_/////////////////////////////////////////w==";

/// What stands in the URLs and nowhere else.
const CANARY: &str = "T0K3N-9f31";

/// How often the daemon is killed; `make torture` asks for more.
const KILLS: u32 = 20;

/// The judge, and what it was told.
struct Judge {
    child: Child,
    /// A receiver that never answers: nobody takes its connections up.
    hangs: TcpListener,
    file: std::path::PathBuf,
    url: String,
}

impl Judge {
    fn start(world: &ServeWorld) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/webhooks/bin/python");
        assert!(
            python.exists(),
            "{} is not there: `make setup` (and so `make test`) installs the reference library",
            python.display()
        );
        let file = world.path("told");
        let out = std::fs::File::create(&file).expect("a file");
        let child = Command::new(python)
            .arg(root.join("tests/daemon/notify/receiver.py"))
            .args([NEW, OLD, OTHER])
            .stdout(out)
            .stdin(Stdio::null())
            .spawn()
            .expect("python runs");
        let hangs = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let mut judge = Self { child, hangs, file, url: String::new() };
        let port = until("its port", || judge.lines().first().cloned());
        judge.url = format!("http://127.0.0.1:{port}/hook/{CANARY}");
        judge
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).expect("readable");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// All that it was told, in order.
    fn told(&self) -> Vec<Value> {
        let lines = self.lines();
        lines.iter().skip(1).map(|line| serde_json::from_str(line).expect("a document")).collect()
    }

    /// What it was told of this word, once there is something.
    fn hears(&self, word: &str) -> Value {
        let wanted = format!("sealift.{word}");
        let is = |told: &Value| told["document"]["type"] == wanted.as_str();
        until(word, || self.told().into_iter().find(is))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // It serves for ever.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is there: another process works, so there is nothing else to wait on.
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 50 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never came: {what}");
}

/// A world whose daemon tells the judge, a receiver that is not there, and one that hangs.
fn world(proxies: usize, on: &str) -> (ServeWorld, Judge) {
    let world = ServeWorld::new(proxies, proxies, "job_time: 100ms");
    let judge = Judge::start(&world);
    world.write("ops.url", &judge.url);
    world.write("dead.url", &format!("http://127.0.0.1:1/hook/{CANARY}"));
    let port = judge.hangs.local_addr().expect("an address").port();
    world.write("hangs.url", &format!("http://127.0.0.1:{port}/hook/{CANARY}"));
    world.write("new.key", NEW);
    world.write("old.key", OLD);
    let config = std::fs::read_to_string(world.path("sealift.yaml")).expect("readable");
    let config = config.replace(
        "api: {socket: run/api.sock}",
        "api: {socket: run/api.sock, origin: \"https://sealift.example.net:7633\"}",
    );
    let receivers = format!(
        "notify:\n  - {{name: ops, url: {{file: ops.url}}, secret: {{file: new.key}}, old_secret: \
         {{file: old.key}}, on: [{on}]}}\n  - {{name: dead, url: {{file: dead.url}}, on: [{on}], \
         shape: slack}}\n  - {{name: hangs, url: {{file: hangs.url}}, on: [{on}], shape: teams}}\n"
    );
    world.write("sealift.yaml", &format!("{config}{receivers}"));
    (world, judge)
}

/// None lost, none told under another id, each verified, in order; and the rollout does not wait
/// for those that are dead or hang. Its last wave waits for a person, so that each kill has
/// something to tell of.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_outlive_kills() {
    let kills = std::env::var("SEALIFT_NOTIFY_KILLS").ok();
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let on = NoticeWord::ALL.map(NoticeWord::as_str).join(", ");
    let (world, judge) = world(30, &on);
    let mut waves: Vec<String> = (0..30).map(|n| format!("{{name: w{n}, size: 1}}")).collect();
    waves[28] = "{name: w28, size: 1, promote: manual}".into();
    let plan = world.plan("killed", &format!("strategy: {{waves: [{}]}}\n", waves.join(", ")));
    let daemon = world.daemon().ready();
    let ran = world.run(&["apply", "--yes", "--detach", plan.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    drop(daemon);
    let mut random = fastrand::Rng::with_seed(7);
    for kill in 0..kills {
        let daemon = world.daemon().ready();
        let verb = if kill % 2 == 0 { "pause" } else { "resume" };
        let ran = world.run(&[verb, "killed", "--reason", "a kill comes"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        std::thread::sleep(Duration::from_millis(random.u64(..400)));
        daemon.signal(Signal::KILL);
        assert_eq!(daemon.wait(), None, "killed by the signal");
    }
    let daemon = world.daemon().ready();
    world.run(&["resume", "killed"]);
    judge.hears("awaiting_promotion");
    assert_eq!(world.run(&["promote", "killed"]).code, Some(0));
    world.until("killed", |status| status["final"] == true);
    judge.hears("completed");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let store = SledStore::open(&world.path("state/queue"), SledOptions::default()).expect("sound");
    let mut expected = BTreeMap::new();
    for entry in store.journal(None, 0, usize::MAX).await.expect("readable") {
        let rollout = store.rollout(entry.rollout).await.expect("readable").expect("there");
        let told = notices(&entry, &DrawnWith::of(&rollout));
        if let Some(first) = told.first() {
            expected.insert(entry.seq, first.word);
        }
    }
    let (mut met, mut wrong) = (BTreeMap::new(), Vec::new());
    for told in judge.told() {
        assert_eq!((&told["verified"], &told["forged"]), (&true.into(), &false.into()), "{told}");
        let seq = told["document"]["data"]["sequence"].as_u64().expect("a sequence");
        let id = format!("{}_{seq}_ops", store.id());
        if told["id"] != id.as_str() {
            wrong.push(format!("told under another id than {id}: {}", told["id"]));
        }
        assert!(met.keys().last().is_none_or(|last| *last <= seq), "out of order: {seq}");
        let word = expected.get(&seq).map(|word| format!("sealift.{word}"));
        assert_eq!(told["document"]["type"].as_str(), word.as_deref(), "{told}");
        *met.entry(seq).or_insert(0) += 1;
    }
    let lost = expected.iter().filter(|(seq, _)| !met.contains_key(seq));
    wrong.extend(lost.map(|(seq, word)| format!("lost: {word} of entry {seq}")));
    assert!(expected.len() > kills as usize, "a kill had nothing to tell of: {expected:?}");
    let words: BTreeSet<_> = expected.values().map(|word| word.as_str()).collect();
    assert!(words.is_superset(&BTreeSet::from(["submitted", "started", "wave_done", "completed"])));
    let again: u32 = met.values().map(|times| times - 1).sum();
    println!("{kills} kills: {} told, {again} told again under their id", expected.len());
    let (times, acknowledged) = (kills as usize, expected.len());
    let what = "SIGKILL of a daemon that notifies";
    Score { times, acknowledged, sound: times, wrong, ..Score::of(what) }.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_refused_is_told_once_and_every_listing_keeps_the_secret() {
    let (world, judge) = world(2, "submitted, lane_held");
    world.write("token", "wrong");
    let plan = world.plan("refused", "notify: [ops]\n");
    let typo = world.plan("typo", "notify: [opps]\n");
    let daemon = world.daemon().ready();
    let apply =
        |plan: &Path| world.run(&["apply", "--yes", "--detach", plan.to_str().expect("UTF-8")]);
    let ran = apply(&typo);
    assert!(ran.code == Some(1) && ran.err.contains("did you mean `ops`?"), "{ran:?}");
    assert_eq!(apply(&plan).code, Some(0));
    let submitted = judge.hears("submitted");
    let data = &submitted["document"]["data"];
    let link =
        format!("https://sealift.example.net:7633/rollouts/{}", world.status("refused")["id"]);
    assert_eq!(data["link"], link.replace('"', "").as_str());
    let held = judge.hears("lane_held");
    let summary = held["document"]["data"]["summary"].as_str().expect("a sentence");
    assert!(summary.starts_with("lane lab: the cloud refuses its credentials"), "{summary}");
    daemon.signal(Signal::KILL);
    daemon.wait();
    // Also of what the libraries below say.
    let daemon = world.daemon_with(&["serve", "--log", "trace,sled=info"]).ready();
    let tested = world.run(&["notify", "test", "ops"]);
    assert_eq!(
        (tested.code, tested.out.as_str()),
        (Some(0), "ops: it took the test, answered 204\n")
    );
    judge.hears("test");
    let tested = world.run(&["notify", "test", "dead"]);
    assert!(tested.code == Some(3) && tested.out.contains("did not take the test"), "{tested:?}");
    let errors = format!("{}{}", tested.out, tested.err);
    let unknown = world.run(&["notify", "test", "ded"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("did you mean `dead`?"), "{unknown:?}");
    let ids: BTreeSet<String> = judge
        .told()
        .iter()
        .filter(|told| told["document"]["type"] == "sealift.lane_held")
        .map(|told| told["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "told under another id: {ids:?}");
    // The plan names `ops` alone; the lane is everybody's.
    let listed = until("its failure", || {
        let listed = world.run(&["notify", "-o", "jsonl"]).out;
        listed.contains("refused").then_some(listed)
    });
    let rows: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    let dead = rows.iter().find(|row| row["name"] == "dead").expect("listed");
    assert_eq!((&dead["waiting"], &dead["taken"]), (&1.into(), &0.into()), "{dead}");
    let status = world.run(&["status"]).out;
    assert!(status.contains("receiver dead takes nothing"), "{status}");
    let page = page(&world).await;
    assert!(page.contains("Receiver dead takes nothing"), "{page}");
    let config = world.run(&["config"]).out;
    assert!(config.contains("notify.ops.url"), "{config}");
    let metrics = world.run(&["metrics"]).out;
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.map(|value| value.trim().parse::<f64>().expect("a number"))
    };
    let pending = "sealift_notification_oldest_pending_timestamp_seconds";
    for (series, is) in [
        ("sealift_notifications_total{receiver=\"dead\",outcome=\"taken\"}".into(), Some(0.0)),
        ("sealift_notification_receiver_blocked{receiver=\"dead\"}".into(), Some(0.0)),
        (format!("{pending}{{receiver=\"ops\"}}"), None),
    ] {
        assert_eq!(value(&series), is, "{series}: {metrics}");
    }
    for series in [
        "sealift_notifications_total{receiver=\"dead\",outcome=\"failed\"}".into(),
        format!("{pending}{{receiver=\"dead\"}}"),
    ] {
        assert!(value(&series).is_some_and(|value| value > 0.0), "{series}: {metrics}");
    }
    for (what, text) in [
        ("the log", daemon.log()),
        ("an error", errors),
        ("notify", listed),
        ("status", status),
        ("the page", page),
        ("config", config),
        ("metrics", metrics),
    ] {
        let secret = [CANARY, "/hook", &NEW[6..], &OLD[6..]].into_iter().find(|s| text.contains(s));
        assert_eq!(secret, None, "{what}: {text}");
    }
}

/// The operator's page, over the socket.
async fn page(world: &ServeWorld) -> String {
    let client = reqwest::Client::builder().unix_socket(world.path("run/api.sock")).build();
    let answer = client.expect("a client").get("http://localhost/").send().await.expect("answered");
    answer.text().await.expect("text")
}
