//! The fleet and the plan that every contestant works on: the same seed gives the same ids in every
//! process.

use std::fs::File;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealift::domain::id::{IdError, Name, ProjectId};
use sealift::planfile;
use sealift::simcloud::fleet::{Fleet, FleetProxy};

use crate::BenchFailure;

/// Seed of all ids.
pub const SEED: u64 = 20_261_124;

/// The project in every path.
pub const PROJECT: &str = "056538411200d4cd2f79c003c7606412";

/// What stands in `X-Auth-Token`.
pub const TOKEN: &str = "a-token-of-the-benchmark";

pub fn lane() -> Name {
    Name::parse("bench", "lane").expect("letters")
}

pub fn project() -> ProjectId {
    PROJECT.parse().expect("32 digits")
}

/// One proxy an instance, SSL off. A proxy has the digits of its instance, so that a server without
/// memory can name it.
pub fn generate(proxies: u32) -> Result<Fleet, BenchFailure> {
    let made = Fleet::generate(proxies as usize, proxies as usize, SEED)?;
    let named = made.proxies().iter().map(|proxy| {
        let digits = proxy.instance_id.as_str().trim_end_matches("in07");
        Ok(FleetProxy { proxy_id: format!("{digits}po01").parse()?, ..*proxy })
    });
    Ok(Fleet::new(named.collect::<Result<_, IdError>>()?)?)
}

/// Writes the token's file, which nobody else may read.
pub fn write_token(path: &Path) -> Result<(), BenchFailure> {
    write_secret(path, TOKEN)
}

/// Writes a file with a secret, which nobody else may read.
pub fn write_secret(path: &Path, text: &str) -> Result<(), BenchFailure> {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?)
}

/// Writes the target file, and tells its path.
pub fn write_targets(dir: &Path, proxies: u32) -> Result<PathBuf, BenchFailure> {
    let path = dir.join("fleet.csv");
    generate(proxies)?.write_targets(&lane(), BufWriter::new(File::create(&path)?))?;
    Ok(path)
}

/// Writes a plan over the target file beside it, and tells its path. The budget lets all fail, so
/// that it does not bound the pace. `waves` and `more` are YAML of `strategy` and of the plan.
pub fn write_plan(
    dir: &Path,
    proxies: u32,
    in_flight: u32,
    waves: &str,
    more: &str,
) -> Result<PathBuf, BenchFailure> {
    write_targets(dir, proxies)?;
    let text = format!(
        "version: 1\nname: bench\nssl_option: true\ntargets: {{files: [fleet.csv]}}\nstrategy:\n  max_in_flight: {in_flight}\n  \
         max_failures: {{wave: {proxies}, rollout: {proxies}}}\n{waves}{more}"
    );
    let path = dir.join("plan.yaml");
    std::fs::write(&path, text)?;
    Ok(path)
}

pub fn load(plan: &Path) -> Result<planfile::LoadedPlan, BenchFailure> {
    planfile::load(plan).map_err(|mistakes| mistakes.to_string().into())
}
