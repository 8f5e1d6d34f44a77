//! A submission's file: the frozen plan and its targets, named by their digest.
//!
//! Form: JSON Lines. The first line is the plan with its rollout's id, author and instant; each
//! further line is one target, in the plan's order. The name is the SHA-256 of all bytes, and the
//! journal's entry carries it.
//!
//! Invariants: the file is whole, synced and named before a journal entry names it, and never
//! changes afterwards; its digest is checked before its targets are first read, and damage is
//! reported with file and line. A million targets cost 32 KiB of memory: every 256th line's offset,
//! and the few blocks read last.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::id::{Digest, RolloutId};
use crate::domain::person::Person;
use crate::domain::plan::Plan;
use crate::domain::target::Target;

use super::failpoint::{Failpoint, Point};
use super::files::{create_file, sync_dir};
use super::targets::FrozenTargets;
use super::{Submission, Unavailable};

/// Targets of one block: what is read and kept together.
const BLOCK: u32 = 256;

/// Blocks kept in memory a rollout: where the cursor is, and where changes in flight were released
/// from.
const BLOCKS_KEPT: usize = 8;

/// Tells temporary names of one process apart.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SubmissionHeader<P> {
    pub id: RolloutId,
    /// Name of who submitted it.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    pub at: Timestamp,
    pub targets: u32,
    pub plan: P,
}

/// Writes a submission and makes it durable; the answer names it.
pub(crate) fn write(
    dir: &Path,
    id: RolloutId,
    submission: &Submission,
    failpoint: &Failpoint,
) -> io::Result<Digest> {
    let aside = dir.join(format!(
        "{}-{}.new",
        std::process::id(),
        TEMPORARY.fetch_add(1, Ordering::Relaxed)
    ));
    let named = fill(&aside, id, submission, failpoint).and_then(|digest| {
        std::fs::rename(&aside, path(dir, digest))?;
        sync_dir(dir)?;
        Ok(digest)
    });
    if named.is_err() {
        // The error that led here is what counts; a name ending in `.new` is removed at the next
        // start, too.
        let _ = std::fs::remove_file(&aside);
    }
    let digest = named?;
    failpoint.at(Point::SubmissionNamed)?;
    Ok(digest)
}

fn fill(
    aside: &Path,
    id: RolloutId,
    submission: &Submission,
    failpoint: &Failpoint,
) -> io::Result<Digest> {
    let file = create_file(aside)?;
    let mut out =
        HashingWriter { out: BufWriter::with_capacity(256 * 1024, &file), hash: Sha256::new() };
    let targets = submission.targets.count();
    let Person { name, uid, .. } = submission.by.clone();
    let header =
        SubmissionHeader { id, by: name, uid, at: submission.at, targets, plan: &submission.plan };
    let mut line = serde_json::to_vec(&header)?;
    line.push(b'\n');
    out.write(&line)?;
    for target in submission.targets.iter() {
        line.clear();
        serde_json::to_writer(&mut line, target)?;
        line.push(b'\n');
        out.write(&line)?;
    }
    let digest = out.finish()?;
    failpoint.at(Point::SubmissionWritten)?;
    file.sync_all()?;
    Ok(digest)
}

struct HashingWriter<W: Write> {
    out: W,
    hash: Sha256,
}

impl<W: Write> HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }
    fn finish(mut self) -> io::Result<Digest> {
        self.out.flush()?;
        Ok(Digest::from_bytes(self.hash.finalize().into()))
    }
}

/// Path of the submission with this digest.
pub(crate) fn path(dir: &Path, digest: Digest) -> PathBuf {
    dir.join(format!("{digest}.jsonl"))
}

/// Removes what a crash left half written.
pub(crate) fn sweep(dir: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A submission as stored. Its file is open only while it is read, so that old rollouts cost no
/// descriptor.
#[derive(Debug)]
pub(crate) struct StoredSubmission {
    path: PathBuf,
    digest: Digest,
    count: u32,
    /// Made, and the digest checked, when a target is first asked for.
    index: OnceLock<Index>,
    /// The blocks read last, the latest at the end.
    blocks: Mutex<Vec<(u32, Arc<[Target]>)>>,
}

#[derive(Debug)]
struct Index {
    /// Where each block begins, and where the last one ends.
    offsets: Vec<u64>,
}

impl StoredSubmission {
    /// Opens a submission and reads its first line.
    pub fn open(dir: &Path, digest: Digest) -> Result<(Self, SubmissionHeader<Plan>), Unavailable> {
        let path = path(dir, digest);
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let mut line = Vec::new();
        BufReader::new(file)
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(&path, &error))?;
        let header: SubmissionHeader<Plan> =
            serde_json::from_slice(&line).map_err(|error| damaged(&path, 1, &error))?;
        let count = header.targets;
        let waves = header.plan.strategy.waves.last().map_or(0, |wave| wave.end());
        if waves != count {
            return Err(damaged(&path, 1, &format!("the waves hold {waves} targets of {count}")));
        }
        Ok((Self { path, digest, count, index: OnceLock::new(), blocks: Mutex::default() }, header))
    }

    fn index(&self) -> Result<&Index, Unavailable> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = self.build_index()?;
        Ok(self.index.get_or_init(|| index))
    }

    fn build_index(&self) -> Result<Index, Unavailable> {
        let fail = |error| unreadable(&self.path, &error);
        let mut reader =
            BufReader::with_capacity(256 * 1024, File::open(&self.path).map_err(fail)?);
        let (mut hash, mut offset, mut lines) = (Sha256::new(), 0_u64, 0_u64);
        let mut offsets = Vec::with_capacity((self.count / BLOCK) as usize + 2);
        loop {
            let block = reader.fill_buf().map_err(fail)?;
            if block.is_empty() {
                break;
            }
            hash.update(block);
            for (at, _) in block.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                // The first line feed ends the header: target 0 begins after it.
                if lines.is_multiple_of(u64::from(BLOCK)) {
                    offsets.push(offset + at as u64 + 1);
                }
                lines += 1;
            }
            let read = block.len();
            offset += read as u64;
            reader.consume(read);
        }
        let found = Digest::from_bytes(hash.finalize().into());
        if found != self.digest {
            return Err(self.locate(found));
        }
        if lines != u64::from(self.count) + 1 {
            return Err(damaged(
                &self.path,
                lines,
                &format!("{} lines where {} belong", lines, u64::from(self.count) + 1),
            ));
        }
        if offsets.last() != Some(&offset) {
            offsets.push(offset);
        }
        Ok(Index { offsets })
    }

    /// The bytes are not those that were submitted: finds the first line that cannot be read, if
    /// there is one.
    fn locate(&self, found: Digest) -> Unavailable {
        let lines = File::open(&self.path).map(|file| BufReader::new(file).split(b'\n'));
        let bad = lines.ok().and_then(|lines| {
            let mut numbered = (1_u64..).zip(lines).skip(1);
            numbered.find_map(|(line, bytes)| {
                Some((line, serde_json::from_slice::<Target>(&bytes.ok()?).err()?))
            })
        });
        match bad {
            Some((line, error)) => damaged(&self.path, line, &error),
            None => damaged(
                &self.path,
                0,
                &format!("its content has the digest {found}, so it is not what was submitted"),
            ),
        }
    }

    fn block(&self, number: u32) -> Result<Arc<[Target]>, Unavailable> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = blocks.iter().position(|(kept, _)| *kept == number) {
            let found = blocks.remove(at);
            let block = Arc::clone(&found.1);
            blocks.push(found);
            return Ok(block);
        }
        let block = self.read_block(number)?;
        if blocks.len() == BLOCKS_KEPT {
            blocks.remove(0);
        }
        blocks.push((number, Arc::clone(&block)));
        Ok(block)
    }

    fn read_block(&self, number: u32) -> Result<Arc<[Target]>, Unavailable> {
        let index = self.index()?;
        let place = number as usize;
        let [Some(start), Some(end)] = [index.offsets.get(place), index.offsets.get(place + 1)]
        else {
            return Err(Unavailable(format!(
                "{} ends before target {}",
                self.path.display(),
                number * BLOCK
            )));
        };
        let mut bytes =
            vec![0; usize::try_from(end - start).expect("a block of lines fits into memory")];
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        file.read_exact_at(&mut bytes, *start).map_err(|error| unreadable(&self.path, &error))?;
        let first_line = u64::from(number * BLOCK) + 2;
        let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n');
        let mut targets: Vec<Target> = Vec::with_capacity(BLOCK as usize);
        for (line, bytes) in (first_line..).zip(lines) {
            let mut target: Target =
                serde_json::from_slice(bytes).map_err(|error| damaged(&self.path, line, &error))?;
            // Neighbours share their lane's name rather than each holding a copy.
            if let Some(before) = targets.last()
                && before.lane == target.lane
            {
                target.lane = before.lane.clone();
            }
            targets.push(target);
        }
        Ok(targets.into())
    }
}

impl FrozenTargets for StoredSubmission {
    fn count(&self) -> u32 {
        self.count
    }

    fn check(&self) -> Result<(), Unavailable> {
        self.index().map(drop)
    }

    fn rest(&self) {
        *self.blocks.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    #[cfg(test)]
    fn kept(&self) -> usize {
        self.blocks.lock().expect("not poisoned").iter().map(|(_, block)| block.len()).sum()
    }

    fn get(&self, ordinal: u32) -> Result<Target, Unavailable> {
        let block = self.block(ordinal / BLOCK)?;
        let found = <[Target]>::get(&block, (ordinal % BLOCK) as usize).cloned();
        found.ok_or_else(|| {
            Unavailable(format!("{} ends before target {ordinal}", self.path.display()))
        })
    }

    fn scan(
        &self,
        first: u32,
        each: &mut dyn FnMut(u32, &Target) -> ControlFlow<()>,
    ) -> Result<(), Unavailable> {
        let mut next = first;
        while next < self.count {
            let block = self.block(next / BLOCK)?;
            for target in block.iter().skip((next % BLOCK) as usize) {
                if each(next, target).is_break() {
                    return Ok(());
                }
                next += 1;
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Unavailable {
    Unavailable(format!("cannot read the submission {}: {error}", path.display()))
}

fn damaged(path: &Path, line: u64, what: &dyn std::fmt::Display) -> Unavailable {
    Unavailable(format!(
        "the submission {}:{line} is damaged: {what}; `sealift store repair --from` a copy puts it back",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{submission, target, targets};

    fn stored(count: u32) -> (tempfile::TempDir, StoredSubmission, Submission) {
        let dir = tempfile::tempdir().expect("a directory");
        let given = submission("alpha", &[count], 0);
        let digest =
            write(dir.path(), given.id(), &given, &Failpoint::default()).expect("room on disk");
        let (stored, header) = StoredSubmission::open(dir.path(), digest).expect("just written");
        assert_eq!((header.id, header.plan), (given.id(), given.plan.clone()));
        (dir, stored, given)
    }

    #[test]
    fn every_target_is_found_at_its_place() {
        for count in [1, 255, 256, 257, 1_000] {
            let (_dir, stored, given) = stored(count);
            for ordinal in (0..count).rev() {
                assert_eq!(
                    stored.get(ordinal).expect("readable"),
                    given.targets[ordinal as usize],
                    "{ordinal} of {count}"
                );
            }
            assert!(stored.get(count).is_err());
            let mut seen = Vec::new();
            stored
                .scan(count / 2, &mut |ordinal, target| {
                    seen.push((ordinal, target.clone()));
                    ControlFlow::Continue(())
                })
                .expect("readable");
            assert_eq!(seen.len() as u32, count - count / 2);
            assert!(
                seen.iter().all(|(ordinal, target)| given.targets[*ordinal as usize] == *target)
            );
        }
    }

    #[test]
    fn who_submitted_is_kept_and_a_file_of_an_earlier_version_holds_a_name() {
        let dir = tempfile::tempdir().expect("a directory");
        for by in [Person::user(7, Some("bob")), "root (plans folder)".into()] {
            let given = Submission { by: by.clone(), ..submission("alpha", &[3], 0) };
            let digest =
                write(dir.path(), given.id(), &given, &Failpoint::default()).expect("room on disk");
            let (_, header) = StoredSubmission::open(dir.path(), digest).expect("just written");
            assert_eq!(Person { name: header.by, uid: header.uid, via: None }, by);
            let text = std::fs::read_to_string(path(dir.path(), digest)).expect("readable");
            assert_eq!(text.contains(r#""uid""#), by.uid.is_some());
        }
    }

    #[test]
    fn few_blocks_are_kept() {
        let (_dir, stored, _) = stored(256 * 20);
        for ordinal in (0..256 * 20).step_by(100) {
            stored.get(ordinal).expect("readable");
        }
        assert_eq!(stored.blocks.lock().expect("not poisoned").len(), BLOCKS_KEPT);
    }

    #[test]
    fn the_same_content_has_the_same_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = submission("alpha", &[3], 0);
        let first =
            write(dir.path(), given.id(), &given, &Failpoint::default()).expect("room on disk");
        let second =
            write(dir.path(), given.id(), &given, &Failpoint::default()).expect("room on disk");
        assert_eq!(first, second);
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 1);
    }

    #[test]
    fn damage_is_reported_with_file_and_line() {
        let (dir, stored, _) = stored(600);
        let path = path(dir.path(), stored.digest);
        let mut text = std::fs::read(&path).expect("there");
        let line = text
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(299)
            .expect("600 lines")
            .0
            + 1;
        text[line + 1] ^= 0x20;
        std::fs::write(&path, &text).expect("room on disk");
        let error = stored.get(0).expect_err("damaged").to_string();
        assert!(error.contains(&format!("{}:301 is damaged", path.display())), "{error}");

        // A change that leaves every line readable is found by the digest.
        text[line + 1] ^= 0x20;
        let at = text.windows(4).position(|part| part == b"po01").expect("a proxy") - 1;
        text[at] = b'9';
        std::fs::write(&path, &text).expect("room on disk");
        let error = stored.get(0).expect_err("damaged").to_string();
        assert!(error.contains("not what was submitted"), "{error}");
        assert!(StoredSubmission::open(dir.path(), Digest::ZERO).is_err());
    }

    #[test]
    fn half_written_files_are_swept() {
        let dir = tempfile::tempdir().expect("a directory");
        let failing = Failpoint::new(|_| Err(io::Error::other("stop")));
        let given = Submission { targets: targets(0, 2), ..submission("alpha", &[2], 0) };
        assert!(write(dir.path(), given.id(), &given, &failing).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
        std::fs::write(dir.path().join("1-1.new"), b"{").expect("room on disk");
        sweep(dir.path()).expect("removable");
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
        assert_eq!(given.targets[1], target(0, 1));
    }
}
