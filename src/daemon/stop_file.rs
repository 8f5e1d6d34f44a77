//! The kill switch that needs no daemon: while the file `STOP` is in the state directory, no call
//! that changes anything is sent; the reason is its text.
//!
//! Invariant: whatever stands there and however it can be read, it stops; only that nothing is
//! there lets work go on. The engine's last check looks at it by itself, so that nothing leaves
//! between the making of the file and the next look here.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::stop::{FILE, StopFile};
use crate::engine::Handle;

/// How often it is looked for, so that what waits says why and no call is begun in vain.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Bytes of its text that are read: a reason is a sentence.
const TEXT_MAX: u64 = 1000;

/// The file, while it is there.
pub fn look(state: &Path) -> Option<StopFile> {
    let path = state.join(FILE);
    let found = std::fs::symlink_metadata(&path);
    let since = found
        .as_ref()
        .ok()
        .and_then(|meta| meta.modified().ok())
        .and_then(|at| Timestamp::try_from(at).ok());
    let text = match found {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => format!("it cannot be looked at: {error}"),
        // A link or a pipe is not followed, and stops all the same.
        Ok(meta) if !meta.is_file() => String::new(),
        Ok(_) => text(&path),
    };
    Some(StopFile { since, ..StopFile::new(path.display().to_string(), text) })
}

fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(TEXT_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

/// Tells the engine whenever the file appears, changes or goes.
pub async fn watch(state: PathBuf, handle: Handle, mut told: Option<StopFile>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let found = look(&state);
        if found == told {
            continue;
        }
        match &found {
            Some(file) => warn(file),
            None => tracing::info!("the file STOP is gone"),
        }
        handle.stop_file(found.clone()).await;
        told = found;
    }
}

/// Says in the log what stops everything.
pub fn warn(file: &StopFile) {
    tracing::warn!(
        "everything is stopped by {file}; nothing that changes anything is sent until it is removed"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn whatever_stands_there_stops() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let path = state.path().join(FILE);
        let now = SystemClock.times().wall;
        let recent =
            |since: Timestamp| since.duration_since(now).unsigned_abs() < Duration::from_secs(60);
        let look = |state: &Path| {
            let file = look(state)?;
            assert!(file.since.is_some_and(recent), "{file:?}");
            Some((Path::new(&file.path) == path).then_some(file.text).expect("its full path"))
        };
        assert_eq!(look(state.path()), None);
        std::fs::write(&path, "\x1b[31mfire\ndrill \n").expect("a file");
        assert_eq!(look(state.path()).as_deref(), Some("[31mfire drill"));
        std::fs::write(&path, "x".repeat(5000)).expect("a file");
        assert_eq!(look(state.path()).map(|text| text.len()), Some(1000));
        std::fs::remove_file(&path).expect("gone");
        std::os::unix::fs::symlink("/nowhere", &path).expect("a link");
        assert_eq!(look(state.path()).as_deref(), Some(""));
        std::fs::remove_file(&path).expect("gone");
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(look(state.path()).as_deref(), Some(""));
    }
}
