//! The header of a CSV file of targets.

use crate::yaml::rows::RowLine;
use crate::yaml::{Diagnostic, Mistakes, csv, quote, suggest};

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

const EXAMPLE: &str =
    "the first line names the columns: `lane,instance_id,proxy_id` and any number of `tag:NAME`";

/// Reads the header's fields. Mistakes are told at the header's line.
pub fn read(fields: &[&str], line: RowLine<'_>, mistakes: &mut Mistakes) -> Option<Vec<Column>> {
    csv::header(fields, line, (&REQUIRED, EXAMPLE), meant, mistakes)
}

fn meant(field: &str) -> Result<Column, Box<Diagnostic>> {
    match (known().find(|(name, _)| *name == field), field.strip_prefix("tag:")) {
        (Some((_, column)), _) => Ok(column.clone()),
        (None, Some(tag)) if !tag.is_empty() => Ok(Column::Tag(tag.to_owned())),
        _ => Err(unknown(field).into()),
    }
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
