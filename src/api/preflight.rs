//! Preflight: what a rollout needs, looked at before its window and told line by line.
//!
//! Invariants: nothing is changed at the cloud, and nothing stays behind on the disk; every call is
//! a read with a permit of its lane, behind all work, and is called a no-go only after all tries of
//! the engine (`engine::Handle::ask`); at most [`PROBES_MAX`] ports are looked at at once, each
//! once, after all reads and all within [`PORTS_WITHIN`]. What a read cannot tell is told as a
//! note, never as a go.
//!
//! Deliberately not here: the plan, which the client reads (`sealift preflight`), and what the
//! lines amount to.

mod targets;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use self::targets::{InstanceTargets, TargetPort};
use super::Api;
use super::caller::Operates;
use super::contract::RefusedAnswers;
use super::describe;
use super::fault::ApiError;
use super::look::{AT_ONCE, json_lines, lane};
use super::wire::{CheckRow, LOOK_INSTANCES_MAX, PORTS_WITHIN, PreflightRequest};
use crate::clock::Times;
use crate::domain::call::{Answer, Call, CallError, Disposition, Reply};
use crate::domain::cloud_clock::{CloudClock, TimeSpan};
use crate::domain::count::count;
use crate::domain::hold::{CLOCK_REMEDY, clock_text};
use crate::domain::id::Name;
use crate::domain::lane::{CLOCK_TOLERANCE, Credentials};
use crate::domain::stop::Stop;
use crate::engine::{ClockStanding, PROBES_MAX};
use crate::store::Growth;

/// Proxies of one instance that may be named; the vendor allows four.
const PROXIES_MAX: usize = 100;

/// What is written to see that the disk takes it: one block.
const BLOCK: [u8; 4096] = [0x5e; 4096];

/// A sync slower than this is worth knowing: every switch waits for two.
const SLOW_SYNC: Duration = Duration::from_millis(200);

/// Clocks further apart than this are worth a word before the window.
const SKEW_NOTED: Duration = Duration::from_secs(30);

/// How far back the job list is asked for to see that it can be read.
const JOBS_SINCE: SignedDuration = SignedDuration::from_mins(10);

/// Ports that are looked at at once, over all requests.
static PORTS: Semaphore = Semaphore::const_new(PROBES_MAX);

/// Looks at all that a rollout needs, a line of JSON for each thing as it is known.
#[utoipa::path(
    post,
    path = "/v1/preflight",
    operation_id = "preflight",
    tag = "looks",
    request_body = PreflightRequest,
    responses((status = 200, description = "Lines of JSON", body = CheckRow, content_type = "application/jsonl"), RefusedAnswers)
)]
pub(super) async fn preflight(
    State(api): State<Arc<Api>>,
    _: Operates,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: PreflightRequest = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad(format!("the body is no preflight: {error}")))?;
    if asked.instances.len() > LOOK_INSTANCES_MAX
        || asked.instances.iter().any(|instance| instance.proxies.len() > PROXIES_MAX)
    {
        return Err(ApiError::bad(format!(
            "a preflight names {LOOK_INSTANCES_MAX} instances at most, with {PROXIES_MAX} proxies each"
        )));
    }
    let mut checks: Vec<BoxFuture<'static, Vec<CheckRow>>> = Vec::new();
    let gathered = Arc::new(Mutex::new(Vec::new()));
    if asked.daemon {
        let api = Arc::clone(&api);
        checks.push(async move { daemon(&api).await }.boxed());
    }
    for name in &asked.lanes {
        let (api, name) = (Arc::clone(&api), lane(&api, name)?);
        checks.push(async move { reach(&api, name).await }.boxed());
    }
    let (ssl_option, wire) = (asked.ssl_option, asked.wire);
    let within =
        asked.ports_within_ms.map_or(PORTS_WITHIN, Duration::from_millis).min(PORTS_WITHIN);
    for instance in asked.instances {
        let (api, name) = (Arc::clone(&api), lane(&api, &instance.lane)?);
        let id = instance
            .instance_id
            .parse()
            .map_err(|error: crate::domain::id::IdError| ApiError::bad(error.to_string()))?;
        let ports = asked.ports.then(|| Arc::clone(&gathered));
        let targets =
            InstanceTargets { lane: name, instance: id, asked: instance, ssl_option, ports };
        checks.push(async move { targets.look(&api).await }.boxed());
    }
    let ports = async move {
        let ports =
            std::mem::take(&mut *gathered.lock().expect("nobody panics while it is locked"));
        let over = sleep(within).boxed().shared();
        stream::iter(ports)
            .map(move |port: TargetPort| port.look(Arc::clone(&api), wire, over.clone()))
            .buffer_unordered(PROBES_MAX)
            .map(|row| vec![row])
    };
    Ok(json_lines(stream::iter(checks).buffer_unordered(AT_ONCE).chain(ports.flatten_stream())))
}

fn row(verdict: &str, what: &str, name: &str, word: &str, text: impl Into<String>) -> CheckRow {
    CheckRow {
        verdict: verdict.into(),
        what: what.into(),
        name: name.into(),
        word: word.into(),
        text: text.into(),
    }
}

fn go(what: &str, name: &str, text: impl Into<String>) -> CheckRow {
    row(CheckRow::GO, what, name, "ok", text)
}

fn note(what: &str, name: &str, word: &str, text: impl Into<String>) -> CheckRow {
    row(CheckRow::NOTE, what, name, word, text)
}

fn no_go(what: &str, name: &str, word: &str, text: impl Into<String>) -> CheckRow {
    row(CheckRow::NO_GO, what, name, word, text)
}

/// The daemon, its store and its disk.
async fn daemon(api: &Api) -> Vec<CheckRow> {
    let snapshot = api.handle.snapshot().borrow().clone();
    let Stop { by, file } = &snapshot.stop;
    let by = by.iter().map(|mark| {
        ("stopped", format!("everything is stopped by {mark}; `sealift start` lets work go on"))
    });
    let file = file.iter().map(|file| {
        ("stop", format!("everything is stopped by {file}; nothing is sent until it is removed"))
    });
    let draining = snapshot
        .draining
        .then(|| ("draining", "it is about to end, and begins nothing new".to_owned()));
    let mut rows: Vec<CheckRow> = by
        .chain(file)
        .chain(draining)
        .map(|(word, text)| no_go("daemon", "", word, text))
        .collect();
    if rows.is_empty() {
        rows.push(go(
            "daemon",
            "",
            format!("sealift {} runs, and nothing stops it", env!("CARGO_PKG_VERSION")),
        ));
    }
    if let Some(why) = api.store.health().refusing {
        rows.push(no_go("store", "", "refusing", format!("nothing new is taken: {why}")));
        return rows;
    }
    let (spool, clock) = (api.spool.clone(), Arc::clone(&api.clock));
    let written = tokio::task::spawn_blocking(move || {
        let began = clock.times().boot;
        let free = write_block(&spool)?;
        Ok::<_, std::io::Error>((clock.times().boot.saturating_sub(began), free))
    });
    rows.push(match written.await {
        Ok(Ok((took, free))) if took > SLOW_SYNC => note(
            "store",
            "",
            "slow",
            format!(
                "a synced write takes {} ms, and every switch waits for two; {} GiB are free",
                took.as_millis(),
                free >> 30
            ),
        ),
        Ok(Ok((took, free))) => go(
            "store",
            "",
            format!(
                "a synced write takes {} ms; {:.1} GiB are free",
                took.as_millis() + 1,
                free as f64 / GIB
            ),
        ),
        Ok(Err(error)) => {
            no_go("store", "", "disk", format!("the state directory cannot be written: {error}"))
        }
        Err(error) => no_go(
            "store",
            "",
            "disk",
            format!("the state directory could not be looked at: {error}"),
        ),
    });
    if let Ok(Some(growth)) = api.store.growth(api.clock.times().wall).await {
        rows.push(growing(growth));
    }
    rows
}

/// How fast the store grows, and whether somebody should make room for it.
fn growing(growth: Growth) -> CheckRow {
    let text = describe::growth(growth).message();
    if growth.days_left < DAYS_FEW {
        note("store", "", "filling", text)
    } else {
        go("store", "", text)
    }
}

/// Names the blocks of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A disk that lasts for fewer days than this is told as filling.
const DAYS_FEW: u64 = 30;

const GIB: f64 = (1u64 << 30) as f64;

/// Writes a block, syncs it and takes it away again; the free bytes there.
fn write_block(spool: &Path) -> std::io::Result<u64> {
    std::fs::create_dir_all(spool)?;
    let path = spool.join(format!("block-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    // Nameless from here on, so that nothing stays behind whatever happens.
    std::fs::remove_file(&path)?;
    file.write_all(&BLOCK)?;
    file.sync_all()?;
    let stat = rustix::fs::statvfs(spool)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A lane: endpoint, TLS, credentials, clock, and what may be read.
async fn reach(api: &Api, name: Name) -> Vec<CheckRow> {
    let lane = name.as_str();
    let began = api.clock.times();
    let instances = ask(api, Call::Instances { lane: name.clone(), offset: 0 }).await;
    let took = api.clock.times().boot.saturating_sub(began.boot);
    let mut rows = Vec::new();
    let standing =
        api.handle.snapshot().borrow().lanes.iter().find(|known| known.lane == name).cloned();
    let (paused, held) = standing.map_or((None, None), |known| (known.paused, known.held));
    rows.extend(held.map(|(mark, _)| {
        no_go(
            "lane",
            lane,
            "lane_held",
            format!("paused by {mark}; `sealift resume --lane {lane}`"),
        )
    }));
    rows.extend(
        paused.map(|pause| note("lane", lane, "paused", format!("paused now: {}", pause.why))),
    );
    let found = match instances {
        Err(error) => return with(rows, refused("lane", lane, "the list of instances", &error)),
        Ok(Reply { outcome: Ok(Answer::Instances { total, .. }), cloud_time, .. }) => {
            (total, cloud_time)
        }
        Ok(_) => {
            return with(
                rows,
                no_go(
                    "lane",
                    lane,
                    "unreadable",
                    "the cloud answered something else than its instances",
                ),
            );
        }
    };
    let (total, cloud_time) = found;
    rows.push(go(
        "lane",
        lane,
        format!(
            "its endpoint answers within {} ms, and the credentials are good: {}",
            took.as_millis() + 1,
            count(total, "instance", "instances")
        ),
    ));
    rows.push(skew(lane, clocks(api, &name, cloud_time, began)));
    let now = cloud_time.unwrap_or(began.wall);
    let within = TimeSpan { from: now.checked_sub(JOBS_SINCE).unwrap_or(Timestamp::MIN), to: now };
    rows.push(match ask(api, Call::Jobs { lane: name.clone(), within, offset: 1 }).await {
        Ok(Reply { outcome: Ok(Answer::Listed { .. }), .. }) => {
            go("permission", lane, "instances and jobs can be listed")
        }
        Ok(_) => no_go(
            "permission",
            lane,
            "unreadable",
            "the cloud answered something else than its jobs",
        ),
        Err(error) => refused("permission", lane, "the list of jobs", &error),
    });
    let signed = api.lanes.iter().any(|known| {
        known.name == name && matches!(known.access.credentials, Credentials::AccessKey { .. })
    });
    let who = if signed { "the access key's user" } else { "the account" };
    rows.push(note(
        "permission",
        lane,
        "not_told",
        format!("whether {who} may switch is not told by a read: it needs gaussdb:proxy:modifySSL (identity policy: gaussdbformysql:proxy:modifySSL)"),
    ));
    rows
}

fn with(mut rows: Vec<CheckRow>, row: CheckRow) -> Vec<CheckRow> {
    rows.push(row);
    rows
}

/// How the cloud's clock stands to ours, by an answer to a call that began then and is there now.
fn clocks(
    api: &Api,
    name: &Name,
    cloud_time: Option<Timestamp>,
    began: Times,
) -> Option<ClockStanding> {
    let now = api.clock.times();
    let mut clock = CloudClock::default();
    clock.hear(cloud_time?, began.boot, now.boot);
    let tolerance = api
        .lanes
        .iter()
        .find(|lane| lane.name == *name)
        .map_or(CLOCK_TOLERANCE, |lane| lane.clock_tolerance);
    let known = api
        .handle
        .snapshot()
        .borrow()
        .lanes
        .iter()
        .find(|known| known.lane == *name)
        .and_then(|known| known.clock);
    Some(ClockStanding {
        ahead: clock.at(now.boot)?.ahead_of(now.wall),
        tolerance,
        jobs_apart: known.and_then(|known| known.jobs_apart),
        since: None,
    })
}

/// The cloud's clock beside ours: no-go where the lane would be held for it.
fn skew(lane: &str, standing: Option<ClockStanding>) -> CheckRow {
    let Some(standing) = standing else {
        return note(
            "lane",
            lane,
            "no_date",
            "the cloud does not tell its time, so the clocks cannot be compared; a switch whose answer is lost would wait for a person",
        );
    };
    let text = clock_text(standing.ahead);
    if standing.holds() {
        return no_go(
            "lane",
            lane,
            "skew",
            format!("{text}, and no switch would be sent; {CLOCK_REMEDY}"),
        );
    }
    if let Some(apart) = standing.jobs_apart {
        let seconds = apart.unsigned_abs().as_secs();
        let text = format!(
            "the cloud dates its jobs {seconds} s apart from its answers; lost job ids are sought by both"
        );
        return note("lane", lane, "jobs_dated_apart", text);
    }
    match standing.ahead.furthest().unsigned_abs() {
        apart if apart > SKEW_NOTED => {
            note("lane", lane, "skew", format!("{text}; set it right before the window"))
        }
        apart => go("lane", lane, format!("the clocks agree within {} s", apart.as_secs() + 1)),
    }
}

/// An answer of the cloud, or why there is none.
async fn ask(api: &Api, call: Call) -> Result<Reply, CallError> {
    match api.handle.ask(call).await {
        Ok(Reply { outcome: Err(error), .. }) => Err(error),
        Ok(reply) => Ok(reply),
        Err(error) => {
            let message = error.to_string();
            Err(CallError {
                disposition: Disposition::Withheld,
                retry_after: None,
                status: None,
                code: None,
                request_id: None,
                message,
            })
        }
    }
}

/// A read that was not answered as it must be, with the next step.
fn refused(what: &str, name: &str, read: &str, error: &CallError) -> CheckRow {
    let told = format!("{read} could not be read: {}", error.message);
    match (error.disposition, error.status) {
        (Disposition::Throttled, _) => note(
            what,
            name,
            "throttled",
            format!("{told}; others use the quota too: ask again, or lower `quota`"),
        ),
        (Disposition::Unauthorised, _) => {
            no_go(what, name, "credentials", format!("{told}; look at the lane's `credentials`"))
        }
        (_, Some(403)) => no_go(
            what,
            name,
            "forbidden",
            format!("{told}; let the account list instances, proxies and tasks"),
        ),
        (Disposition::NotFound, _) if what == "proxy" => no_go(
            what,
            name,
            "not_found",
            format!("{told}; take it out of the targets, or look at the lane's `project_id`"),
        ),
        (Disposition::NotFound, _) => no_go(
            what,
            name,
            "not_found",
            format!("{told}; look at the lane's `project_id` and `endpoint`"),
        ),
        (_, None) => no_go(
            what,
            name,
            "unreachable",
            format!("{told}; look at the lane's `endpoint`, the proxy variables and the network"),
        ),
        (_, Some(_)) => no_go(what, name, "refused", told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cloud_clock::Offset;

    fn error(disposition: Disposition, status: Option<u16>) -> CallError {
        CallError {
            disposition,
            retry_after: None,
            status,
            code: Some("APIGW.0301".into()),
            request_id: None,
            message: "no".into(),
        }
    }

    #[test]
    fn every_refusal_has_its_word_and_next_step() {
        for (disposition, status, verdict, word) in [
            (Disposition::Throttled, Some(429), CheckRow::NOTE, "throttled"),
            (Disposition::Unauthorised, Some(401), CheckRow::NO_GO, "credentials"),
            (Disposition::Unauthorised, None, CheckRow::NO_GO, "credentials"),
            (Disposition::Fatal, Some(403), CheckRow::NO_GO, "forbidden"),
            (Disposition::NotFound, Some(404), CheckRow::NO_GO, "not_found"),
            (Disposition::NotDone, None, CheckRow::NO_GO, "unreachable"),
            (Disposition::Unknown, None, CheckRow::NO_GO, "unreachable"),
            (Disposition::Unknown, Some(500), CheckRow::NO_GO, "refused"),
        ] {
            let row = refused("lane", "lab", "the list of instances", &error(disposition, status));
            assert_eq!(
                (row.verdict.as_str(), row.word.as_str()),
                (verdict, word),
                "{disposition:?} {status:?}: {}",
                row.text
            );
            assert!(
                row.text.contains("could not be read: no; ") || word == "refused",
                "{}",
                row.text
            );
        }
    }

    #[test]
    fn a_disk_that_fills_within_a_month_is_reported() {
        for (days_left, verdict, word) in
            [(DAYS_FEW - 1, CheckRow::NOTE, "filling"), (DAYS_FEW, CheckRow::GO, "ok")]
        {
            let growth = Growth {
                since: Timestamp::UNIX_EPOCH,
                bytes_per_day: 1 << 30,
                free_bytes: 58 << 30,
                days_left,
            };
            let row = growing(growth);
            assert_eq!((row.verdict.as_str(), row.word.as_str()), (verdict, word), "{days_left}");
            assert!(row.text.contains(&format!("last for {days_left} days")), "{}", row.text);
        }
    }

    #[test]
    fn clocks_are_compared_both_ways() {
        let standing = |seconds: i64| {
            let ahead = Offset {
                least: SignedDuration::from_secs(seconds),
                most: SignedDuration::from_secs(seconds),
            };
            ClockStanding {
                ahead,
                tolerance: Duration::from_secs(300),
                jobs_apart: None,
                since: None,
            }
        };
        for (seconds, verdict, text) in [
            (0, CheckRow::GO, "agree"),
            (-20, CheckRow::GO, "within 21 s"),
            (45, CheckRow::NOTE, "45 s behind"),
            (-45, CheckRow::NOTE, "45 s ahead of"),
            (301, CheckRow::NO_GO, "5 min 1 s behind"),
            (-900, CheckRow::NO_GO, "15 min 0 s ahead of"),
        ] {
            let row = skew("lab", Some(standing(seconds)));
            assert!(row.verdict == verdict && row.text.contains(text), "{seconds}: {row:?}");
        }
        assert_eq!(skew("lab", None).word, "no_date");
        let wider = ClockStanding { tolerance: Duration::from_secs(600), ..standing(301) };
        assert_eq!(skew("lab", Some(wider)).verdict, CheckRow::NOTE, "its lane bears more");
        let apart =
            ClockStanding { jobs_apart: Some(SignedDuration::from_secs(-9)), ..standing(0) };
        assert!(skew("lab", Some(apart)).text.contains("9 s apart"));
    }

    #[test]
    fn a_block_is_written_and_nothing_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = folder.path().join("spool");
        assert!(write_block(&spool).expect("a disk that takes it") > 0);
        assert_eq!(std::fs::read_dir(&spool).expect("the folder").count(), 0);
        assert!(write_block(Path::new("/proc/spool")).is_err());
    }
}
