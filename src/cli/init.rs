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

/// What to type then, where no service is installed.
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

/// What to type where the package's service runs: it takes the lane, and no second daemon begins.
const NEXT_BESIDE_THE_SERVICE: &str = "
  sealift check first.yaml        # no daemon needed, nor for plan and rehearse
  sealift emulate                 # in a second terminal: the emulated cloud
  sudo install -m 600 -o sealift token /etc/sealift/token
  sed -n '/^lanes:/,$p' sealift.yaml | sudo tee -a /etc/sealift/sealift.yaml
                                  # unless lanes are there: then add this one to them by hand
  sealift config                  # every mistake, with its place
  sudo systemctl restart sealift  # the service that is installed takes the lane
  sealift preflight first.yaml    # all that the plan needs is there
  sealift apply first.yaml        # submits it, follows it to the canary's end
  sealift promote first           # lets the other wave begin
  sealift watch first
";

/// Where packages and administrators put the unit.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/sealift.service",
    "/usr/lib/systemd/system/sealift.service",
    "/lib/systemd/system/sealift.service",
];

/// What to type after it, from this folder.
fn next(folder: &Path, service: bool) -> String {
    let enter = if folder == Path::new(".") {
        String::new()
    } else {
        format!("\n  cd {}", clean(&folder.display().to_string()))
    };
    let next = if service { NEXT_BESIDE_THE_SERVICE } else { NEXT };
    format!("\nNext:{enter}{}", next.trim_end())
}

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
    let service = UNITS.iter().any(|unit| Path::new(unit).exists());
    term::say(&next(folder, service));
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
        let lines = NEXT.lines().chain(NEXT_BESIDE_THE_SERVICE.lines());
        for line in lines.filter(|line| line.trim_start().starts_with("sealift ")) {
            let words = line.split('#').next().unwrap_or_default().split_whitespace();
            command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn beside_a_service_no_second_daemon_is_begun() {
        insta::with_settings!({snapshot_path => "../../tests/golden/cli", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("init_beside_the_service", next(Path::new("first"), true));
        });
    }
}
