//! The shipped daemon as a process of the benchmark: started, asked over its socket as its clients
//! do, and killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::{BenchFailure, fleet, usage};

/// The shipped program, as this build has it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sealift");

/// How long it may take to be ready: a million queued changes are read back at a start.
const READY_MAX: f64 = 120.0;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

pub struct BenchDaemon {
    process: Child,
    config: PathBuf,
    runtime: Runtime,
    client: Client,
}

impl BenchDaemon {
    /// Writes the configuration of a daemon that calls `endpoint`, as it would be written but for
    /// the intervals: jobs end at once here, and what a killed daemon sent has landed by the time
    /// that the next one looks.
    pub fn configure(dir: &Path, endpoint: &str, in_flight: u32) -> Result<PathBuf, BenchFailure> {
        fleet::write_token(&dir.join("token"))?;
        let [store, socket, token] =
            ["store", "api.sock", "token"].map(|name| dir.join(name).display().to_string());
        let text = format!(
            "store: {{sled: {store}}}\napi: {{socket: {socket}}}\nlanes:\n  - name: {}\n    endpoint: {endpoint}\n    project_id: {}\n    \
             credentials: {{token: {{file: {token}}}}}\n    max_in_flight: {in_flight}\n    settle: 100ms\n    poll: 1ms\n    poll_max: 20ms\n",
            fleet::lane(),
            fleet::PROJECT
        );
        let file = dir.join("sealift.yaml");
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Starts it; it is not ready yet.
    pub fn start(config: &Path) -> Result<Self, BenchFailure> {
        let mut command = Command::new(PROGRAM);
        command
            .args(["serve", "--log", "error", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = command.spawn()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // A connection a question, as the commands have it; one that was kept would be closed while
        // nobody looks.
        let client = Client::builder()
            .unix_socket(config.with_file_name("api.sock"))
            .timeout(ANSWER_MAX)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { process, config: config.to_owned(), runtime, client })
    }

    /// Waits until it is ready; seconds that it took.
    pub fn ready(&mut self) -> Result<f64, BenchFailure> {
        let begun = usage::now();
        while self.text(Method::GET, "/readyz").is_err() {
            if let Some(ended) = self.process.try_wait()? {
                return Err(format!("the daemon ended with {ended}").into());
            }
            if usage::since(begun) > READY_MAX {
                return Err("the daemon does not become ready".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(usage::since(begun))
    }

    fn text(&self, method: Method, path: &str) -> Result<bytes::Bytes, BenchFailure> {
        self.runtime.block_on(async {
            let mut request = self.client.request(method.clone(), format!("http://sealift{path}"));
            if method == Method::POST {
                request = request.header("Content-Type", "application/json").body("{}");
            }
            Ok(request.send().await?.error_for_status()?.bytes().await?)
        })
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BenchFailure> {
        let text = self.text(Method::GET, path)?;
        serde_json::from_slice(&text)
            .map_err(|error| format!("{path} answered something else: {error}").into())
    }

    /// Seconds that an answer takes.
    pub fn answers_in(&self, path: &str) -> Result<f64, BenchFailure> {
        let begun = usage::now();
        self.text(Method::GET, path)?;
        Ok(usage::since(begun))
    }

    /// A verb without a body.
    pub fn post(&self, path: &str) -> Result<(), BenchFailure> {
        self.text(Method::POST, path).map(|_| ())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL, and another one on the same store.
    pub fn kill_and_start(mut self) -> Result<Self, BenchFailure> {
        self.process.kill()?;
        self.process.wait()?;
        Self::start(&self.config.clone())
    }
}

impl Drop for BenchDaemon {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
