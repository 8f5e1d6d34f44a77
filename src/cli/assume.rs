//! The scenario that a plan, the daemon's configuration and the flags describe, and what is assumed
//! in it: for `rehearse` and for the forecast of `plan`.
//!
//! Invariant: whatever nobody gave is told in words.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::args::CloudArgs;
use super::emulate::faults;
use super::reach::DaemonAddress;
use crate::domain::plan::{Plan, Promote};
use crate::domain::target::TargetList;
use crate::rehearse::Scenario;
use crate::rehearse::repro::{FaultSetting, with};
use crate::yaml::length::Length;

/// The scenario, and what it rests on.
pub fn assume(
    plan: Plan,
    targets: TargetList,
    daemon: &DaemonAddress,
    given: &CloudArgs,
    from: Timestamp,
) -> Result<(Scenario, Vec<String>)> {
    let mut scenario = Scenario::new(plan, targets, daemon.configured(), from);
    let settings: Vec<FaultSetting> =
        given.fault.iter().map(|text| setting(text)).collect::<Result<_>>()?;
    let mut job_time_given = settings.iter().any(|setting| setting.key == "job_time");
    if let Some(file) = &given.faults {
        let (written, text) = faults(file)?;
        let assumed = std::mem::replace(&mut scenario.faults, written);
        // What the file leaves open is assumed as it is without a file: an emulator's quick jobs
        // would flatter.
        if !says(&text, "job_time") {
            scenario.faults.job_time = assumed.job_time;
        }
        if !says(&text, "latency") {
            scenario.faults.latency = assumed.latency;
        }
        job_time_given |= says(&text, "job_time");
    }
    scenario.faults = with(&scenario.faults, &settings)?;
    let basis = basis(&scenario, daemon, job_time_given);
    Ok((scenario, basis))
}

fn says(text: &str, field: &str) -> bool {
    serde_yaml::from_str::<serde_yaml::Value>(text).is_ok_and(|file| file.get(field).is_some())
}

fn setting(text: &str) -> Result<FaultSetting> {
    let (key, value) = text
        .split_once('=')
        .with_context(|| format!("--fault {text:?} is no FIELD=VALUE, as job_fails=0.02"))?;
    Ok(FaultSetting { key: key.trim().into(), value: value.trim().into() })
}

fn basis(scenario: &Scenario, daemon: &DaemonAddress, job_time_given: bool) -> Vec<String> {
    let job_time = scenario.faults.job_time;
    let between = if job_time.min == job_time.max {
        span(job_time.min)
    } else {
        format!("{} to {}", span(job_time.min), span(job_time.max))
    };
    let mut assumptions = vec![if job_time_given {
        format!("jobs take {between}, as given")
    } else {
        format!("jobs take {between}, assumed (tell it better with --fault job_time=…)")
    }];
    for lane in &scenario.lanes {
        let known = daemon.configured().iter().any(|known| known.name == lane.name);
        let quota = lane.quota.map_or("no quota".to_owned(), |quota| {
            format!("{} calls in any {}", quota.requests, span(quota.per))
        });
        let from = if known { "as configured" } else { "assumed, no configuration names it" };
        assumptions.push(format!("lane {}: {quota}, {from}", lane.name));
    }
    if scenario.plan.strategy.waves.iter().any(|wave| wave.promote == Promote::Manual) {
        assumptions.push("a person promotes as soon as the rollout waits for it".into());
    }
    assumptions
}

/// A length as a plan writes it.
pub fn span(length: Duration) -> String {
    Length::from(length).to_string()
}
