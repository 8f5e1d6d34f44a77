//! The built binary: `scripts/build.sh` leaves no path of the machine in it, and says so where one
//! stays.

use std::path::Path;
use std::process::{Command, Output};

/// A program with a panic in a file that its build made: the compiler writes the file's whole path
/// into the binary.
const BUILD: &str = r#"
fn main() {
    let made = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("made.rs");
    std::fs::write(made, "pub fn made(at: usize) -> u8 { [1, 2, 3][at] }").unwrap();
}
"#;
const MAIN: &str = r#"
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() {
    println!("{}", made(std::env::args().count()));
}
"#;

fn build(folder: &Path, main: &str) -> Output {
    let package = folder.join("package");
    std::fs::create_dir_all(package.join("src")).expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(package.join(name), text).expect("a file is written")
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"small\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"small\"\nversion = \"0.0.0\"\n");
    write("build.rs", BUILD);
    write("src/main.rs", main);
    let mut script = Command::new("sh");
    script
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/build.sh"))
        .arg("release")
        .arg("--manifest-path");
    script.arg(package.join("Cargo.toml")).env("CARGO_TARGET_DIR", folder.join("products"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        script.env_remove(variable);
    }
    script.output().expect("the script runs")
}

fn names(binary: &Path, path: &Path) -> bool {
    let bytes = std::fs::read(binary).expect("a binary");
    let path = path.to_str().expect("a path of text").as_bytes();
    bytes.windows(path.len()).any(|window| window == path)
}

#[test]
fn no_path_of_the_machine_is_in_what_the_script_builds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let built = build(folder.path(), MAIN);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let binary = folder.path().join("products/release/small");
    assert!(
        names(&binary, Path::new("/target/release/build")),
        "the path of the file that was made is written otherwise"
    );
    assert!(!names(&binary, folder.path()));
    let home = std::env::home_dir().filter(|home| home != Path::new("/"));
    assert!(
        home.is_none_or(|home| !names(&binary, &home.join(""))),
        "the home of whoever built it is in the binary"
    );
}

#[test]
fn a_path_that_stays_ends_the_build() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let built = build(folder.path(), &MAIN.replace("\"{}\"", "concat!(\"{}\", env!(\"OUT_DIR\"))"));
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(
        !built.status.success()
            && said.contains("small names")
            && said.contains("a path of this machine"),
        "{said}"
    );
}
