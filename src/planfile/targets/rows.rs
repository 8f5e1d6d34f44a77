//! Rows of targets: one line of CSV or of JSON Lines each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::columns::{self, Column};
use super::{TargetCollector, TargetEntry};
use crate::domain::id::{IdError, InstanceId, Name, ProxyId};
use crate::domain::target::InstanceName;
use crate::yaml::csv::CsvSplitter;
use crate::yaml::format::Complaint;
use crate::yaml::rows::RowLine;
use crate::yaml::{Diagnostic, Mistakes, quote, suggest};

/// Reads a CSV file line by line.
pub struct Csv<'f> {
    file: &'f str,
    splitter: CsvSplitter,
    columns: Option<Vec<Column>>,
    spoilt: bool,
    /// The lane of the row before: most often also that of the next.
    lane: Option<Name>,
}

impl<'f> Csv<'f> {
    /// Before the header; `file` is the name in messages.
    pub fn new(file: &'f str) -> Self {
        Self { file, splitter: CsvSplitter::default(), columns: None, spoilt: false, lane: None }
    }

    /// Takes the next line.
    pub fn line(
        &mut self,
        number: u32,
        text: &mut String,
        fleet: &mut TargetCollector<'_>,
        mistakes: &mut Mistakes,
    ) {
        if self.spoilt {
            return;
        }
        let split = self.splitter.split(text);
        let line = RowLine { file: self.file, number, text: text.trim_end_matches(['\n', '\r']) };
        let fields = match split {
            None => return,
            Some(Ok(fields)) => fields,
            Some(Err(complaint)) => {
                self.spoilt |= self.columns.is_none();
                return report(line, complaint, mistakes);
            }
        };
        let fields = fields.list();
        match &self.columns {
            None => {
                self.columns = columns::read(fields, line, mistakes);
                self.spoilt = self.columns.is_none();
            }
            Some(columns) if columns.len() != fields.len() => {
                let (found, named) = (fields.len(), columns.len());
                let complaint = Complaint::new(format!("{found} fields under {named} columns"));
                let help = "a field that holds a comma stands between quotes";
                report(line, complaint.help(help), mistakes);
            }
            Some(columns) => {
                let mut row = RawRow {
                    lane: "",
                    instance_id: "",
                    proxy_id: "",
                    tags: None,
                    seen: Ok(None),
                    instance_name: "",
                };
                for (column, field) in columns.iter().zip(fields) {
                    match column {
                        Column::Lane => row.lane = field,
                        Column::Instance => row.instance_id = field,
                        Column::Proxy => row.proxy_id = field,
                        Column::Seen => row.seen = seen(field),
                        Column::InstanceName => row.instance_name = field,
                        Column::Tag(_) if field.is_empty() => {}
                        Column::Tag(name) => {
                            row.tags
                                .get_or_insert_default()
                                .insert(name.clone(), (*field).to_owned());
                        }
                    }
                }
                row.push(line, &mut self.lane, fleet, mistakes);
            }
        }
    }

    /// After the last line.
    pub fn end(self, mistakes: &mut Mistakes) {
        if self.columns.is_none() && !self.spoilt {
            mistakes.push(
                Diagnostic::error("column", format!("{} is empty", self.file))
                    .help("the first line names the columns: `lane,instance_id,proxy_id` and any number of `tag:NAME`"),
            );
        }
    }
}

/// One row, not yet believed.
struct RawRow<'r> {
    lane: &'r str,
    instance_id: &'r str,
    proxy_id: &'r str,
    tags: Option<BTreeMap<String, String>>,
    seen: Result<Option<bool>, &'r str>,
    /// Empty where it is not known.
    instance_name: &'r str,
}

/// What an inventory says of the value: `unknown` is a value there, and nothing to compare with.
fn seen(field: &str) -> Result<Option<bool>, &str> {
    match field {
        "" | "unknown" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(field),
    }
}

impl RawRow<'_> {
    fn push(
        self,
        line: RowLine<'_>,
        latest: &mut Option<Name>,
        fleet: &mut TargetCollector<'_>,
        mistakes: &mut Mistakes,
    ) {
        let lane = match latest {
            Some(lane) if lane.as_str() == self.lane => Ok(lane.clone()),
            _ => Name::parse(self.lane, "lane"),
        };
        let instance: Result<InstanceId, IdError> = self.instance_id.parse();
        let proxy: Result<ProxyId, IdError> = self.proxy_id.parse();
        let long = self.instance_name.chars().nth(InstanceName::LEN_MAX).is_some();
        match (lane, instance, proxy, self.seen) {
            (Ok(lane), Ok(instance), Ok(proxy), Ok(seen)) if !long => {
                let (instance_id, proxy_id) = (instance, proxy);
                let instance_name = Some(self.instance_name).filter(|name| !name.is_empty());
                fleet.push(
                    TargetEntry {
                        lane: &lane,
                        instance_id,
                        proxy_id,
                        tags: self.tags,
                        seen,
                        instance_name,
                    },
                    line.number,
                );
                *latest = Some(lane);
            }
            (lane, instance, proxy, seen) => {
                let id_message = |error: IdError| error.to_string();
                let unread = |field: &str| {
                    format!("ssl_option is {}, not `true`, `false` or `unknown`", quote(field))
                };
                let wrong = [
                    ("lane", self.lane, lane.err().map(id_message)),
                    ("instance_id", self.instance_id, instance.err().map(id_message)),
                    ("proxy_id", self.proxy_id, proxy.err().map(id_message)),
                    ("ssl_option", seen.err().unwrap_or_default(), seen.err().map(unread)),
                    (
                        "instance_name",
                        self.instance_name,
                        long.then(|| format!("longer than {} characters", InstanceName::LEN_MAX)),
                    ),
                ];
                for (key, field, error) in wrong {
                    let Some(error) = error else { continue };
                    let message =
                        if field.is_empty() { format!("the {key} is empty") } else { error };
                    mistakes.push_with(|| {
                        // In JSON the key stands before its value, in CSV it does not stand there
                        // at all.
                        let from = line
                            .text
                            .find(&format!("\"{key}\""))
                            .map_or(0, |at| at + key.len() + 2);
                        let at = line.text[from..]
                            .find(field)
                            .filter(|_| !field.is_empty())
                            .map(|at| from + at..from + at + field.len());
                        let place = at.map_or_else(|| line.whole(), |at| line.place(at));
                        Diagnostic::error("row", message).at(place)
                    });
                }
            }
        }
    }
}

fn report(line: RowLine<'_>, complaint: Complaint, mistakes: &mut Mistakes) {
    mistakes.push_with(|| {
        let mut diagnostic = Diagnostic::error("row", complaint.message).at(line.whole());
        diagnostic.help = complaint.help;
        diagnostic
    });
}

const ROW_EXAMPLE: &str =
    "a line is one object: `{\"lane\": …, \"instance_id\": …, \"proxy_id\": …}`";

/// One line of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow<'r> {
    #[serde(borrow)]
    lane: Cow<'r, str>,
    #[serde(borrow)]
    instance_id: Cow<'r, str>,
    #[serde(borrow)]
    proxy_id: Cow<'r, str>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    ssl_option: Option<bool>,
    #[serde(borrow, default)]
    instance_name: Option<Cow<'r, str>>,
}

/// Takes the next line of a JSON Lines file. Empty lines are passed over.
pub fn json(
    file: &str,
    number: u32,
    text: &str,
    fleet: &mut TargetCollector<'_>,
    mistakes: &mut Mistakes,
) {
    let text = text.trim_end();
    let line = RowLine { file, number, text };
    let row = text.trim_start();
    if row.is_empty() {
        return;
    }
    // The reader would also take a list of the four values in their order.
    if !row.starts_with('{') {
        let complaint = Complaint::new("not a JSON object").help(ROW_EXAMPLE);
        return report(line, complaint, mistakes);
    }
    match serde_json::from_str::<JsonRow<'_>>(text) {
        Ok(row) => {
            let mut latest = None;
            let row = RawRow {
                lane: &row.lane,
                instance_id: &row.instance_id,
                proxy_id: &row.proxy_id,
                tags: row.tags,
                seen: Ok(row.ssl_option),
                instance_name: row.instance_name.as_deref().unwrap_or_default(),
            };
            row.push(line, &mut latest, fleet, mistakes);
        }
        Err(error) => mistakes.push_with(|| {
            // The reader adds its own place to the message; ours is drawn.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let column = error.column().saturating_sub(1).min(text.len());
            let diagnostic = Diagnostic::error("row", crate::yaml::plain(message));
            let named =
                message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
            let at = named
                .and_then(|key| text.find(key).map(|at| at..at + key.len()))
                .unwrap_or(column..column);
            let near = named.and_then(|key| {
                suggest::nearest(
                    key,
                    ["lane", "instance_id", "proxy_id", "tags", "ssl_option", "instance_name"],
                )
            });
            let diagnostic = diagnostic.at(line.place(at));
            match (named, near) {
                (Some(_), Some(near)) => {
                    diagnostic.help(format!("did you mean `{near}`?")).replace(near)
                }
                (Some(key), None) => {
                    diagnostic.help(format!("put a label of your own under `tags`: {}", quote(key)))
                }
                (None, _) => diagnostic.help(ROW_EXAMPLE),
            }
        }),
    }
}
