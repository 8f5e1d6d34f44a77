//! Metrics, alerts and dashboard before their real counterparts: Debian's Prometheus and promtool,
//! and Grafana's own schema classes.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::world::{PATIENCE, ServeWorld, ServedDaemon, VerbOutput};

/// Below the checkout.
fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn promtool() -> Command {
    let path = root("target/prometheus/usr/bin/promtool");
    assert!(path.exists(), "{} is missing; run `make setup`", path.display());
    Command::new(path)
}

/// A daemon with a rollout that is done and proven, one that has halted, one that waits for an
/// approval and one whose lane is paused; and a token of bob, who may read.
struct MeasuredNight {
    world: ServeWorld,
    _daemon: ServedDaemon,
    address: String,
    token: PathBuf,
}

impl MeasuredNight {
    fn new() -> Self {
        let world = ServeWorld::new(6, 6, "{}");
        let user = Command::new("id").arg("-un").output().expect("`id` runs").stdout;
        let user = String::from_utf8(user).expect("text");
        let text = std::fs::read_to_string(world.path("sealift.yaml")).expect("a file");
        let api = format!(
            "api: {{socket: run/api.sock, listen: \"127.0.0.1:0\", tokens_file: tokens.yaml, people: [{{name: carol, unix: {}, may: [read, operate]}}, {{name: bob, may: [read]}}]}}",
            user.trim()
        );
        let text = text.replace("api: {socket: run/api.sock}", &api);
        let text = text + "    quota: {requests: 1000, per: 10s}\n";
        world.write("away.url", "http://127.0.0.1:1/hook");
        let notify = "notify: [{name: away, url: {file: away.url}, on: [halted], shape: slack}]\n";
        world.write("sealift.yaml", &(text + notify));
        let made =
            world.run(&["token", "new", "--name", "bob", "--may", "read", "--label", "prom"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let token = world.write("bob-token", made.out.trim());
        let daemon = world.daemon();
        daemon.logged("ready");
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("the API listens on the network too"));
        let address = line.and_then(|line| line.split("listen=").nth(1)).expect("an address");
        let address = address.split_whitespace().next().expect("an address");
        let address = address.trim_matches('"').trim_start_matches("http://").to_owned();
        let night = Self { world, _daemon: daemon, address, token };
        night.work();
        night
    }

    fn work(&self) {
        let fleet = std::fs::read_to_string(self.world.path("fleet.csv")).expect("a fleet");
        let (head, rows) = fleet.split_once('\n').expect("a header");
        let rows: Vec<&str> = rows.lines().collect();
        for (name, rows) in [("bright", &rows[..2]), ("asked", &rows[2..4]), ("late", &rows[4..])] {
            self.world.write(&format!("{name}.csv"), &format!("{head}\n{}\n", rows.join("\n")));
        }
        let wire = "verify: {timeout: 2m, wire: {ca_file: ca.pem}}\n";
        let done = self.apply("bright", "{files: [bright.csv]}", wire, false);
        assert_eq!(done.code, Some(0), "{done:?}");
        let copy = self.world.path("copy");
        let copied = self.world.run(&["store", "backup", copy.to_str().expect("text")]);
        assert_eq!(copied.code, Some(0), "{copied:?}");
        let unknown = "{list: [{lane: lab, instance_id: a0000000000000000000000000000000in07, proxy_id: a0000000000000000000000000000000po01}]}";
        self.apply("broken", unknown, "strategy: {max_failures: 1}\n", true);
        self.world.until("broken", |status| status["phase"] == "halted");
        self.apply("asked", "{files: [asked.csv]}", "approval: {required: 1}\n", true);
        assert_eq!(self.world.run(&["pause", "--lane", "lab", "--reason", "drill"]).code, Some(0));
        self.apply("late", "{files: [late.csv]}", wire, true);
        self.world.until("late", |status| status["phase"] == "advancing");
    }

    fn apply(&self, name: &str, targets: &str, rest: &str, detach: bool) -> VerbOutput {
        let text =
            format!("version: 1\nname: {name}\nssl_option: true\ntargets: {targets}\n{rest}");
        let plan = self.world.write(&format!("{name}.yaml"), &text);
        let mut arguments = vec!["apply", plan.to_str().expect("text"), "--yes"];
        arguments.extend(detach.then_some("--detach"));
        let applied = self.world.run(&arguments);
        assert!(applied.code == Some(0), "{applied:?}");
        applied
    }
}

/// A Prometheus that scrapes this daemon each second; killed when dropped.
struct Scraper {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Scraper {
    fn start(night: &MeasuredNight) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let config = night.world.write(
            "prometheus.yml",
            &format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: sealift\n    authorization: {{credentials_file: {}}}\n    static_configs: [{{targets: [\"{}\"]}}]\n",
                root("packaging/prometheus/alerts.yaml").display(),
                night.token.display(),
                night.address
            ),
        );
        let log = night.world.path("prometheus.log");
        let child = Command::new(root("target/prometheus/usr/bin/prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", night.world.path("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .env("GOMAXPROCS", "1")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("Prometheus runs; `make setup` unpacks it");
        Self { child, port, log }
    }

    /// An answer of its API; `Null` while it gives none.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let answer = reqwest::Client::new().get(url).query(query).send().await;
        let Ok(answer) = answer else { return Value::Null };
        answer.json().await.unwrap_or(Value::Null)
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The dashboard's expressions, if Grafana knows all that is in it.
fn of_dashboard() -> Vec<String> {
    let judged = judge(&root("packaging/grafana/dashboard.json"));
    assert_eq!(judged.code, Some(0), "Grafana does not know: {}", judged.err);
    judged.out.lines().map(|line| line.replace("$__rate_interval", "20s")).collect()
}

fn judge(dashboard: &Path) -> VerbOutput {
    let python = root("target/judges/bin/python");
    let judged =
        Command::new(&python).arg(root("tests/metrics/dashboard.py")).arg(dashboard).output();
    VerbOutput::of(judged.unwrap_or_else(|error| {
        panic!("{} does not run: {error}; run `make setup`", python.display())
    }))
}

/// The expressions of the alerts, with comparisons that say 0 where they would leave a series out.
fn of_alerts() -> Vec<String> {
    let text = std::fs::read_to_string(root("packaging/prometheus/alerts.yaml")).expect("alerts");
    let alerts: Value = serde_yaml::from_str(&text).expect("YAML");
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules").clone();
    let compared = |expression: &str| {
        [" == ", " > ", " < "].iter().fold(expression.to_owned(), |text, comparison| {
            text.replace(comparison, &format!("{comparison}bool "))
        })
    };
    rules.iter().map(|rule| compared(rule["expr"].as_str().expect("an expression"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_a_night_and_every_expression_has_series() {
    let night = MeasuredNight::new();
    let scraper = Scraper::start(&night);
    let expressions: Vec<String> = of_alerts().into_iter().chain(of_dashboard()).collect();
    assert!(expressions.len() > 40, "{expressions:?}");
    let mut without = expressions;
    let mut last = Value::Null;
    let pause = Duration::from_millis(500);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        tokio::time::sleep(pause).await;
        let mut still = Vec::new();
        for expression in without {
            last = scraper.ask("query", &[("query", &expression)]).await;
            if last["data"]["result"].as_array().is_none_or(Vec::is_empty) {
                still.push(expression);
            }
        }
        without = still;
        if without.is_empty() {
            break;
        }
    }
    let log = std::fs::read_to_string(&scraper.log).unwrap_or_default();
    assert!(without.is_empty(), "no series: {without:#?}\n{last}\n{log}");
    let targets = scraper.ask("targets", &[]).await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    let rules = scraper.ask("rules", &[]).await;
    for rule in rules["data"]["groups"][0]["rules"].as_array().expect("rules") {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let alerts = scraper.ask("alerts", &[]).await.to_string();
    assert!(alerts.contains("SealiftRolloutHalted") && alerts.contains("broken"), "{alerts}");
    let printed = night.world.run(&["metrics"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let mut check = promtool();
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = check.stderr(Stdio::piped()).spawn().expect("promtool runs");
    let mut stdin = check.stdin.take().expect("a pipe");
    stdin.write_all(printed.out.as_bytes()).expect("it reads");
    drop(stdin);
    let checked = VerbOutput::of(check.wait_with_output().expect("it ends"));
    assert!(
        checked.code == Some(0) && checked.out.is_empty() && checked.err.is_empty(),
        "{checked:?}"
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alerts_and_each_fires_when_it_should() {
    let folder = root("packaging/prometheus");
    for (verb, file) in [("check", "alerts.yaml"), ("test", "alerts_test.yaml")] {
        let ran = promtool().args([verb, "rules", file]).current_dir(&folder).output();
        let ran = VerbOutput::of(ran.expect("promtool runs"));
        assert!(ran.code == Some(0) && ran.out.contains("SUCCESS"), "{ran:?}");
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let alerts: Value = serde_yaml::from_str(&read("alerts.yaml")).expect("YAML");
    let tests = read("alerts_test.yaml");
    for rule in alerts["groups"][0]["rules"].as_array().expect("rules") {
        let name = rule["alert"].as_str().expect("a name");
        for case in [format!("name: {name} fires"), format!("name: {name} does not")] {
            assert!(tests.contains(&case), "there is no case `{case}`");
        }
        let command = rule["annotations"]["command"].as_str().unwrap_or_default();
        let known = ["sealift ", "systemctl ", "journalctl ", "df "];
        assert!(
            command.split("; ").all(|one| known.iter().any(|begins| one.starts_with(begins))),
            "{name} names no command: {command:?}"
        );
    }
}

#[test]
fn a_key_that_grafana_does_not_know_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dashboard.json");
    let text = std::fs::read_to_string(root("packaging/grafana/dashboard.json")).expect("a file");
    std::fs::write(&path, text.replacen("\"gridPos\"", "\"gridPlace\"", 1)).expect("written");
    let judged = judge(&path);
    assert!(judged.code == Some(1) && judged.err.contains("gridPlace"), "{judged:?}");
}

/// What a copy that was never made, and one that was, with and without a daemon, look like to a
/// scrape.
#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_latest_copy_is_known_only_once_there_is_one() {
    let world = ServeWorld::new(1, 1, "{}");
    let age = || {
        let scraped = world.run(&["metrics"]).out;
        // A line of its own; its help stands there before.
        let line = scraped.split_once("\nsealift_last_backup_timestamp_seconds ")?.1.to_owned();
        line.lines().next()?.parse::<f64>().ok()
    };
    let at = |name: &str| world.path(name).to_str().expect("text").to_owned();
    let daemon = world.daemon().ready();
    assert_eq!(age(), None);
    drop(daemon);
    assert_eq!(world.run(&["store", "export", &at("copy.tar")]).code, Some(0));
    let daemon = world.daemon().ready();
    let exported = age().expect("a copy that was made while no daemon worked is known");
    assert_eq!(world.run(&["store", "backup", &at("copy")]).code, Some(0));
    // The client has the last byte a moment before the daemon knows.
    let newer = (0..PATIENCE.as_millis() / 100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        age().filter(|age| *age > exported)
    });
    assert!(newer.is_some(), "{:?} after {exported}", age());
    drop(daemon);
    // A copy of a copy is none of the store.
    let copied = world.run(&["store", "export", "--state", &at("copy"), &at("again.tar")]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let _again = world.daemon().ready();
    assert_eq!(age(), newer, "over a restart");
}
