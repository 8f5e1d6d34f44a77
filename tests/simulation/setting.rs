//! Turns a scenario into the product's own values: fleet, submission, lane, quiet faults.

use std::time::Duration;

use jiff::Timestamp;
use sealift::domain::change::Timing;
use sealift::domain::group::GroupLimits;
use sealift::domain::id::{Digest, InstanceId, Name};
use sealift::domain::lane::{
    Access, CLOCK_TOLERANCE, Credentials, Lane, LaneTls, Language, SecretSource,
};
use sealift::domain::plan::{Approval, Plan, Promote, Strategy, Wave, WireRules};
use sealift::domain::proof::TlsVersion;
use sealift::domain::quota::Quota;
use sealift::domain::retry;
use sealift::domain::stop::StopFile;
use sealift::domain::target::Target;
use sealift::domain::window::{Calendar, Window};
use sealift::domain::zone::Zone;
use sealift::simcloud::faults::Faults;
use sealift::simcloud::fleet::Fleet;
use sealift::store::Submission;

use crate::planted::Planted;
use crate::scenario::{CALL_TIMEOUT, DrawnScenario, Often, SETTLE};

pub fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a valid name")
}

pub fn fleet(scenario: &DrawnScenario) -> Fleet {
    Fleet::generate(scenario.proxies, scenario.instances, scenario.seed).expect("a valid fleet")
}

/// What the list says that each proxy showed. The proxies begin with the other value, so a list
/// that says the wanted one is out of date. Drawn apart, so that everything else of a seed stays as
/// it is.
pub fn seen(scenario: &DrawnScenario) -> Vec<Option<bool>> {
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x5ea1_1f70_0000_0007);
    let said = scenario.seen;
    (0..scenario.proxies).map(|_| (said && rng.f64() < 0.8).then(|| rng.f64() < 0.2)).collect()
}

/// The kill-switch file with this text, if it is there.
pub fn stop_file(text: Option<String>) -> Option<StopFile> {
    text.map(|text| StopFile::new("/state/STOP", text))
}

/// What is submitted. A store that does not know the instances is modelled by giving every proxy
/// one of its own; the network then puts the real one back.
pub fn submission(
    scenario: &DrawnScenario,
    fleet: &Fleet,
    at: Timestamp,
    planted: Planted,
) -> Submission {
    let made_up = Fleet::generate(scenario.proxies, scenario.proxies, !scenario.seed)
        .expect("one proxy an instance");
    let instance = |place: usize| -> InstanceId {
        let of = if planted == Planted::InstanceNotLocked { &made_up } else { fleet };
        of.proxies()[place].instance_id
    };
    let targets: Vec<Target> = fleet
        .proxies()
        .iter()
        .enumerate()
        .zip(seen(scenario))
        .map(|((place, proxy), seen)| {
            // A planted bug forgets what the list says.
            let seen = seen.filter(|_| planted != Planted::SeenForgotten);
            Target {
                lane: name("sim"),
                instance_id: instance(place),
                proxy_id: proxy.proxy_id,
                tags: scenario.groups.tags(place),
                seen,
                instance_name: None,
            }
        })
        .collect();
    let mut plan = plan(scenario);
    if planted == Planted::GroupLimitIgnored {
        // A store that does not know the limits.
        plan.strategy.max_in_flight_per = GroupLimits::default();
    }
    Submission { plan, targets: targets.into(), by: "simulation".into(), at, note: String::new() }
}

fn plan(scenario: &DrawnScenario) -> Plan {
    let mut first = 0;
    let mut waves = Vec::new();
    for (place, size) in scenario.waves.iter().enumerate() {
        waves.push(Wave {
            name: name(&format!("wave-{place}")),
            first,
            size: *size,
            soak_ms: scenario.soak_ms,
            promote: if scenario.manual { Promote::Manual } else { Promote::Auto },
            max_failures: scenario.wave_failures,
        });
        first += size;
    }
    let windows = scenario.window.map(|Often { from, every, length, cutoff }| {
        let cron = format!("{from}-59/{every} * * * *").parse().expect("a valid expression");
        let zone: Zone = "Asia/Singapore".parse().expect("a zone of the database");
        Window::new(cron, Duration::from_secs(length), zone, Duration::from_secs(cutoff))
            .expect("a valid window")
    });
    Plan {
        name: name("drill"),
        revision: 1,
        description: String::new(),
        change_ref: String::new(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(b"drill"),
        calendar: Calendar::new(windows.into_iter().collect(), Vec::new(), None),
        strategy: Strategy {
            max_in_flight: scenario.max_in_flight,
            max_in_flight_per: scenario.groups.limits(),
            waves,
            max_failures: scenario.max_failures,
            progress_deadline_ms: 3_600_000,
            revert: scenario.gates.revert,
        },
        retry: retry::Policy {
            max_attempts: scenario.max_attempts,
            initial_ms: 500,
            max_ms: 20_000,
        },
        verify_timeout_ms: 30_000,
        approval: Approval { required: scenario.gates.approvals, digest: Digest::of(b"what runs") },
        enforce: None,
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: scenario.wire.then_some(WireRules { min_tls: TlsVersion::V12, ca: None }),
    }
}

pub fn lane(scenario: &DrawnScenario, planted: Planted) -> Lane {
    Lane {
        name: name("sim"),
        access: Access {
            endpoint: "https://cloud.invalid".into(),
            project_id: "056538411200d4cd2f79c003c7606412".parse().expect("a valid project id"),
            credentials: Credentials::Token(SecretSource::Env("UNUSED".into())),
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota: scenario.quota.map(|(requests, per)| Quota { requests, per }),
        max_in_flight: if planted == Planted::LaneLimitIgnored {
            100
        } else {
            scenario.lane_in_flight
        },
        call_timeout: CALL_TIMEOUT,
        clock_tolerance: if planted == Planted::ClockToleranceIgnored {
            Duration::MAX
        } else {
            CLOCK_TOLERANCE
        },
        timing: Timing {
            settle: if planted == Planted::AsksBeforeLanding { Duration::ZERO } else { SETTLE },
            poll: Duration::from_millis(500),
            poll_max: Duration::from_secs(4),
            job_limit: Duration::from_secs(600),
            recover_limit: Duration::from_secs(300),
        },
    }
}

/// The same cloud with nothing going wrong any more; its quota stays.
pub fn calm(faults: &Faults) -> Faults {
    Faults {
        latency: faults.latency,
        job_time: faults.job_time,
        visibility_lag: faults.visibility_lag,
        quota: faults.quota,
        job_offset: faults.job_offset,
        jobs_elsewhere: faults.jobs_elsewhere,
        ..Faults::default()
    }
}
