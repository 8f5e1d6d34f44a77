//! Opens files that a person names, without being led elsewhere.
//!
//! Invariant: nothing but a regular file is read, its size is known to be within bounds before a
//! byte is read, and a file named inside another is found beneath that one's folder without
//! following any symbolic link.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::diagnostic::Diagnostic;
use super::format::Complaint;
use super::source::SourceText;

/// A FIFO without a writer must not hold us, and a terminal must not become ours.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The folder of a file that names others.
pub struct Folders<'p> {
    /// Where the files are looked for.
    pub real: &'p Path,
    /// As the user wrote it: for messages.
    pub shown: &'p Path,
}

/// Opens the regular file at `path`, at most `max` bytes long. Symbolic links are followed: the
/// user named it.
pub fn named(path: &Path, max: u64) -> Result<File, Complaint> {
    regular(openat(CWD, path, FLAGS, Mode::empty()).map_err(unreadable)?, max)
}

/// Opens the regular file `name` beneath `folder`, at most `max` bytes long, following no symbolic
/// link in `name`.
pub fn beneath(folder: &Path, name: &str, max: u64) -> Result<File, Complaint> {
    let mut steps = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(step) => steps.push(step),
            Component::CurDir => {}
            Component::ParentDir => {
                return Err(Complaint::new("leads out of the plan's folder by `..`")
                    .help("put the file beside the plan or in a folder beneath it"));
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err(Complaint::new("leads out of the plan's folder: it is absolute")
                    .help("write a path relative to the plan"));
            }
        }
    }
    let Some((last, folders)) = steps.split_last() else {
        return Err(Complaint::new("names no file"));
    };
    let mut at: OwnedFd =
        openat(CWD, folder, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(unreadable)?;
    for step in folders {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        at = openat(&at, *step, flags, Mode::empty())
            .map_err(|error| link_or(&at, step.as_ref(), error))?;
    }
    regular(
        openat(&at, *last, FLAGS | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|error| link_or(&at, last.as_ref(), error))?,
        max,
    )
}

fn link_or(folder: &OwnedFd, step: &Path, error: Errno) -> Complaint {
    let link = statat(folder, step, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_symlink());
    if link {
        Complaint::new(format!(
            "passes the symbolic link {}, which could lead out of the plan's folder",
            super::quote(&step.to_string_lossy())
        ))
        .help("put the file itself there")
    } else {
        unreadable(error)
    }
}

fn unreadable(error: Errno) -> Complaint {
    let help = match error {
        Errno::NOENT | Errno::NOTDIR => Some("look at the spelling of the path"),
        Errno::ACCESS => Some("let the user that runs this read it"),
        _ => None,
    };
    let error = io::Error::from(error);
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::NotADirectory => "no such folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidInput => "no path".to_owned(),
        _ => error.to_string(),
    };
    let complaint = Complaint::new(format!("cannot be opened: {reason}"));
    match help {
        Some(help) => complaint.help(help),
        None => complaint,
    }
}

fn regular(fd: OwnedFd, max: u64) -> Result<File, Complaint> {
    let file = File::from(fd);
    let about =
        file.metadata().map_err(|error| Complaint::new(format!("cannot be examined: {error}")))?;
    if !about.is_file() {
        let kind = if about.is_dir() { "a folder" } else { "a pipe, socket or device" };
        return Err(Complaint::new(format!("is {kind}, not a file")));
    }
    if about.len() > max {
        return Err(too_large(about.len(), max));
    }
    Ok(file)
}

fn too_large(size: u64, max: u64) -> Complaint {
    Complaint::new(format!(
        "is {} MiB large, at most {} MiB are taken",
        size.div_ceil(1 << 20),
        max >> 20
    ))
}

/// Reads all of an opened file, at most `max` bytes even if it grows meanwhile.
pub fn read(file: &mut File, max: u64) -> Result<Vec<u8>, Complaint> {
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Complaint::new(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > max { Err(too_large(bytes.len() as u64, max)) } else { Ok(bytes) }
}

/// Makes text of a file's bytes, or says where they are none.
pub fn text(name: &str, mut bytes: Vec<u8>) -> Result<SourceText, Box<Diagnostic>> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Diagnostic::error("encoding", format!("{name} is UTF-16, not UTF-8"))
            .help("save it as UTF-8")
            .into());
    }
    let nul = bytes.iter().position(|byte| *byte == 0);
    if let Some(at) = nul {
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        return Err(Diagnostic::error(
            "encoding",
            format!("{name} is not a text: line {line} holds a NUL byte"),
        )
        .into());
    }
    String::from_utf8(bytes).map(|text| SourceText::new(name, text)).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column =
            valid - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
        Diagnostic::error("encoding", format!("{name} is not UTF-8: line {line}, byte {column}"))
            .help("save it as UTF-8")
            .into()
    })
}
