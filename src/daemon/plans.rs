//! The plans folder: a new or changed plan is checked at once, one with `autostart: true` is
//! submitted.
//!
//! Invariants: only a regular file that belongs to this service's user or to root, in a folder that
//! nobody else may write, is ever read, because whoever writes here acts as an operator; each
//! version of a file is told about once in the log, and one that was not taken in `status` as long
//! as it stands; switching SSL off is never started from here, because nobody confirmed it.
//!
//! A scan is the truth; there are no file events. A file counts once it was the same in two scans,
//! so that a plan that is still being written is not taken for a shorter one.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::Callers;
use crate::api::preview::warning;
use crate::api::wire::PlanFault;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::id::Name;
use crate::engine::Handle;
use crate::engine::enforce::{note, opposing};
use crate::planfile::{self, Diagnostic, LoadedPlan, ReadPlan};
use crate::store::{Store, Submission, SubmitError};

const SCAN_EVERY: Duration = Duration::from_millis(500);

/// Plan files looked at; a folder with more is not one of plans.
const FILES_MAX: usize = 1000;

/// Scans between two tries to submit a plan that was refused for a reason that may pass.
const RETRY_SCANS: u32 = 60;

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

#[derive(Debug)]
struct KnownFile {
    version: Version,
    stage: FileStage,
    /// Why this version was not taken.
    fault: Option<PlanFault>,
}

#[derive(Debug, PartialEq, Eq)]
enum FileStage {
    /// Seen for the first time in this version; may still be written.
    Fresh,
    /// To be submitted again after so many scans.
    Again(u32),
    /// Nothing more to do with this version.
    Done,
}

/// Watches a folder. The folder's path may change (SIGHUP); sending it again, changed or not, looks
/// at every file anew. What was not taken goes to `faults`, for `status`.
pub async fn watch(
    mut folder: watch::Receiver<PathBuf>,
    lanes: BTreeMap<Name, Option<Name>>,
    receivers: Vec<Name>,
    store: Arc<dyn Store>,
    handle: Handle,
    callers: Callers,
    faults: watch::Sender<Vec<PlanFault>>,
) {
    let mut watcher = Watcher {
        known: BTreeMap::new(),
        complaint: None,
        lanes,
        receivers,
        store,
        handle,
        callers,
    };
    let mut tick = tokio::time::interval(SCAN_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            changed = folder.changed() => match changed {
                Ok(()) => watcher.forget(),
                Err(_) => return,
            },
            _ = tick.tick() => {}
        }
        let path = folder.borrow().clone();
        watcher.scan(&path).await;
        let found = watcher.faults(&path);
        faults.send_if_modified(|told| {
            let changed = *told != found;
            *told = found;
            changed
        });
    }
}

struct Watcher {
    known: BTreeMap<PathBuf, KnownFile>,
    /// What was last said about the folder itself.
    complaint: Option<String>,
    lanes: BTreeMap<Name, Option<Name>>,
    receivers: Vec<Name>,
    store: Arc<dyn Store>,
    handle: Handle,
    callers: Callers,
}

impl Watcher {
    fn forget(&mut self) {
        self.known.clear();
        self.complaint = None;
    }

    fn faults(&self, folder: &Path) -> Vec<PlanFault> {
        let whole = self
            .complaint
            .as_ref()
            .map(|why| fault(folder, None, format!("the plans folder is not used: {why}")));
        whole
            .into_iter()
            .chain(self.known.values().filter_map(|known| known.fault.clone()))
            .collect()
    }

    async fn scan(&mut self, folder: &Path) {
        let path = folder.to_owned();
        let found = match tokio::task::spawn_blocking(move || list(&path)).await {
            Ok(Ok(found)) => {
                self.complaint = None;
                found
            }
            Ok(Err(complaint)) => return self.complain(folder, complaint),
            Err(error) => return self.complain(folder, error.to_string()),
        };
        self.known.retain(|path, _| found.iter().any(|(there, _)| there == path));
        for (path, state) in found {
            self.look(path, state).await;
        }
    }

    fn complain(&mut self, folder: &Path, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!(folder = %folder.display(), "the plans folder is not used: {complaint}");
            self.complaint = Some(complaint);
        }
    }

    async fn look(&mut self, path: PathBuf, state: Result<Version, (Version, &'static str)>) {
        let version = match state {
            Ok(version) | Err((version, _)) => version,
        };
        // The first sight of a version, also at the start: it counts once the next scan finds it
        // unchanged.
        let seen = self.known.get_mut(&path).filter(|known| known.version == version);
        let (Some(known), Ok(_)) = (seen, &state) else {
            let (stage, fault) = match state {
                Ok(_) => (FileStage::Fresh, None),
                Err((_, complaint)) => (
                    self.complain_once(&path, version, complaint),
                    Some(fault(&path, None, complaint)),
                ),
            };
            self.known.insert(path, KnownFile { version, stage, fault });
            return;
        };
        let again = match &mut known.stage {
            FileStage::Done => return,
            FileStage::Again(scans) if *scans > 0 => {
                *scans -= 1;
                return;
            }
            FileStage::Again(_) => true,
            FileStage::Fresh => false,
        };
        let (stage, fault) = self.take(&path, again).await;
        self.known.insert(path, KnownFile { version, stage, fault });
    }

    fn complain_once(&self, path: &Path, version: Version, complaint: &str) -> FileStage {
        let told = self
            .known
            .get(path)
            .is_some_and(|known| known.version == version && known.stage == FileStage::Done);
        if !told {
            tracing::warn!(plan = %path.display(), "the plan is not read: {complaint}");
        }
        FileStage::Done
    }

    /// Reads and, if it says so, submits a plan; tells why not.
    async fn take(&self, path: &Path, again: bool) -> (FileStage, Option<PlanFault>) {
        let (file, lanes) = (path.to_owned(), self.lanes.clone());
        let receivers = self.receivers.clone();
        let read = move || {
            let read = planfile::read(&file, None)?;
            read.lanes().check(&lanes)?;
            if let ReadPlan::Whole(loaded) = &read {
                planfile::check_receivers(&loaded.plan, &receivers)?;
            }
            Ok::<ReadPlan, planfile::Diagnostics>(read)
        };
        let shown = path.display();
        let loaded = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(ReadPlan::Whole(loaded))) => *loaded,
            Ok(Ok(ReadPlan::Open(outline))) => {
                let (name, revision) = (&outline.name, outline.revision);
                if !again {
                    self.warn(path, &outline.warnings);
                    tracing::info!(plan = %shown, %name, revision, "the plan is well; `sealift apply` discovers its targets and submits it");
                }
                return (FileStage::Done, None);
            }
            Ok(Err(mistakes)) => {
                tracing::error!(plan = %shown, "the plan has mistakes, nothing was queued:\n{}", mistakes.render(false).trim_end());
                let why = format!("it has mistakes; `sealift check {shown}` shows them");
                return (FileStage::Done, Some(fault(path, None, why)));
            }
            Err(error) => {
                tracing::error!(plan = %shown, %error, "the plan cannot be read");
                return (
                    FileStage::Done,
                    Some(fault(path, None, format!("it cannot be read: {error}"))),
                );
            }
        };
        if !again {
            self.warn(path, &loaded.warnings);
        }
        let (name, revision) = (loaded.plan.name.clone(), loaded.plan.revision);
        if !loaded.autostart {
            tracing::info!(plan = %shown, %name, revision, targets = loaded.targets.len(), "the plan is well; submit it with `sealift apply`");
            return (FileStage::Done, None);
        }
        if !loaded.plan.ssl_option {
            let why = format!(
                "switching SSL off is not started by itself; use `sealift apply --confirm {name}`"
            );
            tracing::error!(plan = %shown, "{why}");
            return (FileStage::Done, Some(fault(path, Some(&name), why)));
        }
        self.submit(path, loaded, again).await
    }

    fn warn(&self, path: &Path, warnings: &[Diagnostic]) {
        for one in warnings {
            tracing::warn!(plan = %path.display(), "{}", warning(one));
        }
    }

    async fn submit(
        &self,
        path: &Path,
        loaded: LoadedPlan,
        again: bool,
    ) -> (FileStage, Option<PlanFault>) {
        let shown = path.display();
        let (name, revision) = (loaded.plan.name.clone(), loaded.plan.revision);
        // Whoever owns the file is who started it.
        let owner = match std::fs::symlink_metadata(path) {
            Ok(meta) => self.callers.user(meta.uid(), None).await.person(),
            // It went while it was read; the next scan finds it gone.
            Err(_) => return (FileStage::Fresh, None),
        };
        let LoadedPlan { plan, targets, .. } = loaded;
        let by = owner.by_plans_folder();
        let at = SystemClock.times().wall;
        let note = match opposing(&*self.store, &plan, &targets, at).await {
            Ok(found) => note(&found),
            // Nobody can be asked here, and the plan's owner said `autostart`.
            Err(error) => format!("what enforcements keep could not be told: {error}"),
        };
        if !note.is_empty() && !again {
            tracing::warn!(plan = %shown, %name, revision, "{note}; their next runs undo what the plan does there");
        }
        match self.handle.submit(Submission { plan, targets, by, at, note }).await {
            Ok(submitted) if submitted.new => {
                tracing::info!(plan = %shown, %name, revision, id = %submitted.id.short(), "the plan was submitted: autostart");
                (FileStage::Done, None)
            }
            Ok(submitted) if submitted.comments => {
                tracing::info!(plan = %shown, %name, revision, id = %submitted.id.short(), "the plan was submitted before; the file differs in comments or layout alone");
                (FileStage::Done, None)
            }
            Ok(submitted) => {
                tracing::debug!(plan = %shown, %name, revision, id = %submitted.id.short(), "the plan was submitted before");
                (FileStage::Done, None)
            }
            Err(error) => {
                // An edit under the same revision stays refused; what else stands in the way may
                // pass.
                let passes = !matches!(error, SubmitError::Changed { .. });
                let why = format!(
                    "the plan was not submitted: {error}{}",
                    if passes { "; it is tried again" } else { "" }
                );
                if !again {
                    tracing::error!(plan = %shown, %name, revision, "{why}");
                }
                (
                    if passes { FileStage::Again(RETRY_SCANS) } else { FileStage::Done },
                    Some(fault(path, Some(&name), why)),
                )
            }
        }
    }
}

fn fault(file: &Path, plan: Option<&Name>, why: impl Into<String>) -> PlanFault {
    PlanFault { file: file.display().to_string(), plan: plan.map(Name::to_string), why: why.into() }
}

type PlanFile = Vec<(PathBuf, Result<Version, (Version, &'static str)>)>;

/// The plan files of a folder, in the order of their names. A folder that is not there yet is
/// empty.
fn list(folder: &Path) -> Result<PlanFile, String> {
    let meta = match std::fs::metadata(folder) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    if !meta.is_dir() {
        return Err("it is no folder".into());
    }
    if let Some(complaint) = distrust(&meta) {
        return Err(complaint.into());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path();
        let plan =
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !plan || hidden {
            continue;
        }
        // The entry's own: a link is not followed. A file that went meanwhile is found gone by the
        // next scan.
        let Ok(meta) = entry.metadata() else { continue };
        let version = Version {
            inode: meta.ino(),
            size: meta.size(),
            seconds: meta.mtime(),
            nanos: meta.mtime_nsec(),
        };
        let complaint =
            if meta.is_file() { distrust(&meta) } else { Some("it is no regular file") };
        found.push((path, complaint.map_or(Ok(version), |complaint| Err((version, complaint)))));
        if found.len() > FILES_MAX {
            return Err(format!("it holds more than {FILES_MAX} plans"));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Why what stands here may not be acted on: somebody else could have written it.
fn distrust(meta: &std::fs::Metadata) -> Option<&'static str> {
    let ours = rustix::process::geteuid().as_raw();
    if meta.uid() != ours && meta.uid() != 0 {
        return Some("it belongs to another user; give it to the service's user or to root");
    }
    (meta.mode() & 0o022 != 0).then_some("others may write it; take the right away with chmod go-w")
}
