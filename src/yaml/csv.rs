//! CSV, a row a line: a field may stand between quotes but not run over several lines, so that a
//! forgotten quote spoils a line and not the rest of the file. Lines that begin with `#` are
//! comments.
//!
//! Deliberately not here: which columns there are.

use csv_core::ReadRecordResult;

use super::diagnostic::{Diagnostic, Mistakes};
use super::format::Complaint;
use super::quote;
use super::rows::RowLine;

/// Most columns of a file: three and a tag for whatever an inventory knows.
pub const COLUMNS_MAX: usize = 64;

/// Splits lines into fields.
pub struct CsvSplitter {
    reader: csv_core::Reader,
    fields: Vec<u8>,
    ends: [usize; COLUMNS_MAX],
}

/// The fields of one line, without the white space around them.
pub struct CsvFields<'l> {
    fields: [&'l str; COLUMNS_MAX],
    count: usize,
}

impl<'l> CsvFields<'l> {
    /// In the order of the columns.
    pub fn list(&self) -> &[&'l str] {
        &self.fields[..self.count]
    }
}

impl Default for CsvSplitter {
    fn default() -> Self {
        let (reader, fields) = (csv_core::Reader::new(), Vec::new());
        Self { reader, fields, ends: [0; COLUMNS_MAX] }
    }
}

impl CsvSplitter {
    /// Splits a line, which gets an end if it has none; `None` for an empty line and a comment.
    pub fn split(&mut self, text: &mut String) -> Option<Result<CsvFields<'_>, Complaint>> {
        if text.trim_start().starts_with('#') || text.trim().is_empty() {
            return None;
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.reader.reset();
        self.fields.resize(text.len(), 0);
        let (result, _, _, count) =
            self.reader.read_record(text.as_bytes(), &mut self.fields, &mut self.ends);
        Some(match result {
            ReadRecordResult::Record => {
                let mut fields = [""; COLUMNS_MAX];
                let mut start = 0;
                for (field, end) in fields.iter_mut().zip(&self.ends[..count]) {
                    *field = std::str::from_utf8(&self.fields[start..*end]).unwrap_or("").trim();
                    start = *end;
                }
                Ok(CsvFields { fields, count })
            }
            ReadRecordResult::OutputEndsFull => {
                Err(Complaint::new(format!("more than {COLUMNS_MAX} columns")))
            }
            _ => Err(Complaint::new("a quote is not closed on its line")),
        })
    }
}

/// The columns that a header names, in its order: `column` says what a field means, and `required`
/// must be among them. Every mistake of the header is told; `None` after one.
pub fn header<C: PartialEq>(
    fields: &[&str],
    line: RowLine<'_>,
    (required, example): (&[(&str, C)], &str),
    column: impl Fn(&str) -> Result<C, Box<Diagnostic>>,
    mistakes: &mut Mistakes,
) -> Option<Vec<C>> {
    let before = mistakes.count();
    if let [only] = fields
        && only.contains([';', '\t'])
    {
        let other = Diagnostic::error("column", "the columns are not parted by commas");
        mistakes.push(other.at(line.whole()).help("save the file with `,` between the columns"));
        return None;
    }
    let mut columns = Vec::with_capacity(fields.len());
    let mut offset = 0;
    for field in fields {
        let start = line.text[offset..].find(field).map_or(offset, |at| offset + at);
        offset = start + field.len().min(line.text.len() - start);
        let at = line.place(start..offset);
        match column(field) {
            Ok(column) => {
                if columns.contains(&column) {
                    let twice = format!("the column {} stands here twice", quote(field));
                    mistakes.push(Diagnostic::error("column", twice).at(at));
                }
                columns.push(column);
            }
            Err(unknown) => mistakes.push((*unknown).at(at)),
        }
    }
    if mistakes.count() == before {
        for (name, _) in required.iter().filter(|(_, column)| !columns.contains(column)) {
            let missing = Diagnostic::error("column", format!("the column `{name}` is missing"));
            mistakes.push(missing.at(line.whole()).help(example));
        }
    }
    (mistakes.count() == before).then_some(columns)
}
