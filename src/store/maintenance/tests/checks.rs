//! A check tells every planted damage with its place and remedy, changes nothing, and is content
//! with what is sound.

use super::damages::{DAMAGES, change, lines, meddle, one, reworded, segments};
use super::*;
use crate::store::maintenance::check::{QueueReport, check};
use crate::store::maintenance::finding::FindingSeverity;

#[tokio::test]
async fn a_sound_store_is_sound() {
    let bed = bed(21).await;
    let before = files(bed.dir.path());
    let report = check(bed.dir.path()).expect("it can be checked");
    assert!(report.sound && report.findings.is_empty(), "{report:#?}");
    assert!(
        matches!(report.queue, QueueReport::Compared { keys, behind: 0, .. } if keys > 40),
        "{report:#?}"
    );
    assert!(
        report.segments > 3 && report.entries == report.seq && report.submissions == 2,
        "{report:#?}"
    );
    assert!(files(bed.dir.path()) == before, "a check changes nothing");
    let report = check(&bed.backup).expect("it can be checked");
    assert!(report.sound, "{report:#?}");
    assert!(
        report.findings.iter().any(|finding| finding.what.contains("is a backup up to entry")),
        "{report:#?}"
    );
}

#[tokio::test]
async fn every_damage_is_reported_with_place_and_remedy() {
    let bed = bed(22).await;
    for damage in DAMAGES {
        let dir = image(bed.dir.path());
        let (numbered, one) = (segments(dir.path()), one(dir.path()));
        (damage.plant)(dir.path());
        let before = files(dir.path());
        let report = check(dir.path()).unwrap_or_else(|error| panic!("{}: {error}", damage.name));
        let named =
            |path: &PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
        let place = damage.place.replace("{0}", &named(&numbered[0])).replace("{1}", &named(&one));
        let place = place.replace("{last}", &named(numbered.last().expect("several")));
        assert!(!report.sound, "{}: {report:#?}", damage.name);
        let found = report
            .findings
            .iter()
            .find(|finding| finding.what.contains(damage.what) && finding.place.contains(&place));
        let found =
            found.unwrap_or_else(|| panic!("{}: not told at {place}: {report:#?}", damage.name));
        assert_eq!(found.severity, FindingSeverity::Damage, "{}", damage.name);
        assert!(found.remedy.contains(damage.remedy), "{}: {found:?}", damage.name);
        let damages = report
            .findings
            .iter()
            .filter(|finding| finding.severity == FindingSeverity::Damage)
            .count();
        let also_witnessed =
            damage.what.contains("the mark has seen") || damage.what.contains("that the mark");
        assert!(
            damages == 1 || also_witnessed,
            "{}: one damage, told once: {report:#?}",
            damage.name
        );
        assert!(files(dir.path()) == before, "{}: a check changes nothing", damage.name);
    }
}

#[tokio::test]
async fn all_damages_are_reported_not_only_the_first() {
    let bed = bed(23).await;
    let dir = bed.dir.path();
    change(&segments(dir)[0], 3, reworded_or_spaced);
    let path = one(dir);
    change(&path, 2, |_| Some("\0\0".into()));
    change(&path, 6, |_| None);
    let last = segments(dir).pop().expect("several");
    let number = lines(&last).len() / 2;
    change(&last, number, reworded_or_spaced);
    std::fs::remove_file(dir.join("mark")).expect("there");
    let report = check(dir).expect("it can be checked");
    let damages = report
        .findings
        .iter()
        .filter(|finding| finding.severity == FindingSeverity::Damage)
        .count();
    assert_eq!(damages, 5, "{report:#?}");
}

fn reworded_or_spaced(line: &str) -> Option<String> {
    if line.contains("\"why\":\"test\"") {
        reworded(line)
    } else {
        Some(line.replacen("\"prev\"", " \"prev\"", 1))
    }
}

#[tokio::test]
async fn what_a_crash_leaves_is_no_damage() {
    let bed = bed(24).await;
    let last = segments(bed.dir.path()).pop().expect("several");
    let whole = std::fs::read(&last).expect("there");
    std::fs::write(&last, [&whole, &b"{\"seq\":99999,\"at\":\"20"[..]].concat())
        .expect("room on disk");
    let report = check(bed.dir.path()).expect("it can be checked");
    assert!(report.sound, "{report:#?}");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.what.contains("ends in the middle of a commit")),
        "{report:#?}"
    );
    // A queue that is behind is brought after the journal by the next start.
    std::fs::write(&last, &whole).expect("room on disk");
    let running = tempfile::tempdir().expect("a directory");
    let store = crate::store::sled::SledStore::open(
        running.path(),
        crate::store::sled::SledOptions {
            floor_bytes: 0,
            gather: std::time::Duration::from_secs(3_600),
            ..Default::default()
        },
    )
    .expect("a new store");
    life(&store, 3, 20, async |_| {}).await;
    crate::store::Store::durable(&store).await.expect("available");
    let killed = image(running.path());
    let report = check(killed.path()).expect("it can be checked");
    assert!(
        report.sound && matches!(report.queue, QueueReport::Compared { behind, .. } if behind > 0),
        "{report:#?}"
    );
}

#[tokio::test]
async fn a_store_that_runs_is_checked_as_far_as_it_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, 5, 60, async |_| {}).await;
    let report = check(dir.path()).expect("it can be checked");
    assert!(report.sound, "{report:#?}");
    assert_eq!(report.daemon, Some(std::process::id().to_string()));
    assert!(
        matches!(&report.queue, QueueReport::No { why } if why.contains("works with it")),
        "{report:#?}"
    );
    store.close().expect("nothing failed");
}

#[tokio::test]
async fn flips_anywhere_in_the_queue_are_reported_or_harmless() {
    let bed = bed(25).await;
    let db = std::fs::read(bed.dir.path().join("queue/db")).expect("there");
    let used: Vec<usize> = (0..db.len()).filter(|at| db[*at] != 0).collect();
    let mut noticed = 0;
    for part in 0..16 {
        let at = used[used.len() * part / 16 + part];
        let dir = image(bed.dir.path());
        let mut flipped = db.clone();
        flipped[at] ^= 0x04;
        std::fs::write(dir.path().join("queue/db"), flipped).expect("room on disk");
        let report = check(dir.path()).expect("it can be checked");
        if report.sound {
            // Then it lies where nothing is read any more: the store shows what it showed.
            assert!(
                picture(&reopened(dir.path())).await == bed.picture,
                "byte {at}: another state, and the check was content"
            );
        } else {
            noticed += 1;
        }
    }
    assert!(noticed > 0, "no flip was noticed");
}

#[tokio::test]
async fn what_is_no_store_is_said_to_be_none() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(check(dir.path()).is_err_and(|error| error.to_string().contains("holds no store")));
    assert!(check(&dir.path().join("nowhere")).is_err());
    let bed = bed(26).await;
    meddle(bed.dir.path(), "meta", |tree| drop(tree.remove("applied").expect("sound")));
    assert!(!check(bed.dir.path()).expect("it can be checked").sound);
    assert!(
        picture(&open_plain(bed.dir.path()).expect("repaired by the start")).await == bed.picture
    );
}
