//! The calls we may make and what can come back, classed by what we must do about it.
//!
//! Invariant: one [`Call`] is one request to the cloud, never repeated below this level. What the
//! cloud's HTTP looks like stays in `cloud`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud_clock::TimeSpan;
use super::id::{InstanceId, JobId, Name, ProxyId};
use super::proof::Endpoint;
use super::target::Target;

/// One request to the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// List the proxies of the target's instance and read this one: a read, safe to repeat.
    Inspect {
        /// The proxy to look at.
        target: Target,
    },
    /// Switch SSL: `PUT …/proxy/{proxy_id}/ssl`. The only call that changes anything; never
    /// repeated blindly.
    Submit {
        /// The proxy to switch.
        target: Target,
        /// The wanted value of `ssl_option`.
        ssl_option: bool,
    },
    /// Show one job: a read.
    Follow {
        /// The proxy that the job works on (for its lane).
        target: Target,
        job: JobId,
    },
    /// One page of the immediate jobs created in a span, to find a job id whose answer was lost: a
    /// read.
    FindJobs {
        /// The proxy whose job is sought; only jobs of its instance are of interest.
        target: Target,
        /// Jobs created in this span, by the cloud's clock.
        within: TimeSpan,
        /// The query's `offset`; whether the cloud counts pages or records by it, the answers show
        /// ([`super::paging`]).
        offset: u32,
    },
    /// One page of the immediate jobs created in a span, with how each stands: a read that tells of
    /// all jobs that are followed on a lane, and belongs to no change.
    Jobs {
        lane: Name,
        /// Jobs created in this span, by the cloud's clock.
        within: TimeSpan,
        /// As in [`Self::FindJobs`].
        offset: u32,
    },
    /// One page of the immediate jobs that run now, whoever began them: a read that tells what an
    /// instance is busy with, and belongs to no change.
    Running {
        lane: Name,
        /// As in [`Self::FindJobs`].
        offset: u32,
    },
    /// Show one job with the instance that it works on: a read, asked for by a person and by no
    /// change.
    ShowJob {
        /// The lane that reaches the project.
        lane: Name,
        job: JobId,
    },
    /// One page of the project's instances: a read, asked for by a person and by no change.
    Instances {
        /// The lane that reaches the project.
        lane: Name,
        offset: u32,
    },
    /// List all proxies of one instance: a read, asked for by a person and by no change.
    Proxies {
        /// The lane that reaches the instance.
        lane: Name,
        instance_id: InstanceId,
    },
}

impl Call {
    /// The lane whose credentials and quota the call uses.
    pub fn lane(&self) -> &Name {
        match self {
            Self::Inspect { target }
            | Self::Submit { target, .. }
            | Self::Follow { target, .. }
            | Self::FindJobs { target, .. } => &target.lane,
            Self::Instances { lane, .. }
            | Self::Proxies { lane, .. }
            | Self::Jobs { lane, .. }
            | Self::Running { lane, .. }
            | Self::ShowJob { lane, .. } => lane,
        }
    }

    /// The target that the call is about; every call of a change has one.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Inspect { target }
            | Self::Submit { target, .. }
            | Self::Follow { target, .. }
            | Self::FindJobs { target, .. } => Some(target),
            Self::Instances { .. }
            | Self::Proxies { .. }
            | Self::Jobs { .. }
            | Self::Running { .. }
            | Self::ShowJob { .. } => None,
        }
    }

    /// One word for journal, log and metric labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Inspect { .. } => "inspect",
            Self::Submit { .. } => "submit",
            Self::Follow { .. } => "follow",
            Self::FindJobs { .. } => "find_jobs",
            Self::Instances { .. } => "instances",
            Self::Proxies { .. } => "proxies",
            Self::Jobs { .. } => "jobs",
            Self::Running { .. } => "running_jobs",
            Self::ShowJob { .. } => "show_job",
        }
    }

    /// Whether the call changes something at the cloud.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Submit { .. })
    }
}

/// What the proxy list says of one proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyView {
    /// `ssl_option`; absent or unreadable in the answer means unknown, and unknown is never taken
    /// for a value.
    pub ssl_option: Option<bool>,
    /// `status` condensed to what matters here.
    pub status: ProxyStatus,
    /// The status word as the cloud gave it (`ACTIVE`, `ENABLING PROXY`, …), for people.
    pub word: String,
    /// `address` and `port`: where clients reach it; `None` where the answer has none that can be
    /// connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// One proxy of an instance's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySeen {
    /// Its `pool_id`.
    pub proxy_id: ProxyId,
    /// What the list says of it.
    pub view: ProxyView,
}

/// One instance of the project's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSeen {
    pub instance_id: InstanceId,
    /// Its name, safe to print.
    pub name: String,
    /// Its status, in the cloud's word.
    pub status: String,
    /// Its tags, in the cloud's order, safe to print.
    pub tags: Vec<(String, String)>,
    /// Whether it has a proxy, as far as `proxy_ips` tells: filled once a proxy is on; `None` where
    /// the field is missing.
    pub proxied: Option<bool>,
}

/// What a proxy's status means to us. The cloud's set of words is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyStatus {
    /// `ACTIVE`: takes a change.
    Idle,
    /// Any word we do not know or that says work is going on: wait.
    Busy,
    /// `FAILED`, `ABNORMAL`, `DELETED`: takes no change.
    Faulty,
}

/// One row of the job list, as the jobs that are followed are looked for in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobListed {
    pub job: JobId,
    pub view: JobView,
    /// `created_time`, as in [`JobSeen`].
    pub created: Option<Timestamp>,
    /// For one that has ended: from its `created_time` to its `ended_time`, by the cloud's clock,
    /// in whole seconds; `None` if the cloud does not tell it.
    pub took: Option<Duration>,
}

/// What the cloud says of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobView {
    /// `Pending`, `Running` or a word we do not know: not final.
    Running {
        /// The cloud's `process` text (`60%`), empty if none.
        process: String,
    },
    /// `Completed`.
    Completed,
    /// `Failed`, `Canceled`: final, without effect as far as the cloud says.
    Broken {
        /// `fail_reason`, or the status word.
        reason: String,
    },
}

/// A row of the immediate-jobs list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSeen {
    pub job: JobId,
    /// The instance it works on; the list has no proxy.
    pub instance_id: InstanceId,
    /// `job_name`: a known name of another operation rules the job out.
    pub name: String,
    /// `created_time`, to the second and by the cloud's clock; `None`: it does not say, or not as
    /// it usually does.
    pub created: Option<Timestamp>,
}

/// What one page of the job list shows of the list, whatever its rows mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsPage {
    /// The ids of its rows, of any instance and any operation; a row without a readable id is left
    /// out.
    pub ids: Vec<JobId>,
    /// `total_count`: how many jobs the list has over all pages; `None`: the answer does not say.
    pub total: Option<u32>,
}

impl std::fmt::Display for JobSeen {
    /// The operation's name and its job, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name =
            if self.name.is_empty() { "an operation without a name" } else { self.name.as_str() };
        write!(f, "{name} (job {})", self.job)
    }
}

/// The answer that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Call::Inspect`]: the proxy, or `None` when the instance has no such proxy.
    Proxy(Option<ProxyView>),
    /// To [`Call::Submit`]: accepted. The vendor documents a job id and does not always send one.
    Accepted(Option<JobId>),
    /// To [`Call::Follow`].
    Job(JobView),
    /// To [`Call::ShowJob`].
    JobShown {
        /// The instance that it works on, where the answer tells it.
        instance_id: Option<InstanceId>,
        /// The operation's name; empty where the answer has none.
        name: String,
        view: JobView,
    },
    /// To [`Call::FindJobs`], without what is surely another operation, and to [`Call::Running`],
    /// with it.
    Jobs {
        /// Rows of the page, any instance.
        jobs: Vec<JobSeen>,
        /// What the page shows of the whole list.
        page: JobsPage,
    },
    /// To [`Call::Jobs`]: the rows of one page that can be read.
    Listed {
        /// Jobs of any instance.
        jobs: Vec<JobListed>,
        /// What the page shows of the whole list.
        page: JobsPage,
    },
    /// To [`Call::Instances`]: the instances of one page, and how many there are in all. A page
    /// with a row that cannot be read is no answer.
    Instances {
        /// In the cloud's order.
        instances: Vec<InstanceSeen>,
        /// `total_count`.
        total: u32,
    },
    /// To [`Call::Proxies`]: every proxy of the instance, in the cloud's order. What cannot be read
    /// whole is no answer.
    Proxies(Vec<ProxySeen>),
}

/// What must be done about a call that gave no expected answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Our own last check withheld it: no byte of the decisive part left. Decide again.
    Withheld,
    /// Surely not executed (refused connection, DNS, gateway refusal): try again later, an attempt
    /// is spent.
    NotDone,
    /// Surely not executed because the lane is throttled (429): the lane pauses, no attempt is
    /// spent.
    Throttled,
    /// Surely not executed because another operation runs on the instance: wait, no attempt is
    /// spent.
    Busy,
    /// Surely not executed because the credentials were refused: the lane pauses, no attempt is
    /// spent.
    Unauthorised,
    /// Surely not executed because the signature's date is too far from the cloud's clock: it is
    /// decided again, and signed by the cloud's time. No attempt is spent.
    Misdated,
    /// May have been executed (5xx, timeout, reset, an unreadable success): ask the cloud before
    /// anything else.
    Unknown,
    /// The thing asked for is not there.
    NotFound,
    /// Refused for good: repeating cannot help.
    Fatal,
}

#[cfg(test)]
impl Disposition {
    pub(crate) const ALL: [Self; 9] = [
        Self::Withheld,
        Self::NotDone,
        Self::Throttled,
        Self::Busy,
        Self::Unauthorised,
        Self::Misdated,
        Self::Unknown,
        Self::NotFound,
        Self::Fatal,
    ];
}

/// A call without the expected answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What must be done.
    pub disposition: Disposition,
    /// `Retry-After` in seconds, already clamped by the reader to 1 s … 10 min.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error_code` of the cloud (`DBS.200019`, `APIGW.0308`), if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `X-Request-Id` of the answer, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What happened, in one line safe to print: at most 200 characters, no control characters, no
    /// secrets.
    pub message: String,
}

/// All that came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer or what to do without one.
    pub outcome: Result<Answer, CallError>,
    /// `X-Request-Id` of the answer: what the vendor's support asks for first.
    pub request_id: Option<String>,
    /// The cloud's own clock when it answered (header `Date`), cut to the second; only from an
    /// answer to a call that was let in, or refused for its date, and that no cache has kept.
    pub cloud_time: Option<Timestamp>,
    /// Whether the decisive bytes left this process (the last check was passed).
    pub sent: bool,
    /// What the same answer tells of the instance's other proxies: a list tells of all of them.
    pub beside: Vec<ProxySeen>,
}
