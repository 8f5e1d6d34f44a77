//! `lane_files`: lanes in tables of their own, as CSV, JSON Lines or YAML.
//!
//! Invariants: a row is what an entry of `lanes` is, checked by the same shape; an empty field of
//! CSV is a key that is left out; every mistake has the row and the column it is about, and no row
//! that may hold a secret by mistake is shown as it stands.
//!
//! Deliberately not here: what a lane takes over from `lane_defaults` (`config::lanes`).

use std::borrow::Cow;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::formats::FORMATS;
use super::raw::RawLane;
use crate::domain::lane::LANES_MAX;
use crate::yaml::csv::{self, CsvSplitter};
use crate::yaml::format::Complaint;
use crate::yaml::rows::{self, RowForm, RowLine};
use crate::yaml::shape::SchemaLeaf;
use crate::yaml::source::ByteSpan;
use crate::yaml::tree::{Node, NodeKind};
use crate::yaml::{
    Diagnostic, Document, Mistakes, Place, Shape, SourceText, open, quote, schema, suggest,
};

/// Largest file of lanes: five thousand with eight hundred characters each.
pub const LANE_FILE_BYTES_MAX: u64 = 4 << 20;

/// Columns that every table has.
const REQUIRED: [(&str, &str); 2] = [("name", "name"), ("project_id", "project_id")];

const HEADER_EXAMPLE: &str =
    "the first line names the columns: `name,project_id` and any keys of a lane, as `region`";

const ROW_EXAMPLE: &str = "a line is one object: `{\"name\": …, \"project_id\": …}`";

/// The shape of one lane: a row.
static LANE: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "lane",
    may_be_empty: false,
    schema: schema::of::<RawLane>("Sealift lane"),
    formats: FORMATS,
    later: &[],
});

/// The shape of a YAML file of lanes.
static LANES: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "lane file",
    may_be_empty: false,
    schema: schema::of::<Vec<RawLane>>("Sealift lanes"),
    formats: FORMATS,
    later: &[],
});

/// The columns that a table may have: what a lane says, with dots between nested keys.
static COLUMNS: LazyLock<Vec<SchemaLeaf>> = LazyLock::new(|| LANE.leaves());

/// All files as they were read; documents borrow from them.
#[derive(Default)]
pub struct LaneTexts {
    texts: Vec<LaneText>,
    /// Rows of tables that were read, those beyond the bound too.
    rows: usize,
}

struct LaneText {
    source: SourceText,
    form: TextForm,
}

enum TextForm {
    /// A whole YAML file.
    Yaml,
    /// One line of JSON Lines.
    Json,
    /// One row of CSV: its fields under their columns.
    Csv { columns: Rc<Vec<&'static SchemaLeaf>>, fields: Vec<String> },
}

/// One file or row, understood as far as its shape goes.
pub struct LaneDocument<'t> {
    pub document: Document<'t>,
    text: &'t LaneText,
}

impl LaneTexts {
    /// Reads the files; `named` has each with the place where the configuration names it.
    pub fn read(named: &[(String, Place)], base: &Path, mistakes: &mut Mistakes) -> Self {
        let mut texts = Self::default();
        for (name, at) in named {
            let before = (texts.texts.len(), mistakes.count());
            if let Err(complaint) = texts.file(name, base, mistakes) {
                let mut wrong = Diagnostic::error("lane-file", complaint.message).at(at.clone());
                wrong.help = complaint.help;
                mistakes.push(wrong);
            }
            if before == (texts.texts.len(), mistakes.count()) && texts.beyond() == 0 {
                let empty =
                    Diagnostic::error("lane-file", format!("{} holds no lanes", quote(name)));
                mistakes.push(
                    empty.at(at.clone()).help("add a row for each lane or leave the file out"),
                );
            }
        }
        texts
    }

    fn file(&mut self, name: &str, base: &Path, mistakes: &mut Mistakes) -> Result<(), Complaint> {
        let form = RowForm::of(name, "lanes")?;
        let path = base.join(name);
        let shown = path.display().to_string();
        let named = |complaint: Complaint| Complaint {
            message: format!("{} {}", quote(name), complaint.message),
            ..complaint
        };
        let mut file = open::named(&path, LANE_FILE_BYTES_MAX).map_err(named)?;
        match form {
            RowForm::Yaml => {
                let bytes = open::read(&mut file, LANE_FILE_BYTES_MAX).map_err(named)?;
                match open::text(&shown, bytes) {
                    // Its lanes are counted when it is understood.
                    Ok(source) => {
                        self.texts.push(LaneText { source: source.starred(), form: TextForm::Yaml })
                    }
                    Err(wrong) => mistakes.push(*wrong),
                }
            }
            RowForm::JsonLines => {
                let each = |number, text: &mut String, mistakes: &mut Mistakes| {
                    self.json(RowLine { file: &shown, number, text: text.trim_end() }, mistakes);
                };
                rows::each_line(
                    &mut file,
                    (&shown, "lane-file"),
                    LANE_FILE_BYTES_MAX,
                    mistakes,
                    each,
                );
            }
            RowForm::Csv => {
                let mut table = LaneTable {
                    shown: &shown,
                    splitter: CsvSplitter::default(),
                    columns: None,
                    spoilt: false,
                };
                let each = |number, text: &mut String, mistakes: &mut Mistakes| {
                    table.line(number, text, self, mistakes)
                };
                rows::each_line(
                    &mut file,
                    (&shown, "lane-file"),
                    LANE_FILE_BYTES_MAX,
                    mistakes,
                    each,
                );
            }
        }
        Ok(())
    }

    fn json(&mut self, line: RowLine<'_>, mistakes: &mut Mistakes) {
        let row = line.text.trim_start();
        if row.is_empty() {
            return;
        }
        // Any YAML would be read; a row is an object on its line.
        if !row.starts_with('{') {
            let other = Diagnostic::error("row", "not a JSON object").at(unshown(line));
            return mistakes.push(other.help(ROW_EXAMPLE));
        }
        self.push(line, TextForm::Json);
    }

    fn push(&mut self, line: RowLine<'_>, form: TextForm) {
        self.rows += 1;
        // What is beyond the bound is counted, and refused as a whole.
        if self.rows <= LANES_MAX {
            let source = SourceText::new(line.file, line.text.to_owned()).starred();
            self.texts.push(LaneText { source: source.starting_at(line.number), form });
        }
    }

    /// Rows beyond those that documents are made of.
    pub fn beyond(&self) -> usize {
        self.rows.saturating_sub(LANES_MAX)
    }

    /// Checks the shape of every file and row.
    pub fn documents(&self, mistakes: &mut Mistakes) -> Vec<LaneDocument<'_>> {
        let documents = self.texts.iter().filter_map(|text| {
            let document = match &text.form {
                TextForm::Yaml => Document::read(&text.source, &LANES, mistakes)?,
                TextForm::Json => Document::read(&text.source, &LANE, mistakes)?,
                TextForm::Csv { columns, fields } => {
                    let row = row_tree(&text.source, columns, fields);
                    Document::of_tree(&text.source, row, &LANE, mistakes)
                }
            };
            Some(LaneDocument { document, text })
        });
        documents.collect()
    }
}

impl LaneDocument<'_> {
    /// The lanes that it holds without a mistake, each with its path in the document.
    pub fn lanes(&self, mistakes: &mut Mistakes) -> Vec<(String, RawLane)> {
        match &self.text.form {
            TextForm::Yaml => {
                let lanes = self.document.entries(None, "", mistakes).into_iter();
                lanes.map(|(index, lane)| (format!("[{index}]"), lane)).collect()
            }
            TextForm::Json => {
                let lane = self.document.typed("", mistakes);
                lane.map(|lane| (String::new(), lane)).into_iter().collect()
            }
            TextForm::Csv { columns, fields } => {
                if mistakes.touch(&self.text.source, self.document.root().span) {
                    return Vec::new();
                }
                let lane = serde_json::from_value(row_value(columns, fields));
                let lane = lane.map_err(|error| {
                    let wrong = Diagnostic::error("row", crate::yaml::plain(&error.to_string()));
                    mistakes.push(wrong.at(self.document.place("")));
                });
                lane.ok().map(|lane| (String::new(), lane)).into_iter().collect()
            }
        }
    }
}

/// A CSV file of lanes, line by line.
struct LaneTable<'f> {
    shown: &'f str,
    splitter: CsvSplitter,
    columns: Option<Rc<Vec<&'static SchemaLeaf>>>,
    /// Its header could not be read.
    spoilt: bool,
}

impl LaneTable<'_> {
    fn line(
        &mut self,
        number: u32,
        text: &mut String,
        texts: &mut LaneTexts,
        mistakes: &mut Mistakes,
    ) {
        if self.spoilt {
            return;
        }
        let split = self.splitter.split(text);
        let line = RowLine { file: self.shown, number, text: text.trim_end_matches(['\n', '\r']) };
        let fields = match split {
            None => return,
            Some(Ok(fields)) => fields,
            Some(Err(complaint)) => {
                self.spoilt |= self.columns.is_none();
                return mistakes
                    .push(Diagnostic::error("row", complaint.message).at(unshown(line)));
            }
        };
        match &self.columns {
            None => {
                let columns =
                    csv::header(fields.list(), line, (&REQUIRED, HEADER_EXAMPLE), column, mistakes);
                let columns = columns.filter(|columns| apart(columns, line, mistakes));
                self.spoilt = columns.is_none();
                let leaf = |path| COLUMNS.iter().find(|leaf| leaf.path == path);
                self.columns =
                    columns.map(|paths| Rc::new(paths.into_iter().filter_map(leaf).collect()));
            }
            Some(columns) if columns.len() != fields.list().len() => {
                let count = fields.list().len();
                let wrong = Diagnostic::error(
                    "row",
                    format!("{count} fields under {} columns", columns.len()),
                );
                let wrong = wrong.help("a field that holds a comma stands between quotes");
                mistakes.push(wrong.at(unshown(line)));
            }
            Some(columns) => {
                let fields = fields.list().iter().map(|field| (*field).to_owned()).collect();
                texts.push(line, TextForm::Csv { columns: Rc::clone(columns), fields });
            }
        }
    }
}

/// The key that a column of this name stands for.
fn column(field: &str) -> Result<&'static str, Box<Diagnostic>> {
    let known = || COLUMNS.iter().map(|leaf| leaf.path.as_str());
    if let Some(known) = known().find(|known| *known == field) {
        return Ok(known);
    }
    let unknown = Diagnostic::error("column", format!("unknown column {}", quote(field)));
    // A key that is a map is named with one of its own.
    let inner = format!("{field}.");
    let within: Vec<String> = known()
        .filter(|known| known.starts_with(&inner))
        .map(|known| format!("`{known}`"))
        .collect();
    let unknown = match (within.as_slice(), suggest::nearest(field, known())) {
        ([_, ..], _) => unknown.help(format!("name one of {}", within.join(", "))),
        ([], Some(near)) => unknown.help(format!("did you mean `{near}`?")).replace(near),
        ([], None) => unknown
            .help("a column is a key of a lane, with a dot before a nested one: `quota.requests`"),
    };
    Err(unknown.into())
}

/// Whether no column stands for what another one is only a part of: a name, and the file that has
/// it.
fn apart(columns: &[&str], line: RowLine<'_>, mistakes: &mut Mistakes) -> bool {
    let before = mistakes.count();
    for whole in columns {
        let within =
            |column: &&&str| column.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'));
        if let Some(part) = columns.iter().find(within) {
            let both = format!("the columns {} and {} say the same", quote(whole), quote(part));
            let both = Diagnostic::error("column", both).at(line.whole());
            mistakes.push(both.help("keep one of them"));
        }
    }
    mistakes.count() == before
}

/// The place of a row that is not shown: what stands in a field that is not understood may be a
/// secret.
fn unshown(line: RowLine<'_>) -> Place {
    Place::of_line(line.file, line.number as usize, "", 0..0)
}

/// The fields that say something, each with its column and where it stands in the row.
fn written<'r>(
    row: &str,
    columns: &'r [&'static SchemaLeaf],
    fields: &'r [String],
) -> Vec<(&'static SchemaLeaf, &'r str, ByteSpan)> {
    let mut from = 0;
    let mut found = Vec::with_capacity(fields.len());
    for (column, field) in columns.iter().zip(fields) {
        // A field with quotes within quotes does not stand there as it reads.
        let at = row[from..].find(field.as_str()).map(|at| from + at..from + at + field.len());
        if !field.is_empty() {
            found.push((*column, field.as_str(), ByteSpan::of(at.clone().unwrap_or(0..row.len()))));
        }
        let end = at.map_or(from, |at| at.end);
        from = row[end..].find(',').map_or(end, |comma| end + comma + 1);
    }
    found
}

/// A row as the tree of an entry of `lanes`.
fn row_tree<'s>(
    source: &'s SourceText,
    columns: &[&'static SchemaLeaf],
    fields: &[String],
) -> Node<'s> {
    let whole = ByteSpan::of(0..source.text().len());
    let mut row = Node { span: whole, kind: NodeKind::Mapping(Vec::new()) };
    for (column, field, at) in written(source.text(), columns, fields) {
        let mut map = &mut row;
        let mut steps = column.path.split('.').peekable();
        while let Some(step) = steps.next() {
            let value = match steps.peek() {
                Some(_) => NodeKind::Mapping(Vec::new()),
                None => {
                    NodeKind::Scalar { text: Cow::Owned(field.to_owned()), plain: column.integer }
                }
            };
            // What holds several columns is spoilt by each of them, as its row is.
            let span = if steps.peek().is_some() { whole } else { at };
            map = map.child_or(step, at, Node { span, kind: value });
        }
    }
    row
}

/// A row as its values.
fn row_value(columns: &[&'static SchemaLeaf], fields: &[String]) -> Value {
    let mut row = Map::new();
    for (column, field) in columns.iter().zip(fields).filter(|(_, field)| !field.is_empty()) {
        let (outer, last) = column.path.rsplit_once('.').unwrap_or(("", &column.path));
        let mut map = &mut row;
        for step in outer.split('.').filter(|step| !step.is_empty()) {
            let inner = map.entry(step).or_insert_with(|| Value::Object(Map::new()));
            // Two columns never disagree about what is a map: both are of one schema.
            let Value::Object(inner) = inner else { return Value::Null };
            map = inner;
        }
        let number = column.integer.then(|| field.parse::<u64>().ok()).flatten();
        map.insert(last.to_owned(), number.map_or_else(|| field.as_str().into(), Value::from));
    }
    Value::Object(row)
}
