//! The journal's part of a check: every line's place in the chain, and all that is wrong, not only
//! the first.
//!
//! How a damaged line is distinguished from a sound one beside it: the next line carries the digest
//! of the original. A line that does not fit the one before it and whose successor fits it is sound
//! itself; then the one before it was changed, or some are missing between them.

use std::path::{Path, PathBuf};

use super::finding::Findings;
use super::offline::journal;
use crate::domain::id::Digest;
use crate::domain::journal::JournalEvent;
use crate::store::error::OpenError;
use crate::store::record::JournalRecord;
use crate::store::record::Mark;
use crate::store::segment::{self, Lines};

/// What the check of the journal found.
#[derive(Debug, Default)]
pub(super) struct JournalReport {
    /// Segments that are there.
    pub segments: usize,
    /// Lines that can be read.
    pub entries: u64,
    /// The last whole commit's last entry.
    pub end: Option<Mark>,
    /// What the mark and the queue are held against: the digest of each entry that was asked for.
    pub digests: Vec<(u64, Digest)>,
    /// The submissions that it names, with the place of the entry.
    pub submissions: Vec<(Digest, String)>,
    /// Where the torn end of the last segment begins; it does not count.
    pub torn: bool,
}

/// What to do about a line.
const LINE_REMEDY: &str = "sealift store repair, which needs a backup or export that holds the entry (--from) unless one byte was changed";

/// What to do about lines that are not there.
const GAP_REMEDY: &str = "sealift store repair --from a backup or export that holds them";

/// One line, looked at.
struct SeenLine {
    place: LinePlace,
    /// Sequence, digest of the line before it, lines of its commit that follow; `None`: it cannot
    /// be read.
    read: Result<(u64, Digest, u32), String>,
    digest: Digest,
}

#[derive(Clone)]
struct LinePlace {
    segment: PathBuf,
    line: u64,
}

impl std::fmt::Display for LinePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.segment.display(), self.line)
    }
}

/// Checks the journal in `dir`; the digests of the entries `asked` are told.
pub(super) fn check(
    dir: &Path,
    asked: &[u64],
    findings: &mut Findings,
) -> Result<JournalReport, OpenError> {
    let folder = journal(dir);
    let mut report = JournalReport::default();
    let firsts = match segment::list(&folder) {
        Ok(firsts) => firsts,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.damage(folder.display(), "is missing", GAP_REMEDY);
            return Ok(report);
        }
        Err(source) => return Err(OpenError::Directory { what: "list", path: folder, source }),
    };
    report.segments = firsts.len();
    let mut chain = ChainState { before: None, seq: 0, doubted: None, findings };
    for (index, first) in firsts.iter().enumerate() {
        let (path, last) = (segment::path(&folder, *first), index + 1 == firsts.len());
        if chain.seq + 1 != *first {
            chain.begins_wrong(&folder, *first);
        }
        let mut lines = Lines::open(&path)?;
        // Of the last segment, lines that cannot be read are torn unless one that can follows them.
        let mut unread: Vec<SeenLine> = Vec::new();
        let mut ended = true;
        let mut more = 0;
        while let Some(found) = lines.next()? {
            let place = LinePlace { segment: path.clone(), line: found.number };
            let read = match JournalRecord::read(found.bytes) {
                Ok((line, prev)) => {
                    if let JournalEvent::Submitted { submission, .. } = &line.entry.what {
                        report.submissions.push((*submission, place.to_string()));
                    }
                    Ok((line.entry.seq, prev, line.more))
                }
                Err(error) => Err(error.to_string()),
            };
            ended = found.ended;
            let seen = SeenLine { place, read, digest: Digest::of(found.bytes) };
            let Ok((seq, _, follow)) = seen.read else {
                unread.push(seen);
                continue;
            };
            if !found.ended && last {
                unread.push(seen);
                continue;
            }
            for seen in unread.drain(..) {
                chain.take(seen);
            }
            if asked.contains(&seq) {
                report.digests.push((seq, seen.digest));
            }
            more = follow;
            report.entries += 1;
            if follow == 0 {
                report.end = Some(Mark { seq, head: seen.digest });
            }
            chain.take(seen);
        }
        if last {
            report.torn = !unread.is_empty() || more > 0;
            if report.torn {
                let line = unread.first().map_or(0, |seen| seen.place.line);
                let place = if line > 0 {
                    format!("{}:{line}", path.display())
                } else {
                    path.display().to_string()
                };
                let what = "ends in the middle of a commit; unless the mark or the queue has seen it, nobody was told of it";
                chain.findings.note(place, what, "none: the next start cuts it off and says so");
            }
            continue;
        }
        for seen in unread {
            chain.take(seen);
        }
        if !ended || more > 0 {
            chain.findings.damage(
                path.display(),
                "ends in the middle of a commit, and another segment follows",
                GAP_REMEDY,
            );
        }
    }
    chain.end();
    Ok(report)
}

/// How the lines seen so far hang together.
struct ChainState<'f> {
    /// The line before, with its digest; `None` at the begin, and after a gap.
    before: Option<(LinePlace, Digest)>,
    /// The sequence of the line before, as it must be.
    seq: u64,
    /// A line that does not fit to the one before it: the next one decides which of the two is
    /// wrong.
    doubted: Option<DoubtfulLine>,
    findings: &'f mut Findings,
}

struct DoubtfulLine {
    before: Option<LinePlace>,
    line: LinePlace,
    digest: Digest,
    seq: u64,
    expected: u64,
}

impl ChainState<'_> {
    /// A segment is named by another sequence than the one that belongs there.
    fn begins_wrong(&mut self, folder: &Path, first: u64) {
        self.settle(None);
        let next = self.seq + 1;
        if first > next {
            let missing = segment::path(folder, next);
            let what = format!("the entries {next} to {} are missing", first - 1);
            self.findings.damage(missing.display(), what, GAP_REMEDY);
            (self.before, self.seq) = (None, first - 1);
        }
    }

    fn take(&mut self, seen: SeenLine) {
        let expected = self.seq + 1;
        let SeenLine { place, read, digest } = seen;
        let (seq, prev) = match read {
            Ok((seq, prev, _)) => (seq, prev),
            Err(why) => {
                self.settle(None);
                self.findings.damage(&place, format!("cannot be read: {why}"), LINE_REMEDY);
                // What it was is told by the line after it only, so nothing is held against it.
                (self.before, self.seq) = (None, expected);
                return;
            }
        };
        if self.doubted.is_some() {
            self.settle(Some((seq, prev)));
            let expected = self.seq + 1;
            // After one doubt the next line begins a chain of its own, unless it fits.
            if seq != expected && seq > expected {
                let what = format!("the entries {expected} to {} are missing before it", seq - 1);
                self.findings.damage(&place, what, GAP_REMEDY);
            }
            (self.before, self.seq) = (Some((place, digest)), seq.max(expected));
            return;
        }
        let fits = seq == expected && self.before.as_ref().is_none_or(|(_, head)| prev == *head);
        let begins = seq != 1 || prev == Digest::ZERO;
        if fits && begins {
            (self.before, self.seq) = (Some((place, digest)), seq);
            return;
        }
        let before = self.before.take().map(|(place, _)| place);
        self.doubted = Some(DoubtfulLine { before, line: place, digest, seq, expected });
        self.seq = expected;
    }

    /// Decides a doubt by what the next line says.
    fn settle(&mut self, next: Option<(u64, Digest)>) {
        let Some(DoubtfulLine { before, line, digest, seq, expected }) = self.doubted.take() else {
            return;
        };
        let vouched = next.is_some_and(|(next, prev)| prev == digest && next == seq + 1);
        match (vouched, before) {
            (true, _) if seq > expected => {
                let what = format!("the entries {expected} to {} are missing before it", seq - 1);
                self.findings.damage(&line, what, GAP_REMEDY);
                self.seq = seq;
            }
            (true, Some(before)) if seq == expected => {
                self.findings.damage(
                    &before,
                    "was changed: the line after it carries another digest",
                    LINE_REMEDY,
                );
            }
            (true, _) => {
                self.findings.damage(
                    &line,
                    format!("has sequence {seq} where {expected} belongs"),
                    GAP_REMEDY,
                );
                self.seq = seq;
            }
            (false, _) if next.is_some() => {
                self.findings.damage(
                    &line,
                    "was changed: it fits neither to the line before it nor to the one after it",
                    LINE_REMEDY,
                );
            }
            (false, Some(before)) => {
                let what =
                    format!("does not carry the digest of {before}: one of the two was changed");
                self.findings.damage(&line, what, LINE_REMEDY);
            }
            (false, None) => {
                self.findings.damage(
                    &line,
                    format!("does not follow the entry {}", expected - 1),
                    LINE_REMEDY,
                );
            }
        }
    }

    fn end(&mut self) {
        self.settle(None);
    }
}
