//! `store check`: all that is wrong with a store's directory, each with its place and what to do.
//!
//! Invariants: nothing is changed, so a read-only disk can be checked; where nobody works on the
//! directory nobody can begin to meanwhile. While a daemon works on it, journal and submissions are
//! checked as far as they are written, and the queue is left to it.

use std::path::Path;

use serde::Serialize;

use super::finding::{Finding, FindingSeverity, Findings};
use super::offline::{Holder, holder, journal, known_identity, mark, queue};
use super::provenance::{HandedOver, OriginKind, Provenance, handed_over, origin};
use super::{check_journal, check_queue, check_submissions};
use crate::domain::id::Digest;
use crate::store::error::OpenError;
use crate::store::home::{ASIDE, IDENTITY, MARK};
use crate::store::record::Mark;

/// Entries that the queue may be behind the journal after a crash: what waits for it, what it is
/// taking in, and one batch.
const BEHIND_MAX: u64 = 3 * crate::store::backlog::LINES_MAX as u64;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is damaged.
    pub sound: bool,
    /// The store's own id, if it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The pid of the daemon that works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemon: Option<String>,
    /// Segments of the journal.
    pub segments: usize,
    /// Entries that can be read.
    pub entries: u64,
    /// The last entry of the last whole commit.
    pub seq: u64,
    pub head: Digest,
    /// Submissions that the journal names.
    pub submissions: usize,
    /// The queue beside the journal.
    pub queue: QueueReport,
    /// All that was found.
    pub findings: Vec<Finding>,
}

/// What became of the queue's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "checked", rename_all = "snake_case")]
pub enum QueueReport {
    /// Every key was compared.
    Compared {
        /// How many there are.
        keys: u64,
        /// The entry that it has reached.
        reached: u64,
        /// How many entries it is behind the journal; the next start brings them.
        behind: u64,
    },
    No {
        why: String,
    },
}

/// Checks a store's directory.
pub fn check(dir: &Path) -> Result<Report, OpenError> {
    let (held, daemon) = match holder(dir)? {
        Holder::Nobody(lock) => (lock, None),
        Holder::Daemon(pid) => (Vec::new(), Some(pid)),
    };
    let mut findings = Findings::default();
    let store = identity(dir, &mut findings)?;
    let standing = standing(dir, &mut findings)?;
    // Before the journal is read: a daemon that goes on only ever moves the mark behind the
    // journal.
    let (seen_by_mark, mark_is_there) = the_mark(dir, &mut findings)?;
    let mut of_queue = Findings::default();
    let reached = match (&store, &daemon) {
        (Some(store), None) => check_queue::reached(dir, store, &mut of_queue)?,
        _ => None,
    };
    let asked: Vec<u64> =
        [seen_by_mark, reached].into_iter().flatten().map(|mark| mark.seq).collect();
    let journal_report = check_journal::check(dir, &asked, &mut findings)?;
    let end = journal_report.end.unwrap_or(Mark { seq: 0, head: Digest::ZERO });
    if !mark_is_there && end.seq > 0 {
        findings.damage(
            dir.join(MARK).display(),
            "is missing",
            "none: the next start goes on with the queue as the only witness, and writes it anew",
        );
    }
    for (witness, seen) in [("the mark", seen_by_mark), ("the queue", reached)] {
        if let Some(seen) = seen {
            confirm(dir, witness, seen, end, &journal_report.digests, &mut findings);
        }
    }
    let submissions = check_submissions::check(dir, &journal_report.submissions, &mut findings)?;
    let queue = match (&store, &daemon) {
        (_, Some(pid)) => QueueReport::No {
            why: format!(
                "the daemon (pid {pid}) works with it; stop the daemon to have it compared"
            ),
        },
        (None, None) => QueueReport::No { why: "which store it is cannot be told".into() },
        (Some(_), None) if !standing.serves && !queue(dir).exists() => {
            QueueReport::No { why: "a backup has none".into() }
        }
        (Some(store), None) => the_queue(dir, store, end, &findings, &mut of_queue)?,
    };
    drop(held);
    let mut list = findings.into_list(&journal(dir).display().to_string());
    list.extend(of_queue.into_list(&super::offline::queue(dir).display().to_string()));
    let sound = list.iter().all(|finding| finding.severity == FindingSeverity::Note);
    Ok(Report {
        sound,
        store,
        daemon,
        segments: journal_report.segments,
        entries: journal_report.entries,
        seq: end.seq,
        head: end.head,
        submissions,
        queue,
        findings: list,
    })
}

fn identity(dir: &Path, findings: &mut Findings) -> Result<Option<String>, OpenError> {
    match known_identity(dir) {
        Ok(identity) => Ok(Some(identity.id)),
        Err(OpenError::Unreadable { path, line, what }) => {
            let remedy =
                "sealift store repair, which takes it from the queue or from a copy (--from)";
            findings.damage(
                format!("{}:{line}", path.display()),
                format!("cannot be read: {what}"),
                remedy,
            );
            Ok(None)
        }
        Err(OpenError::NoStore { path }) if journal(&path).exists() => {
            let remedy =
                "sealift store repair, which takes it from the queue or from a copy (--from)";
            findings.damage(path.join(IDENTITY).display(), "is missing", remedy);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

struct Stands {
    /// Whether a daemon is meant to work on it.
    serves: bool,
}

fn standing(dir: &Path, findings: &mut Findings) -> Result<Stands, OpenError> {
    if let Some(HandedOver { seq, at, to, .. }) = handed_over(dir)? {
        let what =
            format!("was handed over at {at}, with entry {seq}, into {to}: no daemon starts on it");
        findings.note(
            dir.display(),
            what,
            "none; if that file was imported nowhere: sealift store take-back",
        );
    }
    let origin = origin(dir)?;
    let serves = origin.as_ref().is_none_or(|origin| origin.kind != OriginKind::Backup);
    if let Some(Provenance { kind, seq, at, .. }) = origin {
        let what = match kind {
            OriginKind::Backup => format!("is a backup up to entry {seq}, made at {at}"),
            OriginKind::Copy => {
                format!(
                    "was imported from a copy up to entry {seq}, made at {at}: what its original did after that is not known here"
                )
            }
            OriginKind::HandOver => format!("was taken over with entry {seq}, handed over at {at}"),
        };
        findings.note(dir.display(), what, "none");
    }
    Ok(Stands { serves })
}

/// The mark, and whether there is one, readable or not.
fn the_mark(dir: &Path, findings: &mut Findings) -> Result<(Option<Mark>, bool), OpenError> {
    match mark(dir) {
        Err(OpenError::Unreadable { path, line, what }) => {
            let remedy = "sealift store repair, which writes it anew when journal and queue agree";
            findings.damage(
                format!("{}:{line}", path.display()),
                format!("cannot be read: {what}"),
                remedy,
            );
            Ok((None, true))
        }
        read => read.map(|mark| (mark, mark.is_some())),
    }
}

/// Holds a witness against the journal.
fn confirm(
    dir: &Path,
    witness: &str,
    seen: Mark,
    end: Mark,
    digests: &[(u64, Digest)],
    findings: &mut Findings,
) {
    if seen.seq == 0 {
        return;
    }
    let place = journal(dir).display().to_string();
    let remedy = "sealift store repair --from a backup or export that holds it";
    if seen.seq > end.seq {
        let what = format!(
            "ends with entry {}, but {witness} has seen entry {}: acknowledged entries are missing",
            end.seq, seen.seq
        );
        return findings.damage(place, what, remedy);
    }
    // An entry that cannot be read was reported with its line.
    if digests.iter().any(|(seq, digest)| *seq == seen.seq && *digest != seen.head) {
        let what = format!(
            "entry {} is not the one that {witness} has seen: it was changed, or files of two times were mixed",
            seen.seq
        );
        findings.damage(place, what, remedy);
    }
}

fn the_queue(
    dir: &Path,
    store: &str,
    end: Mark,
    others: &Findings,
    findings: &mut Findings,
) -> Result<QueueReport, OpenError> {
    if let Ok(reason) = std::fs::read_to_string(dir.join("queue.building")) {
        findings.note(
            dir.join("queue.building").display(),
            format!("says that the queue is being built anew: {}", reason.trim()),
            "none: the next start goes on with it",
        );
    }
    if let Ok(reason) = std::fs::read_to_string(dir.join("queue.suspect")) {
        let what = format!("says that the queue is damaged: {}", reason.trim());
        findings.damage(
            dir.join("queue.suspect").display(),
            what,
            "none: the next start builds the queue anew from the journal",
        );
    }
    if let Ok(files) = std::fs::read_dir(dir) {
        for file in files
            .filter_map(Result::ok)
            .filter(|file| file.file_name().to_string_lossy().starts_with(ASIDE))
        {
            findings.note(
                file.path().display(),
                "is a damaged queue that was set aside",
                "remove it when nobody wants to look at it any more",
            );
        }
    }
    if findings.any_damage() {
        return Ok(QueueReport::No { why: "it cannot be opened, or is not to be trusted".into() });
    }
    if !queue(dir).join("db").exists() {
        if end.seq > 0 {
            findings.damage(
                queue(dir).display(),
                "is missing",
                "none: the next start builds it anew from the journal",
            );
        }
        return Ok(QueueReport::No { why: "there is none".into() });
    }
    if others.any_damage() {
        return Ok(QueueReport::No {
            why: "it can only be compared with a journal and submissions that are sound".into(),
        });
    }
    match check_queue::compare(dir, store, findings)? {
        Some(compared) => {
            let reached = compared.applied.seq;
            let behind = end.seq.saturating_sub(reached);
            if behind > BEHIND_MAX {
                let what = format!(
                    "is {behind} entries behind the journal, more than the {BEHIND_MAX} that a crash can leave: it has lost some"
                );
                findings.damage(queue(dir).display(), what, "none: the next start brings them");
            }
            Ok(QueueReport::Compared { keys: compared.keys, reached, behind })
        }
        None => Ok(QueueReport::No { why: "it cannot be opened".into() }),
    }
}
