//! A file or directory that is held open, and the path at which it must still be found.
//!
//! Invariant: [`HeldFile::confirm`] fails as soon as the path leads elsewhere or nowhere: what was
//! synced through the open file would be found by nobody.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file with its path.
#[derive(Debug)]
pub(crate) struct HeldFile {
    file: File,
    path: PathBuf,
    id: (u64, u64),
}

impl HeldFile {
    /// Of a file that was just opened at this path.
    pub fn new(file: File, path: PathBuf) -> io::Result<Self> {
        let id = id(&file.metadata()?);
        Ok(Self { file, path, id })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses when the path does not lead to this file any more.
    pub fn confirm(&self) -> io::Result<()> {
        let what = match std::fs::metadata(&self.path) {
            Ok(found) if id(&found) == self.id => return Ok(()),
            Ok(_) => "is another one than was opened",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is not there any more",
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot look at {}: {error}", self.path.display()),
                ));
            }
        };
        Err(io::Error::other(format!("{} {what}", self.path.display())))
    }
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, other) = (dir.path().join("lock"), dir.path().join("other"));
        let held =
            HeldFile::new(File::create(&path).expect("room on disk"), path.clone()).expect("there");
        held.confirm().expect("nothing happened");
        std::fs::rename(&path, &other).expect("there");
        assert!(
            held.confirm().is_err_and(|error| error.to_string().contains("is not there any more"))
        );
        File::create(&path).expect("room on disk");
        assert!(held.confirm().is_err_and(|error| error.to_string().contains("is another one")));
        std::fs::rename(&other, &path).expect("there");
        held.confirm().expect("it is back");
    }
}
