//! A PostgreSQL server of the tests' own: made, started and ended by whoever asks for it.
//!
//! Invariant: it ends with the test, also where that is killed; it listens on a socket in its own
//! folder alone. The tests of the built binary (`tests/daemon`) read this file, too.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

/// Where distributions keep the server's programs; the last is a word to look up.
const PROGRAMS: [&str; 5] = [
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/18/bin",
    "/usr/pgsql-15/bin",
];

/// A server.
pub struct Cluster {
    folder: tempfile::TempDir,
    server: Option<Child>,
    settings: Vec<String>,
}

fn program(name: &str) -> PathBuf {
    let found = PROGRAMS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    found.expect("`sh scripts/setup-tests.sh` installs PostgreSQL")
}

/// The server refuses to be root's.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

impl Cluster {
    /// A server that is up, with these settings beside the tests' own.
    pub async fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-pg-").tempdir_in("/tmp");
        let folder = folder.expect("room on disk");
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(folder.path()));
        }
        let mut cluster = Self {
            folder,
            server: None,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        let mut make = cluster.as_owner("initdb");
        make.args(["--no-sync", "--no-instructions", "-A", "trust", "-U", "owner"]);
        make.args(["-E", "UTF8", "--locale=C", "-D"]).arg(cluster.data());
        run(&mut make);
        cluster.begin().await;
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn as_owner(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program(name));
        command.current_dir(self.folder.path());
        command
    }

    /// Starts the server and waits until it answers.
    pub async fn begin(&mut self) {
        let mut start = self.as_owner("postgres");
        start.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        for setting in ["listen_addresses=", "max_connections=200", "shared_buffers=32MB"] {
            start.arg("-c").arg(setting);
        }
        for setting in &self.settings {
            start.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(self.folder.path().join("log")).expect("room on disk");
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(start.spawn().expect("it starts"));
        for _ in 0..200 {
            if self.connect("owner").await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("the server does not answer: {}", log.unwrap_or_default());
    }

    /// Ends the server at once, as a power cut of its host would, but for the disk's own cache.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let id = rustix::process::Pid::from_child(&server);
        // `immediate` to the server: no checkpoint, nothing flushed.
        rustix::process::kill_process(id, rustix::process::Signal::QUIT).expect("it runs");
        server.wait().expect("it ends");
    }

    /// Somebody who looks at the database beside the store.
    pub async fn connect(&self, user: &str) -> Option<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder.path()).user(user).dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// Carries out what its owner wants.
    pub async fn execute(&self, sql: &str) {
        let owner = self.connect("owner").await.expect("it runs");
        owner.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The folder with its socket: `host` of a URL.
    pub fn host(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}
