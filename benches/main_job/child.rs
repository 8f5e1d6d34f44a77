//! A process of the benchmark: this program started again in a role of its own, or a peer.
//!
//! Invariant: a child ends when its parent does: it is killed when dropped, and roles that serve
//! read their standard input until that closes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BenchFailure;

/// A child and what it tells.
pub struct Child {
    process: std::process::Child,
    told: BufReader<ChildStdout>,
    role: String,
}

impl Child {
    /// Starts this program in `role` with `task`.
    pub fn start(role: &str, task: &impl Serialize) -> Result<Self, BenchFailure> {
        let program = std::env::current_exe()?;
        Self::program(&program, role, [OsStr::new(role)], task)
    }

    /// Starts a program that takes the task as its last argument.
    pub fn program<'a>(
        program: &Path,
        role: &str,
        arguments: impl IntoIterator<Item = &'a OsStr>,
        task: &impl Serialize,
    ) -> Result<Self, BenchFailure> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let told = BufReader::new(process.stdout.take().expect("asked for above"));
        Ok(Self { process, told, role: role.to_owned() })
    }

    /// The next line that it tells, as JSON.
    pub fn line<T: DeserializeOwned>(&mut self) -> Result<T, BenchFailure> {
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        serde_json::from_str(&line)
            .map_err(|error| format!("the {} process told {line:?}: {error}", self.role).into())
    }

    /// The only line that it tells, after which it ends.
    pub fn result<T: DeserializeOwned>(mut self) -> Result<T, BenchFailure> {
        let told = self.line()?;
        let ended = self.process.wait()?;
        if ended.success() {
            Ok(told)
        } else {
            Err(format!("the {} process ended with {ended}", self.role).into())
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn tell(what: &impl Serialize) -> Result<(), BenchFailure> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}
