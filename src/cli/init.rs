//! `init`: writes a first plan and configuration with comments, which work as they are over the
//! emulated cloud.
//!
//! Invariant: no file that exists is touched; if one is in the way, nothing is written.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::args::InitArgs;
use super::exit::{Exit, ExitFailure};
use super::term;
use crate::domain::id::Name;
use crate::simcloud::emulator::{
    INSTANCES_DEFAULT, LANE_DEFAULT, PROXIES_DEFAULT, SEED_DEFAULT, TOKEN_DEFAULT,
};
use crate::simcloud::fleet::Fleet;
use crate::words::text::clean;

/// What to type then.
const NEXT: &str = "
  export SEALIFT_CONFIG=$PWD/sealift.yaml   # read by every verb
  sealift check first.yaml        # no daemon needed, nor for plan and rehearse
  sealift emulate                 # in a second terminal: the emulated cloud
  sealift serve                   # in a third one: the daemon
  sealift preflight first.yaml    # all that the plan needs is there
  sealift apply first.yaml        # submits it, follows it to the canary's end
  sealift promote first           # lets the other wave begin
  sealift watch first
";

/// `init`.
pub fn init(args: &InitArgs) -> Result<Exit> {
    let folder = &args.folder;
    let mut fleet = Vec::new();
    let made_up =
        Fleet::generate(PROXIES_DEFAULT as usize, INSTANCES_DEFAULT as usize, SEED_DEFAULT)?;
    made_up.write_targets(&Name::parse(LANE_DEFAULT, "lane")?, &mut fleet)?;
    let files: [(&str, &[u8]); 4] = [
        ("sealift.yaml", include_bytes!("init/sealift.yaml")),
        ("first.yaml", include_bytes!("init/first.yaml")),
        ("fleet.csv", &fleet),
        ("token", TOKEN_DEFAULT.as_bytes()),
    ];
    let there: Vec<_> = files
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| folder.join(name).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() {
        let message = format!(
            "{} has {} already, and nothing was written; name another folder: `sealift init FOLDER`",
            clean(&folder.display().to_string()),
            there.join(", ")
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    }
    let made = DirBuilder::new().recursive(true).mode(0o750).create(folder.join("plans.d"));
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    let mut out = term::stdout();
    for (name, text) in files {
        let path = folder.join(name);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "{}", clean(&path.display().to_string()))?;
    }
    out.flush()?;
    let enter = if folder == Path::new(".") {
        String::new()
    } else {
        format!("\n  cd {}", clean(&folder.display().to_string()))
    };
    term::say(&format!("\nNext:{enter}{}", NEXT.trim_end()));
    Ok(Exit::Done)
}

/// A new file. The token is a secret: nobody else may read it, and nobody needs to read the others.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command;

    #[test]
    fn what_to_type_next_is_a_command_line() {
        for line in NEXT.lines().filter(|line| line.trim_start().starts_with("sealift ")) {
            let words = line.split('#').next().unwrap_or_default().split_whitespace();
            command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
