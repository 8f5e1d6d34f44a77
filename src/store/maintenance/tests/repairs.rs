//! Repairs: a backup and the newer rest together lose nothing; what they cannot give is refused,
//! and nothing is changed.

use std::fs;

use super::damages::{DAMAGES, change, lines, one, segments};
use super::*;
use crate::store::fixtures::{started, submission};
use crate::store::maintenance::check::check;
use crate::store::maintenance::export::Export;
use crate::store::maintenance::import::CopySource;
use crate::store::maintenance::refusal::CopyError;
use crate::store::maintenance::repair::repair;

/// The queue, the lock and what was kept aside are not the repair's matter.
fn truth(dir: &Path) -> BTreeMap<PathBuf, Digest> {
    files(dir).into_iter().filter(|(path, _)| !path.starts_with(dir.join("queue"))).collect()
}

#[tokio::test]
async fn a_backup_and_the_newer_rest_lose_nothing() {
    let bed = bed(22).await;
    for damage in DAMAGES {
        let dir = image(bed.dir.path());
        (damage.plant)(dir.path());
        let before = truth(dir.path());
        let outcome =
            repair(dir.path(), Some((CopySource::Directory(&bed.backup), "the backup")), now());
        if damage.repaired {
            outcome.unwrap_or_else(|error| panic!("{}: {error}", damage.name));
            let store =
                open_plain(dir.path()).unwrap_or_else(|error| panic!("{}: {error}", damage.name));
            // A row that a start does not read is met, and rebuilt, by whoever reads it.
            let rows_only = damage.place.starts_with("queue/") || damage.place.starts_with('/');
            assert!(
                rows_only || picture(&store).await == bed.picture,
                "{}: something is lost",
                damage.name
            );
            drop(store);
            super::super::compact::compact(dir.path())
                .unwrap_or_else(|error| panic!("{}: {error}", damage.name));
            let report = check(dir.path()).expect("it can be checked");
            assert!(report.sound, "{}: {report:#?}", damage.name);
            assert!(
                picture(&reopened(dir.path())).await == bed.picture,
                "{}: something is lost",
                damage.name
            );
        } else {
            let refused = outcome.expect_err(damage.name);
            assert!(
                truth(dir.path()) == before,
                "{}: something was changed although it was refused: {refused}",
                damage.name
            );
            assert!(
                !dir.path().join("journal.repaired").exists()
                    && !dir.path().join("copy.incoming").exists(),
                "{}",
                damage.name
            );
        }
    }
}

#[tokio::test]
async fn one_changed_byte_needs_no_copy() {
    let bed = bed(51).await;
    let numbered = segments(bed.dir.path());
    let last = lines(numbered.last().expect("several")).len() - 1;
    // Of a closed segment, across a border, of the newest line, which mark and queue have seen.
    let busy = numbered.iter().position(|path| *path == one(bed.dir.path())).expect("one of them");
    for (segment, number) in
        [(busy, 3), (busy, lines(&numbered[busy]).len() - 1), (numbered.len() - 1, last)]
    {
        for place in [1, 20, 90] {
            let dir = image(bed.dir.path());
            let path = &segments(dir.path())[segment];
            let mut bytes = fs::read(path).expect("there");
            let begin: usize = lines(path)[..number].iter().map(|line| line.len() + 1).sum();
            bytes[begin + place] ^= 0x04;
            fs::write(path, bytes).expect("room on disk");
            assert!(
                !check(dir.path()).expect("it can be checked").sound,
                "segment {segment} line {number} byte {place}"
            );
            let done = repair(dir.path(), None, now()).expect("one byte").done;
            assert!(done[0].contains("one byte of entry"), "{done:?}");
            assert!(done[1].contains("journal.bad-"), "{done:?}");
            assert!(check(dir.path()).expect("it can be checked").sound);
            assert!(picture(&reopened(dir.path())).await == bed.picture);
        }
    }
    let sound = repair(bed.dir.path(), None, now()).expect("nothing to do");
    assert_eq!(sound.done, Vec::<String>::new());
}

#[tokio::test]
async fn more_than_one_byte_needs_a_copy() {
    let bed = bed(52).await;
    let dir = bed.dir.path();
    change(&one(dir), 3, |line| Some(line.replacen("\"why\":\"", "\"why\":\"zz", 1)));
    let refused = repair(dir, None, now()).expect_err("no copy").to_string();
    assert!(refused.contains(":4: entry") && refused.contains("nothing was changed"), "{refused}");
    let file = dir.join("copy.tar");
    Export::of_directory(&bed.backup)
        .expect("sound")
        .write_file(now(), false, &file)
        .expect("room on disk");
    repair(dir, Some((CopySource::at(&file).expect("there"), "copy.tar")), now())
        .expect("the copy has it");
    assert!(picture(&reopened(dir)).await == bed.picture);
}

#[tokio::test]
async fn damage_before_and_behind_the_backup_is_repaired_together() {
    let bed = bed(53).await;
    let dir = bed.dir.path();
    fs::remove_file(&segments(dir)[0]).expect("there");
    let last = segments(dir).pop().expect("several");
    change(&last, 1, |line| Some(line.replacen("\"seq\"", "\"sdq\"", 1)));
    repair(dir, Some((CopySource::Directory(&bed.backup), "the backup")), now())
        .expect("one byte and a copy");
    assert!(check(dir).expect("it can be checked").sound);
    assert!(picture(&reopened(dir)).await == bed.picture);
}

#[tokio::test]
async fn whole_folders_that_are_gone_are_reported_and_put_back() {
    let bed = bed(56).await;
    for folder in ["journal", "submissions"] {
        let dir = image(bed.dir.path());
        fs::remove_dir_all(dir.path().join(folder)).expect("there");
        let report = check(dir.path()).expect("it can be checked");
        let reported = report
            .findings
            .iter()
            .any(|finding| finding.place.contains(folder) && finding.what.contains("is missing"));
        assert!(reported && !report.sound, "{folder}: {report:#?}");
        repair(dir.path(), Some((CopySource::Directory(bed.dir.path()), "a copy")), now())
            .expect("the copy has it");
        assert!(check(dir.path()).expect("it can be checked").sound, "{folder}");
        assert!(picture(&reopened(dir.path())).await == bed.picture, "{folder}");
    }
}

#[tokio::test]
async fn a_copy_of_another_store_or_time_is_refused() {
    let (bed, other) = (bed(54).await, bed(55).await);
    let dir = bed.dir.path();
    let before = truth(dir);
    let refused = repair(dir, Some((CopySource::Directory(&other.backup), "the other")), now())
        .expect_err("another store");
    assert!(matches!(refused, CopyError::OtherStore { .. }), "{refused}");
    assert!(truth(dir) == before, "something was changed although it was refused");
    // The same store that went two ways: the line behind the copy does not carry its digest.
    let fork = image(dir);
    for (dir, title) in [(dir, "gamma"), (fork.path(), "delta")] {
        started(&reopened(dir), submission(title, &[3], 5_000)).await;
    }
    let before = truth(dir);
    let refused = repair(dir, Some((CopySource::Directory(fork.path()), "the fork")), now())
        .expect_err("another history");
    assert!(truth(dir) == before, "something was changed although it was refused: {refused}");
    let store = reopened(dir);
    assert!(
        repair(dir, None, now()).is_err_and(|error| error.to_string().contains("another daemon"))
    );
    drop(store);
}
