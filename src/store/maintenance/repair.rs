//! Repair: what is damaged in a store's directory is restored from a copy of it, and the newer rest
//! of it is kept.
//!
//! How nothing is lost: the copy's journal is verified from the first entry to its last. If the
//! line after that entry in the damaged directory carries exactly its digest, the two are one
//! history, and everything sound behind it is kept. A line behind it in which one byte was changed
//! is found by trial (`one_byte`).
//!
//! Invariants: the outcome is verified from the first entry on, and compared with the mark and the
//! queue, before anything is changed; the journal changes in one exchange, and the damaged one is
//! kept beside; what cannot be repaired is refused with the place, and nothing is changed.
//!
//! Deliberately not here: the queue, which the next start rebuilds if it must.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::extent::{Extent, ExtentWalk};
use super::finding::Findings;
use super::import::{CopySource, take};
use super::offline::{Holder, holder, journal, known_identity, mark, queue, submissions};
use super::one_byte;
use super::refusal::CopyError;
use super::unpack::{Unpacked, digest_of};
use super::witness::{applied, copied};
use super::{check_queue, provenance};
use crate::domain::id::Digest;
use crate::store::beside;
use crate::store::error::OpenError;
use crate::store::files::{create_dir, create_file, sync_dir, write_whole};
use crate::store::home::{IDENTITY, LOCK, MARK, StoreIdentity, write_identity};
use crate::store::open::{QueueRefusal, check_witness, guarded};
use crate::store::reader::Reader;
use crate::store::record::JournalRecord;
use crate::store::record::Mark;
use crate::store::segment::{self, Lines};
use crate::store::submission;
use crate::store::value::read_json;

/// Where the journal is put together.
const NEW: &str = "journal.repaired";

/// Lines of one segment kept to be written at once.
const WRITE: usize = 256 * 1024;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// What was put back, one sentence each; nothing: the directory was sound.
    pub done: Vec<String>,
    /// The last entry that is there now.
    pub seq: u64,
}

/// Repairs a directory that nobody works on; `from` is a copy of the same store.
pub fn repair(
    dir: &Path,
    from: Option<(CopySource<'_>, &str)>,
    now: Timestamp,
) -> Result<Repaired, CopyError> {
    let _lock = match holder(dir)? {
        Holder::Nobody(lock) => lock,
        Holder::Daemon(pid) => return Err(OpenError::Taken { path: dir.join(LOCK), pid }.into()),
    };
    if let Some(provenance::HandedOver { seq, at, to, .. }) = provenance::handed_over(dir)? {
        return Err(OpenError::HandedOver { path: dir.to_owned(), seq, at, to }.into());
    }
    let copy = match from {
        Some((source, name)) => Some((take(source, name, &dir.join("copy"), now)?, name)),
        None => None,
    };
    let mut done = Vec::new();
    let identity = identity(dir, copy.as_ref().map(|(copy, _)| copy), &mut done)?;
    // What an import and its original have in common, copies of either hold.
    let original = provenance::origin(dir)?.and_then(|origin| origin.original);
    if let Some((copy, name)) = &copy
        && copy.manifest.store != identity.id
        && Some(&copy.manifest.store) != original.as_ref()
    {
        let (found, expected) = (copy.manifest.store.clone(), identity.id);
        return Err(CopyError::OtherStore { source_name: (*name).to_owned(), found, expected });
    }
    let witnesses = witnesses(dir, &identity.id)?;
    let new = dir.join(NEW);
    clear(&new)?;
    let joined = join(dir, copy.as_ref().map(|(copy, _)| copy), &witnesses, &new, &mut done);
    let outcome = joined.and_then(|()| {
        settle(dir, copy.as_ref().map(|(copy, _)| copy), &witnesses, &new, &mut done)
    });
    if outcome.is_err() {
        // What led here is reported; what is left is cleared by the next attempt.
        let _ = fs::remove_dir_all(&new);
    }
    outcome
}

/// What mark and queue have seen; what cannot be asked bears no witness.
struct Witnesses {
    seen: Vec<(&'static str, Mark)>,
    /// Whether the mark must be rewritten.
    no_mark: Option<&'static str>,
}

fn witnesses(dir: &Path, store: &str) -> Result<Witnesses, CopyError> {
    let mut witnesses = Witnesses { seen: Vec::new(), no_mark: None };
    match mark(dir) {
        Ok(Some(mark)) => witnesses.seen.push(("the mark", mark)),
        Ok(None) => witnesses.no_mark = Some("was missing"),
        Err(OpenError::Unreadable { .. }) => witnesses.no_mark = Some("could not be read"),
        Err(error) => return Err(error.into()),
    }
    // A queue that is damaged bears none, and is the next start's to build.
    if let Some(reached) = check_queue::reached(dir, store, &mut Findings::default())? {
        witnesses.seen.push(("the queue", reached));
    }
    Ok(witnesses)
}

/// What the directory is; from the copy, from its queue, or from what stands beside it, where its
/// own word is lost.
fn identity(
    dir: &Path,
    copy: Option<&Unpacked>,
    done: &mut Vec<String>,
) -> Result<StoreIdentity, CopyError> {
    let lost = match known_identity(dir) {
        Ok(identity) => return Ok(identity),
        Err(error @ (OpenError::Unreadable { .. } | OpenError::NoStore { .. })) => error,
        Err(error) => return Err(error.into()),
    };
    let id = match copy {
        Some(copy) => Some(copy.manifest.store.clone()),
        None if queue(dir).join("db").exists() => guarded(|| id_in_queue(dir)).ok(),
        None => beside::read(dir)?,
    };
    let Some(id) = id else { return Err(lost.into()) };
    let identity = StoreIdentity::of(id);
    write_identity(dir, &identity)?;
    done.push(format!("{} was lost and is written anew", dir.join(IDENTITY).display()));
    Ok(identity)
}

/// The store's id, as the queue has it.
fn id_in_queue(dir: &Path) -> Result<String, QueueRefusal> {
    let copied = copied(dir, "")?;
    // Asked only to be sure that the copy is a queue at all.
    applied(&copied.queue)?;
    let [.., (_, meta)] = copied.queue.trees();
    let damaged = |what: String| QueueRefusal::Damaged(what);
    let bytes = meta
        .get("store")
        .map_err(|error| damaged(error.to_string()))?
        .ok_or_else(|| damaged("it does not say".into()))?;
    read_json("the store's id", &bytes).map_err(|error| damaged(error.to_string()))
}

fn clear(new: &Path) -> Result<(), CopyError> {
    if new.exists() {
        fs::remove_dir_all(new).map_err(CopyError::system("clear", new))?;
    }
    create_dir(new).map_err(CopyError::system("create", new))
}

/// Puts the journal together: the copy's lines, then the directory's own behind them.
fn join(
    dir: &Path,
    copy: Option<&Unpacked>,
    witnesses: &Witnesses,
    new: &Path,
    done: &mut Vec<String>,
) -> Result<(), CopyError> {
    let folder = journal(dir);
    // One that is gone altogether is as good as an empty one.
    create_dir(&folder).map_err(CopyError::system("create", &folder))?;
    let firsts = segment::list(&folder).map_err(CopyError::system("list", &folder))?;
    let mut out = RepairedJournal {
        new: new.to_owned(),
        borders: firsts.iter().copied().collect(),
        file: None,
        mark: ExtentWalk::begin().mark,
    };
    if let Some(copy) = copy {
        out.borders.extend(&copy.extent.firsts);
        copy.extent.walk::<CopyError>(u64::MAX, &mut |walked| {
            out.put(walked.line.entry.seq, walked.bytes, walked.digest)
        })?;
    }
    let mut own = Own { wanted: out.mark.seq + 1, witnesses, done };
    for (index, first) in firsts.iter().enumerate() {
        let next = firsts.get(index + 1).copied();
        if next.is_some_and(|next| next <= own.wanted) {
            continue;
        }
        if *first > own.wanted {
            let what = format!(
                "the entries {} to {} are missing, and {}",
                own.wanted,
                first - 1,
                if copy.is_some() {
                    "the copy ends before them"
                } else {
                    "no copy was named (--from)"
                }
            );
            return Err(CopyError::BeyondRepair(format!(
                "{}: {what}; nothing was changed",
                folder.display()
            )));
        }
        own.segment(&segment::path(&folder, *first), next, &mut out)?;
    }
    out.close()
}

struct RepairedJournal {
    new: PathBuf,
    /// First sequences of the segments.
    borders: BTreeSet<u64>,
    file: Option<(PathBuf, BufWriter<File>)>,
    mark: Mark,
}

impl RepairedJournal {
    fn put(&mut self, seq: u64, bytes: &[u8], digest: Digest) -> Result<(), CopyError> {
        if self.file.is_none() || self.borders.contains(&seq) {
            self.close()?;
            let path = segment::path(&self.new, seq);
            let file = create_file(&path).map_err(CopyError::system("create", &path))?;
            self.file = Some((path, BufWriter::with_capacity(WRITE, file)));
        }
        if let Some((path, out)) = &mut self.file {
            out.write_all(bytes)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(CopyError::system("write", path.as_path()))?;
        }
        self.mark = Mark { seq, head: digest };
        Ok(())
    }

    fn close(&mut self) -> Result<(), CopyError> {
        let Some((path, out)) = self.file.take() else { return Ok(()) };
        let synced = out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all());
        synced.map_err(CopyError::system("sync", path))
    }
}

/// The directory's own lines behind the copy.
struct Own<'o> {
    /// The next entry that is wanted.
    wanted: u64,
    witnesses: &'o Witnesses,
    done: &'o mut Vec<String>,
}

/// A line as it lies there.
struct Raw {
    number: u64,
    bytes: Vec<u8>,
    ended: bool,
    /// Its sequence and the digest that it gives for the line before it.
    read: Option<(u64, Digest)>,
}

fn raw(lines: &mut Lines) -> Result<Option<Raw>, OpenError> {
    Ok(lines.next()?.map(|found| {
        let read = if found.ended { JournalRecord::read(found.bytes).ok() } else { None };
        let read = read.map(|(line, prev)| (line.entry.seq, prev));
        Raw { number: found.number, bytes: found.bytes.to_vec(), ended: found.ended, read }
    }))
}

impl Own<'_> {
    /// Takes the lines of one segment from the wanted one on; `next` is the first sequence of the
    /// segment after it.
    fn segment(
        &mut self,
        path: &Path,
        next: Option<u64>,
        out: &mut RepairedJournal,
    ) -> Result<(), CopyError> {
        let begin = self.begin(path, out.mark.head)?;
        let mut lines = Lines::open(path)?;
        let mut line = raw(&mut lines)?;
        while line.as_ref().is_some_and(|here| here.number < begin) {
            line = raw(&mut lines)?;
        }
        while let Some(here) = line.take() {
            let after = raw(&mut lines)?;
            let said = match &after {
                Some(after) => after.read,
                None => self.first_of_next(path, next)?,
            };
            if !self.line(path, here, said, after.is_none() && next.is_none(), out)? {
                return self.nothing_follows(path, after, &mut lines);
            }
            line = after;
        }
        if let Some(next) = next
            && self.wanted < next
        {
            let what = format!(
                "ends with entry {}, and the next segment begins with {next}",
                self.wanted - 1
            );
            return Err(beyond(path, 0, &what));
        }
        Ok(())
    }

    /// The number of the line that holds the wanted entry, by its own word; where it is damaged, by
    /// its place.
    fn begin(&self, path: &Path, head: Digest) -> Result<u64, CopyError> {
        let mut lines = Lines::open(path)?;
        while let Some(here) = raw(&mut lines)? {
            if here.read == Some((self.wanted, head)) {
                return Ok(here.number);
            }
        }
        Ok((self.wanted + 1).saturating_sub(first_of(path)))
    }

    /// What the first line of the segment after this one says of the line before it.
    fn first_of_next(
        &self,
        path: &Path,
        next: Option<u64>,
    ) -> Result<Option<(u64, Digest)>, CopyError> {
        let Some(next) = next else { return Ok(None) };
        let folder = path.parent().unwrap_or(Path::new("."));
        Ok(raw(&mut Lines::open(&segment::path(folder, next))?)?.and_then(|first| first.read))
    }

    /// Takes one line, mended if it must be; `false`: it is torn, and with it what follows.
    fn line(
        &mut self,
        path: &Path,
        here: Raw,
        said: Option<(u64, Digest)>,
        last: bool,
        out: &mut RepairedJournal,
    ) -> Result<bool, CopyError> {
        let (wanted, head) = (self.wanted, out.mark.head);
        let fits = |read: Option<(u64, Digest)>| read == Some((wanted, head));
        let digest = Digest::of(&here.bytes);
        // What it must have been: by the line after it, or by who has seen it.
        let must = said.filter(|(seq, _)| *seq == wanted + 1).map(|(_, prev)| prev);
        let must = must.or_else(|| {
            self.witnesses
                .seen
                .iter()
                .find(|(_, seen)| seen.seq == wanted)
                .map(|(_, seen)| seen.head)
        });
        if fits(here.read) && must.is_none_or(|must| must == digest) {
            out.put(wanted, &here.bytes, digest)?;
            self.wanted += 1;
            return Ok(true);
        }
        if let Some(must) = must
            && let Some(mended) = one_byte::original(&here.bytes, must)
            && JournalRecord::read(&mended)
                .is_ok_and(|(line, prev)| (line.entry.seq, prev) == (wanted, head))
        {
            out.put(wanted, &mended, must)?;
            self.wanted += 1;
            self.done.push(format!(
                "{}:{}: one byte of entry {wanted} was changed and is put back",
                path.display(),
                here.number
            ));
            return Ok(true);
        }
        let seen = self.witnesses.seen.iter().any(|(_, seen)| seen.seq >= wanted);
        if here.read.is_none() && (last || !here.ended) && !seen {
            return Ok(false);
        }
        let what = format!("entry {wanted} is damaged, and no copy that holds it was named");
        Err(beyond(path, here.number, &what))
    }

    /// Behind a torn line nothing readable may stand.
    fn nothing_follows(
        &self,
        path: &Path,
        after: Option<Raw>,
        lines: &mut Lines,
    ) -> Result<(), CopyError> {
        let mut line = after;
        while let Some(here) = line {
            if here.read.is_some() {
                return Err(beyond(
                    path,
                    here.number,
                    "can be read, and the line before it cannot",
                ));
            }
            line = raw(lines)?;
        }
        Ok(())
    }
}

fn first_of(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

fn beyond(path: &Path, line: u64, what: &str) -> CopyError {
    let place =
        if line > 0 { format!("{}:{line}", path.display()) } else { path.display().to_string() };
    CopyError::BeyondRepair(format!("{place}: {what}; nothing was changed"))
}

/// Makes sure of what was put together, and puts it in its place.
fn settle(
    dir: &Path,
    copy: Option<&Unpacked>,
    witnesses: &Witnesses,
    new: &Path,
    done: &mut Vec<String>,
) -> Result<Repaired, CopyError> {
    sync_dir(new).map_err(CopyError::system("sync", new))?;
    let extent = Extent::of_journal(new)?;
    let wanted = extent.submissions()?;
    let reader = Reader::new(new, &extent.firsts, extent.mark.seq);
    for (witness, seen) in &witnesses.seen {
        check_witness(&reader, (1, extent.mark.seq), witness, *seen)?;
    }
    let mut missing = Vec::new();
    for digest in &wanted {
        if digest_of(&submission::path(&submissions(dir), *digest)).ok() != Some(*digest) {
            missing.push(*digest);
        }
    }
    for digest in missing {
        put_back(dir, digest, copy, done)?;
    }
    if differs(&journal(dir), new)? {
        exchange(dir, new, extent.mark.seq, done)?;
    } else {
        fs::remove_dir_all(new).map_err(CopyError::system("clear", new))?;
    }
    if let Some(why) = witnesses.no_mark.filter(|_| extent.mark.seq > 0) {
        let mark = serde_json::to_vec(&extent.mark).expect("a struct with string keys");
        write_whole(dir, MARK, &mark).map_err(CopyError::system("write", dir.join(MARK)))?;
        done.push(format!("{} {why} and is written anew", dir.join(MARK).display()));
    }
    Ok(Repaired { done: std::mem::take(done), seq: extent.mark.seq })
}

fn put_back(
    dir: &Path,
    digest: Digest,
    copy: Option<&Unpacked>,
    done: &mut Vec<String>,
) -> Result<(), CopyError> {
    let file = submission::path(&submissions(dir), digest);
    let good = copy
        .map(|copy| submission::path(&submissions(copy.path()), digest))
        .filter(|good| good.exists());
    let Some(good) = good else {
        let what = format!(
            "{} is missing or damaged, and no copy that holds it was named; nothing was changed",
            file.display()
        );
        return Err(CopyError::BeyondRepair(what));
    };
    create_dir(&submissions(dir)).map_err(CopyError::system("create", submissions(dir)))?;
    // Both lie on one file system; the name is given to what was verified and synced.
    fs::rename(good, &file).map_err(CopyError::system("put back", &file))?;
    sync_dir(&submissions(dir)).map_err(CopyError::system("sync", submissions(dir)))?;
    done.push(format!("{} is put back", file.display()));
    Ok(())
}

/// Whether two journals differ in any file.
fn differs(old: &Path, new: &Path) -> Result<bool, CopyError> {
    let list = |dir: &Path| segment::list(dir).map_err(CopyError::system("list", dir));
    let (was, is) = (list(old)?, list(new)?);
    if was != is {
        return Ok(true);
    }
    for first in is {
        let digest = |dir: &Path| {
            digest_of(&segment::path(dir, first))
                .map_err(CopyError::system("read", segment::path(dir, first)))
        };
        if digest(old)? != digest(new)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the new journal in the place of the old one in one step, and keeps the old one.
fn exchange(dir: &Path, new: &Path, seq: u64, done: &mut Vec<String>) -> Result<(), CopyError> {
    let old = journal(dir);
    let exchanged = renameat_with(CWD, new, CWD, &old, RenameFlags::EXCHANGE);
    exchanged
        .map_err(io::Error::from)
        .and_then(|()| sync_dir(dir))
        .map_err(CopyError::system("put the repaired journal in place of", &old))?;
    let names = (0u32..).map(|n| {
        if n == 0 { format!("journal.bad-{seq}") } else { format!("journal.bad-{seq}.{n}") }
    });
    let kept =
        names.map(|name| dir.join(name)).find(|path| !path.exists()).expect("there are 2^32 names");
    fs::rename(new, &kept).map_err(CopyError::system("keep the damaged journal as", &kept))?;
    sync_dir(dir).map_err(CopyError::system("sync", dir))?;
    done.push(format!(
        "{} is put together anew up to entry {seq}; the damaged one is kept as {}",
        old.display(),
        kept.display()
    ));
    Ok(())
}
