//! Unpacks an export into a new directory, and verifies all of it.
//!
//! Invariants: it works in a directory beside the wanted place and gives it that name only when
//! everything in it was verified and synced; an error names the member and the line.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::archive::{self, ArchiveDamage, MemberName, MemberSink};
use super::extent::Extent;
use super::manifest::{Manifest, MemberCounts};
use super::offline::{journal, submissions};
use super::provenance::{Provenance, write_origin};
use super::refusal::CopyError;
use crate::domain::id::Digest;
use crate::store::error::OpenError;
use crate::store::files::{create_dir, create_file, sync_dir, write_whole};
use crate::store::home::{IDENTITY, LOCK, MARK, StoreIdentity};
use crate::store::record::Mark;
use crate::store::segment;
use crate::store::submission::{self, StoredSubmission};
use crate::store::targets::FrozenTargets as _;

/// Bytes copied at a time.
const BLOCK: usize = 256 * 1024;

/// A verified copy, in a directory that has not got its name yet. Removed again unless
/// [`Self::appear`] is called.
#[derive(Debug)]
pub(super) struct Unpacked {
    aside: Aside,
    /// What it said of itself; all of it is true.
    pub manifest: Manifest,
    /// The journal in it.
    pub extent: Extent,
}

#[derive(Debug)]
struct Aside {
    path: PathBuf,
    /// Held, never read: two imports into one place do not meet.
    _lock: File,
    keep: bool,
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.keep {
            // What led here is reported; what cannot be removed now is removed by the next attempt.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Reads an export from its begin to its end into a directory beside `dir`. `name` is what the
/// export is called.
pub(super) fn unpack(from: impl Read, name: &str, dir: &Path) -> Result<Unpacked, CopyError> {
    let aside = Aside::beside(dir)?;
    let mut taker = Taker {
        name,
        dir: &aside.path,
        identity: None,
        last: None,
        counted: MemberCounts::default(),
    };
    let end = match archive::read(from, &mut taker).map_err(|error| error.named(name))? {
        Ok(end) => end,
        Err(why) => return Err(CopyError::Unfinished { source_name: name.into(), why }),
    };
    let wrong = |place: &str, what: String| CopyError::Damaged {
        source_name: name.into(),
        place: place.into(),
        what,
    };
    let manifest = Manifest::open(&end.manifest).map_err(|what| wrong("its manifest", what))?;
    let identity = taker
        .identity
        .take()
        .ok_or_else(|| wrong("its beginning", "does not say which store it is".into()))?;
    let counted = MemberCounts { bytes: end.bytes, ..taker.counted };
    // First the lines, which know where the damage is, then the sums, which only know that there is
    // some.
    let extent = verify(&aside.path).map_err(|error| in_terms_of(name, &aside.path, error))?;
    if end.digest != manifest.digest || counted != manifest.counted() {
        return Err(wrong("its content", "is not what its manifest says".into()));
    }
    if (extent.mark.seq, extent.mark.head) != (manifest.seq, manifest.head)
        || identity.id != manifest.store
    {
        return Err(wrong("its journal", "is not the one that its manifest speaks of".into()));
    }
    Ok(Unpacked { aside, manifest, extent })
}

impl Unpacked {
    /// Where it lies until it has its name.
    pub fn path(&self) -> &Path {
        &self.aside.path
    }

    /// Gives it its name: from then on it is there, whole.
    pub fn appear(mut self, dir: &Path, origin: &Provenance) -> Result<Manifest, CopyError> {
        let aside = &self.aside.path;
        let mark = serde_json::to_vec(&Mark { seq: self.manifest.seq, head: self.manifest.head })
            .expect("a struct with string keys");
        write_whole(aside, MARK, &mark).map_err(CopyError::system("write", aside.join(MARK)))?;
        write_origin(aside, origin).map_err(CopyError::system("write", aside))?;
        for folder in [journal(aside), submissions(aside), aside.clone()] {
            sync_dir(&folder).map_err(CopyError::system("sync", &folder))?;
        }
        std::fs::rename(aside, dir).map_err(CopyError::system("name", dir))?;
        self.aside.keep = true;
        let parent = parent(dir);
        sync_dir(parent).map_err(CopyError::system("sync", parent))?;
        Ok(self.manifest.clone())
    }
}

impl Aside {
    fn beside(dir: &Path) -> Result<Self, CopyError> {
        free(dir)?;
        let mut name = dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
        name.push(".incoming");
        let path = dir.with_file_name(name);
        create_dir(&path).map_err(CopyError::system("create", &path))?;
        let place = path.join(LOCK);
        let open =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place);
        let lock = open.map_err(CopyError::system("open", &place))?;
        if lock.try_lock().is_err() {
            return Err(CopyError::InTheWay {
                path,
                hint: ": another copy is just being taken there",
            });
        }
        // Left by one that was broken off.
        for part in [journal(&path), submissions(&path), super::offline::queue(&path)] {
            if part.exists() {
                std::fs::remove_dir_all(&part).map_err(CopyError::system("clear", &part))?;
            }
        }
        for part in [journal(&path), submissions(&path)] {
            create_dir(&part).map_err(CopyError::system("create", &part))?;
        }
        Ok(Self { path, _lock: lock, keep: false })
    }
}

/// Refuses a place where something is.
pub(super) fn free(dir: &Path) -> Result<(), CopyError> {
    match std::fs::read_dir(dir) {
        Ok(mut files) => match files.next() {
            None => Ok(()),
            Some(_) => Err(CopyError::InTheWay { path: dir.to_owned(), hint: " and not empty" }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(CopyError::System { what: "look into", path: dir.to_owned(), source }),
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

struct Taker<'t> {
    name: &'t str,
    dir: &'t Path,
    identity: Option<StoreIdentity>,
    last: Option<MemberName>,
    counted: MemberCounts,
}

/// Before it is known which copy it is about.
enum UnpackState {
    Broken(ArchiveDamage),
    Copy(CopyError),
}

impl From<ArchiveDamage> for UnpackState {
    fn from(broken: ArchiveDamage) -> Self {
        Self::Broken(broken)
    }
}

impl UnpackState {
    fn named(self, name: &str) -> CopyError {
        match self {
            Self::Broken(ArchiveDamage { place, what }) => {
                CopyError::Damaged { source_name: name.into(), place, what }
            }
            Self::Copy(error) => error,
        }
    }
}

impl MemberSink for Taker<'_> {
    type Error = UnpackState;

    fn member(
        &mut self,
        name: MemberName,
        _: u64,
        content: &mut dyn Read,
    ) -> Result<(), UnpackState> {
        let out_of_order =
            ArchiveDamage { place: name.text(), what: "does not belong there".into() };
        let in_order = match (self.last, name) {
            (None, MemberName::Identity) | (Some(MemberName::Identity), MemberName::Segment(1)) => {
                true
            }
            (Some(MemberName::Segment(before)), MemberName::Segment(first)) => first > before,
            (Some(MemberName::Segment(_)), MemberName::Submission(_)) => true,
            (Some(MemberName::Submission(before)), MemberName::Submission(digest)) => {
                digest > before
            }
            _ => false,
        };
        if !in_order {
            return Err(out_of_order.into());
        }
        self.last = Some(name);
        match name {
            MemberName::Identity => self.take_identity(content),
            MemberName::Segment(first) => {
                self.counted.segments += 1;
                self.store(name, &segment::path(&journal(self.dir), first), content)
            }
            MemberName::Submission(digest) => {
                self.counted.submissions += 1;
                self.store(name, &submission::path(&submissions(self.dir), digest), content)
            }
            MemberName::Manifest | MemberName::Broken => Err(out_of_order.into()),
        }
    }
}

impl Taker<'_> {
    fn take_identity(&mut self, content: &mut dyn Read) -> Result<(), UnpackState> {
        let broken = |what: String| ArchiveDamage { place: IDENTITY.into(), what };
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
        let identity: StoreIdentity =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        let identity =
            identity.known(self.name.into()).map_err(|newer| UnpackState::Copy(newer.into()))?;
        let written = write_whole(self.dir, IDENTITY, &bytes);
        written.map_err(|source| {
            UnpackState::Copy(CopyError::System {
                what: "write",
                path: self.dir.join(IDENTITY),
                source,
            })
        })?;
        self.identity = Some(identity);
        Ok(())
    }

    fn store(
        &self,
        name: MemberName,
        path: &Path,
        content: &mut dyn Read,
    ) -> Result<(), UnpackState> {
        let fail = |source| {
            UnpackState::Copy(CopyError::System { what: "write", path: path.to_owned(), source })
        };
        let mut file = create_file(path).map_err(fail)?;
        let mut block = vec![0; BLOCK];
        loop {
            let read = content.read(&mut block).map_err(|error| ArchiveDamage {
                place: name.text(),
                what: format!("cannot be read: {error}"),
            })?;
            if read == 0 {
                break;
            }
            file.write_all(&block[..read]).map_err(fail)?;
        }
        file.sync_all().map_err(fail)
    }
}

/// Makes sure of a copy: the chain from the first entry on, and every submission that the journal
/// names.
fn verify(dir: &Path) -> Result<Extent, CopyError> {
    let extent = Extent::of_journal(&journal(dir))?;
    let wanted = extent.submissions()?;
    if extent.torn > 0 {
        let what = format!(
            "ends in the middle of a commit, {} lines behind the last whole one",
            extent.torn
        );
        return Err(OpenError::Damaged { path: journal(dir), line: 0, what }.into());
    }
    for digest in &wanted {
        StoredSubmission::open(&submissions(dir), *digest)?.0.check()?;
    }
    Ok(extent)
}

/// The same damage, told by the copy's name and member instead of the directory where it was looked
/// for.
fn in_terms_of(name: &str, aside: &Path, error: CopyError) -> CopyError {
    let damaged =
        |place: String, what: String| CopyError::Damaged { source_name: name.into(), place, what };
    let member = |path: &Path| path.strip_prefix(aside).unwrap_or(path).display().to_string();
    match error {
        CopyError::Store(OpenError::Damaged { path, line, what }) => {
            damaged(format!("{}:{line}", member(&path)), what)
        }
        CopyError::Unavailable(error) => {
            let text = error.to_string().replace(&format!("{}/", aside.display()), "");
            damaged("its submissions:".into(), text)
        }
        other => other,
    }
}

/// The digest of a whole file.
pub(super) fn digest_of(path: &Path) -> std::io::Result<Digest> {
    use sha2::{Digest as _, Sha256};
    let (mut file, mut hash, mut block) = (File::open(path)?, Sha256::new(), vec![0; BLOCK]);
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(&block[..read]);
    }
}
