//! The header of a CSV file of targets.

use crate::yaml::{Diagnostic, Mistakes, Place, quote, suggest};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// `lane`.
    Lane,
    /// `instance_id`.
    Instance,
    /// `proxy_id`.
    Proxy,
    /// `ssl_option`.
    Seen,
    /// `instance_name`.
    InstanceName,
    /// `tag:NAME`.
    Tag(String),
}

/// The three that must be there.
pub const REQUIRED: [(&str, Column); 3] =
    [("lane", Column::Lane), ("instance_id", Column::Instance), ("proxy_id", Column::Proxy)];

/// May be there: what the proxy showed when the list was made, and the name of its instance.
const OPTIONAL: [(&str, Column); 2] =
    [("ssl_option", Column::Seen), ("instance_name", Column::InstanceName)];

/// The columns that are known by name.
fn known() -> impl Iterator<Item = &'static (&'static str, Column)> {
    REQUIRED.iter().chain(&OPTIONAL)
}

/// Reads the header's fields. Mistakes are told at the header's line.
pub fn read(
    fields: &[&str],
    file: &str,
    number: u32,
    text: &str,
    mistakes: &mut Mistakes,
) -> Option<Vec<Column>> {
    let before = mistakes.count();
    let whole = || Place::of_line(file, number as usize, text, 0..text.len());
    if let [only] = fields
        && only.contains([';', '\t'])
    {
        let other = Diagnostic::error("column", "the columns are not parted by commas").at(whole());
        mistakes.push(other.help("save the file with `,` between the columns"));
        return None;
    }
    let mut columns = Vec::with_capacity(fields.len());
    let mut offset = 0;
    for field in fields {
        let start = text[offset..].find(field).map_or(offset, |at| offset + at);
        offset = start + field.len().min(text.len() - start);
        let at = Place::of_line(file, number as usize, text, start..offset);
        let column = match (known().find(|(name, _)| name == field), field.strip_prefix("tag:")) {
            (Some((_, column)), _) => column.clone(),
            (None, Some(tag)) if !tag.is_empty() => Column::Tag(tag.to_owned()),
            _ => {
                mistakes.push(unknown(field).at(at));
                continue;
            }
        };
        if columns.contains(&column) {
            mistakes.push(
                Diagnostic::error(
                    "column",
                    format!("the column {} stands here twice", quote(field)),
                )
                .at(at),
            );
        }
        columns.push(column);
    }
    if mistakes.count() == before {
        for (name, column) in REQUIRED {
            if !columns.contains(&column) {
                let missing =
                    Diagnostic::error("column", format!("the column `{name}` is missing"))
                        .at(whole());
                mistakes.push(missing.help("the first line names the columns: `lane,instance_id,proxy_id` and any number of `tag:NAME`"));
            }
        }
    }
    (mistakes.count() == before).then_some(columns)
}

fn unknown(field: &str) -> Diagnostic {
    let unknown = Diagnostic::error("column", format!("unknown column {}", quote(field)));
    match suggest::nearest(field, known().map(|(name, _)| *name)) {
        Some(near) => unknown.help(format!("did you mean `{near}`?")).replace(near),
        None if !field.is_empty() && field.len() < 64 => unknown
            .help("known are `lane`, `instance_id`, `proxy_id`, `ssl_option`, `instance_name` and `tag:NAME`; a label of your own becomes a tag")
            .replace(format!("tag:{field}")),
        None => unknown.help("known are `lane`, `instance_id`, `proxy_id`, `ssl_option`, `instance_name` and `tag:NAME`"),
    }
}
