//! From the bytes of an answer to a [`Reply`]: the one place where the cloud's language is
//! understood.
//!
//! Invariants: the HTTP client and the simulation both go through [`read`], so what is simulated is
//! what is shipped; a success that cannot be read is `Unknown`, never a success; only an answer
//! that shows the whole proves absence.
//!
//! Deliberately not here: what a reply means for a change (`domain::change`).

mod instances;

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::classify::classify;
use super::envelope::Envelope;
use super::job_names;
use super::lenient::{LenientList, Object, Scalar};
use super::wire_format::PROXIES_PAGE;
use super::{retry_after, safe_text};
use crate::domain::call::{
    Answer, Call, CallError, Disposition, JobListed, JobSeen, JobView, JobsPage, ProxySeen,
    ProxyStatus, ProxyView, Reply,
};
use crate::domain::id::{InstanceId, JobId, ProxyId};
use crate::domain::proof::Endpoint;

/// Longest body of a success that is read; a full page of the job list is about 25 KiB.
pub const SUCCESS_BODY_MAX: usize = 1 << 20;

/// Longest body of any other answer that is read; an error envelope has a few hundred bytes.
pub const ERROR_BODY_MAX: usize = 64 << 10;

/// An answer as it came, before anything is understood.
#[derive(Debug, Clone, Copy)]
pub struct WireAnswer<'a> {
    pub status: u16,
    /// Header `X-Request-Id`.
    pub request_id: Option<&'a str>,
    /// Header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Header `Date`.
    pub date: Option<&'a str>,
    /// The header `Age` is there: a cache on the way has kept the answer.
    pub aged: bool,
    /// The body as far as it was read.
    pub body: &'a [u8],
    /// Whether the body was longer than its limit and was not read to its end.
    pub cut: bool,
    /// The secret that went out with the request: it must not come back in a message.
    pub secret: Option<&'a str>,
}

/// Understands an answer to a call that was sent.
pub fn read(call: &Call, answer: &WireAnswer<'_>) -> Reply {
    let mut request_id = answer.request_id.and_then(safe_text::request_id);
    let mut beside = Vec::new();
    let outcome = if (200..300).contains(&answer.status) {
        understand(call, answer, &mut beside).map_err(|what| unreadable(answer, &what))
    } else {
        let envelope = Envelope::find(answer.body);
        request_id =
            request_id.or_else(|| envelope.request_id.as_deref().and_then(safe_text::request_id));
        Err(refused(answer, &envelope))
    };
    let outcome = outcome.map_err(|error| CallError { request_id: request_id.clone(), ..error });
    // What a proxy on the way says by itself has no request id.
    let let_in = answer.status != 401 && (outcome.is_ok() || request_id.is_some());
    let cloud_time = answer.time().filter(|_| let_in);
    Reply { outcome, request_id, cloud_time, sent: true, beside }
}

impl WireAnswer<'_> {
    /// The clock of whoever answered.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.date.filter(|_| !self.aged).and_then(retry_after::http_date)
    }
}

/// The call left and no answer came: whether it was executed is unknown.
pub fn lost(what: &str) -> Reply {
    Reply {
        outcome: Err(error(Disposition::Unknown, what)),
        request_id: None,
        cloud_time: None,
        sent: true,
        beside: Vec::new(),
    }
}

/// The call did not leave.
pub fn not_sent(disposition: Disposition, what: &str) -> Reply {
    Reply {
        outcome: Err(error(disposition, what)),
        request_id: None,
        cloud_time: None,
        sent: false,
        beside: Vec::new(),
    }
}

fn error(disposition: Disposition, what: &str) -> CallError {
    CallError {
        disposition,
        retry_after: None,
        status: None,
        code: None,
        request_id: None,
        message: safe_text::message(what, None),
    }
}

fn unreadable(answer: &WireAnswer<'_>, what: &str) -> CallError {
    CallError {
        disposition: Disposition::Unknown,
        retry_after: None,
        status: Some(answer.status),
        code: None,
        request_id: None,
        message: safe_text::message(
            &format!("answer {} cannot be read: {what}", answer.status),
            answer.secret,
        ),
    }
}

fn refused(answer: &WireAnswer<'_>, envelope: &Envelope) -> CallError {
    let code = envelope.code.as_deref().and_then(safe_text::code);
    let said = envelope.message.as_deref().unwrap_or("");
    let text = match (&code, said) {
        (Some(code), "") => format!("answer {}, {code}", answer.status),
        (Some(code), said) => format!("answer {}, {code}: {said}", answer.status),
        (None, "") => format!("answer {} without a message", answer.status),
        (None, said) => format!("answer {}: {said}", answer.status),
    };
    CallError {
        disposition: classify(answer.status, code.as_deref(), answer.retry_after.is_some()),
        retry_after: answer.retry_after.and_then(|value| retry_after::read(value, answer.date)),
        status: Some(answer.status),
        code,
        request_id: None,
        message: safe_text::message(&text, answer.secret),
    }
}

/// `beside` gets what an answer tells of the other proxies of the instance.
fn understand(
    call: &Call,
    answer: &WireAnswer<'_>,
    beside: &mut Vec<ProxySeen>,
) -> Result<Answer, String> {
    if answer.cut {
        return Err(format!("the body is longer than {SUCCESS_BODY_MAX} bytes"));
    }
    match call {
        Call::Submit { .. } => accepted(answer.body),
        Call::Inspect { target } => proxy(answer.body, &target.proxy_id, beside, answer.secret),
        Call::Follow { job, .. } => job_view(answer.body, job, answer.secret),
        Call::ShowJob { job, .. } => job_shown(answer.body, job, answer.secret),
        Call::FindJobs { target, .. } => jobs(answer.body, &target.instance_id, answer.secret),
        Call::Jobs { .. } => listed(answer.body, answer.secret),
        Call::Running { .. } => running(answer.body, answer.secret),
        Call::Instances { .. } => instances::read(answer.body, answer.secret),
        Call::Proxies { .. } => proxies(answer.body, answer.secret),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    // A derived reader would take an array for the fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("no JSON object".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("no JSON of the expected shape: {error}"))
}

#[derive(Deserialize)]
struct AcceptedBody<'a> {
    #[serde(default)]
    job_id: serde_json::Value,
    #[serde(default, borrow)]
    error_code: Scalar<'a>,
}

fn accepted(body: &[u8]) -> Result<Answer, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Answer::Accepted(None));
    }
    let body: AcceptedBody<'_> = parse(body)?;
    if let Some(code) = body.error_code.text() {
        return Err(format!("a success with the error code {code}"));
    }
    match body.job_id {
        serde_json::Value::Null => Ok(Answer::Accepted(None)),
        serde_json::Value::String(text) if text.trim().is_empty() => Ok(Answer::Accepted(None)),
        serde_json::Value::String(text) => text
            .trim()
            .parse()
            .map(|job| Answer::Accepted(Some(job)))
            .map_err(|error| error.to_string()),
        _ => Err("job_id is no text".into()),
    }
}

#[derive(Deserialize)]
struct ProxiesBody<'a> {
    #[serde(default, borrow)]
    proxy_list: LenientList<ProxyRow<'a>>,
}

#[derive(Deserialize)]
struct ProxyRow<'a> {
    #[serde(default, borrow)]
    proxy: Object<ProxyBody<'a>>,
}

#[derive(Deserialize)]
struct ProxyBody<'a> {
    #[serde(default, borrow)]
    pool_id: Scalar<'a>,
    #[serde(default, borrow)]
    status: Scalar<'a>,
    #[serde(default, borrow)]
    pool_status: Scalar<'a>,
    #[serde(default, borrow)]
    ssl_option: Scalar<'a>,
    #[serde(default, borrow)]
    address: Scalar<'a>,
    #[serde(default, borrow)]
    port: Scalar<'a>,
}

/// Where MySQL listens when nothing else is said.
const MYSQL_PORT: u16 = 3306;

fn proxy(
    body: &[u8],
    wanted: &ProxyId,
    beside: &mut Vec<ProxySeen>,
    secret: Option<&str>,
) -> Result<Answer, String> {
    let body: ProxiesBody<'_> = parse(body)?;
    let rows = body.proxy_list.rows.ok_or("there is no proxy_list")?;
    let mut found = None;
    let mut nameless = false;
    for row in &rows {
        let proxy = row.as_ref().and_then(|row| row.proxy.0.as_ref());
        match proxy.and_then(|proxy| proxy.pool_id.text()) {
            Some(id) if id == wanted.as_str() => found = proxy,
            Some(_) => {}
            None => nameless = true,
        }
    }
    let answer = match found {
        Some(proxy) => Ok(Answer::Proxy(Some(view(proxy, secret)))),
        // It may stand on the next page, or in the row that cannot be read: that is not absence.
        None if rows.len() >= PROXIES_PAGE => {
            Err(format!("{} proxies of one instance, and ours is not among them", rows.len()))
        }
        None if nameless => Err("a proxy without pool_id".into()),
        None => Ok(Answer::Proxy(None)),
    }?;
    // One that cannot be read is left out, for nothing is concluded from that.
    beside.extend(
        rows.iter()
            .filter_map(|row| proxy_seen(row, secret))
            .filter(|seen| seen.proxy_id != *wanted),
    );
    Ok(answer)
}

fn proxy_seen(row: &Option<ProxyRow<'_>>, secret: Option<&str>) -> Option<ProxySeen> {
    let proxy = row.as_ref()?.proxy.0.as_ref()?;
    Some(ProxySeen { proxy_id: proxy.pool_id.text()?.parse().ok()?, view: view(proxy, secret) })
}

fn proxies(body: &[u8], secret: Option<&str>) -> Result<Answer, String> {
    let body: ProxiesBody<'_> = parse(body)?;
    let rows = body.proxy_list.rows.ok_or("there is no proxy_list")?;
    if rows.len() >= PROXIES_PAGE {
        return Err(format!("{} proxies of one instance, and there may be more", rows.len()));
    }
    let seen: Option<Vec<ProxySeen>> = rows.iter().map(|row| proxy_seen(row, secret)).collect();
    // A list with a row that cannot be read is not the whole list.
    seen.map(Answer::Proxies).ok_or_else(|| "a proxy without a readable pool_id".into())
}

fn view(proxy: &ProxyBody<'_>, secret: Option<&str>) -> ProxyView {
    let (status, pool_status) = (proxy.status.text(), proxy.pool_status.text());
    let word = match (status, pool_status) {
        // The pool's own word is the graver one when the proxy calls itself active.
        (Some(status), Some(pool))
            if status.eq_ignore_ascii_case("ACTIVE") && meaning(pool) == ProxyStatus::Faulty =>
        {
            pool
        }
        (Some(word), _) | (None, Some(word)) => word,
        (None, None) => "unknown",
    };
    ProxyView {
        ssl_option: proxy.ssl_option.boolean(),
        status: meaning(word),
        word: safe_text::message(word, secret),
        endpoint: endpoint(proxy),
    }
}

/// Where clients reach the proxy; a port that is left out is the one that MySQL has by default.
fn endpoint(proxy: &ProxyBody<'_>) -> Option<Endpoint> {
    let port = proxy.port.text().map_or(Some(MYSQL_PORT), |text| text.parse().ok())?;
    Endpoint::new(proxy.address.text()?, port)
}

fn meaning(word: &str) -> ProxyStatus {
    if word.eq_ignore_ascii_case("ACTIVE") {
        ProxyStatus::Idle
    } else if ["FAILED", "ABNORMAL", "DELETED"]
        .iter()
        .any(|faulty| word.eq_ignore_ascii_case(faulty))
    {
        ProxyStatus::Faulty
    } else {
        ProxyStatus::Busy
    }
}

#[derive(Deserialize)]
struct JobBody<'a> {
    #[serde(default, borrow)]
    job: Object<JobAnswer<'a>>,
}

#[derive(Deserialize)]
struct JobAnswer<'a> {
    #[serde(default, borrow)]
    id: Scalar<'a>,
    #[serde(default, borrow)]
    status: Scalar<'a>,
    #[serde(default, borrow)]
    process: Scalar<'a>,
    #[serde(default, borrow)]
    fail_reason: Scalar<'a>,
    #[serde(default, borrow)]
    name: Scalar<'a>,
    #[serde(default, borrow)]
    instance: Object<JobInstance<'a>>,
}

#[derive(Deserialize)]
struct JobInstance<'a> {
    #[serde(default, borrow)]
    id: Scalar<'a>,
}

/// The job that was asked for, and how it stands.
fn job<'a>(
    body: &'a [u8],
    asked: &JobId,
    secret: Option<&str>,
) -> Result<(JobAnswer<'a>, JobView), String> {
    let body: JobBody<'_> = parse(body)?;
    let job = body.job.0.ok_or("there is no job")?;
    if job.id.text().is_some_and(|id| id != asked.as_str()) {
        return Err("it tells of another job".into());
    }
    let status = job.status.text().ok_or("the job has no status")?;
    let view = stands(status, job.process.text(), job.fail_reason.text(), secret);
    Ok((job, view))
}

fn job_view(body: &[u8], asked: &JobId, secret: Option<&str>) -> Result<Answer, String> {
    Ok(Answer::Job(job(body, asked, secret)?.1))
}

fn job_shown(body: &[u8], asked: &JobId, secret: Option<&str>) -> Result<Answer, String> {
    let (job, view) = job(body, asked, secret)?;
    let instance_id = job.instance.0.as_ref().and_then(|instance| instance.id.text()?.parse().ok());
    Ok(Answer::JobShown {
        instance_id,
        name: safe_text::message(job.name.text().unwrap_or_default(), secret),
        view,
    })
}

/// How a job stands, by its status word; a word that we do not know is not final.
fn stands(
    status: &str,
    process: Option<&str>,
    fail_reason: Option<&str>,
    secret: Option<&str>,
) -> JobView {
    if status.eq_ignore_ascii_case("Completed") {
        JobView::Completed
    } else if ["Failed", "Canceled", "Cancelled"]
        .iter()
        .any(|word| status.eq_ignore_ascii_case(word))
    {
        JobView::Broken { reason: safe_text::message(fail_reason.unwrap_or(status), secret) }
    } else {
        JobView::Running { process: safe_text::message(process.unwrap_or(""), secret) }
    }
}

#[derive(Deserialize)]
struct JobsBody<'a> {
    #[serde(default, borrow)]
    jobs: LenientList<JobRow<'a>>,
    #[serde(default, borrow)]
    total_count: Scalar<'a>,
}

#[derive(Deserialize)]
struct JobRow<'a> {
    #[serde(default, borrow)]
    instance_id: Scalar<'a>,
    #[serde(default, borrow)]
    job_id: Scalar<'a>,
    #[serde(default, borrow)]
    job_name: Scalar<'a>,
    #[serde(default, borrow)]
    status: Scalar<'a>,
    #[serde(default, borrow)]
    process: Scalar<'a>,
    #[serde(default, borrow)]
    created_time: Scalar<'a>,
    #[serde(default, borrow)]
    ended_time: Scalar<'a>,
    #[serde(default, borrow)]
    fail_reason: Scalar<'a>,
}

impl JobRow<'_> {
    fn created(&self) -> Option<Timestamp> {
        self.created_time.text().and_then(instant)
    }

    /// What is seen of it, its ids read already.
    fn seen(&self, job: JobId, instance_id: InstanceId, secret: Option<&str>) -> JobSeen {
        let name = safe_text::message(self.job_name.text().unwrap_or(""), secret);
        JobSeen { job, instance_id, name, created: self.created() }
    }
}

/// The rows of a page of the job list, `None` for what is no object, and what the page shows of the
/// whole list.
fn job_rows(body: &[u8]) -> Result<(Vec<Option<JobRow<'_>>>, JobsPage), String> {
    let body: JobsBody<'_> = parse(body)?;
    let rows = body.jobs.rows.ok_or("there is no list of jobs")?;
    let ids = rows.iter().flatten().filter_map(|row| row.job_id.text()?.parse().ok()).collect();
    let total = body.total_count.text().and_then(|text| text.parse().ok());
    Ok((rows, JobsPage { ids, total }))
}

/// How the jobs of a page stand. A row that cannot be read is left out: whoever misses a job asks
/// for it alone.
fn listed(body: &[u8], secret: Option<&str>) -> Result<Answer, String> {
    let (rows, page) = job_rows(body)?;
    let stands = |row: &JobRow<'_>| {
        let job = row.job_id.text()?.parse().ok()?;
        let view = stands(row.status.text()?, row.process.text(), row.fail_reason.text(), secret);
        let took = || {
            Duration::try_from(instant(row.ended_time.text()?)?.duration_since(row.created()?)).ok()
        };
        let took = if matches!(view, JobView::Running { .. }) { None } else { took() };
        Some(JobListed { job, view, created: row.created(), took })
    };
    Ok(Answer::Listed { jobs: rows.iter().flatten().filter_map(stands).collect(), page })
}

/// An instant as the vendor writes it, `2026-11-24T08:09:10+0000`; anything else is none.
fn instant(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok()
}

/// What runs, by instance. A row that cannot be read is left out: the list is for people.
fn running(body: &[u8], secret: Option<&str>) -> Result<Answer, String> {
    let (rows, page) = job_rows(body)?;
    let runs = |row: &JobRow<'_>| {
        let view = stands(row.status.text()?, None, None, secret);
        let seen = row.seen(
            row.job_id.text()?.parse().ok()?,
            row.instance_id.text()?.parse().ok()?,
            secret,
        );
        // A cloud that does not know the filter tells of all.
        matches!(view, JobView::Running { .. }).then_some(seen)
    };
    Ok(Answer::Jobs { jobs: rows.iter().flatten().filter_map(runs).collect(), page })
}

fn jobs(body: &[u8], instance: &InstanceId, secret: Option<&str>) -> Result<Answer, String> {
    let (rows, page) = job_rows(body)?;
    let mut jobs = Vec::new();
    for row in rows {
        let row = row.ok_or("a job that is no object")?;
        // Jobs of other products' or deleted instances may name them otherwise: they are not ours.
        let Some(instance_id) =
            row.instance_id.text().and_then(|text| text.parse::<InstanceId>().ok())
        else {
            continue;
        };
        match row.job_id.text().and_then(|text| text.parse().ok()) {
            Some(job) => jobs.push(row.seen(job, instance_id, secret)),
            // One unnamed job of our instance may be the one that is sought.
            None if instance_id == *instance => {
                return Err("a job of the instance without a readable job_id".into());
            }
            None => {}
        }
    }
    job_names::drop_other_operations(&mut jobs);
    Ok(Answer::Jobs { jobs, page })
}

#[cfg(test)]
mod tests;
