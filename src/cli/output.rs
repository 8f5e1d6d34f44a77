//! Prints listings: the same rows for people, as JSON, as lines of JSON, and as CSV.
//!
//! Invariant: data goes to the writer given and nowhere else; rows are printed as their page
//! arrives, so a listing of a million costs one page of memory.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use serde::Serialize;

use super::args::OutputFormat;
use super::term;
use super::text::{cell, json, wrap};
use crate::words::text::{Style, clean};

/// A row of a listing.
pub trait ListingRow: Serialize {
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
pub struct ListingPrinter<'a> {
    out: &'a mut dyn Write,
    format: OutputFormat,
    style: Style,
    rows: usize,
    /// Whether the CSV header is out.
    headed: bool,
    widths: Vec<u16>,
    /// Columns of the terminal that a table is for; elsewhere rows are as long as they are.
    screen: usize,
}

impl<'a> ListingPrinter<'a> {
    pub fn new(out: &'a mut dyn Write, format: OutputFormat, style: Style) -> Self {
        let screen = term::size(io::stdout()).map_or(usize::MAX, |(columns, _)| columns);
        Self { out, format, style, rows: 0, headed: false, widths: Vec::new(), screen }
    }

    /// Rows printed so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn page<R: ListingRow>(&mut self, rows: &[R]) -> io::Result<()> {
        match self.format {
            OutputFormat::Table => self.table(rows)?,
            OutputFormat::Json => {
                for (index, row) in rows.iter().enumerate() {
                    let lead = if self.rows + index == 0 { "[\n" } else { ",\n" };
                    write!(self.out, "{lead}{}", line(row)?)?;
                }
            }
            OutputFormat::Jsonl => {
                for row in rows {
                    writeln!(self.out, "{}", line(row)?)?;
                }
            }
            OutputFormat::Csv => self.csv(rows)?,
        }
        self.rows += rows.len();
        self.out.flush()
    }

    /// Ends it. A table without rows prints nothing; the caller says on standard error why.
    pub fn end<R: ListingRow>(&mut self) -> io::Result<()> {
        match self.format {
            OutputFormat::Json if self.rows == 0 => writeln!(self.out, "[]")?,
            OutputFormat::Json => writeln!(self.out, "\n]")?,
            OutputFormat::Csv => self.csv::<R>(&[])?,
            OutputFormat::Table | OutputFormat::Jsonl => {}
        }
        self.out.flush()
    }

    fn csv<R: ListingRow>(&mut self, rows: &[R]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut *self.out);
        if !std::mem::replace(&mut self.headed, true) {
            writer.write_record(R::FIELDS)?;
        }
        for row in rows {
            writer.write_record(row.record().iter().map(|text| cell(text)))?;
        }
        writer.flush()
    }

    fn table<R: ListingRow>(&mut self, rows: &[R]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.cells(&self.style).iter().map(|cell| clean(cell)).collect())
            .collect();
        let headings = (self.rows == 0).then_some(R::COLUMNS);
        write!(
            self.out,
            "{}",
            fitted(R::COLUMNS, headings.is_some(), &cells, &mut self.widths, self.screen)
        )
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

/// Spaces between two columns.
const GAP: u16 = 2;

/// A narrower last column reads worse than a line of its own.
const LAST_MIN: usize = 24;

/// Columns without borders. `widths` carries the widths from page to page, so that columns stay
/// where they were.
pub fn aligned(
    columns: &[&str],
    headings: bool,
    cells: &[Vec<String>],
    widths: &mut Vec<u16>,
) -> String {
    fitted(columns, headings, cells, widths, usize::MAX)
}

/// As [`aligned`], for a screen of `width` columns. Where rows are longer, the last column is
/// broken within itself if that leaves it room; else what does not fit stands below its row,
/// indented.
pub fn fitted(
    columns: &[&str],
    headings: bool,
    cells: &[Vec<String>],
    widths: &mut Vec<u16>,
    width: usize,
) -> String {
    widths.resize(columns.len(), 0);
    for (index, widest) in widths.iter_mut().enumerate() {
        let heading = title(columns[index]).chars().count();
        let cell = cells
            .iter()
            .filter_map(|row| row.get(index))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0);
        *widest = (*widest).max(u16::try_from(cell.max(heading)).unwrap_or(u16::MAX));
    }
    let (last, gap) = (columns.len() - 1, usize::from(GAP));
    let end = |columns: usize| {
        widths[..columns].iter().map(|widest| usize::from(*widest) + gap).sum::<usize>()
    };
    if end(last + 1) <= width.saturating_add(gap) {
        return drawn(columns, headings, cells, widths);
    }
    if end(last) + LAST_MIN <= width {
        let mut widths = widths.clone();
        widths[last] = u16::try_from(width - end(last)).unwrap_or(u16::MAX);
        return drawn(columns, headings, cells, &widths);
    }
    let fit = (1..=last).rev().find(|fit| end(*fit) <= width + gap).unwrap_or(1);
    let first: Vec<Vec<String>> =
        cells.iter().map(|row| row.iter().take(fit).cloned().collect()).collect();
    let titles: Vec<String> = columns.iter().map(|column| title(column).to_owned()).collect();
    let rows = headings.then_some(&titles).into_iter().chain(cells);
    let lead = " ".repeat(2 * gap);
    drawn(&columns[..fit], headings, &first, &widths[..fit])
        .lines()
        .zip(rows)
        .map(|(line, row)| {
            let rest: Vec<&str> =
                row.iter().skip(fit).map(String::as_str).filter(|cell| !cell.is_empty()).collect();
            let below = if rest.is_empty() {
                String::new()
            } else {
                wrap(&format!("{lead}{}", rest.join("  ")), width) + "\n"
            };
            format!("{line}\n{below}")
        })
        .collect()
}

/// A table whose columns are so wide; only the last one may hold cells that are longer, and breaks
/// them.
fn drawn(columns: &[&str], headings: bool, cells: &[Vec<String>], widths: &[u16]) -> String {
    let mut table = Table::new();
    let whole = widths.iter().map(|width| width.saturating_add(GAP)).fold(0, u16::saturating_add);
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(whole)
        .force_no_tty();
    if headings {
        table.set_header(columns.iter().map(|column| title(column)));
    }
    for row in cells {
        table.add_row(row);
    }
    for (index, heading) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        column.set_padding((0, GAP)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(
            widths[index].saturating_add(GAP),
        )));
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

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 4] = ["#NO", "PROXY", "JOB", "WHY"];

    fn rows() -> Vec<Vec<String>> {
        let row = |no: &str, why: &str| {
            vec![no.into(), "5b8b79c5".repeat(2), "7a4fd48f".into(), why.into()]
        };
        vec![
            row("7", "it shows the wanted value"),
            row("16", "answer 500, DBS.05000000: Server failure. Contact customer service."),
        ]
    }

    fn shown(width: usize) -> String {
        fitted(&COLUMNS, true, &rows(), &mut Vec::new(), width)
    }

    #[test]
    fn a_long_row_is_broken_in_its_last_column_or_goes_on_below() {
        let whole = aligned(&COLUMNS, true, &rows(), &mut Vec::new());
        assert_eq!(shown(99), whole);
        assert_eq!(
            shown(60),
            "\
NO  PROXY             JOB       WHY
 7  5b8b79c55b8b79c5  7a4fd48f  it shows the wanted value
16  5b8b79c55b8b79c5  7a4fd48f  answer 500, DBS.05000000:
                                Server failure. Contact
                                customer service.
"
        );
        assert_eq!(
            shown(32),
            "\
NO  PROXY             JOB
    WHY
 7  5b8b79c55b8b79c5  7a4fd48f
    it shows the wanted value
16  5b8b79c55b8b79c5  7a4fd48f
    answer 500, DBS.05000000:
      Server failure. Contact
      customer service.
"
        );
        for width in 1..100 {
            let letters = |text: &str| {
                text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>()
            };
            let (mut some, mut all) =
                (letters(&shown(width)).into_bytes(), letters(&whole).into_bytes());
            some.sort_unstable();
            all.sort_unstable();
            assert_eq!(some, all, "nothing is lost at {width}");
        }
    }

    #[test]
    fn a_cell_of_any_length_is_printed() {
        let cells = [vec!["7".to_owned(), "x".repeat(70_000)]];
        let text = fitted(&["#NO", "WHY"], true, &cells, &mut Vec::new(), 80);
        assert_eq!(text.matches('x').count(), 70_000);
    }
}
