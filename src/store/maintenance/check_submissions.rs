//! The submissions' part of a check: every one that the journal names is there and is what was
//! submitted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::finding::Findings;
use super::offline::submissions;
use super::unpack::digest_of;
use crate::domain::id::Digest;
use crate::domain::target::Target;
use crate::store::error::OpenError;
use crate::store::submission::{StoredSubmission, path};

const REMEDY: &str = "sealift store repair --from a backup or export that holds it, or copy the file of this name from one";

/// Checks the submissions that the journal names; says how many there are.
pub(super) fn check(
    dir: &Path,
    spoken_of: &[(Digest, String)],
    findings: &mut Findings,
) -> Result<usize, OpenError> {
    let folder = submissions(dir);
    let wanted: BTreeMap<Digest, &str> =
        spoken_of.iter().map(|(digest, place)| (*digest, place.as_str())).collect();
    for (digest, entry) in &wanted {
        let file = path(&folder, *digest);
        match digest_of(&file) {
            Ok(found) if found == *digest => {
                // The bytes are those that were submitted; that they can be read is left to be
                // seen.
                if let Err(error) = StoredSubmission::open(&folder, *digest) {
                    findings.damage(
                        file.display(),
                        error.to_string(),
                        "use the program that wrote it, or a newer one",
                    );
                }
            }
            Ok(_) => {
                let (line, what) = first_bad_line(&file);
                let place = if line > 0 {
                    format!("{}:{line}", file.display())
                } else {
                    file.display().to_string()
                };
                findings.damage(
                    place,
                    format!("is not what was submitted{what} (journal {entry})"),
                    REMEDY,
                );
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                findings.damage(file.display(), format!("is missing (journal {entry})"), REMEDY);
            }
            Err(error) => findings.damage(
                file.display(),
                format!("cannot be read: {error} (journal {entry})"),
                REMEDY,
            ),
        }
    }
    let known: BTreeSet<_> = wanted.keys().map(|digest| path(&folder, *digest)).collect();
    match std::fs::read_dir(&folder) {
        Ok(files) => {
            for file in files
                .filter_map(Result::ok)
                .map(|file| file.path())
                .filter(|file| !known.contains(file))
            {
                let half = file.extension().is_some_and(|extension| extension == "new");
                let what = if half {
                    "was left half written"
                } else {
                    "belongs to no rollout: it was written, and then not taken"
                };
                let remedy =
                    if half { "none: the next start removes it" } else { "none: it does no harm" };
                findings.note(file.display(), what, remedy);
            }
        }
        // Each one that is missing with it was told.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(OpenError::Directory { what: "list", path: folder, source }),
    }
    Ok(wanted.len())
}

/// The first line that is no target, and what is wrong with it; 0 when every line can be read.
fn first_bad_line(file: &Path) -> (u64, String) {
    let Ok(opened) = File::open(file) else { return (0, String::new()) };
    let lines = BufReader::new(opened).split(b'\n');
    for (number, line) in (1_u64..).zip(lines).skip(1) {
        let Ok(line) = line else { break };
        if let Err(error) = serde_json::from_slice::<Target>(&line) {
            return (number, format!(": {error}"));
        }
    }
    (0, String::new())
}
