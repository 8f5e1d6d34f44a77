//! Stock nginx as a server of the benchmark: what it answers stands in `benches/nginx.conf`.
//!
//! Invariant: it listens on loopback only, writes into its own folder only, and has ended when this
//! is dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{BenchFailure, usage};

const CONFIGURATION: &str = include_str!("../nginx.conf");

/// How long it may take to listen.
const START_MAX: f64 = 10.0;

pub struct Nginx {
    /// The base of its URLs.
    pub endpoint: String,
    addr: SocketAddr,
    process: std::process::Child,
}

impl Nginx {
    /// Starts one with a folder of its own below `dir`.
    pub fn start(dir: &Path) -> Result<Self, BenchFailure> {
        let prefix = dir.join("nginx");
        std::fs::create_dir_all(&prefix)?;
        let configuration = prefix.join("nginx.conf");
        std::fs::write(&configuration, CONFIGURATION)?;
        // Another process may take the port before nginx does; then nginx ends, and the run with
        // it.
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        std::fs::write(prefix.join("port.conf"), format!("listen {addr} backlog=4096;\n"))?;
        let mut command = Command::new(program());
        command.arg("-p").arg(&prefix).arg("-c").arg(&configuration).stdin(Stdio::null());
        let process = command
            .spawn()
            .map_err(|error| format!("cannot run nginx: {error}; `make setup` installs it"))?;
        let mut nginx = Self { endpoint: format!("http://{addr}"), addr, process };
        let begun = usage::now();
        while TcpStream::connect(addr).is_err() {
            if let Some(ended) = nginx.process.try_wait()? {
                return Err(format!("nginx ended with {ended}").into());
            }
            if usage::since(begun) > START_MAX {
                return Err("nginx does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(nginx)
    }

    /// That it answered as many requests as were told: three a change at least, and none that was
    /// not counted.
    pub fn agrees(&self, changes: u32, succeeded: u32, calls: u64) -> Result<(), BenchFailure> {
        let requests = self.requests()?;
        // One more is this question.
        if succeeded == changes && (u64::from(changes) * 3 + 1..=calls + 1).contains(&requests) {
            return Ok(());
        }
        Err(format!("nginx answered {requests} requests where {succeeded} of {changes} changes and {calls} calls were told").into())
    }

    fn requests(&self) -> Result<u64, BenchFailure> {
        let mut stream = TcpStream::connect(self.addr)?;
        stream.write_all(b"GET /requests HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // The numbers below "server accepts handled requests".
        let counts = answer.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        let requests = counts.and_then(|line| line.split_ascii_whitespace().nth(2)?.parse().ok());
        requests.ok_or_else(|| format!("nginx told no count of requests: {answer}").into())
    }

    /// Any job's id: it knows of none, and calls each completed.
    pub fn first_job(&self) -> String {
        "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7".to_owned()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, the master would leave its worker behind; asked to end, it takes it along.
        let pid = Pid::from_child(&self.process);
        if kill_process(pid, Signal::TERM).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Debian keeps it where a user's `PATH` does not look.
fn program() -> &'static str {
    const DEBIAN: &str = "/usr/sbin/nginx";
    if Path::new(DEBIAN).exists() { DEBIAN } else { "nginx" }
}

pub fn version() -> String {
    let output = Command::new(program()).arg("-v").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .unwrap_or_default();
    text.trim()
        .rsplit('/')
        .next()
        .filter(|version| !version.is_empty())
        .unwrap_or("missing")
        .to_owned()
}
