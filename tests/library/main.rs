//! The library from outside: its API over a real socket, its readers, its quota on virtual time,
//! the wire against real servers, windows against an oracle; and the order of the house.

mod api;
mod diagnostics;
mod duplicates;
mod plans;
mod probe;
mod quota;
mod reference;
mod tidy;
mod windows;

use std::ffi::OsStr;
use std::process::Command;

/// How the binary that ships ends with these arguments, what it prints and what it says beside it;
/// the environment tells it of no daemon.
fn sealift(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sealift"))
        .args(arguments)
        .env_remove("SEALIFT_CONFIG")
        .env_remove("SEALIFT_ADDR")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
