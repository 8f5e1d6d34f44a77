//! What a plan would do, from the plan alone.
//!
//! Invariant: no network and no store is needed, so `sealift plan` says the same on a laptop as the
//! daemon does. What the proxies show is in here as far as the list of targets says it, and what it
//! says is compared when a change begins.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::describe::{group_limits, promote, time_zone};
use super::wire::{
    EnforcePreview, ExcludedRow, ExcludedTarget, OpeningRow, Preview, PreviewTarget, PreviewWave,
    SeenRow, WirePreview,
};
use crate::authorities::Authorities;
use crate::domain::change::LOOKS_MAX;
use crate::domain::id::{Digest, Name};
use crate::domain::plan::{OnFailure, Plan, Strategy, Wave, WireRules};
use crate::domain::target::Target;
use crate::domain::window::Opening;
use crate::planfile::{Excluded, LeftOut, LoadedPlan};
use crate::store::Submission;
use crate::yaml::Diagnostic;

/// Openings shown ahead: tonight, the next and the one after.
const OPENINGS: usize = 3;

/// What an approval is bound to: the plan file's bytes, the ordered targets that it led to, and its
/// `ca_file`.
pub fn digest(submission: &Submission) -> Digest {
    Plan::digest(submission.plan.source, submission.targets_digest(), submission.plan.wire.as_ref())
}

/// The preview of `submission`, with at most `per_wave` targets of each wave.
pub fn preview(
    submission: &Submission,
    mut warnings: Vec<String>,
    per_wave: usize,
    now: Timestamp,
) -> Preview {
    let plan = &submission.plan;
    let targets = &submission.targets;
    let mut lanes: BTreeMap<Name, u32> = BTreeMap::new();
    for target in targets.iter() {
        *lanes.entry(target.lane.clone()).or_default() += 1;
    }
    let instances: BTreeSet<_> =
        targets.iter().map(|target| (&target.lane, target.instance_id)).collect();
    let openings = openings(plan, now);
    if openings.is_empty() {
        warnings.push("no window of this plan ever opens: nothing would be done".into());
    }
    if !plan.ssl_option {
        warnings.push("this plan switches SSL off: connections to these proxies may then travel in plain text".into());
    }
    Preview {
        name: plan.name.to_string(),
        revision: plan.revision,
        description: plan.description.clone(),
        change_ref: plan.change_ref.clone(),
        owner: plan.owner.clone(),
        rollout: submission.id().to_string(),
        ssl_option: plan.ssl_option,
        targets: count(targets.len()),
        instances: count(instances.len()),
        seen: seen(targets, plan.ssl_option),
        looked_at: None,
        discovered_at: None,
        excluded: Vec::new(),
        lanes: lanes.into_iter().map(|(lane, targets)| (lane.to_string(), targets)).collect(),
        waves: plan
            .strategy
            .waves
            .iter()
            .map(|w| wave(w, &plan.strategy, targets, per_wave))
            .collect(),
        max_in_flight: plan.strategy.max_in_flight,
        max_in_flight_per: group_limits(plan),
        max_failures: plan.strategy.max_failures,
        max_attempts: plan.retry.max_attempts,
        looks_max: LOOKS_MAX,
        progress_deadline_seconds: plan.strategy.progress_deadline_ms / 1000,
        verify_timeout_seconds: plan.verify_timeout_ms / 1000,
        wire: plan.wire.as_ref().map(|wire| WirePreview {
            min_tls: wire.min_tls.as_str().into(),
            authorities: authorities(wire),
        }),
        on_failure: match plan.strategy.revert.on_failure {
            OnFailure::Halt => "halt".into(),
            OnFailure::Revert => "revert".into(),
        },
        revert_in_window: plan.strategy.revert.in_window,
        approvals: plan.approval.required,
        enforce: enforced(plan, now),
        opposing: Vec::new(),
        open_now: matches!(plan.opening(now, false), Opening::Open { .. }),
        openings,
        time_zone: time_zone(plan),
        warnings,
        forecast: None,
        digest: digest(submission).to_string(),
    }
}

/// What the plan leaves out, with at most `shown` targets of each reason. It is no part of a
/// submission.
pub fn excluded(loaded: &LoadedPlan, shown: usize) -> Vec<ExcludedRow> {
    let target =
        |LeftOut { lane, instance_id, instance_name, proxy_id }: &LeftOut| ExcludedTarget {
            lane: lane.to_string(),
            instance_id: instance_id.to_string(),
            instance_name: instance_name.clone(),
            proxy_id: proxy_id.to_string(),
        };
    let row = |Excluded { reason, targets, first }: &Excluded| ExcludedRow {
        reason: reason.clone(),
        targets: *targets,
        first: first.iter().take(shown).map(target).collect(),
    };
    loaded.excluded.iter().map(row).collect()
}

/// Authorities of the plan's `ca_file`. The plan reader refused one that cannot be used.
fn authorities(wire: &WireRules) -> u32 {
    let listed = wire
        .ca
        .as_ref()
        .and_then(|ca| Authorities::of_pem(ca.as_bytes()).ok())
        .map_or(0, |found| found.listed.len());
    u32::try_from(listed).unwrap_or(u32::MAX)
}

fn enforced(plan: &Plan, now: Timestamp) -> Option<EnforcePreview> {
    let enforce = plan.enforce.as_ref()?;
    Some(EnforcePreview {
        mode: enforce.mode.as_str().into(),
        cron: enforce.cron.to_string(),
        time_zone: enforce.time_zone.name().to_owned(),
        max_drift: enforce.max_drift,
        next: enforce.next(now),
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a plan's targets are bounded far below 2^32")
}

fn seen(targets: &[Target], wanted: bool) -> SeenRow {
    targets.iter().fold(SeenRow::default(), |mut row, target| {
        match target.seen {
            Some(value) if value == wanted => row.right += 1,
            Some(_) => row.other += 1,
            None => row.unknown += 1,
        }
        row
    })
}

fn wave(wave: &Wave, strategy: &Strategy, targets: &[Target], per_wave: usize) -> PreviewWave {
    let members = targets
        .iter()
        .zip(0u32..)
        .skip(wave.first as usize)
        .take((wave.size as usize).min(per_wave));
    PreviewWave {
        name: wave.name.to_string(),
        size: wave.size,
        max_failures: wave.max_failures,
        max_in_flight: strategy.max_in_flight.min(strategy.max_failures).min(wave.max_failures),
        soak_seconds: wave.soak_ms / 1000,
        promote: promote(wave.promote).into(),
        targets: members
            .map(|(target, ordinal)| PreviewTarget {
                ordinal,
                lane: target.lane.to_string(),
                instance_id: target.instance_id.to_string(),
                proxy_id: target.proxy_id.to_string(),
                ssl_option: target.seen,
            })
            .collect(),
    }
}

fn openings(plan: &Plan, now: Timestamp) -> Vec<OpeningRow> {
    let stretches = plan.calendar.openings(now, OPENINGS).into_iter();
    stretches
        .map(|stretch| OpeningRow {
            from: stretch.open,
            until: stretch.cutoff,
            close: stretch.close,
        })
        .collect()
}

/// A warning of the plan reader in one line.
pub fn warning(warning: &Diagnostic) -> String {
    match &warning.place {
        Some(place) => {
            format!("{} ({}:{}:{})", warning.message, place.file, place.line, place.column)
        }
        None => warning.message.clone(),
    }
}
