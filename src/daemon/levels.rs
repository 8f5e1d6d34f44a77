//! What the lanes have used of their quotas, from a daemon that ends in peace to the next one.
//!
//! Invariant: what is written here is true when it is read. It is written after the last call, read once and gone before
//! the first; so a daemon that is killed leaves none, and the next one takes its quotas for spent. It counts on the same
//! machine since the same boot only, because its instants are boot time.
//!
//! Deliberately not here: what a level is (`engine::Level`), and what a start without one assumes (`daemon::parts`).

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::engine::Level;
use crate::store::{sync_dir, write_whole};

/// Its name in the state directory.
pub const NAME: &str = "levels.json";

/// Longest file: a dozen lanes at the largest quota that a configuration may have. A longer one is not written, and the
/// next start takes the quotas for spent.
const BYTES_MAX: usize = 64 << 20;

/// Where Linux tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Serialize, Deserialize)]
struct Levels {
    /// Which boot the instants belong to.
    boot: String,
    /// Boot time at the writing.
    at: Duration,
    lanes: Vec<Level>,
}

/// Leaves the levels for the next start. `at` is boot time; no call may be out, and none may follow.
pub fn leave(state: &Path, lanes: Vec<Level>, at: Duration) -> Result<()> {
    leave_of(state, lanes, at, boot().context("this machine does not tell which boot it is")?)
}

fn leave_of(state: &Path, lanes: Vec<Level>, at: Duration, boot: String) -> Result<()> {
    let text = serde_json::to_vec(&Levels { boot, at, lanes }).context("cannot write the levels down")?;
    anyhow::ensure!(text.len() <= BYTES_MAX, "the levels take {} bytes, more than the {BYTES_MAX} that are read back", text.len());
    write_whole(state, NAME, &text).with_context(|| format!("cannot write {}", state.join(NAME).display()))
}

/// Takes what the last daemon left; nothing if it was killed, if the machine was started again since, or if it cannot be
/// read. `now` is boot time.
///
/// # Errors
/// When the file cannot be removed: left there it would be taken for true after the next kill.
pub fn take(state: &Path, now: Duration) -> Result<Vec<Level>> {
    take_of(state, now, boot())
}

fn take_of(state: &Path, now: Duration, boot: Option<String>) -> Result<Vec<Level>> {
    let path = state.join(NAME);
    let size = match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
        Ok(meta) => meta.is_file().then_some(meta.len()),
    };
    let text = match size {
        Some(size) if size <= BYTES_MAX as u64 + 1 => std::fs::read(&path).ok(),
        Some(_) | None => None,
    };
    std::fs::remove_file(&path)
        .and_then(|()| sync_dir(state))
        .with_context(|| format!("cannot remove {}; remove it by hand, or a later start would take it for true", path.display()))?;
    let levels = text.and_then(|text| serde_json::from_slice::<Levels>(&text).ok());
    let Some(levels) = levels else {
        tracing::warn!(file = %path.display(), "the levels of the quotas cannot be read; they are taken for spent");
        return Ok(Vec::new());
    };
    // A clock that stands before the writing is another clock, whatever the boot's name.
    let counts = boot.is_some_and(|boot| boot == levels.boot) && levels.at <= now;
    Ok(if counts { levels.lanes } else { Vec::new() })
}

fn boot() -> Option<String> {
    let text = std::fs::read_to_string(BOOT_ID).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
