//! Files of rows, one a line: CSV and JSON Lines, beside YAML for the same rows.
//!
//! Invariant: a file is read line by line and a line is bounded, so a large file costs the memory
//! of its longest line; a line that is no text ends the reading, since what follows may be
//! anything.
//!
//! Deliberately not here: what the rows mean (`planfile::targets`, `config`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use super::diagnostic::{Diagnostic, Mistakes};
use super::format::Complaint;
use super::quote;
use super::source::Place;

/// Longest line: three ids and sixty tags of a thousand characters.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    Csv,
    JsonLines,
    Yaml,
}

impl RowForm {
    /// By the ending of a file's name; `what` names the kind of file in the help.
    pub fn of(name: &str, what: &str) -> Result<Self, Complaint> {
        let lower = name.to_ascii_lowercase();
        match lower.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            _ => Err(Complaint::new(format!("{} has none of the known endings", quote(name)))
                .help(format!("a file of {what} ends in `.csv`, `.jsonl` or `.yaml`"))),
        }
    }
}

/// One line of a file, as messages show it.
#[derive(Debug, Clone, Copy)]
pub struct RowLine<'l> {
    /// The file as shown to the user.
    pub file: &'l str,
    /// From 1.
    pub number: u32,
    /// Without its end.
    pub text: &'l str,
}

impl RowLine<'_> {
    /// The place of some bytes of it.
    pub fn place(&self, at: Range<usize>) -> Place {
        Place::of_line(self.file, self.number as usize, self.text, at)
    }

    /// The place of all of it.
    pub fn whole(&self) -> Place {
        self.place(0..self.text.len())
    }
}

/// Hands every line over, its end included, until the end of the file, a line that is no text, or a
/// line that is too long; the latter two are mistakes under `code`. `name` is the file's in
/// messages.
pub fn each_line(
    file: &mut File,
    (name, code): (&str, &'static str),
    bytes_max: u64,
    mistakes: &mut Mistakes,
    mut each: impl FnMut(u32, &mut String, &mut Mistakes),
) {
    let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, file.take(bytes_max));
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let mut line = Read::by_ref(&mut reader).take(LINE_BYTES_MAX as u64 + 1);
        let wrong = match line.read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) if bytes.len() > LINE_BYTES_MAX => {
                format!("line {number} is longer than {} KiB", LINE_BYTES_MAX >> 10)
            }
            Ok(_) if bytes.contains(&0) => {
                format!("line {number} holds a NUL byte; this is not a text")
            }
            Ok(_) => match String::from_utf8(std::mem::take(&mut bytes)) {
                Ok(mut text) => {
                    if number == 1 && text.starts_with('\u{feff}') {
                        text.drain(..'\u{feff}'.len_utf8());
                    }
                    each(number, &mut text, mistakes);
                    bytes = text.into_bytes();
                    continue;
                }
                Err(_) => format!("line {number} is not UTF-8"),
            },
            Err(error) => format!("line {number} cannot be read: {error}"),
        };
        return mistakes.push(Diagnostic::error(code, format!("{name}: {wrong}")));
    }
}
