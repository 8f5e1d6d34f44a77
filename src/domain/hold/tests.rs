//! One test a word: the facts, and what the operator reads.

use std::collections::BTreeSet;

use super::*;
use crate::domain::change;
use crate::domain::group::GroupBy;
use crate::domain::id::{Digest, RolloutId};
use crate::domain::person::Attribution;
use crate::domain::plan::{Approval, Promote, RevertPolicy, Strategy, Wave};
use crate::domain::retry;
use crate::domain::rollout::{Approved, Cause};
use crate::domain::stop::StopFile;
use crate::domain::target::Target;
use crate::domain::window::{Calendar, Freeze, Window};
use crate::domain::zone::Zone;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn now() -> Timestamp {
    at("2026-12-05T18:00:00Z")
}

fn later() -> Timestamp {
    at("2026-12-11T17:00:00Z")
}

fn moved() -> Timestamp {
    at("2026-12-05T17:58:00Z")
}

fn begun() -> Timestamp {
    at("2026-12-05T17:00:00Z")
}

fn pause(why: &str) -> Pause {
    Pause {
        since: at("2026-12-05T17:59:00Z"),
        until: later(),
        why: why.into(),
        refused: false,
        out_of_reach: false,
    }
}

fn submitted() -> Timestamp {
    at("2026-12-04T09:00:00Z")
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

/// Facts that a test can own and bend.
struct OwnedFacts {
    plan: Plan,
    record: Record,
    tallies: Vec<Tally>,
    window: Opening,
    stop: Stop,
    draining: bool,
    lane: Name,
    configured: bool,
    shares: Option<Name>,
    overdue: Option<String>,
    lane_held: Option<Attribution>,
    lane_paused: Option<Pause>,
    clock: Option<Offset>,
    waits_for_quota: bool,
    free_at: Option<Timestamp>,
    assumed_until: Option<Timestamp>,
    change: Change,
    wake: Option<Timestamp>,
    instance_taken: Option<ChangeId>,
    occupied: Option<JobSeen>,
    group_full: Option<FullGroup>,
    groups_full: bool,
    by: Person,
}

impl OwnedFacts {
    /// A rollout that moves: wave 0 of two, nothing released, the window open.
    fn moving() -> Self {
        let wave = |text, first, size, max_failures| Wave {
            name: name(text),
            first,
            size,
            soak_ms: 0,
            promote: Promote::Auto,
            max_failures,
        };
        let plan = Plan {
            name: name("proxy-ssl-2026q4"),
            revision: 1,
            description: String::new(),
            change_ref: String::new(),
            owner: String::new(),
            ssl_option: true,
            source: Digest::of(b"plan"),
            calendar: Calendar::always(),
            strategy: Strategy {
                max_in_flight: 20,
                max_in_flight_per: Default::default(),
                waves: vec![wave("canary", 0, 50, 50), wave("rest", 50, 100, 30)],
                max_failures: 40,
                progress_deadline_ms: 1_200_000,
                revert: RevertPolicy::default(),
            },
            retry: retry::Policy::default(),
            verify_timeout_ms: 180_000,
            approval: Approval::default(),
            enforce: None,
            survey: false,
            notify: Vec::new(),
            written: Default::default(),
            wire: None,
        };
        let target = Target {
            lane: name("prod-sg"),
            instance_id: "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id"),
            proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id"),
            tags: None,
            seen: None,
            instance_name: None,
        };
        let id = ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal: 3 };
        Self {
            plan,
            record: Record { phase: Phase::Advancing { wave: 0 }, ..Record::submitted() },
            tallies: vec![Tally::queued(50), Tally::queued(100)],
            window: Opening::Open { until: None },
            stop: Stop::default(),
            draining: false,
            lane: name("prod-sg"),
            configured: true,
            shares: None,
            overdue: None,
            lane_held: None,
            lane_paused: None,
            clock: None,
            waits_for_quota: false,
            free_at: None,
            assumed_until: None,
            change: Change { id, target, wave: 0, desired: true, record: change::Record::queued() },
            wake: None,
            instance_taken: None,
            occupied: None,
            group_full: None,
            groups_full: false,
            by: "ada".into(),
        }
    }

    fn bent(bend: impl FnOnce(&mut Self)) -> Self {
        let mut facts = Self::moving();
        bend(&mut facts);
        facts
    }

    fn shut(by: ShutBy) -> Self {
        Self::bent(|f| f.window = Opening::Shut { next: Some(later()), by })
    }

    fn ready(bend: impl FnOnce(&mut change::Record)) -> Self {
        Self::bent(|f| {
            f.change.record.state = State::Ready;
            f.wake = Some(later());
            bend(&mut f.change.record);
        })
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            plan: &self.plan,
            by: &self.by,
            submitted_at: submitted(),
            started: begun(),
            moved_at: moved(),
            now: now(),
            record: &self.record,
            tallies: &self.tallies,
            window: &self.window,
            stop: &self.stop,
            draining: self.draining,
            overdue: self.overdue.as_deref(),
            groups_full: self.groups_full,
            unserved: &[],
        }
    }

    fn lane(&self) -> LaneStanding<'_> {
        LaneStanding {
            name: &self.lane,
            shares: self.shares.as_ref(),
            held: self.lane_held.as_ref(),
            paused: self.lane_paused.as_ref(),
            waits_for_quota: self.waits_for_quota,
            clock: self.clock.map(|ahead| (ahead, Some(now()))),
            free_at: self.free_at,
            assumed_until: self.assumed_until,
        }
    }

    /// What holds the rollout first; since when is a test of its own.
    fn rollout(&self) -> Option<Hold> {
        self.holds().into_iter().next().map(|hold| self.told(hold))
    }

    fn holds(&self) -> Vec<Hold> {
        let unserved = [Unserved { lane: &self.lane, shares: self.shares.as_ref() }];
        let all_served = self.configured && self.shares.is_none();
        let unserved = if all_served { &[] } else { &unserved[..] };
        of_rollout(&Situation { unserved, ..self.situation() }, &[self.lane()])
    }

    fn change(&self) -> Option<Hold> {
        let waiting = Waiting {
            change: &self.change,
            now: now(),
            wake: self.wake,
            instance_taken: self.instance_taken,
            occupied: self.occupied.as_ref(),
            group_full: self.group_full.as_ref(),
            lane: self.configured.then(|| self.lane()),
        };
        of_change(&self.situation(), &waiting).map(|hold| self.told(hold))
    }

    /// With its whole line as the text: who, why and what lifts it stand in there.
    fn told(&self, hold: Hold) -> Hold {
        let Situation { plan, by, .. } = self.situation();
        let line = crate::words::hold::line(&hold, plan, by);
        Hold::new(hold.word, hold.until, line)
    }
}

fn mark(reason: &str) -> Attribution {
    Attribution { by: "root".into(), reason: reason.into(), at: now() }
}

fn revert(stage: RevertStage) -> Revert {
    Revert {
        wave: 0,
        stage,
        more: false,
        failed: 0,
        in_doubt: 0,
        cause: Cause::Asked { mark: mark("") },
    }
}

fn hold(word: &'static str, until: Option<Timestamp>, text: &str) -> Option<Hold> {
    Some(Hold::new(word, until, text.into()))
}

#[test]
fn what_moves_is_not_held() {
    let facts = OwnedFacts::moving();
    assert_eq!((facts.rollout(), facts.change()), (None, None));
}

#[test]
fn a_revert_says_what_it_waits_for() {
    let facts = |stage| {
        OwnedFacts::bent(|f| {
            f.record.phase = Phase::Reverting(revert(stage).into());
            f.tallies = vec![
                Tally { queued: 30, active: 20, ..Tally::default() },
                Tally { cancelled: 100, ..Tally::default() },
            ];
        })
    };
    let settling = hold(
        "settling",
        None,
        "what is on its way forward is followed to its end before anything is put back",
    );
    assert_eq!(
        (facts(RevertStage::Settling).rollout(), facts(RevertStage::Settling).change()),
        (settling.clone(), settling)
    );
    let gathering = hold("settling", None, "what wave canary changed is gathered");
    assert_eq!(
        (facts(RevertStage::Gathering).rollout(), facts(RevertStage::Gathering).change()),
        (gathering.clone(), gathering)
    );
    let full = hold("in_flight_limit", None, "20 of 20 changes are in flight");
    assert_eq!(
        (facts(RevertStage::Releasing).rollout(), facts(RevertStage::Releasing).change()),
        (None, full)
    );
    let mut moving = facts(RevertStage::Releasing);
    moving.tallies[0] = Tally { queued: 31, active: 19, ..Tally::default() };
    assert_eq!((moving.rollout(), moving.change()), (None, None));
}

#[test]
fn a_lane_that_a_person_paused_and_a_wait_that_is_too_long_are_reported_first() {
    let mut facts = OwnedFacts::bent(|f| f.lane_held = Some(mark("incident in the region")));
    let held = hold(
        "lane_held",
        None,
        "lane prod-sg is paused by root: incident in the region; `sealift resume --lane prod-sg`",
    );
    assert_eq!((facts.rollout(), facts.change()), (held.clone(), held));
    // Also when all that is left is in hand.
    facts.tallies[0] = Tally { active: 50, ..Tally::default() };
    facts.overdue = Some("lane prod-sg is paused by root".into());
    let text = "no change ended within 1200 s of open window, and a person must look: lane prod-sg is paused by root";
    assert_eq!(facts.rollout(), hold("overdue", None, text));
    facts.record.phase = Phase::Completed;
    assert_eq!(facts.rollout(), None);
}

#[test]
fn a_wave_that_is_done_and_halted_may_be_left_without_what_failed() {
    let facts = OwnedFacts::bent(|f| {
        f.record.phase =
            Phase::Halted { wave: 0, reason: Halt::Half { failures: 25, size: 50 }, revert: None };
        f.tallies[0] = Tally { succeeded: 25, failed: 25, ..Tally::default() };
    });
    let text = "halted: 25 of the wave's 50 changes failed or in doubt; `sealift retry proxy-ssl-2026q4` tries them again, \
                `sealift promote proxy-ssl-2026q4 --reason TEXT` goes on without them";
    assert_eq!(facts.rollout(), hold("halted", None, text));
}

/// What holds the whole rollout is told of it and of its queued and ready changes alike.
#[test]
fn holds_of_the_whole_rollout() {
    let verb = "`sealift retry proxy-ssl-2026q4` goes on";
    let phase = |phase| OwnedFacts::bent(|f| f.record.phase = phase);
    let table = [
        (
            phase(Phase::Halted {
                wave: 0,
                reason: Halt::Failures { failures: 3, budget: 3 },
                revert: None,
            }),
            hold("halted", None, &format!("halted: 3 failures reach the budget of 3; {verb}")),
        ),
        (
            phase(Phase::Halted {
                wave: 0,
                reason: Halt::Half { failures: 25, size: 50 },
                revert: None,
            }),
            hold(
                "halted",
                None,
                &format!("halted: 25 of the wave's 50 changes failed or in doubt; {verb}"),
            ),
        ),
        (
            phase(Phase::Halted {
                wave: 0,
                reason: Halt::Stalled { seconds: 1200, why: String::new() },
                revert: None,
            }),
            hold(
                "halted",
                None,
                &format!("halted: no change ended for 1200 s of open window; {verb}"),
            ),
        ),
        (
            OwnedFacts::bent(|f| f.stop.by = Some(mark("DNS is down, ask Kim"))),
            hold(
                "stopped",
                None,
                "everything is stopped by root: DNS is down, ask Kim; `sealift start`",
            ),
        ),
        (
            OwnedFacts::bent(|f| {
                f.stop.file = Some(StopFile::new("/state/STOP", "DNS is down, ask Kim\n"))
            }),
            hold(
                "stop_file",
                None,
                "everything is stopped by the file /state/STOP: DNS is down, ask Kim; remove it to go on",
            ),
        ),
        (
            OwnedFacts::bent(|f| f.stop.file = Some(StopFile::new("/state/STOP", " \n"))),
            hold(
                "stop_file",
                None,
                "everything is stopped by the file /state/STOP; remove it to go on",
            ),
        ),
        (
            OwnedFacts::bent(|f| f.record.paused = Some(mark("network trouble"))),
            hold(
                "paused",
                None,
                "paused by root: network trouble; `sealift resume proxy-ssl-2026q4`",
            ),
        ),
        (
            OwnedFacts::bent(|f| f.record.paused = Some(mark(""))),
            hold("paused", None, "paused by root; `sealift resume proxy-ssl-2026q4`"),
        ),
        (
            OwnedFacts::bent(|f| {
                f.record.paused = Some(mark(""));
                f.record.paused_until = Some(later());
            }),
            hold("paused", Some(later()), "paused by root; `sealift resume proxy-ssl-2026q4`"),
        ),
        (
            OwnedFacts::bent(|f| {
                f.record.phase = Phase::Scheduled;
                f.plan.approval.required = 2;
                f.record.approvals.push(Approved { by: "bob".into(), uid: None, at: now() });
            }),
            hold(
                "awaiting_approval",
                None,
                &format!(
                    "1 of 2 approvals are given; somebody else than ada approves it with `sealift approve proxy-ssl-2026q4 --digest {}`",
                    Approval::default().digest
                ),
            ),
        ),
        (
            phase(Phase::Halted {
                wave: 0,
                reason: Halt::Revert { failures: 2 },
                revert: Some(revert(RevertStage::Releasing).into()),
            }),
            hold("halted", None, &format!("halted: 2 changes could not be put back; {verb}")),
        ),
        (
            phase(Phase::Awaiting { wave: 0 }),
            hold(
                "awaiting_promotion",
                None,
                "wave canary is done and waits for a person; `sealift promote proxy-ssl-2026q4`",
            ),
        ),
        (
            OwnedFacts::bent(|f| f.draining = true),
            hold("draining", None, "the daemon is ending; it goes on after the next start"),
        ),
        (
            phase(Phase::Soaking { wave: 0, until: later() }),
            hold(
                "soaking",
                Some(later()),
                "wave canary soaks; `sealift promote proxy-ssl-2026q4` cuts it short",
            ),
        ),
        (
            OwnedFacts::shut(ShutBy::NotBefore),
            hold("not_before", Some(later()), "the plan's not_before lies ahead"),
        ),
        (
            OwnedFacts::shut(ShutBy::Freeze("year end".into())),
            hold("freeze", Some(later()), "a freeze is on: year end"),
        ),
        (
            OwnedFacts::shut(ShutBy::Freeze(String::new())),
            hold("freeze", Some(later()), "a freeze is on"),
        ),
        (
            OwnedFacts::shut(ShutBy::Cutoff),
            hold(
                "cutoff",
                Some(later()),
                "the window is past its cutoff; what is in flight is followed to its end",
            ),
        ),
        (OwnedFacts::shut(ShutBy::Window), hold("window", Some(later()), "no window is open")),
        (
            OwnedFacts::bent(|f| f.window = Opening::Shut { next: None, by: ShutBy::Window }),
            hold(
                "window",
                None,
                "no window is open, and none opens any more; `sealift abort proxy-ssl-2026q4`, then apply a new revision with other windows",
            ),
        ),
    ];
    for (mut facts, expected) in table {
        assert_eq!(facts.rollout(), expected);
        assert_eq!(facts.change(), expected);
        facts.change.record.state = State::Ready;
        assert_eq!(facts.change(), expected);
        // What is on its way is followed whatever holds the rest.
        facts.change.record.state =
            State::Recovering { sent: now(), cloud: None, candidates: None, covered: false };
        assert_eq!(facts.change(), None);
    }
}

#[test]
fn a_hold_says_since_when() {
    let moved = at("2026-12-05T17:30:00Z");
    let phase = |phase| {
        OwnedFacts::bent(|f| {
            f.record = Record { phase, phase_since: Some(moved), ..f.record.clone() }
        })
    };
    let windows = |windows: &[(&str, u64, u64)], freezes| {
        let zone: Zone = "UTC".parse().expect("a zone");
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let window = |(cron, lasts, cutoff): &(&str, u64, u64)| {
            Window::new(
                cron.parse().expect("an expression"),
                minutes(*lasts),
                zone.clone(),
                minutes(*cutoff),
            )
            .expect("a window")
        };
        OwnedFacts::bent(|f| {
            f.plan.calendar = Calendar::new(windows.iter().map(window).collect(), freezes, None);
            f.window = f.plan.calendar.at(now());
        })
    };
    let freeze = |from: &str, to: &str| {
        let time = |text: &str| text.parse().expect("a time");
        Freeze::new(time(from), time(to), "UTC".parse().expect("a zone"), "sale".into())
            .expect("a freeze")
    };
    let held = Attribution { at: moved, ..mark("") };
    let groups = [(GroupBy::Lane, 5)].into_iter().collect();
    for (facts, word, since) in [
        (
            phase(Phase::Halted { wave: 0, reason: Halt::Revert { failures: 2 }, revert: None }),
            "halted",
            Some(moved),
        ),
        (phase(Phase::Awaiting { wave: 0 }), "awaiting_promotion", Some(moved)),
        (phase(Phase::Soaking { wave: 0, until: later() }), "soaking", Some(moved)),
        (OwnedFacts::bent(|f| f.record.paused = Some(held.clone())), "paused", Some(moved)),
        (OwnedFacts::bent(|f| f.lane_held = Some(held.clone())), "lane_held", Some(moved)),
        (
            OwnedFacts::bent(|f| {
                (f.record.phase, f.plan.approval.required) = (Phase::Scheduled, 1)
            }),
            "awaiting_approval",
            Some(submitted()),
        ),
        // 18:00 it is: the window that shut last counts, and the cutoff of the one that is still
        // open.
        (
            windows(&[("0 12 * * *", 60, 0), ("0 16 * * *", 90, 0)], Vec::new()),
            "window",
            Some(moved),
        ),
        (windows(&[("0 16 * * *", 180, 90)], Vec::new()), "cutoff", Some(moved)),
        (windows(&[], vec![freeze("2026-12-05T17:30", "2026-12-07T00:00")]), "freeze", Some(moved)),
        // It was submitted into a window that was shut, and into a freeze.
        (windows(&[("0 16 1 * *", 60, 0)], Vec::new()), "window", Some(submitted())),
        (
            windows(&[], vec![freeze("2026-12-01T00:00", "2026-12-07T00:00")]),
            "freeze",
            Some(submitted()),
        ),
        (OwnedFacts::bent(|f| f.draining = true), "draining", None),
        (
            OwnedFacts::bent(|f| {
                f.stop.file =
                    Some(StopFile { since: Some(moved), ..StopFile::new("/state/STOP", "") })
            }),
            "stop_file",
            Some(moved),
        ),
        (
            OwnedFacts::bent(|f| f.lane_paused = Some(pause("throttled (429)"))),
            "lane_paused",
            Some(at("2026-12-05T17:59:00Z")),
        ),
        (OwnedFacts::bent(|f| f.clock = Some(ahead(10_799, 10_801))), "clock", Some(now())),
        (OwnedFacts::bent(|f| f.configured = false), "lane_missing", Some(begun())),
        (OwnedFacts::bent(|f| f.shares = Some(name("main"))), "lane_shared", Some(begun())),
        (
            OwnedFacts::bent(|f| f.overdue = Some("lane prod-sg is paused".into())),
            "overdue",
            Some(self::moved()),
        ),
        // What counts alone hold has held since the last of them changed.
        (
            OwnedFacts::bent(|f| {
                f.tallies[0] = Tally { queued: 10, active: 10, failed: 30, ..Tally::default() }
            }),
            "failure_budget",
            Some(self::moved()),
        ),
        (
            OwnedFacts::bent(|f| {
                (f.groups_full, f.plan.strategy.max_in_flight_per) = (true, groups)
            }),
            "group_limit",
            Some(self::moved()),
        ),
    ] {
        let hold = facts.holds().into_iter().next().expect("held");
        assert_eq!((hold.word, hold.since), (word, since), "{}", hold.text);
    }
}

#[test]
fn a_scheduled_rollout_waits_for_its_start() {
    let facts = OwnedFacts::bent(|f| {
        f.record.phase = Phase::Scheduled;
        f.window = Opening::Shut { next: Some(later()), by: ShutBy::NotBefore };
    });
    assert_eq!(facts.rollout().expect("held").word, "not_before");
    assert_eq!(facts.change().expect("held").word, "not_before");
}

#[test]
fn what_a_person_must_lift_comes_first() {
    let mut facts = OwnedFacts::shut(ShutBy::Window);
    facts.lane_paused = Some(pause("throttled (429)"));
    facts.draining = true;
    let mut known = vec![facts.rollout().expect("held").word];
    facts.record.paused = Some(mark(""));
    known.push(facts.rollout().expect("held").word);
    facts.stop.file = Some(StopFile::new("/state/STOP", ""));
    known.push(facts.rollout().expect("held").word);
    facts.stop.by = Some(mark(""));
    known.push(facts.rollout().expect("held").word);
    facts.record.phase = Phase::Halted {
        wave: 0,
        reason: Halt::Stalled { seconds: 1200, why: String::new() },
        revert: None,
    };
    known.push(facts.rollout().expect("held").word);
    assert_eq!(known, ["draining", "paused", "stop_file", "stopped", "halted"]);
    facts.record.phase = Phase::Advancing { wave: 0 };
    let all: Vec<_> = facts.holds().iter().map(|hold| hold.word).collect();
    assert_eq!(
        all,
        ["stopped", "stop_file", "paused", "draining", "window", "lane_paused"],
        "the others are told after it"
    );
}

#[test]
fn what_is_over_is_not_held() {
    for phase in [Phase::Completed, Phase::Aborted { mark: mark("") }] {
        let facts = OwnedFacts::bent(|f| {
            f.record.phase = phase;
            f.stop.by = Some(mark("no"));
            f.record.paused = Some(mark(""));
        });
        assert_eq!((facts.rollout(), facts.change()), (None, None));
    }
    let reason = change::Reason { word: change::ReasonWord::Refused, message: "no".into() };
    for state in [
        State::Succeeded { how: change::How::Switched },
        State::Failed { reason: reason.clone() },
        State::InDoubt { reason },
        State::Cancelled,
    ] {
        let facts = OwnedFacts::bent(|f| {
            f.change.record.state = state;
            f.stop.by = Some(mark("no"));
        });
        assert_eq!(facts.change(), None);
    }
}

/// The cloud's clock is so many seconds ahead of ours.
fn ahead(least: i64, most: i64) -> Offset {
    Offset { least: SignedDuration::from_secs(least), most: SignedDuration::from_secs(most) }
}

#[test]
fn clocks_that_are_too_far_apart_hold_what_would_begin() {
    let apart = |f: &mut OwnedFacts| f.clock = Some(ahead(10_799, 10_801));
    let text = "lane prod-sg: this machine's clock is 3 h 0 min behind the cloud's; no switch is sent; set this machine's clock \
                right (`timedatectl set-ntp true`, `chronyc makestep`)";
    let expected = hold("clock", None, text);
    assert_eq!(OwnedFacts::bent(apart).rollout(), expected);
    assert_eq!(OwnedFacts::bent(apart).change(), expected);
    let ready = OwnedFacts::bent(|f| {
        apart(f);
        f.change.record.state = State::Ready;
    });
    assert_eq!(ready.change(), expected);
    let followed = OwnedFacts::bent(|f| {
        apart(f);
        f.change.record.state = State::Following { job: "252f6ca8".parse().expect("a job id") };
    });
    assert_eq!(followed.change(), None, "reads go on");
}

#[test]
fn how_clocks_stand_is_reported_in_words() {
    for (least, most, text) in [
        (-91, -90, "this machine's clock is 91 s ahead of the cloud's"),
        (399, 400, "this machine's clock is 6 min 40 s behind the cloud's"),
        (-86_401, -86_400, "this machine's clock is 24 h 0 min ahead of the cloud's"),
        (
            -5,
            3_600,
            "the cloud's answers disagree about the time: by them this machine's clock is from 5 s ahead of to 60 min 0 s behind the cloud's",
        ),
    ] {
        assert_eq!(clock_text(ahead(least, most)), text);
    }
}

#[test]
fn a_lane_holds_whatever_needs_a_call() {
    let throttled = OwnedFacts::bent(|f| f.lane_paused = Some(pause("throttled (429)")));
    let expected = hold("lane_paused", Some(later()), "lane prod-sg is paused: throttled (429)");
    assert_eq!((throttled.rollout(), throttled.change()), (expected.clone(), expected.clone()));
    let quota = OwnedFacts::bent(|f| {
        f.waits_for_quota = true;
        f.change.record.state = State::Following { job: "job-1".parse().expect("an id") };
    });
    let expected = hold(
        "quota",
        None,
        "lane prod-sg has used its quota; the next call goes out as soon as the quota allows it",
    );
    assert_eq!(
        (quota.rollout(), quota.change()),
        (None, expected.clone()),
        "a rollout moves at its lane's pace"
    );
    let known = OwnedFacts { free_at: Some(later()), ..quota };
    assert_eq!(
        (known.rollout(), known.change()),
        (None, expected.map(|hold| Hold { until: Some(later()), ..hold }))
    );
    // Nothing at all moves: that holds the rollout, too.
    let killed = OwnedFacts { assumed_until: Some(later()), ..known };
    let expected = hold(
        "quota",
        Some(later()),
        "lane prod-sg counts its whole quota as used: the daemon before ended without a count of its calls",
    );
    assert_eq!((killed.rollout(), killed.change()), (expected.clone(), expected));
    // With everything in flight there is nothing that the lane keeps from beginning.
    let released = OwnedFacts::bent(|f| {
        f.lane_paused = Some(pause("throttled (429)"));
        f.tallies[0] = Tally { active: 50, ..Tally::default() };
    });
    assert_eq!(released.rollout(), None);
}

#[test]
fn a_lane_that_was_taken_away_is_reported() {
    let gone = OwnedFacts::bent(|f| {
        f.configured = false;
        f.change.record.state = State::Following { job: "job-1".parse().expect("an id") };
    });
    let text = "the configuration has no lane prod-sg; put it back and restart the daemon";
    assert_eq!(
        (gone.rollout(), gone.change()),
        (hold("lane_missing", None, text), hold("lane_missing", None, text))
    );
    let over = OwnedFacts {
        record: Record { phase: Phase::Aborted { mark: mark("") }, ..gone.record.clone() },
        ..gone
    };
    assert_eq!(
        over.rollout().map(|hold| hold.word),
        Some("lane_missing"),
        "what is in flight is followed to its end"
    );
}

#[test]
fn a_lane_that_shares_its_project_holds_its_switches_and_nothing_else() {
    let text = "lane prod-sg reaches the same project as lane prod: its switches are held, what is out is followed; \
                correct its `project_id` or keep one of the two, and restart the daemon";
    let expected = || hold("lane_shared", None, text);
    for state in [State::Queued, State::Ready] {
        let held =
            OwnedFacts::bent(|f| (f.shares, f.change.record.state) = (Some(name("prod")), state));
        assert_eq!((held.rollout(), held.change()), (expected(), expected()));
    }
    let job = "job-1".parse().expect("an id");
    let followed = OwnedFacts::bent(|f| {
        (f.shares, f.change.record.state) = (Some(name("prod")), State::Following { job })
    });
    assert_eq!((followed.rollout(), followed.change()), (expected(), None));
}

#[test]
fn budgets_hold_what_is_queued() {
    let tally = |active, failed| {
        OwnedFacts::bent(|f| {
            f.tallies[0] =
                Tally { queued: 50 - active - failed, active, failed, ..Tally::default() }
        })
    };
    let full = tally(20, 0);
    let expected = hold("in_flight_limit", None, "20 of 20 changes are in flight");
    assert_eq!(
        (full.rollout(), full.change()),
        (None, expected),
        "a rollout with all its places taken moves"
    );
    let busy = OwnedFacts::bent(|f| {
        f.tallies[0] = Tally { queued: 30, active: 20, ..Tally::default() };
        f.plan.strategy.max_failures = 20;
    });
    assert_eq!(
        (busy.rollout(), busy.change().expect("held").word),
        (None, "failure_budget"),
        "none failed"
    );
    let mut spent = tally(10, 30);
    let text = "30 failed and 10 in flight fill the failure budget of 40 of the rollout; it goes on as they succeed";
    assert_eq!(
        (spent.rollout(), spent.change()),
        (hold("failure_budget", None, text), hold("failure_budget", None, text))
    );
    spent.plan.strategy.max_failures = 100;
    spent.plan.strategy.waves[0].max_failures = 40;
    let text = "30 failed and 10 in flight fill the failure budget of 40 of wave canary; it goes on as they succeed";
    assert_eq!(spent.rollout(), hold("failure_budget", None, text));
}

#[test]
fn a_later_wave_waits_for_the_one_before() {
    let facts = OwnedFacts::bent(|f| f.change.wave = 1);
    assert_eq!(facts.change(), hold("wave", None, "wave rest begins after wave canary"));
}

#[test]
fn one_change_at_a_time_works_on_an_instance() {
    let other = ChangeId { rollout: RolloutId::from_bytes([9; 16]), ordinal: 12 };
    let facts = OwnedFacts::bent(|f| f.instance_taken = Some(other));
    assert_eq!(
        facts.change(),
        hold(
            "instance_busy",
            None,
            "change 09090909/12 works on the same instance, and one at a time may"
        )
    );
    let own = OwnedFacts::bent(|f| f.instance_taken = Some(f.change.id));
    assert_eq!(own.change(), None);
}

#[test]
fn a_full_group_holds_what_is_queued() {
    let full =
        FullGroup { by: GroupBy::Tag("tier".into()), value: "gold".into(), active: 2, most: 2 };
    let mut facts = OwnedFacts::bent(|f| f.group_full = Some(full));
    let text = "2 of 2 changes with tag tier=gold are in flight; it begins when one of them ends";
    assert_eq!(
        (facts.rollout(), facts.change()),
        (None, hold("group_limit", None, text)),
        "others may begin"
    );
    facts.groups_full = true;
    facts.plan.strategy.max_in_flight_per =
        [(GroupBy::Lane, 5), (GroupBy::Tag("tier".into()), 2)].into_iter().collect();
    let text = "every queued change waits for a place of its group or for its instance: at most 5 of any lane and 2 of any tag tier may be in flight";
    assert_eq!(facts.rollout(), hold("group_limit", None, text));
    facts.tallies[0] = Tally { queued: 30, active: 20, ..Tally::default() };
    assert_eq!(facts.rollout(), None, "with all places taken it moves");
    facts.record.phase = Phase::Reverting(revert(RevertStage::Releasing).into());
    facts.tallies[0] = Tally { queued: 31, active: 19, ..Tally::default() };
    assert_eq!(
        (facts.rollout().map(|hold| hold.word), facts.change().map(|hold| hold.word)),
        (Some("group_limit"), Some("group_limit"))
    );
    facts.change.record.state = State::Following { job: "job-1".parse().expect("an id") };
    assert_eq!(facts.change(), None, "what is in flight has its place");
    facts.tallies = vec![
        Tally { active: 2, reverted: 48, ..Tally::default() },
        Tally { cancelled: 100, ..Tally::default() },
    ];
    assert_eq!(facts.rollout(), None, "nothing is queued any more");
}

#[test]
fn a_ready_change_says_what_it_waits_for() {
    let busy = OwnedFacts::ready(|r| r.waits = 4);
    let text = "the instance is busy with other work, for 4 checks in a row; it is checked again";
    assert_eq!(busy.change(), hold("instance_busy", Some(later()), text));
    let mut named = OwnedFacts::ready(|r| r.waits = 4);
    let (job, instance_id) = (
        "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7".parse().expect("an id"),
        named.change.target.instance_id,
    );
    named.occupied = Some(JobSeen {
        job,
        instance_id,
        name: "EnlargeGaussDBforMySQLProxy".into(),
        created: None,
    });
    let text = "the instance is busy with EnlargeGaussDBforMySQLProxy (job e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7), for 4 checks in a \
                row; it is checked again";
    assert_eq!(named.change(), hold("instance_busy", Some(later()), text));
    let failed = OwnedFacts::ready(|r| r.attempts = 2);
    assert_eq!(
        failed.change(),
        hold("backoff", Some(later()), "attempt 2 of 6 did not succeed; the next follows")
    );
    let missed = OwnedFacts::ready(|r| (r.misses, r.waits) = (3, 1));
    let text =
        "the check before the switch failed 3 times in a row; it is repeated, 10 times at most";
    assert_eq!(missed.change(), hold("backoff", Some(later()), text));
    let mut over = OwnedFacts::ready(|r| r.attempts = 2);
    over.wake = Some(now());
    assert_eq!(over.change(), None, "its time has come");
    let mut paused = OwnedFacts::ready(|_| ());
    paused.lane_paused = Some(pause("credentials refused (401)"));
    assert_eq!(paused.change().expect("held").word, "lane_paused");
}

#[test]
fn every_word_is_distinct() {
    assert_eq!(Hold::WORDS.iter().collect::<BTreeSet<_>>().len(), Hold::WORDS.len());
}
