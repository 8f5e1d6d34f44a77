//! Prints listings: the same rows for people, as JSON, as lines of JSON, and as CSV.
//!
//! Invariant: data goes to the writer given and nowhere else; rows are printed as their page arrives, so a listing of a
//! million costs one page of memory.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use serde::Serialize;

use super::args::Format;
use super::text::{Style, cell, clean, json};

/// A row of a listing.
pub trait Row: Serialize {
    /// Headings of the table for people; a heading that begins with `#` is a number, aligned right.
    const COLUMNS: &'static [&'static str];
    /// Names of the CSV columns, as the JSON fields are called.
    const FIELDS: &'static [&'static str];
    /// The row for people, as wide as [`Self::COLUMNS`].
    fn cells(&self, style: &Style) -> Vec<String>;
    /// The row as CSV, as wide as [`Self::FIELDS`]; times in RFC 3339 UTC.
    fn record(&self) -> Vec<String>;
}

/// One listing on its way out.
pub struct Listing<'a> {
    out: &'a mut dyn Write,
    format: Format,
    style: Style,
    rows: usize,
    /// Whether the CSV header is out.
    headed: bool,
    widths: Vec<u16>,
}

impl<'a> Listing<'a> {
    /// Begins a listing.
    pub fn new(out: &'a mut dyn Write, format: Format, style: Style) -> Self {
        Self { out, format, style, rows: 0, headed: false, widths: Vec::new() }
    }

    /// Rows printed so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Prints a page.
    pub fn page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Table => self.table(rows)?,
            Format::Json => {
                for (index, row) in rows.iter().enumerate() {
                    let lead = if self.rows + index == 0 { "[\n" } else { ",\n" };
                    write!(self.out, "{lead}{}", line(row)?)?;
                }
            }
            Format::Jsonl => {
                for row in rows {
                    writeln!(self.out, "{}", line(row)?)?;
                }
            }
            Format::Csv => self.csv(rows)?,
        }
        self.rows += rows.len();
        self.out.flush()
    }

    /// Ends it. A table without rows prints nothing; the caller says on standard error why.
    pub fn end<R: Row>(&mut self) -> io::Result<()> {
        match self.format {
            Format::Json if self.rows == 0 => writeln!(self.out, "[]")?,
            Format::Json => writeln!(self.out, "\n]")?,
            Format::Csv => self.csv::<R>(&[])?,
            Format::Table | Format::Jsonl => {}
        }
        self.out.flush()
    }

    fn csv<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut *self.out);
        if !std::mem::replace(&mut self.headed, true) {
            writer.write_record(R::FIELDS)?;
        }
        for row in rows {
            writer.write_record(row.record().iter().map(|text| cell(text)))?;
        }
        writer.flush()
    }

    fn table<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells(&self.style).iter().map(|cell| clean(cell)).collect()).collect();
        let headings = (self.rows == 0).then_some(R::COLUMNS);
        write!(self.out, "{}", aligned(R::COLUMNS, headings.is_some(), &cells, &mut self.widths))
    }
}

/// One document as one line of JSON.
pub fn line<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    Ok(json(&serde_json::to_string(value)?))
}

/// One document as indented JSON.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    Ok(json(&serde_json::to_string_pretty(value)?))
}

/// The heading without the mark of a number.
fn title(column: &str) -> &str {
    column.strip_prefix('#').unwrap_or(column)
}

/// Columns without borders. `widths` carries the widths from page to page, so that columns stay where they were.
pub fn aligned(columns: &[&str], headings: bool, cells: &[Vec<String>], widths: &mut Vec<u16>) -> String {
    widths.resize(columns.len(), 0);
    for (index, width) in widths.iter_mut().enumerate() {
        let heading = title(columns[index]).chars().count();
        let widest = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        *width = (*width).max(u16::try_from(widest.max(heading)).unwrap_or(u16::MAX));
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if headings {
        table.set_header(columns.iter().map(|column| title(column)));
    }
    for row in cells {
        table.add_row(row);
    }
    for (index, heading) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        column.set_padding((0, 2)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(widths[index] + 2)));
        if heading.starts_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    if text.trim().is_empty() {
        text.clear();
    }
    text
}
