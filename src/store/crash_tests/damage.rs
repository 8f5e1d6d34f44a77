//! Damage of every file: what is repaired, what is refused, and what is said.

use std::path::Path;

use super::{image, life, open_plain, reopened};
use crate::store::Store;
use crate::store::error::OpenError;
use crate::store::fixtures::picture;
use crate::store::segment;
use crate::store::value::write_json;
use crate::store::{SCHEMA, SCHEMA_SINCE};

/// One way to damage something.
type DamageKind<T> = fn(&T);

/// A store after a life, closed; and its picture.
async fn closed(seed: u64) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, seed, 150, async |_| {}).await;
    let before = picture(&store).await;
    store.close().expect("nothing failed");
    (dir, before)
}

fn refused(dir: &Path) -> OpenError {
    match open_plain(dir) {
        Ok(_) => panic!("{} was opened", dir.display()),
        Err(error) => error,
    }
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let dir = dir.join("journal");
    segment::list(&dir)
        .expect("there")
        .into_iter()
        .map(|first| segment::path(&dir, first))
        .collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("there");
    bytes[at] ^= 0x04;
    std::fs::write(path, bytes).expect("room on disk");
}

/// Opens, and takes the picture; when a read meets the damage later, opens once more, as a
/// restarted daemon would.
async fn recovered(dir: &Path) -> (String, Option<String>) {
    for _ in 0..2 {
        let store = reopened(dir);
        let rebuilt = store.health().rebuilt;
        let seen = tokio::spawn(async move { picture(&store).await }).await;
        if let Ok(picture) = seen {
            return (picture, rebuilt);
        }
    }
    panic!("damaged again after it was built anew");
}

#[tokio::test]
async fn a_flipped_byte_in_the_queue_is_repaired() {
    let (dir, before) = closed(3).await;
    let db = std::fs::read(dir.path().join("queue/db")).expect("there");
    let used: Vec<usize> = (0..db.len()).filter(|at| db[*at] != 0).collect();
    let mut rebuilt = 0;
    for part in 0..24 {
        let at = used[used.len() * part / 24 + part];
        let dir = image(dir.path());
        flip(&dir.path().join("queue/db"), at);
        let (picture, said) = recovered(dir.path()).await;
        assert!(picture == before, "byte {at}: another state; {said:?}");
        if let Some(said) = said {
            rebuilt += 1;
            assert!(said.contains("queue.bad-"), "{said}");
            assert!(std::fs::read_dir(dir.path()).expect("there").any(|file| {
                file.expect("there").file_name().to_string_lossy().starts_with("queue.bad-")
            }));
        }
        assert_eq!(
            reopened(dir.path()).health().rebuilt,
            None,
            "the next start has nothing to repair"
        );
    }
    assert!(rebuilt > 0, "no flip was noticed");
}

#[tokio::test]
async fn a_queue_that_is_missing_or_cut_is_rebuilt() {
    let (dir, before) = closed(4).await;
    let cases: [(&str, DamageKind<Path>); 4] = [
        ("missing", |queue| std::fs::remove_dir_all(queue).expect("there")),
        ("without its file", |queue| std::fs::remove_file(queue.join("db")).expect("there")),
        ("cut", |queue| {
            let file =
                std::fs::OpenOptions::new().write(true).open(queue.join("db")).expect("there");
            file.set_len(file.metadata().expect("there").len() / 3).expect("allowed");
        }),
        ("empty", |queue| std::fs::write(queue.join("db"), b"").expect("allowed")),
    ];
    for (what, damage) in cases {
        let dir = image(dir.path());
        damage(&dir.path().join("queue"));
        let (picture, rebuilt) = recovered(dir.path()).await;
        assert!(picture == before, "{what}");
        // sled may find an older state in what is left; then it only has to catch up.
        assert!(rebuilt.is_some() || what == "cut", "{what}");
    }
}

/// Changes the closed queue behind the store's back, every page of it sound.
fn meddle(dir: &Path, change: impl FnOnce(&::sled::Db)) {
    let db = ::sled::Config::new().path(dir.join("queue")).open().expect("sound");
    change(&db);
    db.flush().expect("room on disk");
}

#[tokio::test]
async fn a_queue_that_does_not_add_up_is_rebuilt() {
    let (dir, before) = closed(5).await;
    let cases: [(&str, DamageKind<::sled::Db>); 4] = [
        ("do not add up", |db| {
            let active = db.open_tree("active").expect("there");
            let (key, _) = active.first().expect("sound").expect("some are active");
            active.remove(key).expect("sound");
        }),
        ("checksum", |db| {
            let rollouts = db.open_tree("rollouts").expect("there");
            let (key, value) = rollouts.first().expect("sound").expect("two");
            let mut value = value.to_vec();
            value[10] ^= 1;
            rollouts.insert(key, value).expect("sound");
        }),
        ("belongs to the store", |db| {
            let meta = db.open_tree("meta").expect("there");
            meta.insert("store", write_json("the store's id", &"another").expect("short"))
                .expect("sound");
        }),
        ("missing", |db| {
            drop(db.open_tree("meta").expect("there").remove("applied").expect("sound"))
        }),
    ];
    for (word, damage) in cases {
        let dir = image(dir.path());
        meddle(dir.path(), damage);
        let (picture, rebuilt) = recovered(dir.path()).await;
        assert!(picture == before, "{word}");
        assert!(
            rebuilt.as_ref().is_some_and(|rebuilt| rebuilt.contains(word)),
            "{word}: {rebuilt:?}"
        );
    }
}

#[tokio::test]
async fn damage_found_while_running_ends_the_process_and_is_repaired() {
    let (dir, before) = closed(6).await;
    meddle(dir.path(), |db| {
        let settled = db.open_tree("settled").expect("there");
        let (key, value) = settled.first().expect("sound").expect("some are settled");
        let mut value = value.to_vec();
        value[5] ^= 1;
        settled.insert(key, value).expect("sound");
    });
    // A start does not read what is settled, so it is a read that meets the damage.
    let store = reopened(dir.path());
    assert_eq!(store.health().rebuilt, None);
    let id = store.open_rollouts().await.expect("available")[0].id;
    let mut refused = None;
    for id in [Some(id), store.open_rollouts().await.expect("available").get(1).map(|open| open.id)]
        .into_iter()
        .flatten()
    {
        refused = refused.or(store.page(id, Vec::new(), None, 1_000).await.err());
    }
    assert!(refused.expect("a page met it").to_string().contains("builds it anew"));
    assert!(store.failed().borrow().is_some());
    drop(store);
    let store = reopened(dir.path());
    assert!(store.health().rebuilt.expect("repaired").contains("checksum"));
    assert!(picture(&store).await == before);
    drop(store);
    assert_eq!(reopened(dir.path()).health().rebuilt, None);
}

#[tokio::test]
async fn a_settled_change_that_is_lost_is_noticed() {
    let mut seed = 30;
    let (dir, before) = loop {
        let (dir, before) = closed(seed).await;
        if before.contains("Failed {") {
            break (dir, before);
        }
        seed += 1;
    };
    meddle(dir.path(), |db| {
        let failures = db.open_tree("failed").expect("there");
        let (key, _) = failures.first().expect("sound").expect("some failed");
        failures.remove(&key).expect("sound");
        db.open_tree("settled").expect("there").remove(key).expect("sound");
    });
    for failures_only in [false, true] {
        let dir = image(dir.path());
        let store = reopened(dir.path());
        let mut refused = None;
        for open in store.open_rollouts().await.expect("sound so far") {
            let met = if failures_only {
                store.stored(open.id, &["failed", "in_doubt"], 0..u32::MAX, 1_000).await.map(drop)
            } else {
                store.page(open.id, Vec::new(), None, 1_000).await.map(drop)
            };
            refused = refused.or(met.err());
        }
        assert!(refused.expect("a read met it").to_string().contains("builds it anew"));
        drop(store);
        let store = reopened(dir.path());
        assert!(store.health().rebuilt.is_some());
        assert!(picture(&store).await == before);
    }
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_cut_off_and_reported() {
    let (dir, before) = closed(7).await;
    let last = segments(dir.path()).pop().expect("several");
    let whole = std::fs::read(&last).expect("there");
    for tail in [&b"{\"seq\":99999,\"at\":\"20"[..], b"\0\0\0\0\0\0\n\0\0", b"}\n"] {
        std::fs::write(&last, [&whole, tail].concat()).expect("room on disk");
        let store = reopened(dir.path());
        let torn = store.torn().expect("told").to_owned();
        assert!(
            torn.contains(&last.display().to_string())
                && torn.contains(&format!("{} bytes", tail.len())),
            "{torn}"
        );
        assert!(picture(&store).await == before);
        drop(store);
        assert_eq!(std::fs::read(&last).expect("there"), whole);
    }
}

#[tokio::test]
async fn a_changed_byte_in_the_journal_is_refused_with_its_place() {
    let (dir, _) = closed(8).await;
    let last = segments(dir.path()).pop().expect("several");
    let bytes = std::fs::read(&last).expect("there");
    let starts: Vec<usize> = std::iter::once(0)
        .chain(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1))
        .collect();
    assert!(starts.len() > 6, "a longer life is needed");
    for line in [0, 1, starts.len() / 2] {
        // In the word of the instant: a readable line with another content. At its begin: a line
        // that cannot be read.
        for offset in [12, 0] {
            let dir = image(dir.path());
            let path = segments(dir.path()).pop().expect("several");
            flip(&path, starts[line] + offset);
            let OpenError::Damaged { path: refusal, line: number, .. } = refused(dir.path()) else {
                panic!("line {line} + {offset}")
            };
            assert_eq!(refusal, path);
            let number = usize::try_from(number).expect("few lines");
            assert!(
                number == line + 1 || number == line + 2,
                "line {} was told as {number}",
                line + 1
            );
        }
    }
    // Between two segments it is not known which of the two lines was changed: both files are
    // named.
    let dir = image(dir.path());
    let [first, second] = [0, 1].map(|index| segments(dir.path()).remove(index));
    let bytes = std::fs::read(&first).expect("there");
    let last_line =
        bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("several lines")
            + 1;
    let instant = bytes[last_line..]
        .windows(5)
        .position(|part| part == b"\"at\":")
        .expect("an entry has one");
    flip(&first, last_line + instant + 6);
    let refusal = refused(dir.path());
    assert!(
        matches!(&refusal, OpenError::Damaged { path, line: 1, .. } if *path == second),
        "{refusal}"
    );
    assert!(refusal.to_string().contains(&first.display().to_string()), "{refusal}");
    // In an older segment, it is met when the queue must be built from it.
    let dir = image(dir.path());
    flip(&segments(dir.path())[0], 12);
    std::fs::remove_dir_all(dir.path().join("queue")).expect("there");
    assert!(matches!(refused(dir.path()), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_journal_that_forgot_is_refused() {
    let (dir, _) = closed(9).await;
    let cut_line = |dir: &Path| {
        let last = segments(dir).pop().expect("several");
        let bytes = std::fs::read(&last).expect("there");
        let end =
            bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        std::fs::write(&last, &bytes[..end]).expect("room on disk");
    };
    // The last line is gone: the mark of the clean stop has seen it.
    let cut = image(dir.path());
    cut_line(cut.path());
    assert!(matches!(refused(cut.path()), OpenError::Forgotten { witness: "the mark", .. }));
    // Without the mark, the queue has seen it.
    std::fs::remove_file(cut.path().join("mark")).expect("there");
    let refusal = refused(cut.path());
    assert!(matches!(refusal, OpenError::Forgotten { witness: "the queue", .. }), "{refusal}");
    assert!(refusal.to_string().contains("nothing was changed"), "{refusal}");
    // Its last line damaged looks torn, and is noticed the same way.
    let damaged = image(dir.path());
    let last = segments(damaged.path()).pop().expect("several");
    flip(&last, std::fs::read(&last).expect("there").len() - 2);
    assert!(matches!(refused(damaged.path()), OpenError::Forgotten { .. }));
    // The whole journal is gone, or a segment in its middle.
    let gone = image(dir.path());
    std::fs::remove_dir_all(gone.path().join("journal")).expect("there");
    assert!(matches!(refused(gone.path()), OpenError::Forgotten { found: 0, .. }));
    let hole = image(dir.path());
    let missing = segments(hole.path()).remove(1);
    std::fs::remove_file(&missing).expect("there");
    let refusal = refused(hole.path());
    assert!(
        matches!(&refusal, OpenError::Damaged { path, what, .. } if *path == missing && what.starts_with("is missing")),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_store_names_the_version_that_reads_it() {
    let (dir, _) = closed(10).await;
    let path = dir.path().join("store");
    let current = std::fs::read_to_string(&path).expect("it is there");
    let needs = format!(",\"needs\":\"{SCHEMA_SINCE}\"");
    assert!(current.contains(&needs), "{current}");
    // Whoever opens it may write what an older program does not read.
    std::fs::write(&path, current.replace(&needs, "").replace("\"schema\":1", "\"schema\":0"))
        .expect("room on disk");
    open_plain(dir.path()).expect("it is sound").close().expect("nothing failed");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), current);
}

#[tokio::test]
async fn files_of_two_stores_are_distinguished() {
    let (dir, _) = closed(10).await;
    let (other, _) = closed(11).await;
    std::fs::copy(other.path().join("mark"), dir.path().join("mark")).expect("there");
    let refusal = refused(dir.path());
    assert!(
        matches!(
            refusal,
            OpenError::Forked { witness: "the mark", .. }
                | OpenError::Forgotten { witness: "the mark", .. }
        ),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_queue_without_the_journals_begin_cannot_be_built() {
    let (dir, _) = closed(12).await;
    std::fs::remove_file(&segments(dir.path())[0]).expect("there");
    // With its queue the store does not need the oldest segment.
    let store = reopened(dir.path());
    assert_eq!(store.open_rollouts().await.expect("available").len(), 2);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("queue")).expect("there");
    assert!(matches!(refused(dir.path()), OpenError::Incomplete { .. }));
}

#[tokio::test]
async fn a_damaged_submission_of_an_open_rollout_is_refused() {
    let (dir, _) = closed(13).await;
    let file = std::fs::read_dir(dir.path().join("submissions"))
        .expect("there")
        .next()
        .expect("two")
        .expect("there")
        .path();
    let len = std::fs::read(&file).expect("there").len();
    flip(&file, len - 3);
    let refusal = refused(dir.path()).to_string();
    assert!(
        refusal.contains(&file.display().to_string()) && refusal.contains("is damaged"),
        "{refusal}"
    );
    std::fs::remove_file(&file).expect("there");
    assert!(refused(dir.path()).to_string().contains("cannot read the submission"));
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let (dir, _) = closed(14).await;
    let newer = image(dir.path());
    meddle(newer.path(), |db| {
        let meta = db.open_tree("meta").expect("there");
        meta.insert("schema", write_json("the schema", &(SCHEMA + 1)).expect("short"))
            .expect("sound");
    });
    assert!(matches!(refused(newer.path()), OpenError::QueueSchema(_)));
    let told = |needs: &str| {
        let identity = format!("{{\"schema\":{},\"id\":\"x\"{needs}}}", SCHEMA + 1);
        std::fs::write(dir.path().join("store"), &identity).expect("room on disk");
        let refusal = refused(dir.path());
        assert!(matches!(refusal, OpenError::Schema { .. }), "{refusal}");
        let left = std::fs::read_to_string(dir.path().join("store")).expect("it is there");
        assert_eq!(left, identity, "an older program changes nothing");
        refusal.to_string()
    };
    // The program that will write the next schema says of itself which version that is.
    assert!(told(",\"needs\":\"9.8.7\"").contains("needs sealift 9.8.7 or newer, and this is 0."));
    assert!(told("").contains("a newer version"), "one that tells no version is refused as well");
}
