//! An empty directory on the disk to be measured, removed at the end.

use std::path::{Path, PathBuf};

use crate::BenchFailure;

pub struct BenchFolder(PathBuf);

impl BenchFolder {
    /// Makes it; what an interrupted run left there is removed.
    pub fn make(dir: &Path) -> Result<Self, BenchFailure> {
        let room = dir.join("room");
        if room.exists() {
            std::fs::remove_dir_all(&room)?;
        }
        std::fs::create_dir_all(&room)?;
        Ok(Self(room))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BenchFolder {
    fn drop(&mut self) {
        // What stays behind is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
