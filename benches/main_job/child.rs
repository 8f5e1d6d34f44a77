//! This program, started again in a role of its own.
//!
//! Invariant: a child ends when its parent does: it is killed when dropped, and the server reads its standard input
//! until that closes.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// A child and what it tells.
pub struct Child {
    process: std::process::Child,
    told: BufReader<ChildStdout>,
    role: &'static str,
}

impl Child {
    /// Starts this program in `role` with `task`.
    pub fn start(role: &'static str, task: &impl Serialize) -> Result<Self, Failure> {
        let task = serde_json::to_string(task)?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg(role).arg(task).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = BufReader::new(process.stdout.take().expect("asked for above"));
        Ok(Self { process, told, role })
    }

    /// The next line that it tells, as JSON.
    pub fn line<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|error| format!("the {} process told {line:?}: {error}", self.role).into())
    }

    /// The only line that it tells, after which it ends.
    pub fn result<T: DeserializeOwned>(mut self) -> Result<T, Failure> {
        let told = self.line()?;
        let ended = self.process.wait()?;
        if ended.success() { Ok(told) } else { Err(format!("the {} process ended with {ended}", self.role).into()) }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tells the parent.
pub fn tell(what: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}
