//! A daemon in a process of its own, an emulated cloud in this one, and the verbs as a user types
//! them.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sealift::clock::SystemClock;
use sealift::domain::id::Name;
use sealift::simcloud::emulator::accounts::Accounts;
use sealift::simcloud::emulator::{Emulator, Options, RunningEmulator};
use sealift::simcloud::faults::Faults;
use sealift::simcloud::fleet::Fleet;
use serde_json::Value;

/// How long anything may take on a machine that does much else beside.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn sealift() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealift"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALIFT_")) {
        command.env_remove(name);
    }
    // A daemon that is not there is told at once, where a test does not wait for one.
    command.env("SEALIFT_WAIT", "0s");
    command
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC");
    command
}

/// The folder with configuration, plans and state, and the cloud.
pub struct ServeWorld {
    pub folder: tempfile::TempDir,
    pub cloud: RunningEmulator,
}

impl ServeWorld {
    /// Must be called within a tokio runtime.
    pub fn new(proxies: usize, instances: usize, faults: &str) -> Self {
        Self::with_fleet(proxies, instances, 1, faults)
    }

    /// The same over the fleet of this seed.
    pub fn with_fleet(proxies: usize, instances: usize, seed: u64, faults: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fleet = Fleet::generate(proxies, instances, seed).expect("a fleet");
        let lane = Name::parse("lab", "lane").expect("a name");
        let targets = std::fs::File::create(folder.path().join("fleet.csv")).expect("a file");
        fleet.write_targets(&lane, targets).expect("a target file");
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            fleet,
            faults: Faults::from_yaml(faults).expect("a fault file"),
            seed: 1,
            token: Some("secret-token".to_owned().into()),
            accounts: Accounts::default(),
            project_id: None,
            watch: Vec::new(),
            wire: true,
        };
        let cloud = Emulator::start(options, Arc::new(SystemClock)).expect("a free port");
        let world = Self { folder, cloud };
        world.write("token", "secret-token");
        world.write("ca.pem", world.cloud.ca().expect("the proxies' port is open"));
        world.write(
            "sealift.yaml",
            &format!(
                "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: run/api.sock}}\nlanes:\n  - name: lab\n    endpoint: {}\n    \
                 project_id: 056538411200d4cd2f79c003c7606412\n    credentials: {{token: {{file: token}}}}\n    settle: 300ms\n    poll: 50ms\n    \
                 poll_max: 200ms\n",
                world.cloud.endpoint()
            ),
        );
        std::fs::create_dir(world.path("plans.d")).expect("a folder");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file is written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("our own file");
        path
    }

    /// A plan over the whole fleet.
    pub fn plan(&self, name: &str, rest: &str) -> PathBuf {
        let text = format!(
            "version: 1\nname: {name}\nssl_option: true\ntargets: {{files: [fleet.csv]}}\n{rest}"
        );
        self.write(&format!("{name}.yaml"), &text)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = sealift();
        command.args(arguments).arg("--config").arg(self.path("sealift.yaml"));
        command
    }

    /// Runs a verb to its end.
    pub fn run(&self, arguments: &[&str]) -> VerbOutput {
        let output =
            self.command(arguments).stdin(Stdio::null()).output().expect("the binary runs");
        VerbOutput::of(output)
    }

    pub fn status(&self, rollout: &str) -> Value {
        let ran = self.run(&["status", rollout, "-o", "json"]);
        serde_json::from_str(&ran.out).unwrap_or(Value::Null)
    }

    /// Asks for the status until it is as wanted: another process works, so there is nothing else
    /// to wait on.
    pub fn until(&self, rollout: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..600 {
            last = self.status(rollout);
            if wanted(&last) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{rollout} never became as wanted; the last status: {last:#}");
    }

    pub fn daemon(&self) -> ServedDaemon {
        self.daemon_with(&["serve"])
    }

    pub fn daemon_with(&self, arguments: &[&str]) -> ServedDaemon {
        ServedDaemon::start(self, arguments, &[])
    }
}

/// What a verb said, and its exit code.
#[derive(Debug)]
pub struct VerbOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl VerbOutput {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A running daemon; killed when dropped.
pub struct ServedDaemon {
    pub child: Child,
    supervisor: UnixDatagram,
    log: PathBuf,
}

impl ServedDaemon {
    /// With this in its environment.
    pub fn start(world: &ServeWorld, arguments: &[&str], environment: &[(&str, PathBuf)]) -> Self {
        let socket = world.path("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let supervisor = UnixDatagram::bind(&socket).expect("a notify socket");
        supervisor.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let log = world.path("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let child = world
            .command(arguments)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "900000")
            .envs(environment.iter().map(|(name, value)| (name, value.as_os_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the daemon starts");
        Self { child, supervisor, log }
    }

    /// Reads what the supervisor is told until a message holds this line.
    pub fn told(&self, line: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            let n = self
                .supervisor
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("no {line}: {error}; its log:\n{}", self.log()));
            let message = String::from_utf8_lossy(&bytes[..n]).into_owned();
            if message.lines().any(|found| found == line) {
                return message;
            }
        }
    }

    pub fn ready(self) -> Self {
        self.told("READY=1");
        self
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log holds this text.
    pub fn logged(&self, text: &str) {
        for _ in 0..600 {
            if self.log().contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("never logged {text:?}:\n{}", self.log());
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the daemon runs");
    }

    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for ServedDaemon {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
