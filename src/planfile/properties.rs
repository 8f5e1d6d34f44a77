//! What holds of every plan and every file of targets, whatever bytes they are made of: for the
//! fuzzer in `fuzz/`, and for the tests, which replay its corpus.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::{LoadedPlan, ReadPlan, TARGETS_MAX, load, read};
use crate::domain::plan::Plan;
use crate::yaml::properties::{assert_reported, warned};

thread_local! {
    /// Where the files lie while they are read.
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("room on disk"));
}

/// What a plan of the corpus may name as `fleet.csv`.
const FLEET: &str = "\
lane,instance_id,proxy_id,tag:tier,ssl_option
prod-sg,096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01,gold,off
prod-sg,196c0fc43e804757b59946b80dc27f8bin07,3ec617ba62da4eafb921b69438beed3cpo01,iron,
lab,296c0fc43e804757b59946b80dc27f8bin07,4ec617ba62da4eafb921b69438beed3cpo01,gold,on
";

/// Openings of a calendar that are looked at.
const OPENINGS: usize = 3;

/// A plan: it is refused with places that are there, or it is valid, can be kept and read back, and
/// means the same when it is read again.
pub fn plan(bytes: &[u8]) {
    FOLDER.with(|folder| {
        write(folder.path(), "fleet.csv", FLEET.as_bytes());
        let path = write(folder.path(), "plan.yaml", bytes);
        match read(&path, None) {
            Err(diagnostics) => {
                assert_reported(&diagnostics, folder.path());
                assert_eq!(
                    load(&path).expect_err("what is refused once is refused again"),
                    diagnostics
                );
            }
            Ok(ReadPlan::Open(outline)) => {
                warned(&outline.warnings, folder.path());
                assert!(!outline.discover.is_empty());
                let refused = load(&path).expect_err("it needs a discovery");
                assert_eq!(refused.list[0].code, "discovery");
            }
            Ok(ReadPlan::Whole(loaded)) => {
                whole(&loaded, folder.path());
                let again = load(&path).expect("what is taken once is taken again");
                assert_eq!((again.plan, again.targets), (loaded.plan, loaded.targets));
            }
        }
    });
}

/// A file of targets with this ending, named by a plan that is right: as [`plan`].
pub fn targets(ending: &str, bytes: &[u8]) {
    FOLDER.with(|folder| {
        let name = format!("targets.{ending}");
        let file = write(folder.path(), &name, bytes);
        let plan =
            format!("version: 1\nname: proxies\nssl_option: true\ntargets: {{files: [{name}]}}\n");
        let path = write(folder.path(), "plan.yaml", plan.as_bytes());
        match load(&path) {
            Ok(loaded) => whole(&loaded, folder.path()),
            Err(diagnostics) => assert_reported(&diagnostics, folder.path()),
        }
        std::fs::remove_file(file).expect("there");
    });
}

/// The file of a discovery, for a plan that needs one: as [`plan`].
pub fn discovery(bytes: &[u8]) {
    FOLDER.with(|folder| {
        let found = write(folder.path(), "found.jsonl", bytes);
        let plan = "version: 1\nname: proxies\nssl_option: true\ntargets:\n  discover: [{lane: prod-sg, instance_name: \"prod-*\"}]\n";
        let path = write(folder.path(), "plan.yaml", plan.as_bytes());
        match read(&path, Some(&found)) {
            Ok(ReadPlan::Whole(loaded)) => whole(&loaded, folder.path()),
            Ok(ReadPlan::Open(_)) => panic!("it has its discovery"),
            Err(diagnostics) => assert_reported(&diagnostics, folder.path()),
        }
    });
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("room on disk");
    path
}

/// What a submission relies on.
fn whole(loaded: &LoadedPlan, folder: &Path) {
    warned(&loaded.warnings, folder);
    let LoadedPlan { plan, targets, .. } = loaded;
    assert!((1..=TARGETS_MAX as usize).contains(&targets.len()), "{} targets", targets.len());
    let proxies: BTreeSet<_> = targets.iter().map(|target| target.proxy_id).collect();
    assert_eq!(proxies.len(), targets.len(), "a proxy twice");
    let mut end = 0;
    for wave in &plan.strategy.waves {
        assert!(
            wave.first == end && wave.size > 0 && wave.max_failures > 0,
            "{wave:?} after {end}"
        );
        end = wave.end();
    }
    assert_eq!(end as usize, targets.len(), "the waves hold every target once");
    let kept = serde_json::to_vec(plan).expect("a plan can be kept");
    assert_eq!(serde_json::from_slice::<Plan>(&kept).expect("and read back"), *plan);
    let from = Timestamp::from_second(1_800_000_000).expect("within range");
    let openings = plan.calendar.openings(from, OPENINGS);
    assert!(openings.windows(2).all(|pair| pair[0].open < pair[1].open), "{openings:?}");
}

#[cfg(test)]
mod tests {
    use crate::tests::corpus::replay;

    #[test]
    fn the_corpus_holds() {
        replay("plan", super::plan);
        replay("targets_csv", |bytes| super::targets("csv", bytes));
        replay("targets_jsonl", |bytes| super::targets("jsonl", bytes));
        replay("targets_yaml", |bytes| super::targets("yaml", bytes));
        replay("discovery", super::discovery);
    }
}
