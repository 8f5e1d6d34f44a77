//! The house keeps itself in order: imports only go down, files stay small, modules say what they
//! are for, and the map in ARCHITECTURE.md names them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top down: each may import only what stands behind it. `main.rs` stands above
/// all of them.
const ORDER: &[&str] = &[
    "daemon",
    "cli",
    "page",
    "traces",
    "metrics",
    "api",
    "notify",
    "words",
    "rehearse",
    "engine",
    "simcloud",
    "probe",
    "cloud",
    "store",
    "config",
    "planfile",
    "yaml",
    "authorities",
    "database",
    "clock",
    "domain",
];

/// Pairs that the order alone would allow and that would be wrong all the same: importer, imported.
const APART: &[(&str, &str)] = &[
    ("probe", "cloud"),
    ("probe", "store"),
    ("probe", "config"),
    ("probe", "planfile"),
    ("probe", "yaml"),
    ("cloud", "store"),
    ("cloud", "config"),
    ("cloud", "planfile"),
    ("store", "config"),
    ("store", "planfile"),
    ("engine", "simcloud"),
    ("simcloud", "store"),
    ("simcloud", "config"),
    ("simcloud", "planfile"),
    ("engine", "config"),
    ("engine", "planfile"),
    ("rehearse", "config"),
    ("rehearse", "planfile"),
];

/// Lines of code that one file may have, tests and comments not counted.
const LINES_MAX: usize = 500;

/// Folders that hold rust code of ours.
const CODE: &[&str] = &["src", "tests", "benches", "fuzz/fuzz_targets"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "misc", "manager", "shared_code"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let files = rust_files(&root().join("src"));
    files
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(root()).expect("below the root").to_owned(),
                fs::read_to_string(&path).expect("readable"),
            )
        })
        .collect()
}

/// The top-level module of a file below `src`.
fn module(path: &Path) -> String {
    let first = path
        .components()
        .nth(1)
        .expect("a file below src")
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
    name == "tests" || path.components().any(|part| part.as_os_str() == "tests")
}

/// The lines of code that ship: without comments, and without what is compiled for tests alone.
///
/// An item under `#[cfg(test)]` ends with its line, or with the brace that closes it in the first
/// column.
fn code(text: &str) -> Vec<&str> {
    let mut shipped = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let item =
                lines.by_ref().find(|line| !line.starts_with("#[") && !line.starts_with("//"));
            if item.is_some_and(|item| !item.ends_with(';') && !item.ends_with('}')) {
                lines.by_ref().find(|line| line.starts_with('}'));
            }
            continue;
        }
        let line = line.trim();
        if !line.is_empty() && !line.starts_with("//") {
            shipped.push(line);
        }
    }
    shipped
}

/// The top-level modules that this code names after `crate::`, those of a group (`crate::{a,
/// b::c}`) too.
fn modules_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        if !rest.starts_with('{') {
            named.push(first_word(rest));
            continue;
        }
        let mut depth = 0_u32;
        for (at, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => {}
                _ => continue,
            }
            match depth {
                0 => break,
                1 => named.push(first_word(rest[at + 1..].trim_start())),
                _ => {}
            }
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// What a file below `src` imports although it may not.
fn wrong_imports(path: &Path, text: &str) -> Vec<String> {
    let place = |module: &str| ORDER.iter().position(|listed| *listed == module);
    let own = module(path);
    if own == "lib" || own == "main" || is_test(path) {
        return Vec::new();
    }
    let from = place(&own)
        .unwrap_or_else(|| panic!("module {own} is missing in the order of tests/library/tidy.rs"));
    let mut wrong = Vec::new();
    for other in modules_named(&code(text).join("\n")) {
        let Some(to) = place(&other) else { continue };
        if to < from || APART.contains(&(own.as_str(), other.as_str())) {
            wrong.push(format!("{}: {own} may not import {other}", path.display()));
        }
    }
    wrong
}

#[test]
fn imports_only_go_down() {
    let wrong: Vec<_> =
        sources().iter().flat_map(|(path, text)| wrong_imports(path, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The guard reads a file to its own tests, past items that only tests use, and into grouped
/// imports.
#[test]
fn an_import_upwards_is_found_wherever_it_stands() {
    let path = Path::new("src/domain/change.rs");
    let text = fs::read_to_string(root().join(path)).expect("readable");
    assert_eq!(wrong_imports(path, &text), Vec::<String>::new());
    let tests = text.rfind("#[cfg(test)]").expect("the file's own tests");
    let plants = [
        "use crate::store::Store;\n",
        "use crate::{\n    domain::id::Name,\n    store::{Store, page},\n};\n",
        "#[cfg(test)]\nuse crate::api;\nfn planted() { crate::store::open() }\n",
    ];
    for plant in plants {
        let planted = format!("{}{plant}{}", &text[..tests], &text[tests..]);
        assert_eq!(wrong_imports(path, &planted).len(), 1, "{plant}");
    }
    let in_tests = format!("{text}\n#[cfg(test)]\nmod more {{\n    use crate::store::Store;\n}}\n");
    assert_eq!(
        wrong_imports(path, &in_tests),
        Vec::<String>::new(),
        "what only tests import is their own"
    );
}

#[test]
fn the_library_lists_its_modules_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    let listed: Vec<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, ORDER, "src/lib.rs is the map: its modules stand from the top down");
}

#[test]
fn files_stay_small_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = code(&text).len();
        if lines > LINES_MAX && !is_test(&path) {
            wrong.push(format!("{}: {lines} lines of code, at most {LINES_MAX}", path.display()));
        }
        let opened = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .is_some_and(|line| line.starts_with("//!"));
        if !opened && !is_test(&path) {
            wrong.push(format!("{}: does not open with what it is for (//!)", path.display()));
        }
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&name.as_str()) {
            wrong.push(format!("{}: a name that does not tell what is inside", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One name, one type: apart from words that their module qualifies, no name of a type stands in
/// two modules.
#[test]
fn a_type_has_a_name_of_its_own() {
    let qualified =
        ["State", "Event", "Context", "Decision", "Record", "Effect", "Error", "Options"];
    let mut defined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in CODE {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("readable");
            for line in text.lines() {
                let line = line.strip_prefix("pub ").unwrap_or(line);
                let line = line
                    .strip_prefix("pub(")
                    .and_then(|rest| rest.split_once(") "))
                    .map_or(line, |(_, item)| item);
                let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
                let Some(name) =
                    kinds.iter().find_map(|kind| line.strip_prefix(kind)).map(first_word)
                else {
                    continue;
                };
                if !qualified.contains(&name.as_str()) {
                    defined.entry(name).or_default().insert(path.display().to_string());
                }
            }
        }
    }
    let shared = defined.iter().filter(|(_, files)| files.len() > 1);
    let shared: Vec<_> = shared
        .map(|(name, files)| {
            format!("{name}: {}", files.iter().cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

#[test]
fn only_the_clock_reads_time_and_nothing_is_unsafe() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        let clock = module(&path) == "clock";
        for line in code(&text) {
            let reads = [
                "Instant::now(",
                "SystemTime::now(",
                "Timestamp::now(",
                "ZonedDateTime::now(",
                "Utc::now(",
            ];
            if !clock && reads.iter().any(|call| line.contains(call)) {
                wrong.push(format!("{}: {line}", path.display()));
            }
            if line.contains("unsafe ") {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_open() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("FIX", "ME"),
        concat!("X", "XX:"),
    ];
    let mut wrong = Vec::new();
    for folder in CODE {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("readable");
            wrong.extend(
                words
                    .iter()
                    .filter(|word| text.contains(**word))
                    .map(|word| format!("{}: {word}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_room_and_nothing_that_is_not_there() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let named = |room: &&&str| {
        !map.contains(&format!("`{room}/`")) && !map.contains(&format!("`{room}.rs`"))
    };
    assert_eq!(
        ORDER.iter().filter(named).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "rooms that ARCHITECTURE.md does not name"
    );
    let there = |path: &str| {
        ["", "src", "src/domain", "src/store", "src/rehearse"]
            .iter()
            .any(|below| root().join(below).join(path).exists())
    };
    let places = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| text.contains('/') || text.ends_with(".rs"));
    let places =
        places.filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)));
    let gone: Vec<&str> = places.filter(|place| !there(place)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}");
}

/// What is longer is read by nobody: the rest stands in `docs/`.
#[test]
fn map_and_front_page_stay_short() {
    for (page, bound) in [("ARCHITECTURE.md", 130), ("README.md", 110)] {
        let text = fs::read_to_string(root().join(page)).expect("the page is there");
        let lines = text.lines().count();
        assert!(lines <= bound, "{page} has {lines} lines, {bound} are allowed");
    }
}
