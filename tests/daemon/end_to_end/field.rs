//! The field of one test: a folder, an emulated cloud, a daemon that can be killed, and the client
//! verbs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const SEALIFT: &str = env!("CARGO_BIN_EXE_sealift");

/// How often and how long progress is waited for: over a minute, far more than any test needs.
const LOOKS_MAX: u32 = 1_500;
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct FieldDay {
    folder: tempfile::TempDir,
    cloud: Child,
    endpoint: String,
    daemon: Option<Child>,
    rollout: String,
}

/// A file that nobody else may read, as a secret must be.
pub fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("our own file");
}

/// What a client verb printed.
pub struct ClientOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl FieldDay {
    pub fn new(name: &str, proxies: usize, instances: usize, faults: &str) -> Self {
        Self::with_lane(name, proxies, instances, faults, "")
    }

    pub fn with_lane(
        name: &str,
        proxies: usize,
        instances: usize,
        faults: &str,
        lane: &str,
    ) -> Self {
        Self::known_as(name, proxies, instances, faults, "token: {file: token}", &[], "", lane)
    }

    /// A lane with these `credentials`, secrets in these files, and an emulated cloud that knows
    /// these accounts.
    #[expect(clippy::too_many_arguments, reason = "a test's whole setting, named where it is used")]
    pub fn known_as(
        name: &str,
        proxies: usize,
        instances: usize,
        faults: &str,
        credentials: &str,
        secrets: &[(&str, &str)],
        accounts: &str,
        lane: &str,
    ) -> Self {
        // Below the build folder: a real disk, where /tmp may be memory.
        let folder = tempfile::Builder::new()
            .prefix(&format!("sealift-{name}-"))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a folder");
        let at = |file: &str| folder.path().join(file);
        fs::write(at("faults.yaml"), faults).expect("written");
        write_secret(&at("token"), "test-token");
        for (file, text) in secrets {
            write_secret(&at(file), text);
        }
        fs::write(at("accounts.yaml"), accounts).expect("written");
        fs::create_dir(at("plans.d")).expect("made");
        let mut cloud = Command::new(SEALIFT)
            .args([
                "emulate",
                "--listen",
                "127.0.0.1:0",
                "--lane",
                "emulated",
                "--token",
                "test-token",
            ])
            .args(["--proxies", &proxies.to_string(), "--instances", &instances.to_string()])
            .arg("--faults")
            .arg(at("faults.yaml"))
            .arg("--accounts")
            .arg(at("accounts.yaml"))
            .arg("--write-fleet")
            .arg(at("fleet.csv"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the emulator starts");
        let mut endpoint = String::new();
        BufReader::new(cloud.stdout.take().expect("piped"))
            .read_line(&mut endpoint)
            .expect("the emulator tells where it listens");
        let endpoint = endpoint.trim().to_owned();
        let config = format!(
            "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: api.sock}}\nlanes:\n  - name: emulated\n    endpoint: {endpoint}\n    \
             project_id: 056538411200d4cd2f79c003c7606412\n    iam_endpoint: {endpoint}\n    credentials: {{{credentials}}}\n    max_in_flight: 200\n    \
             call_timeout: 2s\n    settle: 2500ms\n    poll: 100ms\n    poll_max: 1s\n    {lane}\n"
        );
        fs::write(at("sealift.yaml"), config).expect("written");
        Self { folder, cloud, endpoint, daemon: None, rollout: "drill".into() }
    }

    /// Writes another configuration of the daemon: what `lanes` says of the cloud at this endpoint,
    /// below the places of the folder.
    pub fn configure(&self, lanes: impl FnOnce(&str) -> String) {
        let places = "plans: plans.d\nstore: {sled: state/queue}\napi: {socket: api.sock}\n";
        let text = format!("{places}{}", lanes(&self.endpoint));
        fs::write(self.at("sealift.yaml"), text).expect("written");
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.at(file), text).expect("written");
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The path of something in the folder, as it is typed.
    pub fn path(&self, file: &str) -> String {
        self.at(file).to_str().expect("a plain path").to_owned()
    }

    /// From now on the configuration says that the daemon's store lies there.
    pub fn keep_store_at(&self, place: &str) {
        let text = fs::read_to_string(self.at("sealift.yaml")).expect("written before");
        let lines = text.lines().map(|line| {
            if line.starts_with("store:") {
                format!("store: {{sled: {place}}}")
            } else {
                line.to_owned()
            }
        });
        fs::write(self.at("sealift.yaml"), lines.map(|line| line + "\n").collect::<String>())
            .expect("written");
    }

    fn sealift(&self) -> Command {
        let mut command = Command::new(SEALIFT);
        command
            .env("SEALIFT_CONFIG", self.at("sealift.yaml"))
            .env_remove("SEALIFT_ADDR")
            .env("NO_COLOR", "1")
            .env("SEALIFT_WAIT", "0s");
        command
    }

    /// Starts the daemon and waits until it answers.
    pub fn serve(&mut self) {
        assert!(self.daemon.is_none(), "one daemon at a time");
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.at("daemon.log"))
            .expect("a log");
        let daemon = self
            .sealift()
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        self.daemon = Some(daemon);
        for _ in 0..LOOKS_MAX {
            if self.run(&["list"]).code == 0 {
                return;
            }
            let ended =
                self.daemon.as_mut().expect("just started").try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log_tail());
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("the daemon does not answer\n{}", self.log_tail());
    }

    /// Waits until the daemon ends by itself; gives its exit code and what it had logged.
    pub fn ended(&mut self) -> (Option<i32>, String) {
        let mut daemon = self.daemon.take().expect("a daemon runs");
        for _ in 0..LOOKS_MAX {
            if let Some(status) = daemon.try_wait().expect("it can be asked") {
                return (status.code(), self.log_tail());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
        panic!("the daemon goes on\n{}", self.log_tail());
    }

    /// Where the daemon keeps its state.
    pub fn state(&self) -> PathBuf {
        self.at("state")
    }

    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon runs");
        daemon.kill().expect("killed");
        daemon.wait().expect("reaped");
    }

    pub fn run(&self, args: &[&str]) -> ClientOutput {
        let ran = self.sealift().args(args).stdin(Stdio::null()).output().expect("the verb runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        ClientOutput {
            code: ran.status.code().unwrap_or(-1),
            stdout: text(ran.stdout),
            stderr: text(ran.stderr),
        }
    }

    pub fn plan(&self, name: &str, more: &str) -> String {
        format!(
            "version: 1\nname: {name}\nssl_option: true\ntargets: {{files: [fleet.csv]}}\n{more}"
        )
    }

    /// Writes the plan `drill`; gives its path.
    pub fn write_plan(&self, more: &str) -> String {
        fs::write(self.at("drill.yaml"), self.plan("drill", more)).expect("written");
        self.at("drill.yaml").to_str().expect("a plain path").to_owned()
    }

    /// The path of the fault file.
    pub fn faults(&self) -> String {
        self.at("faults.yaml").to_str().expect("a plain path").to_owned()
    }

    /// Writes the plan `drill` and submits it.
    pub fn submit(&mut self, more: &str) {
        let plan = self.write_plan(more);
        let ran = self.run(&["apply", &plan, "--yes", "--detach"]);
        assert_eq!(ran.code, 0, "{}{}\n{}", ran.stdout, ran.stderr, self.log_tail());
    }

    /// A plan file appears in the daemon's folder, as `mv` would put it there, with the fleet
    /// beside it.
    pub fn drop_plan(&self, file: &str, text: &str) {
        let folder = self.at("plans.d");
        fs::copy(self.at("fleet.csv"), folder.join("fleet.csv")).expect("copied");
        fs::write(self.at("being-written"), text).expect("written");
        fs::rename(self.at("being-written"), folder.join(file)).expect("moved");
    }

    pub fn write_stop_file(&self, text: &str) {
        fs::write(self.at("state").join("STOP"), text).expect("written");
    }

    pub fn remove_stop_file(&self) {
        fs::remove_file(self.at("state").join("STOP")).expect("removed");
    }

    pub fn status(&self) -> Value {
        self.status_of(&self.rollout).expect("the daemon answers")
    }

    fn status_of(&self, rollout: &str) -> Result<Value, String> {
        let ran = self.run(&["status", rollout, "-o", "json"]);
        serde_json::from_str(&ran.stdout)
            .map_err(|error| format!("{error}: {}{}", ran.stdout, ran.stderr))
    }

    pub fn wait_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        self.wait_for(&self.rollout, what, wanted);
    }

    pub fn wait_for(&self, rollout: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        let mut last = String::new();
        for _ in 0..LOOKS_MAX {
            match self.status_of(rollout) {
                Ok(status) if wanted(&status) => return,
                Ok(status) if status["final"] == true && status["tally"]["active"] == 0 => {
                    panic!(
                        "the rollout is over while waiting for {what}: {status}\n{}",
                        self.log_tail()
                    )
                }
                Ok(status) => last = status.to_string(),
                Err(error) => last = error,
            }
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("waited in vain for {what}: {last}\n{}", self.log_tail());
    }

    /// The saved job ids, as `sealift jobs` lists them.
    pub fn jobs(&self) -> Vec<String> {
        let ran = self.run(&["jobs", &self.rollout, "-o", "jsonl"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).expect("a row")["job_id"]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
            .collect()
    }

    /// After the end: every one of so many proxies was switched by exactly one effective call, and
    /// the saved job ids are precisely those that the cloud handed out. Gives their number.
    pub fn assert_nothing_is_lost_or_repeated(&self, proxies: usize) -> usize {
        let tally = self.status()["tally"].clone();
        assert_eq!(tally["succeeded"], proxies, "every change succeeded: {tally}");
        let ledger = self.ledger();
        let rows = ledger["proxies"].as_array().expect("a list");
        assert_eq!(rows.len(), proxies);
        for proxy in rows {
            assert_eq!(proxy["ssl_option"], true, "switched: {proxy}");
            assert_eq!(proxy["effective"], 1, "exactly one effective call: {proxy}");
        }
        let handed_out = ledger["jobs"].as_array().expect("a list");
        let made: BTreeSet<&str> =
            handed_out.iter().map(|job| job["job_id"].as_str().expect("an id")).collect();
        let saved = self.jobs();
        let saved: BTreeSet<&str> = saved.iter().map(String::as_str).collect();
        let stories: Vec<String> = handed_out
            .iter()
            .filter(|job| !saved.contains(job["job_id"].as_str().expect("an id")))
            .map(|job| {
                format!("{job}\n{}", self.story_of(job["proxy_id"].as_str().expect("an id")))
            })
            .collect();
        assert!(stories.is_empty(), "job ids handed out and not saved:\n{}", stories.join("\n\n"));
        assert_eq!(saved, made, "saved and never handed out");
        made.len()
    }

    /// The journal of one proxy's change, for telling what went wrong.
    fn story_of(&self, proxy: &str) -> String {
        let ran = self.run(&["journal", &self.rollout, "-o", "jsonl"]);
        ran.stdout.lines().filter(|line| line.contains(proxy)).collect::<Vec<_>>().join("\n")
    }

    /// What the emulated cloud saw.
    pub fn ledger(&self) -> Value {
        self.ask("/_emulator/ledger")
    }

    pub fn switches(&self) -> u64 {
        self.ask("/_emulator/summary")["switches_total"].as_u64().expect("a number")
    }

    /// Most calls that arrived within any one second.
    pub fn worst_second(&self) -> u64 {
        let summary = self.ask("/_emulator/summary");
        let worst = summary["worst"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|worst| worst["interval_ms"] == 1_000)
            .expect("watched")
            .clone();
        worst["arrivals"].as_u64().expect("a number")
    }

    /// From now on these faults happen, and no others.
    pub fn set_faults(&self, text: &str) {
        let text = text.to_owned();
        let answer = self.emulator("/_emulator/faults", |client, url| client.post(url).body(text));
        assert_eq!(answer, "", "the faults are taken");
    }

    /// A file of the folder is replaced, as a rotation does it.
    pub fn replace(&self, file: &str, text: &str) {
        write_secret(&self.at("being-written"), text);
        fs::rename(self.at("being-written"), self.at(file)).expect("moved");
    }

    /// From now on the cloud knows these accounts, and no others.
    pub fn set_accounts(&self, text: &str) {
        let text = text.to_owned();
        assert_eq!(
            self.emulator("/_emulator/accounts", |client, url| client.post(url).body(text)),
            "",
            "the accounts are taken"
        );
    }

    /// All tokens that IAM issued end.
    pub fn revoke(&self) {
        self.emulator("/_emulator/revoke", |client, url| client.post(url));
    }

    /// What the cloud saw of signatures and logins.
    pub fn admissions(&self) -> Value {
        self.ask("/_emulator/accounts")
    }

    /// Everything that the daemon wrote or says: its log, its state, its configuration, its
    /// journal, its status.
    pub fn all_that_is_told(&self) -> Vec<(String, Vec<u8>)> {
        let mut told =
            vec![("daemon.log".to_owned(), fs::read(self.at("daemon.log")).expect("a log"))];
        let mut folders = vec![self.at("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        told.push((path.display().to_string(), fs::read(&path).expect("a file")))
                    }
                }
            }
        }
        for verb in [
            &["config"] as &[&str],
            &["config", "-o", "json"],
            &["journal", "drill", "-o", "jsonl"],
            &["status", "drill"],
            &["list"],
        ] {
            let ran = self.run(verb);
            told.push((verb.join(" "), format!("{}{}", ran.stdout, ran.stderr).into_bytes()));
        }
        told
    }

    fn ask(&self, path: &str) -> Value {
        serde_json::from_str(&self.emulator(path, |client, url| client.get(url))).expect("JSON")
    }

    fn emulator(
        &self,
        path: &str,
        request: impl FnOnce(reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> String {
        let url = format!("{}{path}", self.endpoint);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let answer = request(client, url).send().await.expect("the emulator answers");
            answer.text().await.expect("a body")
        })
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.at("daemon.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for FieldDay {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = self.cloud.kill();
        let _ = self.cloud.wait();
    }
}
