//! The fuzzer's corpus, replayed: every input that `fuzz/` keeps goes through the property that the
//! fuzzer asks for.

use std::path::Path;

/// Gives every input of one fuzz target to its property.
pub(crate) fn replay(target: &str, property: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    for path in paths {
        // Shown when the property fails.
        println!("{}", path.display());
        property(&std::fs::read(&path).expect("readable"));
    }
}
