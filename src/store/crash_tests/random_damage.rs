//! Damage of every file of a store that had some life, drawn at random: whatever is hit, the store
//! shows what it showed before, perhaps after it built its queue anew, or it is refused by the name
//! of what is damaged. It never shows anything else.

use std::path::{Path, PathBuf};

use super::score::Score;
use super::{image, life, open_plain, reopened};
use crate::store::Store;
use crate::store::error::OpenError;
use crate::store::fixtures::picture;

/// Damages in the normal run; `STORE_DAMAGES` asks for more.
const DAMAGES: usize = 60;

/// Damages of one store, before another one lives.
const DAMAGES_A_LIFE: usize = 100;

/// Steps of a life.
const STEPS: usize = 150;

/// What a page of the disk holds.
const PAGE: usize = 4096;

/// A store to be damaged, and what it shows.
struct IntactStore {
    dir: tempfile::TempDir,
    picture: String,
}

/// Every other one was stopped in peace; the rest lies there as a kill leaves it.
async fn whole(seed: u64) -> IntactStore {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, seed, STEPS, async |_| {}).await;
    store.durable().await.expect("available");
    let picture = picture(&store).await;
    if seed.is_multiple_of(2) {
        store.close().expect("nothing failed");
        return IntactStore { dir, picture };
    }
    IntactStore { dir: image(dir.path()), picture }
}

/// Files of a store by what they are to it; the lock holds nothing.
const KINDS: [&str; 4] = ["journal", "queue", "submissions", "mark and identity"];

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    if kind == KINDS[3] {
        return vec![dir.join("mark"), dir.join("store")];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join(kind))
        .expect("there")
        .map(|file| file.expect("there").path())
        .collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Harms a file in one of the ways that disks have; says how. `None` when that left every byte as
/// it was.
fn harm(path: &Path, random: &mut fastrand::Rng) -> Option<String> {
    let before = std::fs::read(path).ok()?;
    let mut bytes = before.clone();
    // Long files of the queue are mostly zeros, in which nothing can be hit.
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = *used.get(random.usize(..used.len().max(1)))?;
    let how = match random.u8(..8) {
        // Taking away the oldest segments is what those do who keep the journal elsewhere; the
        // start says so.
        0 if path.ends_with("000000000001.jsonl") => return None,
        0 => {
            std::fs::remove_file(path).expect("there");
            return Some("removed".into());
        }
        1 | 2 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        3 => {
            let page = at / PAGE * PAGE..(at / PAGE * PAGE + PAGE).min(bytes.len());
            bytes[page.clone()].fill(0);
            format!("zeros at {page:?}")
        }
        4 => {
            bytes[at] = random.u8(..);
            format!("another byte at {at}")
        }
        _ => {
            let bit = random.u8(..8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
    };
    std::fs::write(path, &bytes).expect("room on disk");
    (bytes != before).then_some(how)
}

/// What a damaged store came to.
enum DamageOutcome {
    Sound,
    Rebuilt,
    Refused(String),
    Wrong,
}

/// Opens and reads everything; a read that meets damage ends the process, so it is opened once
/// more, as a supervisor would.
async fn outcome(dir: &Path, expected: &str) -> DamageOutcome {
    let mut reason = String::new();
    for _ in 0..2 {
        let store = match open_plain(dir) {
            Ok(store) => store,
            Err(error) => return DamageOutcome::Refused(refusal(&error)),
        };
        let rebuilt = store.health().rebuilt.is_some();
        match tokio::spawn(async move { picture(&store).await }).await {
            Ok(shown) if shown != expected => return DamageOutcome::Wrong,
            Ok(_) if rebuilt => return DamageOutcome::Rebuilt,
            Ok(_) => return DamageOutcome::Sound,
            Err(panic) => reason = crate::store::error::panic_message(panic.into_panic().as_ref()),
        }
    }
    DamageOutcome::Refused(reason)
}

fn refusal(error: &OpenError) -> String {
    let source =
        std::error::Error::source(error).map_or(String::new(), |source| format!(": {source}"));
    format!("{error}{source}")
}

/// Whether a refusal leads a person to what is damaged: the file itself, or the journal as a whole
/// when what it lacks cannot be seen in it.
fn leads_to(reason: &str, path: &Path) -> bool {
    let journal =
        path.parent().is_some_and(|dir| dir.ends_with("journal")) || path.ends_with("mark");
    reason.contains(&path.display().to_string())
        || journal
            && ["the journal ends with entry", "of the journal"]
                .iter()
                .any(|word| reason.contains(word))
}

#[tokio::test]
async fn damage_anywhere_is_repaired_or_reported() {
    let damages = std::env::var("STORE_DAMAGES")
        .map_or(DAMAGES, |damages| damages.parse().expect("a number"));
    // At least two lives, for one ends in peace and the other is killed.
    let a_life = DAMAGES_A_LIFE.min(damages / 2).max(1);
    let mut random = fastrand::Rng::with_seed(0xda4a);
    let mut scores = KINDS.map(|kind| Score::of(format!("damage of the {kind}")));
    let mut whole_one = whole(0).await;
    // Each read that meets damage panics on purpose, and says so again in the outcome.
    std::panic::set_hook(Box::new(|_| {}));
    for damage in 0..damages {
        if damage > 0 && damage % a_life == 0 {
            whole_one = whole((damage / a_life) as u64).await;
        }
        let kind = damage % KINDS.len();
        let dir = image(whole_one.dir.path());
        let files = files(dir.path(), KINDS[kind]);
        let path = &files[random.usize(..files.len())];
        let Some(how) = harm(path, &mut random) else { continue };
        let score = &mut scores[kind];
        score.times += 1;
        let at = format!(
            "damage {damage}, {} {how}",
            path.strip_prefix(dir.path()).expect("within").display()
        );
        match outcome(dir.path(), &whole_one.picture).await {
            DamageOutcome::Sound => score.sound += 1,
            DamageOutcome::Rebuilt => score.rebuilt += 1,
            DamageOutcome::Refused(reason) if leads_to(&reason, path) => score.refused += 1,
            DamageOutcome::Refused(reason) => {
                score.wrong.push(format!("{at}: refused without its place: {reason}"))
            }
            DamageOutcome::Wrong => score.wrong.push(format!("{at}: another state was shown")),
        }
    }
    drop(std::panic::take_hook());
    Score::settle_all(&scores);
}
