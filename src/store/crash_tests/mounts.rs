//! File systems of a test's own, in a mount namespace that ends with it.
//!
//! Both need root. Where they may not be made, a test says so and is skipped; what it shows is then
//! shown by the crash images and the failing failpoints of `crash`, which need nothing.

use std::path::Path;
use std::process::Command;

/// Runs an ignored test in a mount namespace of its own, where the shell's `mount` prepares the
/// directory `$D`, which the test finds in `STORE_DIR`. `false` when this user may not.
pub fn in_own_mounts(test: &str, mount: &str) -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let may = Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a mount namespace needs root and `unshare`");
        return false;
    }
    let script = format!(
        "set -e; D='{}'; {mount}; exec \"$0\" --exact {test} --ignored --nocapture",
        dir.path().display()
    );
    let exe = std::env::current_exe().expect("this test has a file");
    let done = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .arg(exe)
        .env("STORE_DIR", dir.path())
        .output();
    let done = done.expect("unshare was there a moment ago");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    print!("{said}");
    true
}

/// The directory that [`in_own_mounts`] prepared.
pub fn given_dir() -> std::path::PathBuf {
    std::env::var_os("STORE_DIR").expect("run by another test only").into()
}

/// Whether ext4 can be made in a file and mounted from it; when not, says so.
pub fn may_mount_images() -> bool {
    let script = "set -e; T=$(mktemp -d); truncate -s 8M $T/i; mkfs.ext4 -q $T/i; mkdir $T/m; mount -o loop $T/i $T/m; umount $T/m; rm -r $T";
    let tried =
        Command::new("unshare").args(["-m", "sh", "-c", script]).env("PATH", path()).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        eprintln!("skipped: a file system of one's own needs root, loop devices and `mkfs.ext4`");
    }
    may
}

/// Makes an ext4 file system in a sparse file of so many MiB, without places kept for root.
pub fn make_ext4(image: &Path, mib: u64) {
    std::fs::File::create(image).and_then(|file| file.set_len(mib << 20)).expect("room on disk");
    run("mkfs.ext4", &["-q", "-m", "0"], &[image]).expect("a file system");
}

/// Mounts an image. `commit=300`: the file system shall not write its own journal by itself while
/// the test runs.
pub fn mount(image: &Path, at: &Path) -> Result<(), String> {
    std::fs::create_dir_all(at).expect("a directory");
    run("mount", &["-t", "ext4", "-o", "loop,commit=300"], &[image, at])
}

/// Takes a mount away, at once for whoever looks and in truth when the last file in it is closed:
/// sled's threads close theirs a moment after the store is gone.
pub fn unmount(at: &Path) {
    run("umount", &["-l"], &[at]).expect("it was mounted");
}

/// Runs a program of the system's; its complaint is the error.
pub fn run(program: &str, flags: &[&str], paths: &[&Path]) -> Result<(), String> {
    let done = Command::new(program)
        .args(flags)
        .args(paths)
        .env("PATH", path())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim()))
    }
}

/// Debian keeps the tools of file systems where a plain user does not look.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
