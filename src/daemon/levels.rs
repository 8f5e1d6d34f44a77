//! What the lanes have used of their quotas, from one daemon to the next.
//!
//! Invariants: what stands here is true whenever it is read. A daemon that ends in peace leaves the
//! counts, after its last call; the next one replaces them, before its first, by marks: how many
//! calls of each lane may still arrive if it is killed. Counts hold on the same machine since the
//! same boot only, because their instants are boot time; no wall clock is asked.
//!
//! Deliberately not here: what a level is (`engine::Level`), when a mark is raised
//! (`engine::KeepLevels`), and what a start without any assumes (`daemon::parts`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::engine::{KeepLevels, Level};
use crate::store::{Unavailable, sync_dir, write_whole};

/// Its name in the state directory.
pub const NAME: &str = "levels.json";

/// Longest file: a dozen lanes at the largest quota that a configuration may have. A longer one is
/// not written, and the next start takes the quotas for spent.
const BYTES_MAX: usize = 64 << 20;

/// Where Linux tells which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The same, set by the unit (`%b`), which hides that file (`ProcSubset=pid`).
const BOOT_ID_VARIABLE: &str = "SEALIFT_BOOT_ID";

/// Hexadecimal digits of a boot's id.
const BOOT_ID_DIGITS: usize = 32;

#[derive(Serialize, Deserialize)]
struct WrittenLevels {
    /// Which boot the instants belong to; `None`: this machine does not tell.
    boot: Option<String>,
    /// Boot time at the writing.
    at: Duration,
    lanes: Vec<Level>,
}

/// The file of the levels.
#[derive(Clone)]
pub struct Levels {
    state: PathBuf,
    boot: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Levels {
    /// The file in this state directory.
    pub fn of(state: &Path, clock: Arc<dyn Clock>) -> Self {
        Self { state: state.to_owned(), boot: boot(), clock }
    }

    /// What the daemon before has left; `None` when there is no file at all. Counts of another boot
    /// are left out, and of a file that cannot be read everything.
    pub fn read(&self) -> Option<Vec<Level>> {
        let path = self.state.join(NAME);
        let size = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(_) => None,
            Ok(meta) => meta.is_file().then_some(meta.len()),
        };
        let text = size
            .filter(|size| *size <= BYTES_MAX as u64 + 1)
            .and_then(|_| std::fs::read(&path).ok());
        let Some(written) =
            text.and_then(|text| serde_json::from_slice::<WrittenLevels>(&text).ok())
        else {
            tracing::warn!(file = %path.display(), "the levels of the quotas cannot be read; they are taken for spent");
            return Some(Vec::new());
        };
        // A clock that stands before the writing is another clock, whatever the boot's name.
        let of = boot_of(written.boot, None);
        let same = of.is_some() && of == self.boot && written.at <= self.clock.times().boot;
        Some(written.lanes.into_iter().filter(|level| same || !level.is_whole()).collect())
    }

    /// Whether no daemon here had a lane yet, as after an installation: then nothing was called.
    pub fn no_lane_yet(&self) -> bool {
        let text = std::fs::read(self.state.join(NAME)).unwrap_or_default();
        serde_json::from_slice::<WrittenLevels>(&text).is_ok_and(|left| left.lanes.is_empty())
    }

    /// Leaves these to the next start, whole or not at all. A daemon without any lane calls
    /// nothing, so what stands there stays true.
    pub fn leave(&self, lanes: Vec<Level>) -> Result<()> {
        if lanes.is_empty() && self.state.join(NAME).exists() {
            return Ok(());
        }
        let written = WrittenLevels { boot: self.boot.clone(), at: self.clock.times().boot, lanes };
        let text = serde_json::to_vec(&written).context("cannot write the levels down")?;
        anyhow::ensure!(
            text.len() <= BYTES_MAX,
            "the levels take {} bytes, more than the {BYTES_MAX} that are read back",
            text.len()
        );
        write_whole(&self.state, NAME, &text)
            .with_context(|| format!("cannot write {}", self.state.join(NAME).display()))
    }

    /// The same while calls are about to leave: where it cannot be written, what stands there must
    /// go, for it is true no more.
    fn replace(&self, lanes: Vec<Level>) -> Result<()> {
        let Err(error) = self.leave(lanes) else { return Ok(()) };
        tracing::warn!("after a kill the quotas would be taken for spent: {error:#}");
        let path = self.state.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_dir(&self.state)).with_context(|| {
                format!(
                    "cannot remove {}; remove it by hand, or a later start would take it for true",
                    path.display()
                )
            }),
        }
    }

    /// Whether a boot's id is known, without which a peaceful end is as good as a kill.
    pub fn knows_boot(&self) -> bool {
        self.boot.is_some()
    }
}

impl KeepLevels for Levels {
    fn keep(&self, levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>> {
        let file = self.clone();
        async move {
            let written = tokio::task::spawn_blocking(move || file.replace(levels)).await;
            written
                .map_err(anyhow::Error::from)
                .flatten()
                .map_err(|error| Unavailable(format!("{error:#}")))
        }
        .boxed()
    }
}

fn boot() -> Option<String> {
    boot_of(std::fs::read_to_string(BOOT_ID).ok(), std::env::var(BOOT_ID_VARIABLE).ok())
}

/// The file says it with dashes, a unit without.
fn boot_of(file: Option<String>, variable: Option<String>) -> Option<String> {
    let digits = |text: String| text.trim().replace('-', "").to_ascii_lowercase();
    let whole = |text: &String| {
        text.len() == BOOT_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    file.into_iter().chain(variable).map(digits).find(whole)
}

#[cfg(test)]
mod tests;
