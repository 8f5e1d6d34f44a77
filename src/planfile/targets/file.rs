//! One file of targets: found beneath the plan's folder, read in the form that its ending names.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{TargetCollector, TargetEntry, rows};
use crate::planfile::{raw, schema};
use crate::yaml::format::Complaint;
use crate::yaml::rows::{RowForm, each_line};
use crate::yaml::shape::complained;
use crate::yaml::source::ByteSpan;
use crate::yaml::{Diagnostic, Document, Mistakes, open, plain, quote};

/// Largest CSV or JSON Lines file: a million rows with generous tags. It is read line by line,
/// never held.
pub const TARGET_FILE_BYTES_MAX: u64 = 256 << 20;

/// Largest YAML file of targets: its tree is held as a whole. As for plans.
pub const YAML_TARGET_FILE_BYTES_MAX: u64 = crate::planfile::PLAN_BYTES_MAX;

/// Ending of a discovery's target file until it is complete: what was broken off never bears the
/// name of a whole fleet.
pub const PART: &str = ".part";

/// A file of targets that a plan names.
#[derive(Debug, Clone)]
pub struct FileSource {
    folder: PathBuf,
    name: String,
    shown: String,
    /// `None` for the file of a discovery, which a plan never names.
    form: Option<RowForm>,
}

impl FileSource {
    /// From the name in the plan; `folder` is the plan's, `shown` the same as the user wrote it.
    pub fn named(name: &str, folder: &Path, shown: &Path) -> Result<Self, Complaint> {
        if let Some(whole) = name.strip_suffix(PART) {
            let complaint = Complaint::new(format!(
                "{} is a discovery that was broken off: it is not the whole fleet",
                quote(name)
            ));
            return Err(complaint.help(format!(
                "{}, then name {}",
                complete(shown, whole),
                quote(whole)
            )));
        }
        let form = Some(RowForm::of(name, "targets")?);
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            shown: shown.join(name).display().to_string(),
            form,
        })
    }

    /// The file of a discovery, wherever it lies.
    pub fn discovery(path: &Path) -> Self {
        let (folder, name) = (
            path.parent().unwrap_or(Path::new("")),
            path.file_name().unwrap_or_default().to_string_lossy(),
        );
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Self {
            folder: folder.to_owned(),
            name: name.into_owned(),
            shown: path.display().to_string(),
            form: None,
        }
    }

    /// The name in the plan.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn max(&self) -> u64 {
        if self.form == Some(RowForm::Yaml) {
            YAML_TARGET_FILE_BYTES_MAX
        } else {
            TARGET_FILE_BYTES_MAX
        }
    }

    pub fn open(&self) -> Result<File, Complaint> {
        open::beneath(&self.folder, &self.name, self.max())
    }

    /// Reads all rows into `fleet`. A file that cannot be opened is a mistake of the plan, at `at`;
    /// any other has its place in the file.
    pub fn read(&self, fleet: &mut TargetCollector<'_>, at: ByteSpan, mistakes: &mut Mistakes) {
        let mut file = match self.open() {
            Ok(file) => file,
            Err(mut complaint) => {
                if self.form == Some(RowForm::Yaml) && complaint.message.contains("MiB") {
                    complaint.help = Some("write a large fleet as CSV or JSON Lines".into());
                }
                if open::beneath(&self.folder, &format!("{}{PART}", self.name), self.max()).is_ok()
                {
                    complaint.help = Some(format!(
                        "a discovery into it was broken off: {}",
                        complete(Path::new(""), &self.shown)
                    ));
                }
                complaint.message = format!("{} {}", quote(&self.name), complaint.message);
                let mut diagnostic = Diagnostic::error("target-file", complaint.message);
                diagnostic.help = complaint.help;
                return mistakes.push_node(fleet.plan, at, diagnostic);
            }
        };
        match self.form {
            Some(RowForm::Csv) => {
                let mut reader = rows::Csv::new(self.shown());
                self.each_line(&mut file, mistakes, |line, text, mistakes| {
                    reader.line(line, text, fleet, mistakes)
                });
                reader.end(mistakes);
            }
            Some(RowForm::JsonLines) => {
                self.each_line(&mut file, mistakes, |line, text, mistakes| {
                    rows::json(self.shown(), line, text, fleet, mistakes)
                });
            }
            Some(RowForm::Yaml) => self.read_yaml(&mut file, fleet, mistakes),
            None => unreachable!("read by `Fleet::read_discovered`"),
        }
    }

    fn each_line(
        &self,
        file: &mut File,
        mistakes: &mut Mistakes,
        each: impl FnMut(u32, &mut String, &mut Mistakes),
    ) {
        each_line(file, (&self.shown, "target-file"), TARGET_FILE_BYTES_MAX, mistakes, each);
    }

    fn read_yaml(&self, file: &mut File, fleet: &mut TargetCollector<'_>, mistakes: &mut Mistakes) {
        let source = open::read(file, self.max())
            .map_err(|complaint| complained(&self.shown, complaint).into())
            .and_then(|bytes| open::text(self.shown(), bytes));
        let source = match source {
            Ok(source) => source,
            Err(diagnostic) => return mistakes.push(*diagnostic),
        };
        let Some(document) = Document::read(&source, &schema::TARGET_FILE, mistakes) else {
            return;
        };
        read_list(None, &document, "", fleet, mistakes);
    }

    /// Hands over the lines with these numbers; what cannot be read again is left out.
    pub fn lines(&self, wanted: &BTreeSet<u32>, mut each: impl FnMut(u32, &str)) {
        let Ok(mut file) = self.open() else { return };
        let mut ignored = Mistakes::default();
        self.each_line(&mut file, &mut ignored, |line, text, _| {
            if wanted.contains(&line) {
                each(line, text.trim_end_matches(['\n', '\r']));
            }
        });
    }
}

/// How a discovery into this file is completed.
fn complete(folder: &Path, name: &str) -> String {
    format!(
        "complete it with `sealift discover --into {} --resume`",
        plain(&folder.join(name).display().to_string())
    )
}

/// Reads a list of maps: the plan's own, or that of a YAML file. `whole` is what was read of it
/// already.
pub(in crate::planfile) fn read_list(
    whole: Option<Option<Vec<raw::RawTarget>>>,
    document: &Document<'_>,
    path: &str,
    fleet: &mut TargetCollector<'_>,
    mistakes: &mut Mistakes,
) {
    let listed = document.entries(whole, path, mistakes);
    let Some(node) = document.exact(path) else { return };
    for (index, target) in listed {
        let line = node.item(index).map_or(0, |item| document.source().line(item.span));
        let line = u32::try_from(line).expect("a document is bounded to a few MiB");
        let raw::RawTarget { lane, instance_id, proxy_id, tags, ssl_option, instance_name } =
            target;
        let instance_name = instance_name.as_deref();
        fleet.push(
            TargetEntry {
                lane: &lane,
                instance_id,
                proxy_id,
                tags,
                seen: ssl_option,
                instance_name,
            },
            line,
        );
    }
}
