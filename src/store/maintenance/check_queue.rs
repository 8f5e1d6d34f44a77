//! The queue's part of a check: every key of it beside a queue that is rebuilt from the journal.
//!
//! Invariants: the queue is read in a copy, because sled writes as it opens; it is compared at the
//! very entry that it claims to have reached. Values that differ only in how they are written count
//! as equal.

use std::cmp::Ordering;
use std::path::Path;

use ::sled::{IVec, Tree};
use serde_json::Value;

use super::extent::Extent;
use super::finding::Findings;
use super::offline::{journal, queue};
use super::rebuild;
use super::witness::{applied, copied};
use crate::domain::id::RolloutId;
use crate::store::bins;
use crate::store::draft::TreeName;
use crate::store::error::OpenError;
use crate::store::error::QueueError;
use crate::store::open::{QueueRefusal, guarded};
use crate::store::record::Mark;
use crate::store::value::{change_of, unseal};

const REMEDY: &str = "none: the next start builds the queue anew from the journal";

/// What to do where a start would not notice by itself.
const UNNOTICED: &str = "sealift store compact, which builds the queue anew from the journal";

/// Under which a row names its latest entry.
const ENTRY: &str = "q";

/// What came of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    /// Keys that were compared.
    pub keys: u64,
    /// How far the queue is.
    pub applied: Mark,
}

/// The entry that the queue claims to have reached; `None` when it is not there, or cannot say.
pub(super) fn reached(
    dir: &Path,
    store: &str,
    findings: &mut Findings,
) -> Result<Option<Mark>, OpenError> {
    let file = queue(dir).join("db");
    if !file.exists() {
        return Ok(None);
    }
    match guarded(|| applied(&copied(dir, store)?.queue)) {
        Ok(mark) => Ok(Some(mark)),
        Err(QueueRefusal::Open(error)) => Err(error),
        Err(QueueRefusal::Damaged(what)) => {
            findings.damage(queue(dir).display(), format!("cannot be opened: {what}"), REMEDY);
            Ok(None)
        }
    }
}

/// Compares every key of the queue with a queue that is rebuilt from a journal that is sound.
pub(super) fn compare(
    dir: &Path,
    store: &str,
    findings: &mut Findings,
) -> Result<Option<Compared>, OpenError> {
    let extent = Extent::of_journal(&journal(dir))?;
    let there = match guarded(|| copied(dir, store)) {
        Ok(there) => there,
        Err(QueueRefusal::Open(error)) => return Err(error),
        // It could be opened a moment ago, and was told then.
        Err(QueueRefusal::Damaged(_)) => return Ok(None),
    };
    let Ok(applied) = guarded(|| applied(&there.queue)) else { return Ok(None) };
    let folder = tempfile::Builder::new().prefix("sealift-anew-").tempdir();
    let folder = folder.map_err(|source| OpenError::Directory {
        what: "build a queue in",
        path: std::env::temp_dir(),
        source,
    })?;
    let anew = rebuild::build(dir, store, &extent, applied.seq, folder.path())?;
    let mut keys = 0;
    for ((name, is), (_, must)) in there.queue.trees().into_iter().zip(anew.trees()) {
        let place = format!("{}/{}", queue(dir).display(), name.as_str());
        // A tree that cannot be walked to its end is one finding; the others are looked at all the
        // same.
        let compared = guarded(|| match name {
            // What is over may lie in a file already, here or there.
            TreeName::Settled => {
                walk(name, &place, there.queue.all_settled()?, anew.all_settled()?, findings)
            }
            TreeName::Failures => {
                walk(name, &place, there.queue.all_failures()?, anew.all_failures()?, findings)
            }
            // An earlier version has not counted what it wrote, and a store that it wrote is sound.
            TreeName::Bins if bins::begins(is)? != bins::begins(must)? => Ok(0),
            _ => walk(name, &place, pairs(is), pairs(must), findings),
        });
        match compared {
            Ok(found) => keys += found,
            Err(QueueRefusal::Open(error)) => return Err(error),
            Err(QueueRefusal::Damaged(what)) => {
                findings.damage(place, format!("cannot be read to its end: {what}"), UNNOTICED)
            }
        }
    }
    Ok(Some(Compared { keys, applied }))
}

type KeyValue = Result<(IVec, IVec), QueueError>;

fn pairs(tree: &Tree) -> impl Iterator<Item = KeyValue> {
    tree.iter().map(|pair| Ok(pair?))
}

fn walk(
    name: TreeName,
    place: &str,
    mut is: impl Iterator<Item = KeyValue>,
    mut must: impl Iterator<Item = KeyValue>,
    findings: &mut Findings,
) -> Result<u64, QueueRefusal> {
    let (mut left, mut right) = (is.next().transpose()?, must.next().transpose()?);
    let mut keys = 0;
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(keys),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((left, _)), Some((right, _))) => left.cmp(right),
        };
        keys += 1;
        match order {
            Ordering::Less => {
                let key = left.as_ref().map(|(key, _)| describe(name, key)).unwrap_or_default();
                findings.damage(
                    format!("{place}/{key}"),
                    "is there, and the journal knows nothing of it",
                    UNNOTICED,
                );
            }
            Ordering::Greater => {
                let key = right.as_ref().map(|(key, _)| describe(name, key)).unwrap_or_default();
                findings.damage(format!("{place}/{key}"), "is missing", UNNOTICED);
            }
            Ordering::Equal => {
                if let (Some((key, left)), Some((_, right))) = (&left, &right)
                    && let Some(what) = difference(left, right)
                {
                    findings.damage(format!("{place}/{}", describe(name, key)), what, UNNOTICED);
                }
            }
        }
        if order != Ordering::Greater {
            left = is.next().transpose()?;
        }
        if order != Ordering::Less {
            right = must.next().transpose()?;
        }
    }
}

fn difference(is: &IVec, must: &IVec) -> Option<String> {
    if is == must {
        return None;
    }
    let Ok(body) = unseal("it", is) else { return Some("its checksum does not match".into()) };
    let must = unseal("it", must).unwrap_or_default();
    // Another version may write the same with other fields in another order.
    match (serde_json::from_slice::<Value>(body), serde_json::from_slice::<Value>(must)) {
        (Ok(is), Ok(must)) if is == must || Some(&is) == unlinked(&is, &must).as_ref() => None,
        (Ok(is), Ok(must)) => Some(format!("is {is} where the journal says {must}")),
        _ => Some("is not what the journal says".into()),
    }
}

/// What must stand there, as an earlier version wrote it: without the entry that a row names.
fn unlinked(is: &Value, must: &Value) -> Option<Value> {
    let mut must = must.clone();
    let old = must.get("r").is_some() && is.get(ENTRY).is_none();
    (old && must.as_object_mut()?.remove(ENTRY).is_some()).then_some(must)
}

/// A key, for people.
fn describe(tree: TreeName, key: &[u8]) -> String {
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "/").escape_debug().to_string();
    match tree {
        TreeName::Active | TreeName::Settled | TreeName::Failures => {
            change_of(key).map_or_else(|| hex::encode(key), |id| id.to_string())
        }
        TreeName::Rollouts => match key.split_first_chunk::<16>() {
            Some((id, [])) => RolloutId::from_bytes(*id).to_string(),
            Some((id, _)) => format!("{}/tallies", RolloutId::from_bytes(*id)),
            None => hex::encode(key),
        },
        _ => text(key),
    }
}
