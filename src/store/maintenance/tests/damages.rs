//! A table of damages: what is done, where it must be found, and what the remedy must be.

use std::path::{Path, PathBuf};

use crate::store::segment;

/// One kind of damage.
pub(super) struct DamageCase {
    pub name: &'static str,
    pub plant: super::StoreAction,
    /// What the place must hold, `{0}` standing for the first segment, `{1}` for the one of [`one`]
    /// and `{last}` for the last one.
    pub place: &'static str,
    pub what: &'static str,
    pub remedy: &'static str,
    /// What `repair --from` an older backup makes of it.
    pub repaired: bool,
}

pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    let dir = super::super::offline::journal(dir);
    segment::list(&dir)
        .expect("there")
        .into_iter()
        .map(|first| segment::path(&dir, first))
        .collect()
}

/// A closed segment with lines enough to lose some of them, which the backup has, too.
pub(super) fn one(dir: &Path) -> PathBuf {
    let numbered = segments(dir);
    let closed = &numbered[1..numbered.len() - 1];
    closed
        .iter()
        .find(|path| lines(path).len() >= 8)
        .expect("most segments hold many lines")
        .clone()
}

pub(super) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).expect("text").lines().map(str::to_owned).collect()
}

fn write(path: &Path, lines: &[String]) {
    std::fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        .expect("room on disk");
}

/// Changes one line of a segment; both are counted from 0.
pub(super) fn change(path: &Path, number: usize, change: impl FnOnce(&str) -> Option<String>) {
    let mut all = lines(path);
    let changed = change(&all[number]);
    match changed {
        Some(line) => all[number] = line,
        None => drop(all.remove(number)),
    }
    write(path, &all);
}

/// A reason that was written with every move of the tests' world.
pub(super) fn reworded(line: &str) -> Option<String> {
    assert!(
        line.contains("\"why\":\"test\"")
            || line.contains("\"why\":\"release\"")
            || line.contains("\"why\":\"grown\""),
        "{line}"
    );
    Some(line.replacen("\"why\":\"", "\"why\":\"~", 1))
}

fn a_submission(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("submissions"))
        .expect("there")
        .map(|file| file.expect("there").path())
        .collect();
    files.sort();
    files.remove(0)
}

/// Changes the closed queue behind the store's back, every page of it sound.
pub(super) fn meddle(dir: &Path, tree: &str, change: impl FnOnce(&::sled::Tree)) {
    let db = ::sled::Config::new().path(dir.join("queue")).open().expect("sound");
    change(&db.open_tree(tree).expect("there"));
    db.flush().expect("room on disk");
}

fn first_of(tree: &::sled::Tree) -> (::sled::IVec, Vec<u8>) {
    let (key, value) = tree.first().expect("sound").expect("not empty");
    (key, value.to_vec())
}

const REPAIR: &str = "sealift store repair";
const START: &str = "the next start";
const COMPACT: &str = "sealift store compact";

pub(super) const DAMAGES: &[DamageCase] = &[
    DamageCase {
        name: "a line of a closed segment reads otherwise",
        plant: |dir| change(&one(dir), 4, reworded),
        place: "{1}:5",
        what: "was changed: the line after it carries another digest",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "the last line of a closed segment reads otherwise",
        plant: |dir| {
            let path = &one(dir);
            let last = lines(path).len() - 1;
            change(path, last, |line| Some(line.replacen("\"prev\"", " \"prev\"", 1)));
        },
        place: "{1}:",
        what: "was changed",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "a line cannot be read",
        plant: |dir| change(&one(dir), 2, |line| Some(line.replacen("{\"seq\"", "{\"s\0q\"", 1))),
        place: "{1}:3",
        what: "cannot be read",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "a line names another line before it",
        plant: |dir| {
            change(&one(dir), 3, |line| {
                let (head, prev) = line.rsplit_once("\"prev\":\"").expect("every line has one");
                let digit = if prev.starts_with('0') { '1' } else { '0' };
                Some(format!("{head}\"prev\":\"{digit}{}", &prev[1..]))
            });
        },
        place: "{1}:4",
        what: "fits neither to the line before it nor to the one after it",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "a line has another number",
        plant: |dir| change(&one(dir), 3, |line| Some(line.replacen("{\"seq\":", "{\"seq\":9", 1))),
        place: "{1}:4",
        what: "fits neither",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "a line is gone",
        plant: |dir| change(&one(dir), 3, |_| None),
        place: "{1}:4",
        what: "are missing before it",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "the first line of all is gone",
        plant: |dir| change(&segments(dir)[0], 0, |_| None),
        place: "{0}:1",
        what: "are missing before it",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "a segment is gone",
        plant: |dir| std::fs::remove_file(one(dir)).expect("there"),
        place: "{1}",
        what: "are missing",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "the first segment is gone",
        plant: |dir| std::fs::remove_file(&segments(dir)[0]).expect("there"),
        place: "{0}",
        what: "are missing",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "a closed segment ends early",
        plant: |dir| {
            let path = &one(dir);
            let mut all = lines(path);
            all.truncate(all.len() - 2);
            write(path, &all);
        },
        place: "journal/",
        what: "are missing",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "the journal's newest lines are gone",
        plant: |dir| {
            let path = segments(dir).pop().expect("several");
            let mut all = lines(&path);
            all.truncate(all.len() - 2);
            write(&path, &all);
        },
        place: "journal",
        what: "the mark has seen entry",
        remedy: "--from",
        repaired: false,
    },
    DamageCase {
        name: "the journal's last line reads otherwise",
        plant: |dir| {
            let path = segments(dir).pop().expect("several");
            let last = lines(&path).len() - 1;
            change(&path, last, |line| Some(line.replacen("\"prev\"", "  \"prev\"", 1)));
        },
        place: "journal",
        what: "is not the one that the mark has seen",
        remedy: REPAIR,
        repaired: false,
    },
    DamageCase {
        name: "a line that no backup has reads otherwise",
        plant: |dir| {
            let path = segments(dir).pop().expect("several");
            change(&path, 1, |line| Some(line.replacen("\"prev\"", "  \"prev\"", 1)));
        },
        place: "{last}:2",
        what: "was changed",
        remedy: REPAIR,
        repaired: false,
    },
    DamageCase {
        name: "a submission is gone",
        plant: |dir| std::fs::remove_file(a_submission(dir)).expect("there"),
        place: "submissions/",
        what: "is missing",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "a target of a submission reads otherwise",
        plant: |dir| {
            let file = a_submission(dir);
            let text = std::fs::read_to_string(&file).expect("text");
            let (head, tail) = text.rsplit_once("po01").expect("targets");
            std::fs::write(&file, format!("{head}po02{tail}")).expect("room on disk");
        },
        place: "submissions/",
        what: "is not what was submitted",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "a target of a submission cannot be read",
        plant: |dir| change(&a_submission(dir), 6, |line| Some(line.replacen("{", "", 1))),
        place: ".jsonl:7",
        what: "is not what was submitted",
        remedy: "--from",
        repaired: true,
    },
    DamageCase {
        name: "the mark is gone",
        plant: |dir| std::fs::remove_file(dir.join("mark")).expect("there"),
        place: "mark",
        what: "is missing",
        remedy: START,
        repaired: true,
    },
    DamageCase {
        name: "the mark cannot be read",
        plant: |dir| std::fs::write(dir.join("mark"), "{\"seq\":").expect("room on disk"),
        place: "mark:1",
        what: "cannot be read",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "which store it is cannot be read",
        plant: |dir| std::fs::write(dir.join("store"), "\0").expect("room on disk"),
        place: "store:1",
        what: "cannot be read",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "which store it is is gone",
        plant: |dir| std::fs::remove_file(dir.join("store")).expect("there"),
        place: "store",
        what: "is missing",
        remedy: REPAIR,
        repaired: true,
    },
    DamageCase {
        name: "the queue is gone",
        plant: |dir| std::fs::remove_dir_all(dir.join("queue")).expect("there"),
        place: "queue",
        what: "is missing",
        remedy: START,
        repaired: true,
    },
    DamageCase {
        name: "the queue's file is cut to nothing",
        plant: |dir| std::fs::write(dir.join("queue/db"), "").expect("allowed"),
        place: "queue",
        what: "cannot be opened",
        remedy: START,
        repaired: true,
    },
    DamageCase {
        name: "a row of the queue is gone",
        plant: |dir| {
            meddle(dir, "active", |tree| {
                let (key, _) = first_of(tree);
                tree.remove(key).expect("sound");
            });
        },
        place: "queue/active/",
        what: "is missing",
        remedy: COMPACT,
        repaired: true,
    },
    DamageCase {
        name: "a settled row has a flipped bit",
        plant: |dir| {
            meddle(dir, "settled", |tree| {
                let (key, mut value) = first_of(tree);
                value[9] ^= 1;
                tree.insert(key, value).expect("sound");
            });
        },
        place: "queue/settled/",
        what: "its checksum does not match",
        remedy: COMPACT,
        repaired: true,
    },
    DamageCase {
        name: "a rollout's tallies are another rollout's",
        plant: |dir| {
            meddle(dir, "rollouts", |tree| {
                let tallies: Vec<_> = tree
                    .iter()
                    .map(|pair| pair.expect("sound"))
                    .filter(|(key, _)| key.len() == 17)
                    .collect();
                let (one, other) = (&tallies[0], &tallies[1]);
                assert_ne!(one.1, other.1, "the two differ");
                tree.insert(&one.0, &other.1).expect("sound");
            });
        },
        place: "/tallies",
        what: "is not what the journal says",
        remedy: COMPACT,
        repaired: true,
    },
    DamageCase {
        name: "a job id of an instance is forgotten",
        plant: |dir| {
            meddle(dir, "instances", |tree| {
                let (key, _) = first_of(tree);
                let none =
                    crate::store::value::write_json("jobs", &Vec::<String>::new()).expect("short");
                tree.insert(key, none).expect("sound");
            });
        },
        place: "queue/instances/main/",
        what: "where the journal says",
        remedy: COMPACT,
        repaired: true,
    },
    DamageCase {
        name: "the queue has a row too many",
        plant: |dir| {
            meddle(dir, "failed", |tree| {
                tree.insert([7_u8; 20], vec![]).expect("sound");
            });
        },
        place: "queue/failed/0707",
        what: "the journal knows nothing of it",
        remedy: COMPACT,
        repaired: true,
    },
    DamageCase {
        name: "an enforcement has lost a piece",
        plant: |dir| {
            meddle(dir, "meta", |tree| {
                let (key, _) =
                    tree.scan_prefix(b"enforcement/").last().expect("one").expect("sound");
                tree.remove(key).expect("sound");
            });
        },
        place: "queue/meta/enforcement",
        what: "is missing",
        remedy: COMPACT,
        repaired: true,
    },
];
