//! Copies a store as one stream, from a store that runs or from a directory that nobody works on.
//!
//! Invariants: what is copied is what is synced, up to one entry, and its chain is checked on the
//! way out, so an export of damage is never finished; memory stays bounded however large the store
//! is.
//!
//! Deliberately not here: the queue. An import rebuilds it from the journal.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::archive::{ArchiveWriter, MemberName};
use super::extent::{Extent, ExtentWalk, OpenSegment};
use super::manifest::{CopySubject, Manifest, MemberCounts};
use super::offline::{OfflineDirectory, journal, submissions};
use super::provenance;
use super::refusal::CopyError;
use super::witness;
use crate::domain::id::Digest;
use crate::domain::journal::JournalEvent;
use crate::store::Unavailable;
use crate::store::beside;
use crate::store::error::OpenError;
use crate::store::files::sync_dir;
use crate::store::home::StoreIdentity;
use crate::store::record::Mark;
use crate::store::shared::SyncedUpTo;
use crate::store::submission;
use crate::store::targets::FrozenTargets as _;

/// Bytes written at a time.
const WRITE: usize = 256 * 1024;

/// A store that is about to be copied.
#[derive(Debug)]
pub struct Export {
    dir: std::path::PathBuf,
    identity: StoreIdentity,
    extent: Extent,
    /// What could not be made sure of; for people.
    notes: Vec<String>,
    /// When it was made, if it is a backup.
    origin_at: Option<Timestamp>,
    /// Held while the copy is made, where nobody else works on the directory.
    _offline: Option<OfflineDirectory>,
}

impl Export {
    /// Of a store that works on its directory: what of its journal survives a power cut now.
    pub(crate) fn of_open(
        dir: std::path::PathBuf,
        identity: StoreIdentity,
        journal: std::path::PathBuf,
        synced: &SyncedUpTo,
    ) -> Result<Self, Unavailable> {
        // An open store's own journal is sound; what fails here is the disk.
        let extent =
            Extent::of_synced(journal, synced).map_err(|error| Unavailable(error.to_string()))?;
        Ok(Self { dir, identity, extent, notes: Vec::new(), origin_at: None, _offline: None })
    }

    /// Of a directory that nobody works on; refused when its journal is damaged or has forgotten
    /// something.
    pub fn of_directory(dir: &Path) -> Result<Self, CopyError> {
        let offline = OfflineDirectory::hold(dir)?;
        if let Some(provenance::HandedOver { seq, at, to, .. }) = provenance::handed_over(dir)? {
            return Err(OpenError::HandedOver { path: dir.to_owned(), seq, at, to }.into());
        }
        let extent = Extent::of_journal(&journal(dir))?;
        let notes = witness::confirm(dir, &offline.identity().id, &extent)?;
        let backup =
            provenance::origin(dir)?.filter(|origin| origin.kind == provenance::OriginKind::Backup);
        let (origin_at, identity) = (backup.map(|backup| backup.at), offline.identity().clone());
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            extent,
            notes,
            origin_at,
            _offline: Some(offline),
        })
    }

    /// Whether the directory is where a daemon looks for this store: no backup, nor a directory
    /// that somebody put elsewhere.
    pub fn is_at_home(&self) -> bool {
        let belongs =
            beside::read(&self.dir).is_ok_and(|id| id.as_ref() == Some(&self.identity.id));
        belongs && self.origin_at.is_none()
    }

    /// When it was made, if it is a backup that is copied.
    pub fn origin_at(&self) -> Option<Timestamp> {
        self.origin_at
    }

    /// What could not be made sure of.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The last entry that is copied.
    pub fn seq(&self) -> u64 {
        self.extent.mark.seq
    }

    /// The digest of that entry.
    pub fn head(&self) -> Digest {
        self.extent.mark.head
    }

    /// Writes the copy. On an error it ends with the reason, which whoever reads it is told.
    pub fn write(
        &self,
        at: Timestamp,
        hand_over: bool,
        out: impl Write,
    ) -> Result<Manifest, CopyError> {
        let mut writer = ArchiveWriter::new(BufWriter::with_capacity(WRITE, out), at);
        let filled = self.fill(&mut writer, at, hand_over);
        match filled {
            Ok(manifest) => {
                writer.finish().map_err(|source| CopyError::Unwritten { source })?;
                Ok(manifest)
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|source| format!(": {source}"));
                let why = format!("{error}{}", cause.unwrap_or_default());
                // The reader may be what is gone; then there is nobody to tell.
                let _ = writer
                    .add(MemberName::Broken, why.len() as u64, why.as_bytes())
                    .and_then(|()| writer.finish());
                Err(error)
            }
        }
    }

    fn fill<W: Write>(
        &self,
        writer: &mut ArchiveWriter<W>,
        at: Timestamp,
        hand_over: bool,
    ) -> Result<Manifest, CopyError> {
        let failed = |source| CopyError::Unwritten { source };
        let identity = serde_json::to_vec(&self.identity).expect("a struct with string keys");
        writer
            .add(MemberName::Identity, identity.len() as u64, identity.as_slice())
            .map_err(failed)?;
        let (mut counted, mut chain, mut wanted) =
            (MemberCounts::default(), ExtentWalk::begin(), BTreeSet::new());
        for first in &self.extent.firsts {
            let segment = OpenSegment::open(&self.extent, *first, chain)?;
            let mut checked = CheckedSegment {
                segment,
                line: Vec::new(),
                given: 0,
                chain,
                wanted: &mut wanted,
                failed: None,
            };
            writer
                .add(MemberName::Segment(*first), self.extent.bytes_of(*first)?, &mut checked)
                .map_err(failed)?;
            if let Some(error) = checked.failed {
                return Err(error.into());
            }
            chain = checked.chain;
            counted.segments += 1;
        }
        if chain.mark != self.extent.mark {
            let what = format!(
                "the journal ends with entry {} where {} belongs",
                chain.mark.seq, self.extent.mark.seq
            );
            return Err(OpenError::Damaged { path: journal(&self.dir), line: 0, what }.into());
        }
        for digest in &wanted {
            let folder = submissions(&self.dir);
            submission::StoredSubmission::open(&folder, *digest)?.0.check()?;
            let path = submission::path(&folder, *digest);
            let file = File::open(&path).map_err(CopyError::system("open", &path))?;
            let length = file.metadata().map_err(CopyError::system("look at", &path))?.len();
            writer.add(MemberName::Submission(*digest), length, file).map_err(failed)?;
            counted.submissions += 1;
        }
        counted.bytes = writer.bytes;
        let subject = CopySubject {
            store: self.identity.id.clone(),
            schema: self.identity.schema,
            seq: chain.mark.seq,
            head: chain.mark.head,
            at,
            hand_over,
        };
        let manifest = Manifest::new(subject, counted, writer.digest());
        let sealed = manifest.seal();
        writer.add(MemberName::Manifest, sealed.len() as u64, sealed.as_slice()).map_err(failed)?;
        Ok(manifest)
    }

    /// Writes the copy into a new file, which appears whole or not at all.
    pub fn write_file(
        &self,
        at: Timestamp,
        hand_over: bool,
        file: &Path,
    ) -> Result<Manifest, CopyError> {
        new_file(file, |out| self.write(at, hand_over, out))
    }
}

/// Fills a new file, which appears whole and durable or not at all.
pub fn new_file<T>(
    file: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    if file.symlink_metadata().is_ok() {
        return Err(CopyError::InTheWay { path: file.to_owned(), hint: "" });
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let aside = file.with_file_name(name);
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let begin = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let mut out = begin.map_err(CopyError::system("write", &aside))?;
    let filled = fill(&mut out).and_then(|filled| {
        out.sync_all().map_err(CopyError::system("sync", &aside))?;
        std::fs::rename(&aside, file).map_err(CopyError::system("name", file))?;
        sync_dir(folder).map_err(CopyError::system("sync", folder))?;
        Ok(filled)
    });
    if filled.is_err() {
        // The error that led here is what counts; half an export is no use to anybody.
        let _ = std::fs::remove_file(&aside);
    }
    filled
}

/// One segment's bytes, its lines checked on the way out. After damage nothing but zeros comes, so
/// that the member has its length and the reason can follow it.
struct CheckedSegment<'w> {
    segment: OpenSegment,
    line: Vec<u8>,
    given: usize,
    chain: ExtentWalk,
    /// Submissions that the journal names.
    wanted: &'w mut BTreeSet<Digest>,
    /// What is wrong with the segment.
    failed: Option<OpenError>,
}

impl CheckedSegment<'_> {
    /// Reads the next line; `false` where there is none.
    fn next(&mut self) -> Result<bool, OpenError> {
        let Some(walked) = self.segment.next()? else { return Ok(false) };
        if let JournalEvent::Submitted { submission, .. } = &walked.line.entry.what {
            self.wanted.insert(*submission);
        }
        self.chain.mark = Mark { seq: walked.line.entry.seq, head: walked.digest };
        self.line.clear();
        self.line.extend_from_slice(walked.bytes);
        self.line.push(b'\n');
        self.given = 0;
        Ok(true)
    }
}

impl Read for CheckedSegment<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_none() && self.given == self.line.len() {
            match self.next() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => self.failed = Some(error),
            }
        }
        if self.failed.is_some() {
            buffer.fill(0);
            return Ok(buffer.len());
        }
        let given = buffer.len().min(self.line.len() - self.given);
        buffer[..given].copy_from_slice(&self.line[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}
