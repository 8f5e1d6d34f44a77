//! What holds of every file of a store, whatever bytes it is made of: for the fuzzer in `fuzz/`,
//! and for the tests, which replay its corpus.

use std::cell::LazyCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;

use super::error::OpenError;
use super::failpoint::Failpoint;
use super::journal::Journal;
use super::record::JournalRecord;
use super::segment;
use super::submission::{StoredSubmission, path};
use super::targets::FrozenTargets as _;
use crate::domain::id::{Digest, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::plan::Plan;
use crate::domain::rollout::Record;

thread_local! {
    /// Where the files lie while they are read.
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("room on disk"));
}

/// Size of a segment: a few lines.
const SEGMENT_BYTES: u64 = 1024;

/// Lines of the written journal.
const LINES: u64 = 12;

/// A journal of several segments, as it was written: names and bytes of the files, and the lines.
struct WrittenJournal {
    files: Vec<(PathBuf, Vec<u8>)>,
    lines: Vec<JournalRecord>,
}

static WRITTEN: LazyLock<WrittenJournal> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("room on disk");
    let (mut journal, _) =
        Journal::open(dir.path(), SEGMENT_BYTES, Failpoint::default()).expect("an empty directory");
    let at = Timestamp::from_second(1_800_000_000).expect("within range");
    let lines: Vec<JournalRecord> = (1..=LINES)
        .map(|seq| {
            let what = JournalEvent::Rollout {
                from: "advancing".into(),
                to: "advancing".into(),
                why: "x".repeat((seq % 5 * 40) as usize),
                by: None,
                via: None,
                record: Record::submitted(),
            };
            // Commits of one, two and three lines.
            let more = [0, 1, 0, 2, 1, 0][(seq as usize - 1) % 6];
            JournalRecord {
                entry: Entry { seq, at, rollout: RolloutId::from_bytes([7; 16]), what },
                due: Some(at),
                more,
            }
        })
        .collect();
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let (commit, others) = rest.split_at(first.more as usize + 1);
        journal.append(commit.iter()).expect("room on disk");
        rest = others;
    }
    journal.sync().expect("room on disk");
    let names = segment::list(dir.path())
        .expect("there")
        .into_iter()
        .map(|first| segment::path(Path::new(""), first));
    let files = names
        .map(|name| (name.clone(), std::fs::read(dir.path().join(&name)).expect("there")))
        .collect();
    WrittenJournal { files, lines }
});

/// A journal that was damaged: each four bytes of the input are one blow: which file, where, how,
/// with what. It is refused by the name of a file that is there, or what is recovered is a prefix
/// of what was written and ends with a whole commit; only the very last line may be another one,
/// for nothing in the journal itself vouches for it: that is what the mark and the queue are for.
pub fn damaged_journal(bytes: &[u8]) {
    FOLDER.with(|folder| {
        let dir = empty(folder.path());
        let mut files = WRITTEN.files.clone();
        for blow in bytes.chunks_exact(4).take(16) {
            let index = usize::from(blow[0]) % files.len();
            let (_, content) = &mut files[index];
            let at = usize::from(u16::from_le_bytes([blow[1], blow[2]])) % (content.len() + 1);
            match blow[3] {
                0 => content.truncate(at),
                1 => content[at..].fill(0),
                2 => content.insert(at, b'\n'),
                3 => drop(content.drain(at..(at + usize::from(blow[0])).min(content.len()))),
                other => content.get_mut(at).into_iter().for_each(|byte| *byte ^= other),
            }
        }
        for (name, content) in &files {
            std::fs::write(dir.join(name), content).expect("room on disk");
        }
        let Some(found) = recovered(&dir) else { return };
        let written = &WRITTEN.lines;
        assert!(found.len() <= written.len(), "{} lines of {}", found.len(), written.len());
        let sure = found.len().saturating_sub(1);
        assert_eq!(found[..sure], written[..sure]);
        let last_is_whole = found.last().is_none_or(|line| line.more == 0);
        assert!(last_is_whole, "a commit that never happened was recovered in part");
    });
}

/// Any bytes as the first segment of a journal: refused by its name, or recovered; and then a
/// second start finds the same and nothing to cut off.
pub fn journal(bytes: &[u8]) {
    FOLDER.with(|folder| {
        let dir = empty(folder.path());
        std::fs::write(segment::path(&dir, 1), bytes).expect("room on disk");
        let Some(found) = recovered(&dir) else { return };
        let (journal, torn) =
            Journal::open(&dir, SEGMENT_BYTES, Failpoint::default()).expect("it was opened before");
        assert_eq!(torn, None, "what is torn is cut off once");
        assert_eq!(journal.mark().seq, found.last().map_or(0, |line| line.entry.seq));
        for line in found {
            let mut written = Vec::new();
            line.write(Digest::ZERO, &mut written);
            let (again, _) = JournalRecord::read(written.strip_suffix(b"\n").expect("a line"))
                .expect("what was written can be read");
            assert_eq!(again, line);
        }
    });
}

/// What a start finds in a journal; `None` when it is refused.
fn recovered(dir: &Path) -> Option<Vec<JournalRecord>> {
    let mut lines: Vec<JournalRecord> = Vec::new();
    let opened =
        Journal::open(dir, SEGMENT_BYTES, Failpoint::default()).and_then(|(journal, _)| {
            journal.replay(0, &mut |line, _| {
                lines.push(line);
                Ok::<(), OpenError>(())
            })?;
            Ok(journal)
        });
    match opened {
        Ok(journal) => {
            assert!(
                lines.windows(2).all(|pair| pair[0].entry.seq + 1 == pair[1].entry.seq),
                "a hole"
            );
            assert_eq!(
                journal.mark().seq,
                lines.last().map_or(journal.mark().seq, |line| line.entry.seq)
            );
            Some(lines)
        }
        Err(OpenError::Damaged { path, what, .. }) => {
            let there = if what.starts_with("is missing") { !path.exists() } else { path.exists() };
            assert!(path.starts_with(dir) && there, "{} {what}", path.display());
            None
        }
        Err(other) => panic!("damage was told as something else: {other}"),
    }
}

/// Any bytes as the file of a submission, under their own digest: refused by the name of the file,
/// or every target that it promises is there, the same whether it is asked for or met on the way.
pub fn submission(bytes: &[u8]) {
    FOLDER.with(|folder| {
        let dir = empty(folder.path());
        let digest = Digest::of(bytes);
        let file = path(&dir, digest);
        std::fs::write(&file, bytes).expect("room on disk");
        let names_it =
            |message: String| assert!(message.contains(&file.display().to_string()), "{message}");
        let (stored, header) = match StoredSubmission::open(&dir, digest) {
            Ok(opened) => opened,
            Err(error) => return names_it(error.to_string()),
        };
        let kept = serde_json::to_vec(&header.plan).expect("a plan can be kept");
        assert_eq!(serde_json::from_slice::<Plan>(&kept).expect("and read back"), header.plan);
        let mut met = Vec::new();
        let walked = stored.scan(0, &mut |ordinal, target| {
            assert_eq!(ordinal as usize, met.len());
            met.push(target.clone());
            ControlFlow::Continue(())
        });
        if let Err(error) = walked {
            return names_it(error.to_string());
        }
        assert_eq!(met.len(), header.targets as usize);
        for ordinal in [0, met.len() / 2, met.len().saturating_sub(1)] {
            let asked = u32::try_from(ordinal).expect("within the count").min(header.targets);
            assert_eq!(stored.get(asked).ok().as_ref(), met.get(ordinal));
        }
    });
}

/// The folder without what lay in it before.
fn empty(folder: &Path) -> PathBuf {
    let dir = folder.join("files");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("room on disk");
    dir
}

#[cfg(test)]
mod tests {
    use crate::tests::corpus::replay;

    #[test]
    fn the_corpus_holds() {
        replay("damaged_journal", super::damaged_journal);
        replay("journal", super::journal);
        replay("submission", super::submission);
    }
}
