//! The one table: printed, and written as Markdown.

use comfy_table::{CellAlignment, Table, presets};

/// One line of it.
#[derive(Debug, Clone, Default)]
pub struct TableRow {
    what: String,
    figure: String,
    ratio: String,
    to: String,
    aim: String,
    ours: bool,
}

impl TableRow {
    /// What the lines after it belong to.
    pub fn heading(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    pub fn new(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self { what: what.into(), figure: figure.into(), ..Self::default() }
    }

    /// Its ratio to a reference of the same run, and which.
    #[must_use]
    pub fn to(self, ratio: impl Into<String>, to: impl Into<String>) -> Self {
        Self { ratio: ratio.into(), to: to.into(), ..self }
    }

    /// What it is to be.
    #[must_use]
    pub fn aim(self, aim: impl Into<String>) -> Self {
        Self { aim: aim.into(), ..self }
    }

    /// It is Sealift's main figure among others'.
    #[must_use]
    pub fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    fn is_heading(&self) -> bool {
        self.figure.is_empty()
    }

    fn cells(&self) -> [&str; 5] {
        [&self.what, &self.figure, &self.ratio, &self.to, &self.aim]
    }
}

const HEADER: [&str; 5] = ["what", "figure", "ratio", "to", "to be, aim"];

pub fn printed(rows: &[TableRow]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADER);
    for row in rows {
        let mut cells = row.cells().map(str::to_owned);
        if !row.is_heading() {
            cells[0] = format!("  {}", cells[0]);
        }
        table.add_row(cells);
    }
    for column in 1..=2 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

pub fn markdown(rows: &[TableRow]) -> String {
    let mut text = format!("| {} |\n| --- | ---: | ---: | --- | --- |\n", HEADER.join(" | "));
    for row in rows {
        let cells = row.cells().map(|cell| match cell {
            "" => String::new(),
            cell if row.is_heading() || row.ours => format!("**{cell}**"),
            cell => cell.to_owned(),
        });
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}
