//! A plan with its targets: read here, and where it has `targets.discover`, found by the daemon or
//! taken from a file.
//!
//! Invariants: what is previewed, approved and submitted is one and the same discovery: it is a
//! file, it travels with the plan, and the digest holds what it found. An incomplete discovery is
//! no file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tempfile::TempPath;

use super::args::DiscoveredArgs;
use super::client::{Client, Upload};
use super::exit::{Exit, ExitFailure};
use super::reach::DaemonAddress;
use super::term;
use super::text::count;
use super::walk::{Visitor, walk};
use super::wire::{InstanceRow, LookProxy, OpposingRow};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::id::Name;
use crate::planfile::discovery::{DiscoveryWriter, FoundProxy};
use crate::planfile::selector::{SelectedInstance, Selector};
use crate::planfile::{self, Diagnostics, Lanes, LoadedPlan, Outline, ReadPlan};

/// A plan that may be submitted, with the file of its discovery.
pub struct Planned {
    pub loaded: LoadedPlan,
    /// What was found for it; nothing for a plan that has nothing to discover.
    discovered: Option<DiscoveryFile>,
}

impl Planned {
    /// The file of its discovery, if it has one. It goes away with this value unless a person named
    /// it.
    pub fn discovered(&self) -> Option<&Path> {
        match &self.discovered {
            Some(DiscoveryFile::Named(path)) => Some(path),
            Some(DiscoveryFile::Temporary(path)) => Some(path),
            None => None,
        }
    }

    /// Which enforcements keep some of its targets at the other value, as the daemon says.
    pub async fn opposing(&self, path: &Path, client: &Client) -> Result<Vec<OpposingRow>> {
        let files = named_files(path)?;
        let upload = Upload { plan: path, files: &files, discovered: self.discovered() };
        Ok(client.preview(&upload).await?.opposing)
    }
}

/// The files that a plan names: they travel with it. The plan was read without a mistake before.
pub fn named_files(plan: &Path) -> Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Plan {
        targets: Targets,
        #[serde(default)]
        verify: Option<Verify>,
    }
    #[derive(Deserialize)]
    struct Verify {
        #[serde(default)]
        wire: Option<Wire>,
    }
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        ca_file: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Targets {
        #[serde(default)]
        files: Vec<PathBuf>,
    }
    let text =
        std::fs::read_to_string(plan).with_context(|| format!("cannot read {}", plan.display()))?;
    let plan: Plan = serde_yaml::from_str(&text).context("the plan changed while it was read")?;
    let mut files = plan.targets.files;
    files.extend(plan.verify.and_then(|verify| verify.wire?.ca_file));
    Ok(files)
}

/// The file of a discovery.
enum DiscoveryFile {
    Named(PathBuf),
    Temporary(TempPath),
}

/// Reads the plan, and discovers its targets if it says so and no file of an earlier discovery is
/// given; only then `client` is asked for.
pub async fn load(
    path: &Path,
    args: &DiscoveredArgs,
    daemon: &DaemonAddress,
    client: impl FnOnce() -> Result<Client>,
) -> Result<Planned> {
    let named = args.discovered.as_deref();
    let (loaded, discovered) = match planfile::read(path, named).map_err(refused)? {
        ReadPlan::Whole(loaded) => {
            (*loaded, named.map(|path| DiscoveryFile::Named(path.to_owned())))
        }
        ReadPlan::Open(outline) => {
            known_lanes(daemon, &outline.lanes)?;
            let kept = discover(&client()?, &outline, path, None).await?;
            found(path, kept)?
        }
    };
    known_lanes(daemon, &loaded.lanes)?;
    Ok(Planned { loaded, discovered })
}

/// As [`load`]; what is found is written to `into`, which must not exist.
pub async fn load_and_save(
    path: &Path,
    into: &Path,
    daemon: &DaemonAddress,
    client: impl FnOnce() -> Result<Client>,
) -> Result<Planned> {
    let ReadPlan::Open(outline) = planfile::read(path, None).map_err(refused)? else {
        let message = format!(
            "{} has no `targets.discover`, so nothing is found that could be saved",
            path.display()
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    };
    known_lanes(daemon, &outline.lanes)?;
    let kept = discover(&client()?, &outline, path, Some(into)).await?;
    let (loaded, discovered) = found(path, kept)?;
    known_lanes(daemon, &loaded.lanes)?;
    Ok(Planned { loaded, discovered })
}

fn found(plan: &Path, kept: DiscoveryFile) -> Result<(LoadedPlan, Option<DiscoveryFile>)> {
    let planned = match &kept {
        DiscoveryFile::Named(path) => planfile::read(plan, Some(path)),
        DiscoveryFile::Temporary(path) => planfile::read(plan, Some(path)),
    };
    match planned.map_err(refused)? {
        ReadPlan::Whole(loaded) => Ok((*loaded, Some(kept))),
        ReadPlan::Open(_) => unreachable!("with a discovery nothing is left to discover"),
    }
}

async fn discover(
    client: &Client,
    outline: &Outline,
    plan: &Path,
    into: Option<&Path>,
) -> Result<DiscoveryFile> {
    let cannot = || format!("cannot write what is found for {}", plan.display());
    // Beside the file that it becomes, so that what was broken off never bears its name.
    let folder = into.map_or_else(std::env::temp_dir, |path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    });
    if let Some(there) = into.filter(|path| path.exists()) {
        let message = format!(
            "{} is there already; name another file, or use it with --discovered",
            there.display()
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    }
    let file = tempfile::Builder::new()
        .prefix("sealift-")
        .suffix(".jsonl")
        .tempfile_in(&folder)
        .with_context(cannot)?;
    let (file, path) = file.into_parts();
    let out =
        DiscoveryWriter::new(BufWriter::new(file), SystemClock.times().wall, &outline.discover)
            .with_context(cannot)?;
    let mut finding = DiscoveryNeed { selectors: &outline.discover, out, proxies: 0, instances: 0 };
    let mut lanes: Vec<String> = Vec::new();
    for lane in outline.discover.iter().map(|selector| selector.lane.to_string()) {
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    walk(
        client,
        &lanes,
        &mut finding,
        "the discovery was given up; nothing was submitted",
        "run it again",
    )
    .await?;
    let DiscoveryNeed { out, proxies, instances, .. } = finding;
    let file = out.end().with_context(cannot)?.into_inner().with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    term::say(&format!(
        "{} found on {}",
        count(proxies, "proxy", "proxies"),
        count(instances, "instance", "instances")
    ));
    Ok(match into {
        Some(into) => {
            path.persist_noclobber(into)
                .with_context(|| format!("cannot write {}", into.display()))?;
            DiscoveryFile::Named(into.to_owned())
        }
        None => DiscoveryFile::Temporary(path),
    })
}

struct DiscoveryNeed<'a> {
    selectors: &'a [Selector],
    out: DiscoveryWriter<BufWriter<File>>,
    proxies: u32,
    instances: u32,
}

impl Visitor for DiscoveryNeed<'_> {
    fn wants(&mut self, lane: &str, row: &InstanceRow) -> bool {
        let instance = SelectedInstance { name: &row.name, state: &row.status, tags: &row.tags };
        let mut here = self.selectors.iter().filter(|selector| selector.lane.as_str() == lane);
        // An instance that surely has no proxy costs a call that tells nothing.
        row.proxied != Some(false) && here.any(|selector| selector.wants(instance))
    }

    fn take(&mut self, lane: &str, row: &InstanceRow, proxies: Vec<LookProxy>) -> Result<()> {
        let wrong = |what: &str, id: &str| {
            format!("lane {lane} listed {what} whose id is {id:?}; the discovery ends")
        };
        let lane = Name::parse(lane, "lane").context("the daemon named a lane that is none")?;
        self.instances += u32::from(!proxies.is_empty());
        for LookProxy { proxy_id, ssl_option, .. } in proxies {
            self.proxies += 1;
            self.out.push(&FoundProxy {
                lane: lane.clone(),
                instance_id: row
                    .instance_id
                    .parse()
                    .with_context(|| wrong("an instance", &row.instance_id))?,
                instance_name: row.name.clone(),
                instance_state: row.status.clone(),
                tags: row.tags.clone(),
                proxy_id: proxy_id.parse().with_context(|| wrong("a proxy", &proxy_id))?,
                ssl_option,
            })?;
        }
        Ok(())
    }
}

/// The mistakes of a plan, drawn in their lines.
pub fn refused(mistakes: Diagnostics) -> ExitFailure {
    ExitFailure::new(Exit::Error, mistakes.render(term::colour()).trim_end())
}

/// Checks the lanes, if the daemon's configuration is at hand; without one they are checked when
/// the plan is submitted.
pub fn known_lanes(daemon: &DaemonAddress, lanes: &Lanes) -> Result<(), ExitFailure> {
    daemon.lanes().map_or(Ok(()), |known| lanes.check(known)).map_err(refused)
}
