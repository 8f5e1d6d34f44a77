//! Makes the documents of `wire` from what the store and the engine hold.
//!
//! Invariant: pure functions of their arguments; the same state gives the same document on the
//! socket, in the page and in a test. Deliberately not here: any reading from store or clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::hold;
use super::meter::MeterReading;
use super::wire::{
    AnswerDoc, ApprovalDoc, Budget, ChangeRow, Counters, DaemonDoc, FullProofDoc, GrowthDoc,
    HaltDoc, HoldView, JournalRow, LaneClockDoc, LaneDoc, LaneQuotaDoc, MarkDoc, MissedDoc,
    PlanDoc, PlanFault, ProofDoc, RevertDoc, RolloutDoc, RolloutRow, SavedJob, StoreDoc, WaveDoc,
    WireDoc,
};
use crate::domain::change::{How, ReasonWord, Setback, State};
use crate::domain::hold::{clock_text, halt_text};
use crate::domain::journal::{Entry, JournalEvent, Trace};
use crate::domain::plan::{Plan, Promote, WireRules};
use crate::domain::proof::{ProofSummary, TlsVersion};
use crate::domain::rollout::{Cause, Halt, Phase, Revert, RevertStage};
use crate::domain::target::Tags;
use crate::domain::window::Opening;
use crate::domain::window_log::WindowLog;
use crate::engine::{ClockStanding, LaneSnapshot, Snapshot};
use crate::store::{Active, Growth, Health, Rollout};

/// The row of a rollout in the list.
pub fn row(rollout: &Rollout) -> RolloutRow {
    RolloutRow {
        id: rollout.id.to_string(),
        tag: rollout.record.tag(rollout.id).to_string(),
        name: rollout.plan.name.to_string(),
        revision: rollout.plan.revision,
        ssl_option: rollout.plan.ssl_option,
        phase: rollout.record.phase.as_str().into(),
        paused: rollout.record.paused.is_some(),
        reverting: rollout.record.revert().is_some() || rollout.record.phase == Phase::Reverted,
        wave: rollout.record.phase.wave().and_then(|wave| wave_name(&rollout.plan, wave)),
        tally: rollout.total().into(),
        change_ref: rollout.plan.change_ref.clone(),
        by: rollout.by.name.clone(),
        submitted_at: rollout.submitted_at,
        moved_at: rollout.moved_at,
    }
}

fn wave_name(plan: &Plan, wave: u16) -> Option<String> {
    plan.strategy.waves.get(usize::from(wave)).map(|wave| wave.name.to_string())
}

/// How a rollout stands.
/// `groups_full`: see [`hold::groups_full`].
pub fn rollout(
    rollout: &Rollout,
    snapshot: &Snapshot,
    measured: &MeterReading,
    groups_full: bool,
    now: Timestamp,
) -> RolloutDoc {
    let plan = &rollout.plan;
    let phase = &rollout.record.phase;
    let total = rollout.total();
    let holds = hold::of_rollout(rollout, snapshot, groups_full, now);
    let (next_opening, open_until) = match hold::opening(rollout, now) {
        _ if phase.is_final() => (None, None),
        Opening::Open { until } => (None, until),
        Opening::Shut { next, .. } => (next, None),
    };
    RolloutDoc {
        id: rollout.id.to_string(),
        tag: rollout.record.tag(rollout.id).to_string(),
        name: plan.name.to_string(),
        revision: plan.revision,
        description: plan.description.clone(),
        change_ref: plan.change_ref.clone(),
        owner: plan.owner.clone(),
        ssl_option: plan.ssl_option,
        phase: phase.as_str().into(),
        is_final: phase.is_final(),
        halt: halt(phase),
        paused: rollout.record.paused.as_ref().map(MarkDoc::from),
        paused_until: rollout.record.paused_until,
        approval: approval(rollout),
        revert: rollout.record.revert().map(revert),
        aborted: match phase {
            Phase::Aborted { mark } => Some(mark.into()),
            _ => None,
        },
        wave: phase.wave(),
        waves: waves(rollout),
        tally: total.into(),
        counters: Counters {
            accepted: measured.accepted,
            completed: measured.completed,
            effective: total.succeeded,
            // Under such a plan nothing succeeds but by a proof.
            verified: plan.wire.as_ref().map(|_| total.succeeded),
        },
        wire: plan.wire.as_ref().map(|wire| wire_doc(wire, measured)),
        max_in_flight: plan.strategy.max_in_flight,
        max_in_flight_per: group_limits(plan),
        budget: Budget::of(plan.strategy.max_failures, &total),
        rate_per_minute: measured.rate_per_minute,
        eta: eta(rollout, &holds, measured.rate_per_minute, open_until, now),
        holds,
        forecast: None,
        enforcement: None,
        next_opening,
        open_until,
        missed_windows: missed(&rollout.record.windows),
        time_zone: time_zone(plan),
        by: rollout.by.name.clone(),
        submitted_at: rollout.submitted_at,
        moved_at: rollout.moved_at,
        as_of: now,
    }
}

fn wire_doc(wire: &WireRules, measured: &MeterReading) -> WireDoc {
    let versions = measured.proven.map(|[none, v12, v13]| {
        let counts =
            [("none", none), (TlsVersion::V12.as_str(), v12), (TlsVersion::V13.as_str(), v13)];
        counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| (word.to_owned(), count))
            .collect()
    });
    WireDoc {
        min_tls: wire.min_tls.as_str().into(),
        trusted: wire.ca.is_some(),
        versions,
        first_expiry: measured.first_expiry,
    }
}

/// What a change's proof left beside it.
fn proof(proof: &ProofSummary) -> ProofDoc {
    ProofDoc {
        at: proof.at,
        tls: proof.version.map(|version| version.as_str().to_owned()),
        cipher: Some(proof.cipher.clone()).filter(|cipher| !cipher.is_empty()),
        expires: proof.expires,
        sha256: proof.sha256.map(|digest| digest.to_string()),
        plaintext: proof.plaintext.as_str().into(),
    }
}

/// What the rollout's plan file said.
pub fn plan(plan: &Plan) -> PlanDoc {
    PlanDoc {
        written: plan.written.keys().map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
    }
}

/// The plan's group limits, by their keys as plans write them.
pub fn group_limits(plan: &Plan) -> BTreeMap<String, u32> {
    plan.strategy.max_in_flight_per.iter().map(|(by, most)| (by.to_string(), most)).collect()
}

pub fn missed(windows: &WindowLog) -> Option<MissedDoc> {
    let last = windows.last_missed.filter(|_| windows.missed > 0)?;
    Some(MissedDoc { count: windows.missed, last_open: last.open, last_until: last.until })
}

fn halt(phase: &Phase) -> Option<HaltDoc> {
    let Phase::Halted { reason, .. } = phase else { return None };
    let guard = match reason {
        Halt::Failures { .. } => "failures",
        Halt::Half { .. } => "half",
        Halt::Stalled { .. } => "stalled",
        Halt::Revert { .. } => "revert",
    };
    Some(HaltDoc { guard: guard.into(), text: halt_text(reason) })
}

fn approval(rollout: &Rollout) -> Option<ApprovalDoc> {
    let approval = &rollout.plan.approval;
    let given = rollout.record.approvals.iter();
    let given = given
        .map(|approved| MarkDoc { by: approved.by.clone(), reason: String::new(), at: approved.at })
        .collect();
    (approval.required > 0).then(|| ApprovalDoc {
        required: approval.required,
        given,
        digest: approval.digest.to_string(),
    })
}

fn revert(revert: &Revert) -> RevertDoc {
    let stage = match revert.stage {
        RevertStage::Settling => "settling",
        RevertStage::Gathering => "gathering",
        RevertStage::Releasing => "releasing",
    };
    let asked = match &revert.cause {
        Cause::Asked { mark } => Some(mark.into()),
        Cause::Failures { .. } => None,
    };
    RevertDoc { stage: stage.into(), cause: revert.cause.to_string(), asked }
}

fn waves(rollout: &Rollout) -> Vec<WaveDoc> {
    let current = rollout.record.phase.wave();
    let pairs = rollout.plan.strategy.waves.iter().zip(rollout.tallies.iter()).zip(0u16..);
    pairs
        .map(|((wave, tally), index)| WaveDoc {
            name: wave.name.to_string(),
            size: wave.size,
            state: wave_state(rollout, current, index, tally.queued == 0 && tally.active == 0)
                .into(),
            tally: (*tally).into(),
            budget: Budget::of(wave.max_failures, tally),
            soak_seconds: wave.soak_ms / 1000,
            promote: promote(wave.promote).into(),
        })
        .collect()
}

fn wave_state(rollout: &Rollout, current: Option<u16>, index: u16, settled: bool) -> &'static str {
    match current {
        _ if rollout.record.phase.is_final() => "done",
        // A revert goes from the newest wave to the first.
        Some(current) if rollout.record.revert().is_some() && index != current => {
            if index < current { "waiting" } else { "done" }
        }
        Some(current) if index == current && !settled => "current",
        // A wave that soaks or awaits promotion is still the one people look at.
        Some(current) if index == current => "current",
        Some(current) if index < current => "done",
        Some(_) | None => "waiting",
    }
}

/// The word of a promotion rule, as plans write it.
pub fn promote(promote: Promote) -> &'static str {
    match promote {
        Promote::Auto => "auto",
        Promote::Manual => "manual",
    }
}

/// The end at the present rate; only where nothing but work stands between here and there.
fn eta(
    rollout: &Rollout,
    holds: &[HoldView],
    rate: Option<f64>,
    open_until: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let rate = rate.filter(|rate| *rate > 0.0)?;
    let Phase::Advancing { wave } = rollout.record.phase else { return None };
    let waits_ahead = rollout.plan.strategy.waves.iter().skip(usize::from(wave)).rev().skip(1);
    // Full groups are how a limited rollout moves.
    let held = holds.iter().any(|hold| hold.word != "group_limit");
    if held
        || waits_ahead.into_iter().any(|wave| wave.soak_ms > 0 || wave.promote == Promote::Manual)
    {
        return None;
    }
    let total = rollout.total();
    let left = f64::from(total.queued + total.active);
    let eta = now.checked_add(SignedDuration::try_from_secs_f64(left / rate * 60.0).ok()?).ok()?;
    match open_until {
        Some(until) if eta > until => None,
        Some(_) | None => Some(eta),
    }
}

/// One line of a change.
pub fn change(active: &Active, rollout: &Rollout, hold: Option<HoldView>) -> ChangeRow {
    let change = &active.change;
    let (reason_word, reason) = match &change.record.state {
        State::Failed { reason } | State::InDoubt { reason } | State::Skipped { reason } => {
            (Some(reason_word(reason.word).to_owned()), Some(reason.message.clone()))
        }
        _ => (None, None),
    };
    let how = match &change.record.state {
        State::Succeeded { how } | State::Reverted { how } => Some(how_word(*how).to_owned()),
        _ => None,
    };
    ChangeRow {
        ordinal: change.id.ordinal,
        lane: change.target.lane.to_string(),
        instance_id: change.target.instance_id.to_string(),
        instance_name: change.target.instance_name.as_ref().map(|name| name.as_str().to_owned()),
        proxy_id: change.target.proxy_id.to_string(),
        wave: wave_name(&rollout.plan, change.wave).unwrap_or_default(),
        tags: change
            .target
            .tags
            .iter()
            .flat_map(Tags::iter)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        state: change.record.state.as_str().into(),
        how,
        attempts: change.record.attempts,
        before: change.record.before,
        undo: change.record.undo.is_some(),
        job_id: change.record.jobs.last().map(ToString::to_string),
        jobs: change.record.jobs.iter().map(ToString::to_string).collect(),
        presumed: change
            .record
            .presumed
            .iter()
            .flat_map(|presumed| &presumed.jobs)
            .map(ToString::to_string)
            .collect(),
        reason_word,
        reason,
        first_answer: change.record.setbacks.as_deref().map(|setbacks| answer(&setbacks.first)),
        last_answer: change.record.setbacks.as_deref().map(|setbacks| answer(setbacks.last())),
        endpoint: change.record.shown.as_ref().map(|shown| shown.endpoint.to_string()),
        proof: change.record.proof.as_deref().map(proof),
        moved_at: active.moved_at,
        hold,
    }
}

fn answer(setback: &Setback) -> AnswerDoc {
    let Setback { to, attempt, status, code, request_id, message } = setback.clone();
    AnswerDoc { to: to.as_str().into(), attempt, status, code, request_id, message }
}

fn how_word(how: How) -> &'static str {
    match how {
        How::Switched => "switched",
        How::AlreadyRight => "already_right",
        How::SwitchedJobUnknown => "switched_job_unknown",
    }
}

fn reason_word(word: ReasonWord) -> &'static str {
    match word {
        ReasonWord::Refused => "refused",
        ReasonWord::NotFound => "not_found",
        ReasonWord::Faulty => "faulty",
        ReasonWord::Busy => "busy",
        ReasonWord::AttemptsSpent => "attempts_spent",
        ReasonWord::Unverified => "unverified",
        ReasonWord::NotProven => "not_proven",
        ReasonWord::JobLimit => "job_limit",
        ReasonWord::Unreadable => "unreadable",
        ReasonWord::NotAsSeen => "not_as_seen",
        ReasonWord::ChangedSince => "changed_since",
        ReasonWord::NotSurelyOurs => "not_surely_ours",
        ReasonWord::BeforeUnknown => "before_unknown",
        ReasonWord::RevertAborted => "revert_aborted",
        ReasonWord::Drifted => "drifted",
        ReasonWord::GivenUp => "given_up",
    }
}

/// The saved job ids of a change, oldest first.
pub fn jobs(active: &Active, rollout: &Rollout) -> Vec<SavedJob> {
    let change = &active.change;
    let count = change.record.jobs.len();
    let numbered = change.record.jobs.iter().zip(1u16..);
    numbered
        .map(|(job, number)| SavedJob {
            job_id: job.to_string(),
            ordinal: change.id.ordinal,
            lane: change.target.lane.to_string(),
            instance_id: change.target.instance_id.to_string(),
            proxy_id: change.target.proxy_id.to_string(),
            wave: wave_name(&rollout.plan, change.wave).unwrap_or_default(),
            number,
            latest: usize::from(number) == count,
            presumed: change.record.presumes(job),
            state: change.record.state.as_str().into(),
            moved_at: active.moved_at,
        })
        .collect()
}

/// One line of the journal.
pub fn entry(entry: &Entry) -> JournalRow {
    let blank = JournalRow {
        seq: entry.seq,
        at: entry.at,
        rollout: entry.rollout.to_string(),
        kind: String::new(),
        ordinal: None,
        instance_id: None,
        proxy_id: None,
        from: None,
        to: String::new(),
        why: String::new(),
        call: None,
        request_id: None,
        status: None,
        code: None,
        proof: None,
        job_id: None,
        by: None,
        via: None,
    };
    match &entry.what {
        JournalEvent::Submitted { name, revision, targets, by, via, note, .. } => JournalRow {
            kind: "submitted".into(),
            to: "scheduled".into(),
            why: if note.is_empty() {
                format!("plan {name} revision {revision} with {targets} targets")
            } else {
                format!("plan {name} revision {revision} with {targets} targets; {note}")
            },
            by: Some(by.clone()),
            via: via.clone(),
            ..blank
        },
        JournalEvent::Rollout { from, to, why, by, via, .. } => JournalRow {
            kind: "rollout".into(),
            from: Some(from.to_string()),
            to: to.to_string(),
            why: why.clone(),
            by: by.clone(),
            via: via.clone(),
            ..blank
        },
        JournalEvent::Enforcement { from, to, why, by, via, .. } => JournalRow {
            kind: "enforcement".into(),
            from: Some(from.to_string()),
            to: to.to_string(),
            why: why.clone(),
            by: by.clone(),
            via: via.clone(),
            ..blank
        },
        JournalEvent::Change {
            ordinal,
            instance_id,
            proxy_id,
            from,
            to,
            why,
            call,
            answer,
            by,
            via,
            earlier: _,
            record,
        } => {
            let Trace { request_id, status, code, proof, .. } = answer.clone().unwrap_or_default();
            JournalRow {
                kind: "change".into(),
                ordinal: Some(*ordinal),
                instance_id: Some(instance_id.to_string()),
                proxy_id: Some(proxy_id.to_string()),
                from: Some(from.to_string()),
                to: to.to_string(),
                why: why.clone(),
                call: call.as_deref().map(str::to_owned),
                request_id,
                status,
                code,
                proof: proof.map(|proof| Box::new(FullProofDoc::from(&*proof))),
                job_id: record.jobs.last().map(ToString::to_string),
                by: by.clone(),
                via: via.clone(),
                ..blank
            }
        }
    }
}

pub fn daemon(
    snapshot: &Snapshot,
    health: Health,
    growth: Option<Growth>,
    plans: Vec<PlanFault>,
    started_at: Timestamp,
) -> DaemonDoc {
    DaemonDoc {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        started_at,
        passes: snapshot.passes,
        calls: snapshot.calls,
        stop: snapshot.stop.file.as_ref().map(|file| file.text.clone()),
        stop_file: String::new(),
        stopped: snapshot.stop.by.as_ref().map(MarkDoc::from),
        draining: snapshot.draining,
        store: StoreDoc {
            kind: health.kind.into(),
            seq: health.seq,
            head: health.head.to_string(),
            refusing: health.refusing,
            journal_bytes: health.journal_bytes,
            queue_bytes: health.queue_bytes,
            growth: growth.map(self::growth),
            rebuilt: health.rebuilt,
        },
        lanes: snapshot.lanes.iter().map(lane).collect(),
        plans,
        notify: Vec::new(),
    }
}

/// How fast the store grows.
pub fn growth(growth: Growth) -> GrowthDoc {
    let Growth { since, bytes_per_day, free_bytes, days_left } = growth;
    GrowthDoc { since, bytes_per_day, free_bytes, days_left }
}

pub fn lane(lane: &LaneSnapshot) -> LaneDoc {
    LaneDoc {
        lane: lane.lane.to_string(),
        out: lane.out,
        waiting: lane.waiting,
        paused_until: lane.paused.as_ref().map(|pause| pause.until),
        paused_why: lane.paused.as_ref().map(|pause| pause.why.clone()),
        clock: lane.clock.as_ref().map(clock),
        held: lane.held.as_ref().map(|(mark, _)| MarkDoc::from(mark)),
        quota: lane.quota.map(|standing| LaneQuotaDoc {
            requests: standing.quota.requests,
            per_ms: u64::try_from(standing.quota.per.as_millis()).unwrap_or(u64::MAX),
            ceiling: standing.ceiling,
            used: standing.used,
            refused: standing.refused,
        }),
    }
}

fn clock(standing: &ClockStanding) -> LaneClockDoc {
    let ms = |duration: SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    LaneClockDoc {
        ahead_least_ms: ms(standing.ahead.least),
        ahead_most_ms: ms(standing.ahead.most),
        tolerance_ms: u64::try_from(standing.tolerance.as_millis()).unwrap_or(u64::MAX),
        held: standing.holds(),
        jobs_apart_ms: standing.jobs_apart.map(ms),
        text: clock_text(standing.ahead),
    }
}

/// The zone that a plan's people read times in: that of its first window.
pub fn time_zone(plan: &Plan) -> Option<String> {
    plan.calendar.windows().first().map(|window| window.zone().name().to_owned())
}
