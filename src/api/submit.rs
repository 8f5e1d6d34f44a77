//! Takes a plan over: the upload, its check, and the submission.
//!
//! An upload is `multipart/form-data`: one part `plan`, and one part `file` for each target file,
//! named by its path relative to the plan (`curl -F plan=@plan.yaml -F file=@fleet.csv`), and for a
//! plan with `targets.discover` one part `discovered`, the file of the discovery. The parts go to a
//! folder of their own as they arrive and are read from there exactly as a plan on disk is; so a
//! large fleet is never held as JSON, and nothing is accepted that `sealift check` would refuse.
//!
//! Invariants: no part is written outside its folder; the folder goes away with the request; what
//! is answered with success is durable. All uploads together take at most [`SPOOL_MAX`], and one
//! takes a place among those that are checked only when it is whole: a client that stalls keeps
//! nobody out.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::Api;
use super::caller::{Caller, Reads, SwitchesOff};
use super::contract::{PlanUpload, RefusedAnswers};
use super::fault::ApiError;
use super::places::{Stalled, place};
use super::preview::{digest, excluded, preview as make_preview, warning};
use super::request::{UploadParts, query};
use super::wire::{OpposingRow, Preview, SubmitAnswer};
use crate::domain::lane::reached;
use crate::domain::person::Person;
use crate::engine::enforce::{note, opposing};
use crate::planfile::{self, Diagnostics, LoadedPlan, Mend, ReadPlan, check_receivers};
use crate::store::Submission;

/// Files of one upload: the plan, as many target files as a plan may name, its file of authorities,
/// and what was discovered.
const FILES_MAX: usize = 103;

/// Where the file of a discovery is kept: beside the folder of the plan, so that no plan reaches it
/// by a name.
const DISCOVERED: &str = "discovered.jsonl";

/// Where the plan and its files are kept.
const PLAN: &str = "plan";

/// Bytes of one upload; the plan reader has closer limits for each file.
const UPLOAD_MAX: u64 = 512 << 20;

/// What is said of a plan that was submitted before in other words.
const COMMENTS: &str = "the file differs from the plan that was submitted in comments or layout alone; the digest stays that of the plan that was submitted";

/// Bytes of a plan's text that a form may hold, and that is shown again.
const TEXT_MAX: u64 = 256 * 1024;

/// The name of a plan's text that has none.
const PLAN_NAME: &str = "plan.yaml";

/// Parts of a relative path.
const DEPTH_MAX: usize = 8;

/// Bytes of a relative path.
const PATH_MAX: usize = 255;

/// Bytes of all uploads that are here: the disk is the store's too.
const SPOOL_MAX: u64 = 2 * UPLOAD_MAX;

/// Time for an upload to arrive, however steadily: the largest takes seconds on one machine.
const UPLOAD_WITHIN: Duration = Duration::from_secs(120);

/// Plans checked at once: each takes a core.
static CHECKS: Semaphore = Semaphore::const_new(2);

/// Bytes of the uploads that are here.
static SPOOLED: AtomicU64 = AtomicU64::new(0);

/// Names the folders of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SubmitQuery {
    /// Refuse anything but this digest.
    digest: Option<String>,
    /// The plan's name, typed back: needed to switch SSL off.
    confirm: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// Targets shown of each wave.
    per_wave: Option<usize>,
}

/// Targets of a wave shown at most.
const PER_WAVE_MAX: usize = 1000;

/// What a plan would do, without submitting it.
#[utoipa::path(
    post,
    path = "/v1/plans/preview",
    operation_id = "preview_plan",
    tag = "plans",
    params(PreviewQuery),
    request_body(content = PlanUpload, content_type = "multipart/form-data"),
    responses((status = 200, description = "What it would do", body = Preview), RefusedAnswers)
)]
pub(super) async fn preview(
    State(api): State<Arc<Api>>,
    Reads(caller): Reads,
    uri: Uri,
    UploadParts(parts): UploadParts,
) -> Result<Json<Preview>, ApiError> {
    let asked: PreviewQuery = query(&uri)?;
    let (submission, taken) = take(&api, caller.person(), parts).await?;
    let per_wave = asked.per_wave.unwrap_or(0).min(PER_WAVE_MAX);
    let warnings = taken.warnings.iter().map(warning).collect();
    let (excluded, discovered_at) = (excluded(&taken, per_wave), taken.discovered_at);
    let opposing = opposing(&*api.store, &submission.plan, &submission.targets, api.now()).await?;
    let opposing = opposing.iter().map(OpposingRow::from).collect();
    Ok(Json(Preview {
        excluded,
        discovered_at,
        opposing,
        ..make_preview(&submission, warnings, per_wave, api.now())
    }))
}

/// Submit a plan; the very same plan again is the same rollout.
#[utoipa::path(
    post,
    path = "/v1/rollouts",
    operation_id = "submit_plan",
    tag = "plans",
    params(SubmitQuery),
    request_body(content = PlanUpload, content_type = "multipart/form-data"),
    responses((status = 201, description = "Submitted, and durable", body = SubmitAnswer), (status = 200, description = "It was there already", body = SubmitAnswer), RefusedAnswers)
)]
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    uri: Uri,
    UploadParts(parts): UploadParts,
) -> Result<(StatusCode, Json<SubmitAnswer>), ApiError> {
    let asked: SubmitQuery = query(&uri)?;
    let (submission, _) = take(&api, caller.person(), parts).await?;
    let caller = caller.to(submission.plan.ssl_option)?;
    if let Some(wanted) = &asked.digest {
        let found = digest(&submission).to_string();
        if *wanted != found {
            let message = format!(
                "the plan's digest is {found}, not the one that was approved; preview it again with `sealift plan`"
            );
            return Err(ApiError::new(StatusCode::CONFLICT, message));
        }
    }
    let (new, answer) = take_over(&api, &caller, submission, asked.confirm.as_deref()).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(answer)))
}

/// Hands a submission to the engine; whether it is a new one, and what became of it.
pub(super) async fn take_over(
    api: &Api,
    caller: &Caller,
    submission: Submission,
    confirm: Option<&str>,
) -> Result<(bool, SubmitAnswer), ApiError> {
    let (name, revision) = (submission.plan.name.clone(), submission.plan.revision);
    let ssl_option = submission.plan.ssl_option;
    if !ssl_option && confirm != Some(name.as_str()) {
        let message = format!(
            "plan {name} switches SSL off; confirm it with the plan's name (`--confirm {name}`)"
        );
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    let targets = u32::try_from(submission.targets.len()).unwrap_or(u32::MAX);
    let opposing = opposing(&*api.store, &submission.plan, &submission.targets, api.now()).await?;
    let submitted = api.handle.submit(Submission { note: note(&opposing), ..submission }).await?;
    tracing::info!(plan = %name, revision, id = %submitted.id.short(), targets, ssl_option, new = submitted.new, by = %caller, via = %caller.via, "plan submitted");
    let answer = SubmitAnswer {
        id: submitted.id.to_string(),
        name: name.to_string(),
        revision,
        targets,
        new: submitted.new,
        note: submitted.comments.then(|| COMMENTS.to_owned()),
        opposing: opposing.iter().map(OpposingRow::from).collect(),
    };
    Ok((submitted.new, answer))
}

/// Who sends an upload: a client that names its parts as it should, or a browser's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadSource {
    Client,
    /// With fields beside the files, and with fields of files in which nothing was chosen.
    Form,
}

/// A plan that was read.
pub(super) struct SpooledPlan {
    /// The name of its file.
    pub file: String,
    /// Its text, where it has at most [`TEXT_MAX`] bytes.
    pub text: Option<String>,
    /// The plan, or its mistakes, with files named as the client names them.
    pub read: Result<Box<LoadedPlan>, Diagnostics>,
}

/// Unpacks and checks an upload.
async fn take(
    api: &Api,
    by: Person,
    parts: Multipart,
) -> Result<(Submission, Box<LoadedPlan>), ApiError> {
    let spooled = read(api, parts, UploadSource::Client).await?;
    let loaded = spooled.read.map_err(|mistakes| {
        let rendered = mistakes.render(false);
        let diagnostics = serde_json::to_value(&mistakes).unwrap_or_default();
        ApiError::plan("the plan has mistakes; `sealift check` shows them", diagnostics, rendered)
    })?;
    Ok((submission(&loaded, by, api.now()), loaded))
}

/// The submission of a plan that was read.
pub(super) fn submission(loaded: &LoadedPlan, by: Person, at: Timestamp) -> Submission {
    let (plan, targets) = (loaded.plan.clone(), loaded.targets.clone());
    Submission { plan, targets, by, at, note: String::new() }
}

/// Unpacks an upload, and reads the plan in it.
pub(super) async fn read(
    api: &Api,
    parts: Multipart,
    source: UploadSource,
) -> Result<SpooledPlan, ApiError> {
    let mut folder = UploadFolder::new(&api.spool).map_err(disk)?;
    let late = |_| {
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the upload did not arrive within {} s", UPLOAD_WITHIN.as_secs()),
        )
    };
    let unpacked = unpack(&mut folder, parts, source);
    let (plan, discovered) = timeout(UPLOAD_WITHIN, unpacked).await.map_err(late)??;
    let place = place(&CHECKS, "other plans are being checked").await?;
    let (lanes, receivers) = (reached(&api.lanes), api.receiver_names());
    let read = move || {
        let _place = place;
        let read = match &discovered {
            None => planfile::load(&plan).map(Box::new),
            Some(_) => planfile::read(&plan, discovered.as_deref()).map(|read| match read {
                ReadPlan::Whole(loaded) => loaded,
                ReadPlan::Open(_) => unreachable!("with a discovery nothing is left to discover"),
            }),
        };
        let read = read
            .and_then(|loaded| loaded.lanes.check(&lanes).map(|()| loaded))
            .and_then(|loaded| check_receivers(&loaded.plan, &receivers).map(|()| loaded));
        let short = std::fs::metadata(&plan).is_ok_and(|plan| plan.len() <= TEXT_MAX);
        let text = short.then(|| std::fs::read_to_string(&plan).ok()).flatten();
        let file = plan.strip_prefix(folder.path.join(PLAN)).unwrap_or(&plan);
        let file = file.display().to_string();
        let read = read.map_err(|mistakes| renamed(mistakes, &folder.path));
        // The folder goes away here, on the thread that may block.
        drop(folder);
        SpooledPlan { file, text, read }
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The mistakes with the client's own names of files, not those of our spool.
fn renamed(mut mistakes: Diagnostics, folder: &Path) -> Diagnostics {
    let ours = [format!("{}/", folder.join(PLAN).display()), format!("{}/", folder.display())];
    let strip = |text: &mut String| {
        for ours in &ours {
            if text.contains(ours.as_str()) {
                *text = text.replace(ours.as_str(), "");
            }
        }
    };
    for one in &mut mistakes.list {
        strip(&mut one.message);
        one.place.iter_mut().for_each(|place| strip(&mut place.file));
        if let Some((place, what)) = &mut one.also {
            strip(&mut place.file);
            strip(what);
        }
        one.help.iter_mut().chain(&mut one.replacement).for_each(&strip);
    }
    mistakes
}

/// A folder of its own; gone when dropped.
struct UploadFolder {
    path: PathBuf,
    /// Bytes in it, a part of [`SPOOLED`].
    bytes: u64,
}

impl UploadFolder {
    fn new(spool: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = spool.join(format!("{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(spool)?;
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, bytes: 0 })
    }

    /// Makes room for so many bytes more, before they are written.
    fn reserve(&mut self, bytes: u64) -> Result<(), ApiError> {
        if self.bytes + bytes > UPLOAD_MAX {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the upload has more than {} MiB", UPLOAD_MAX >> 20),
            ));
        }
        let fits =
            |spooled: u64| spooled.checked_add(bytes).filter(|spooled| *spooled <= SPOOL_MAX);
        if SPOOLED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(ApiError::busy(format!(
                "other uploads take {} MiB of its disk; try again in a moment",
                SPOOL_MAX >> 20
            )));
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for UploadFolder {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = std::fs::remove_dir_all(&self.path);
        SPOOLED.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The plan's file, and that of its discovery if one came.
async fn unpack(
    folder: &mut UploadFolder,
    mut parts: Multipart,
    source: UploadSource,
) -> Result<(PathBuf, Option<PathBuf>), ApiError> {
    let (mut plan, mut discovered, mut fields) = (None, None, FormFields::default());
    for _ in 0..=FILES_MAX {
        let Some(part) = parts.next_field().await.map_err(broken)? else {
            if plan.is_none() && source == UploadSource::Form {
                plan = Some(fields.written(folder).await?);
            }
            return plan
                .map(|plan| (plan, discovered))
                .ok_or_else(|| ApiError::bad("the upload has no part `plan`"));
        };
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().unwrap_or_default().to_owned();
        if source == UploadSource::Form && (FORM_FIELDS.contains(&&*name) || file.is_empty()) {
            fields.read(&name, part).await?;
            continue;
        }
        let relative = relative(&file).ok_or_else(|| {
            ApiError::bad(format!(
                "`{}` is no relative path inside the plan's folder",
                file.escape_debug()
            ))
        })?;
        match name.as_str() {
            "plan" if plan.is_some() => {
                return Err(ApiError::bad("the upload has two parts `plan`"));
            }
            "discovered" if discovered.is_some() => {
                return Err(ApiError::bad("the upload has two parts `discovered`"));
            }
            "plan" | "file" | "discovered" => {}
            _ => {
                let message = format!(
                    "the upload has a part `{}`; use `plan`, `file` and `discovered`",
                    name.escape_debug()
                );
                return Err(ApiError::bad(message));
            }
        }
        let at = if name == "discovered" {
            folder.path.join(DISCOVERED)
        } else {
            folder.path.join(PLAN).join(relative)
        };
        write(folder, &at, part).await?;
        match name.as_str() {
            "plan" => plan = Some(at),
            "discovered" => discovered = Some(at),
            _ => {}
        }
    }
    Err(ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the upload has more than {FILES_MAX} files"),
    ))
}

/// Fields of a form beside its files.
const FORM_FIELDS: [&str; 4] = ["form", "name", "text", "fix"];

/// What a form says beside its files.
#[derive(Default)]
struct FormFields {
    /// The name that the plan's text has as a file.
    name: String,
    text: String,
    /// Fixes that are applied to the text.
    fix: String,
}

impl FormFields {
    async fn read(&mut self, name: &str, mut part: Field<'_>) -> Result<(), ApiError> {
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(more) = part.chunk().await.map_err(broken)? {
            if bytes.len() + more.len() > TEXT_MAX as usize {
                let most = TEXT_MAX / 1024;
                let message =
                    format!("a field has more than {most} KiB; choose the plan's file instead");
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            bytes.extend_from_slice(&more);
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            ApiError::bad(format!("the field `{}` is no text", name.escape_debug()))
        })?;
        match name {
            "name" => self.name = text,
            // A browser sends line ends as the web has them.
            "text" => self.text = text.replace("\r\n", "\n"),
            "fix" => self.fix = text,
            _ => {}
        }
        Ok(())
    }

    /// The text as the plan's file.
    async fn written(self, folder: &mut UploadFolder) -> Result<PathBuf, ApiError> {
        if self.text.trim().is_empty() {
            return Err(ApiError::bad("there is no plan: paste its text, or choose its file"));
        }
        let text = Mend::apply(&self.text, &self.fix);
        let relative = relative(&self.name).unwrap_or(Path::new(PLAN_NAME));
        let at = folder.path.join(PLAN).join(relative);
        folder.reserve(text.len() as u64)?;
        if let Some(parent) = at.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(disk)?;
        }
        let write = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&at).await;
        let mut file = write.map_err(named_twice)?;
        file.write_all(text.as_bytes()).await.map_err(disk)?;
        file.flush().await.map_err(disk)?;
        Ok(at)
    }
}

fn named_twice(error: std::io::Error) -> ApiError {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => ApiError::bad("the upload names one file twice"),
        _ => disk(error),
    }
}

/// The path, if it stays inside the folder that it is relative to.
fn relative(path: &str) -> Option<&Path> {
    let plain = !path.is_empty() && path.len() <= PATH_MAX && !path.chars().any(char::is_control);
    let path = Path::new(path);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)))
        && path.components().count() <= DEPTH_MAX;
    (plain && inside).then_some(path)
}

async fn write(
    folder: &mut UploadFolder,
    path: &Path,
    mut part: Field<'_>,
) -> Result<(), ApiError> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(disk)?;
    }
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .await
        .map_err(named_twice)?;
    while let Some(bytes) = part.chunk().await.map_err(broken)? {
        folder.reserve(bytes.len() as u64)?;
        file.write_all(&bytes).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)
}

fn broken(error: MultipartError) -> ApiError {
    if let Some(stalled) = Stalled::behind(&error) {
        return ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the upload was given up: {stalled}"),
        );
    }
    ApiError::new(error.status(), format!("the upload cannot be read: {}", error.body_text()))
}

fn disk(error: std::io::Error) -> ApiError {
    ApiError::new(
        StatusCode::INSUFFICIENT_STORAGE,
        format!("the upload cannot be stored: {error}; is the state directory full?"),
    )
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn uploads_share_one_bound_of_the_disk() {
        let spool = tempfile::tempdir().expect("a folder");
        let mut folders: Vec<_> =
            (0..3).map(|_| UploadFolder::new(spool.path()).expect("a folder")).collect();
        let status = |refused: ApiError| refused.into_response();
        assert_eq!(
            status(folders[0].reserve(UPLOAD_MAX + 1).expect_err("too much for one")).status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        folders[0].reserve(UPLOAD_MAX).expect("the first");
        folders[1].reserve(UPLOAD_MAX).expect("the second");
        let busy = status(folders[2].reserve(1).expect_err("too much for all"));
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(busy.headers().contains_key("retry-after"), "it may come again");
        drop(folders.remove(0));
        folders[1].reserve(1).expect("the first is gone");
        drop(folders);
        assert_eq!(SPOOLED.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_part_never_leaves_its_folder() {
        for good in ["fleet.csv", "a/b/fleet.csv", "..fleet"] {
            assert!(relative(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./../x",
            "a\nb",
            "a/b/c/d/e/f/g/h/i",
            &"x".repeat(300),
        ] {
            assert!(relative(bad).is_none(), "{bad:?}");
        }
    }
}
