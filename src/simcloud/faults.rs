//! What may go wrong at the simulated cloud, as a YAML file says it.
//!
//! Invariant: with nothing set, the simulated cloud is well-behaved; each fault is drawn on its own
//! and counted when it fires, so that a run can prove that it met what it claims to have met.
//!
//! Deliberately not here: what a fault does (`simcloud::model`).

mod between;
mod file;
mod rate;
mod texts;

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use between::Between;
pub use file::schema;
pub(super) use rate::CallSubject;
pub use rate::Rate;
use texts::{SignedTime, Time};

/// The fault file: every field may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// 429 without `Retry-After`. Not executed.
    pub throttle: Rate,
    /// 429 with `Retry-After` of `retry_after`. Not executed.
    pub throttle_with_retry_after: Rate,
    /// What `Retry-After` says, in whole seconds, rounded up.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "Time")]
    pub retry_after: Duration,
    /// The cloud's own quota over all calls: what comes beyond it gets 429 with `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaRule>,
    /// 500 and not executed. The answer looks the same as that of the next one.
    pub error_500_before: Rate,
    /// 500 although the switch was executed. Switch calls only.
    pub error_500_after: Rate,
    /// 502 with an HTML body, as a gateway sends; a switch was executed in half of the cases.
    pub html_502: Rate,
    /// 200 with a body that is not JSON; a switch was executed.
    pub garbage_200: Rate,
    /// 200 without a job id although the switch was executed. Switch calls only.
    pub no_job_id_200: Rate,
    /// The connection is closed without an answer, nothing was executed.
    pub drop_before: Rate,
    /// The connection is closed without an answer; a switch was executed.
    pub drop_after: Rate,
    /// The answer takes `slow_delay` more; a switch is executed at arrival.
    pub slow: Rate,
    /// How much later a slow answer comes; longer than the client's timeout makes it lost.
    pub slow_delay: Between,
    /// The job ends as `Failed` and changes nothing. Drawn when the job is made, for switch calls
    /// only.
    pub job_fails: Rate,
    /// 409 `DBS.200019` although nothing runs. Switch calls only.
    pub busy: Rate,
    /// 401: the token has expired.
    pub token_expired: Rate,
    /// Somebody else starts another operation on the instance right after its proxies were listed.
    pub foreign_job: Rate,
    /// Somebody else switches SSL of the proxy to the other value right after its instance was
    /// listed.
    pub foreign_change: Rate,
    /// Somebody else starts an operation under a name that no document has, right after the
    /// instance's proxies were listed. One in four fails.
    pub foreign_unknown: Rate,
    /// The proxy stays `ACTIVE` while a job that switches it runs: no document promises another
    /// word. Drawn when the job is made, for switch calls only.
    pub stays_active: Rate,
    /// A proxy's port takes a probe's connection and stays silent.
    pub wire_silent: Rate,
    /// A proxy's port shows the other value than the one in force.
    pub wire_wrong: Rate,
    /// Jobs of other instances of the project begin as often as this; they are in the job list,
    /// under a name that no document has.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub jobs_elsewhere: Option<Duration>,
    /// From arrival to answer.
    pub latency: Between,
    /// How long a job takes.
    pub job_time: Between,
    /// How long a new job is unknown to both the job query and the job list.
    pub visibility_lag: Between,
    /// How far the cloud's own clock is from the right time: what its answers tell (`Date`), what
    /// it dates jobs by, and what it holds signatures against.
    pub clock: ClockFault,
    /// How the proxy list writes `ssl_option`.
    pub ssl_option: SslOptionShape,
    /// How the proxy list writes `readonly_nodes`.
    pub readonly_nodes: NodesShape,
    /// What the job list's `offset` counts.
    pub job_offset: OffsetShape,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            throttle: Rate::NEVER,
            throttle_with_retry_after: Rate::NEVER,
            retry_after: Duration::from_secs(2),
            quota: None,
            error_500_before: Rate::NEVER,
            error_500_after: Rate::NEVER,
            html_502: Rate::NEVER,
            garbage_200: Rate::NEVER,
            no_job_id_200: Rate::NEVER,
            drop_before: Rate::NEVER,
            drop_after: Rate::NEVER,
            slow: Rate::NEVER,
            slow_delay: Between::exactly(Duration::from_secs(90)),
            job_fails: Rate::NEVER,
            busy: Rate::NEVER,
            token_expired: Rate::NEVER,
            foreign_job: Rate::NEVER,
            foreign_change: Rate::NEVER,
            foreign_unknown: Rate::NEVER,
            stays_active: Rate::NEVER,
            wire_silent: Rate::NEVER,
            wire_wrong: Rate::NEVER,
            jobs_elsewhere: None,
            latency: Between::exactly(Duration::ZERO),
            job_time: Between { min: Duration::from_secs(1), max: Duration::from_secs(3) },
            visibility_lag: Between::exactly(Duration::ZERO),
            clock: ClockFault::default(),
            ssl_option: SslOptionShape::String,
            readonly_nodes: NodesShape::Array,
            job_offset: OffsetShape::Pages,
        }
    }
}

impl Faults {
    /// Reads faults that stand in no file.
    ///
    /// # Errors
    /// Every mistake found, drawn with its place.
    pub fn from_yaml(text: &str) -> Result<Self, FaultsError> {
        Self::read("faults", text)
            .map_err(|mistakes| FaultsError(mistakes.render(false).trim_end().to_owned()))
    }
}

/// Faults that cannot be read. Safe to print, whatever was written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FaultsError(String);

/// What can fire, for counting. The order is that of [`Fault::WORDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Fault {
    Throttle,
    ThrottleWithRetryAfter,
    Quota,
    Error500Before,
    Error500After,
    Html502,
    Garbage200,
    NoJobId200,
    DropBefore,
    DropAfter,
    Slow,
    JobFails,
    Busy,
    TokenExpired,
    ForeignJob,
    ForeignChange,
    /// A job was asked for before it became visible.
    VisibilityLag,
    /// A switch met an instance on which a job really ran.
    InstanceBusy,
    WireSilent,
    WireWrong,
    ForeignUnknown,
    StaysActive,
    JobsElsewhere,
    /// A list of more jobs than a page has was asked for by an `offset` that counts records.
    JobsByRecords,
    /// A request was taken while the cloud's clock was wrong.
    Clock,
}

impl Fault {
    /// The words under which firings are reported; but for three they are fields of the fault file.
    pub(super) const WORDS: [&'static str; 25] = [
        "throttle",
        "throttle_with_retry_after",
        "quota",
        "error_500_before",
        "error_500_after",
        "html_502",
        "garbage_200",
        "no_job_id_200",
        "drop_before",
        "drop_after",
        "slow",
        "job_fails",
        "busy",
        "token_expired",
        "foreign_job",
        "foreign_change",
        "visibility_lag",
        "instance_busy",
        "wire_silent",
        "wire_wrong",
        "foreign_unknown",
        "stays_active",
        "jobs_elsewhere",
        "jobs_by_records",
        "clock",
    ];
}

/// A clock that is wrong, and may be stepped: `{ahead: -3h, steps: [{after: 10m, ahead: 0s}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClockFault {
    /// How far it is ahead of the right time; negative: behind.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    #[schemars(with = "SignedTime")]
    pub ahead: SignedDuration,
    /// From when on it is otherwise; the last one whose time has come counts.
    pub steps: Vec<ClockStep>,
}

/// One step of a wrong clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockStep {
    /// Time since the start.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "Time")]
    pub after: Duration,
    /// As above, from then on.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    #[schemars(with = "SignedTime")]
    pub ahead: SignedDuration,
}

impl ClockFault {
    /// How far it is ahead so long after the start.
    pub(super) fn ahead(&self, elapsed: Duration) -> SignedDuration {
        self.steps
            .iter()
            .rev()
            .find(|step| step.after <= elapsed)
            .map_or(self.ahead, |step| step.ahead)
    }
}

/// At most `requests` admitted calls in any interval of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaRule {
    /// Calls admitted in one interval.
    pub requests: u32,
    /// The interval.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "Time")]
    pub per: Duration,
}

/// How `ssl_option` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SslOptionShape {
    /// `"true"`, as the vendor's schema says.
    String,
    /// `true`.
    Boolean,
    /// Not at all, as before the open beta.
    Absent,
}

/// How `readonly_nodes` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodesShape {
    /// As the vendor's schema says.
    Array,
    /// One object, as the vendor's example shows.
    Object,
}

/// What the job list's `offset` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OffsetShape {
    /// Pages from 1, as the vendor's Terraform provider does.
    Pages,
    /// Records from 1, as the vendor's text can be read.
    Records,
    /// Records to skip, as in the vendor's other lists: 1, the default, leaves out the first.
    RecordsFromZero,
}

/// The calls that a rule can be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The list of instances.
    Instances,
    /// `PUT …/ssl`.
    Switch,
    /// `GET …/proxies`.
    Proxies,
    /// `GET …/jobs`.
    Job,
    /// `GET …/immediate-jobs`.
    Jobs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_file_is_read_in_all_its_shapes() {
        let faults = Faults::from_yaml(
            "error_500_before: 0.05\n\
             error_500_after:\n  - {on: 1, from: 10, to: 20.5, match: 01po01, call: switch}\n  - {on: 0.5}\n\
             latency: {min: 5ms, max: 30ms}\n\
             job_time: 2s\n\
             quota: {requests: 100, per: 1s}\n\
             clock: {ahead: -3h, steps: [{after: 10m, ahead: 90s}]}\n\
             ssl_option: absent\n\
             readonly_nodes: object\n\
             jobs_elsewhere: 500ms\n\
             job_offset: records_from_zero\n",
        )
        .expect("a valid fault file");
        assert_eq!(faults.error_500_before, Rate::always(0.05).expect("in range"));
        assert_eq!(
            faults.latency,
            Between { min: Duration::from_millis(5), max: Duration::from_millis(30) }
        );
        assert_eq!(faults.job_time, Between::exactly(Duration::from_secs(2)));
        assert_eq!(faults.quota, Some(QuotaRule { requests: 100, per: Duration::from_secs(1) }));
        let ahead = |minutes: u64| faults.clock.ahead(Duration::from_secs(60 * minutes)).as_secs();
        assert_eq!([ahead(0), ahead(9), ahead(10)], [-10_800, -10_800, 90]);
        assert_eq!(faults.ssl_option, SslOptionShape::Absent);
        assert_eq!(faults.readonly_nodes, NodesShape::Object);
        assert_eq!(
            (faults.jobs_elsewhere, faults.job_offset),
            (Some(Duration::from_millis(500)), OffsetShape::RecordsFromZero)
        );
        assert_eq!(Faults::from_yaml("# nothing\n").expect("comments only"), Faults::default());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let faults =
            Faults { drop_after: Rate::always(0.25).expect("in range"), ..Faults::default() };
        let text = serde_yaml::to_string(&faults).expect("serialisable");
        assert_eq!(Faults::from_yaml(&text).expect("own text"), faults, "{text}");
    }
}
