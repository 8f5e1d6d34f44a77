//! The rows of rollouts that are over: a file each, beside sled's own.
//!
//! sled keeps a table of its pages in memory, so every stored row costs memory for as long as it is
//! in a tree. The rows of a rollout that is over never move again; they are written into one file,
//! and leave the trees.
//!
//! Form: the values as the tree held them, each with a checksum over its ordinal and itself, in the
//! list's order; then the offset of each and the end of the last, 8 bytes each; then the ordinals
//! of those that failed, 4 bytes each, with a checksum; then the two counts, and a word.
//!
//! Invariants: a file is whole and synced before the first of its rows leaves the trees; it never
//! changes; nothing of it is kept in memory between two reads. Damage is found when it is read, and
//! the queue is rebuilt then.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::sled::IVec;

use super::error::QueueError;
use super::files::{create_dir, create_file, sync_dir};
use super::row::StoredRow;
use super::value::read_json;
use crate::domain::id::RolloutId;

/// Their folder, in the queue's.
const FOLDER: &str = "over";

/// Rows that are read at once: about 100 KiB.
const ROWS: u32 = 256;

/// Bytes of one place in the list of offsets.
const PLACE: u64 = 8;

/// The word at the end, and the bytes of counts and word.
const WORD: &[u8; 8] = b"sealift2";
const TRAILER: usize = 8 + WORD.len();

/// Bytes of a row's checksum.
const CRC: usize = 4;

/// Where the files of the queue in this directory lie.
pub(crate) fn folder(queue: &Path) -> PathBuf {
    queue.join(FOLDER)
}

#[derive(Debug, Clone)]
pub(crate) struct SettledFiles {
    dir: PathBuf,
    /// Of all of them: there may be thousands, and the health of the store is asked for every
    /// second.
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Packed {
    path: PathBuf,
    file: File,
    /// Rows in it, and where the list of offsets begins.
    count: u32,
    offsets: u64,
    /// Rows that failed, and where the list of their places begins.
    failed: u32,
    failures: u64,
}

impl SettledFiles {
    /// Of the queue in this directory.
    pub fn of(queue: &Path) -> io::Result<Self> {
        let over = Self { dir: folder(queue), bytes: Arc::default() };
        let bytes =
            over.rollouts()?.into_iter().map(|id| over.bytes_of(id)).sum::<io::Result<u64>>()?;
        over.bytes.store(bytes, Ordering::Relaxed);
        Ok(over)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the file of this rollout; 0 when there is none.
    pub fn bytes_of(&self, id: RolloutId) -> io::Result<u64> {
        match self.path(id).metadata() {
            Ok(meta) => Ok(meta.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn path(&self, id: RolloutId) -> PathBuf {
        self.dir.join(format!("{id}.rows"))
    }

    /// Whether there is a file of this rollout.
    pub fn has(&self, id: RolloutId) -> io::Result<bool> {
        self.path(id).try_exists()
    }

    /// Writes all rows of a rollout: `count` of them, from place 0 on without a gap, of which
    /// `failures` failed. A file that is there is left as it is.
    pub fn write(
        &self,
        id: RolloutId,
        count: u32,
        rows: impl Iterator<Item = Result<(u32, IVec), QueueError>>,
        failures: &[u32],
    ) -> Result<(), QueueError> {
        if self.has(id)? {
            return Ok(());
        }
        create_dir(&self.dir)?;
        let aside = self.dir.join(format!("{id}.new"));
        if aside.try_exists()? {
            std::fs::remove_file(&aside)?;
        }
        let file = create_file(&aside)?;
        let mut out = BufWriter::with_capacity(256 * 1024, &file);
        let (mut offsets, mut end, mut next) =
            (Vec::with_capacity((count as usize + 1) * PLACE as usize), 0_u64, 0);
        for row in rows {
            let (ordinal, value) = row?;
            if ordinal != next {
                return Err(QueueError::Damaged(format!(
                    "the row of change {next} of the rollout {id} is missing"
                )));
            }
            offsets.extend_from_slice(&end.to_be_bytes());
            out.write_all(&value)?;
            out.write_all(&crc(ordinal, &value))?;
            (end, next) = (end + (value.len() + CRC) as u64, next + 1);
        }
        if next != count {
            return Err(QueueError::Damaged(format!(
                "the rollout {id} has {next} rows of {count}"
            )));
        }
        offsets.extend_from_slice(&end.to_be_bytes());
        out.write_all(&offsets)?;
        let failed: Vec<u8> = failures.iter().flat_map(|place| place.to_be_bytes()).collect();
        out.write_all(&failed)?;
        out.write_all(&crc32fast::hash(&failed).to_be_bytes())?;
        out.write_all(&count.to_be_bytes())?;
        out.write_all(&u32::try_from(failures.len()).map_err(io::Error::other)?.to_be_bytes())?;
        out.write_all(WORD)?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        std::fs::rename(&aside, self.path(id))?;
        self.bytes.fetch_add(self.bytes_of(id)?, Ordering::Relaxed);
        Ok(sync_dir(&self.dir)?)
    }

    /// The file of this rollout; `None`: its rows are in the trees.
    pub fn open(&self, id: RolloutId) -> Result<Option<Packed>, QueueError> {
        let path = self.path(id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata()?.len();
        let mut trailer = [0; TRAILER];
        let mut packed = Packed { path, file, count: 0, offsets: 0, failed: 0, failures: 0 };
        let at =
            length.checked_sub(TRAILER as u64).ok_or_else(|| packed.damaged("is too short"))?;
        packed.file.read_exact_at(&mut trailer, at)?;
        let [a, b, c, d, e, f, g, h, word @ ..] = trailer;
        if word != *WORD {
            return Err(packed.damaged("does not end as it was written"));
        }
        (packed.count, packed.failed) =
            (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let (offsets, failures) =
            ((u64::from(packed.count) + 1) * PLACE, u64::from(packed.failed) * 4 + CRC as u64);
        packed.failures = at.checked_sub(failures).ok_or_else(|| packed.damaged("is too short"))?;
        packed.offsets =
            packed.failures.checked_sub(offsets).ok_or_else(|| packed.damaged("is too short"))?;
        Ok(Some(packed))
    }

    /// The rollouts that have a file, in the order of their ids.
    pub fn rollouts(&self) -> io::Result<Vec<RolloutId>> {
        let files = match std::fs::read_dir(&self.dir) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for file in files {
            let name = file?.file_name();
            ids.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".rows"))
                    .and_then(|id| id.parse::<RolloutId>().ok()),
            );
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Packed {
    fn damaged(&self, what: &str) -> QueueError {
        QueueError::Damaged(format!("{} {what}", self.path.display()))
    }

    /// Values from place `first` on, at most `count` of them.
    fn values(&self, first: u32, count: u32) -> Result<Vec<Vec<u8>>, QueueError> {
        let count = count.min(self.count.saturating_sub(first));
        let mut list = vec![0; (count as usize + 1) * PLACE as usize];
        self.file.read_exact_at(&mut list, self.offsets + u64::from(first) * PLACE)?;
        let (places, _) = list.as_chunks::<8>();
        let places: Vec<u64> = places.iter().map(|place| u64::from_be_bytes(*place)).collect();
        let ordered = places.is_sorted() && places.last().is_some_and(|end| *end <= self.offsets);
        let (Some(begin), Some(end), true) =
            (places.first().copied(), places.last().copied(), ordered)
        else {
            return Err(self.damaged("has a list of places that cannot be"));
        };
        let mut bytes = vec![
            0;
            usize::try_from(end - begin)
                .map_err(|_| self.damaged("has rows that cannot be"))?
        ];
        self.file.read_exact_at(&mut bytes, begin)?;
        let rows =
            (first..).zip(places.windows(2)).map(|(ordinal, pair)| {
                let row = &bytes[(pair[0] - begin) as usize..(pair[1] - begin) as usize];
                match row.split_last_chunk::<CRC>() {
                    Some((value, sum)) if crc(ordinal, value) == *sum => Ok(value.to_vec()),
                    _ => Err(self
                        .damaged(&format!("has another row of change {ordinal} than was written"))),
                }
            });
        rows.collect()
    }

    pub fn row(&self, ordinal: u32) -> Result<Option<StoredRow>, QueueError> {
        let value = self.values(ordinal, 1)?.pop();
        Ok(value.map(|value| read_json("a change", &value)).transpose()?)
    }

    /// Places of the rows that failed, from `first` on.
    pub fn failures(&self, first: u32) -> Result<Vec<u32>, QueueError> {
        let mut list = vec![0; self.failed as usize * 4 + CRC];
        self.file.read_exact_at(&mut list, self.failures)?;
        match list.split_last_chunk::<CRC>() {
            Some((places, sum)) if crc32fast::hash(places).to_be_bytes() == *sum => {
                let (places, _) = places.as_chunks::<4>();
                Ok(places
                    .iter()
                    .map(|place| u32::from_be_bytes(*place))
                    .filter(|place| *place >= first)
                    .collect())
            }
            _ => Err(self.damaged("has another list of what failed than was written")),
        }
    }

    /// All rows from place `first` on, as they were in the tree. An error ends them.
    pub fn all(self, first: u32) -> impl Iterator<Item = Result<(u32, Vec<u8>), QueueError>> {
        let mut place = first;
        let mut ready = Vec::new().into_iter();
        let mut ended = false;
        std::iter::from_fn(move || {
            if ready.len() == 0 && !ended && place < self.count {
                match self.values(place, ROWS) {
                    Ok(values) => ready = values.into_iter(),
                    Err(error) => {
                        ended = true;
                        return Some(Err(error));
                    }
                }
            }
            let value = ready.next()?;
            place += 1;
            Some(Ok((place - 1, value)))
        })
    }
}

fn crc(ordinal: u32, value: &[u8]) -> [u8; CRC] {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&ordinal.to_be_bytes());
    hash.update(value);
    hash.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::Record;
    use crate::store::fixtures::at;
    use crate::store::value::write_json;

    fn row(ordinal: u32) -> StoredRow {
        StoredRow {
            record: Record { version: u64::from(ordinal) + 1, ..Record::queued() },
            due: None,
            moved_at: at(i64::from(ordinal)),
            entry: None,
        }
    }

    fn rows(count: u32) -> impl Iterator<Item = Result<(u32, IVec), QueueError>> {
        (0..count).map(|ordinal| {
            Ok((ordinal, write_json("a change", &row(ordinal)).expect("short").into()))
        })
    }

    #[test]
    fn every_row_is_found_at_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let over = SettledFiles::of(dir.path()).expect("readable");
        for count in [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS] {
            let id = RolloutId::from_bytes([u8::try_from(count % 251).expect("small"); 16]);
            assert!(over.open(id).expect("readable").is_none());
            let failed: Vec<u32> = (0..count).filter(|place| place % 9 == 4).collect();
            over.write(id, count, rows(count), &failed).expect("room on disk");
            let packed = over.open(id).expect("readable").expect("written");
            for ordinal in [0, count / 2, count.saturating_sub(1), count] {
                assert_eq!(
                    packed.row(ordinal).expect("readable"),
                    (ordinal < count).then(|| row(ordinal)),
                    "{ordinal} of {count}"
                );
            }
            let first = count / 3;
            let late: Vec<u32> = failed.into_iter().filter(|place| *place >= first).collect();
            assert_eq!(packed.failures(first).expect("readable"), late);
            let found: Vec<(u32, StoredRow)> = packed
                .all(first)
                .map(|row| {
                    row.map(|(ordinal, value)| {
                        (ordinal, read_json("a change", &value).expect("as written"))
                    })
                    .expect("readable")
                })
                .collect();
            assert_eq!(
                found,
                (first..count).map(|ordinal| (ordinal, row(ordinal))).collect::<Vec<_>>()
            );
        }
        assert_eq!(over.rollouts().expect("readable").len(), 6);
        let files = std::fs::read_dir(super::folder(dir.path())).expect("there");
        let bytes: u64 =
            files.map(|file| file.and_then(|file| file.metadata()).expect("readable").len()).sum();
        assert_eq!(
            (over.bytes(), SettledFiles::of(dir.path()).expect("readable").bytes()),
            (bytes, bytes),
            "counted as they come, and at a start"
        );
    }

    #[test]
    fn a_gap_or_a_lost_row_is_never_packed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (over, id) =
            (SettledFiles::of(dir.path()).expect("readable"), RolloutId::from_bytes([7; 16]));
        for bad in [
            over.write(id, 9, rows(9).filter(|row| !matches!(row, Ok((4, _)))), &[]),
            over.write(id, 10, rows(9), &[]),
        ] {
            assert!(matches!(bad, Err(QueueError::Damaged(_))), "{bad:?}");
            assert!(!over.has(id).expect("readable"));
        }
        over.write(id, 9, rows(9), &[]).expect("what a refused attempt left is in nobody's way");
    }

    #[test]
    fn damage_is_reported_and_never_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let (over, id) =
            (SettledFiles::of(dir.path()).expect("readable"), RolloutId::from_bytes([7; 16]));
        over.write(id, 20, rows(20), &[3, 5, 19]).expect("room on disk");
        let path = over.path(id);
        let whole = std::fs::read(&path).expect("there");
        let read = || -> Result<(Vec<u32>, Vec<StoredRow>), QueueError> {
            let Some(packed) = over.open(id)? else { return Ok(Default::default()) };
            let failed = packed.failures(0)?;
            let rows: Result<_, QueueError> =
                packed.all(0).map(|row| Ok(read_json("a change", &row?.1)?)).collect();
            Ok((failed, rows?))
        };
        let sound = read().expect("as written");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, bytes).expect("room on disk");
            if let Ok(found) = read() {
                assert!(found == sound, "byte {at}: something else was shown");
            }
        }
        for length in [0, 7, 20, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("room on disk");
            assert!(read().is_err(), "cut at {length}");
        }
    }
}
