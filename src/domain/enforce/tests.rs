//! The table of an enforcement, line by line.

use proptest::prelude::*;

use super::*;
use crate::domain::id::{InstanceId, ProxyId};
use crate::domain::plan::{Approval, Promote, RevertPolicy, Strategy as Pace, Wave};
use crate::domain::retry;
use crate::domain::window::Calendar;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

fn target(n: u32) -> Target {
    Target {
        lane: name("lab"),
        instance_id: format!("{n:032}in07").parse::<InstanceId>().expect("an id"),
        proxy_id: format!("{n:032}po01").parse::<ProxyId>().expect("an id"),
        tags: None,
        seen: None,
        instance_name: None,
    }
}

fn drifted(places: &[u32]) -> Vec<Drifted> {
    places.iter().map(|ordinal| Drifted { ordinal: *ordinal, target: target(*ordinal) }).collect()
}

/// Runs at two every night, by the clock of Greenwich; lets two targets of a hundred be put right.
fn plan(mode: Mode) -> Plan {
    let enforce = Enforce {
        cron: "0 2 * * *".parse().expect("an expression"),
        time_zone: "UTC".parse().expect("a zone"),
        mode,
        max_drift: 2,
    };
    let wave = |size, first| Wave {
        name: name("some"),
        first,
        size,
        soak_ms: 9,
        promote: Promote::Manual,
        max_failures: 5,
    };
    Plan {
        name: name("night"),
        revision: 4,
        description: String::new(),
        change_ref: "CHG-1".into(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(b"night"),
        calendar: serde_json::from_str::<Calendar>(r#"{"not_before":"2026-12-01T00:00:00Z"}"#)
            .expect("a calendar"),
        strategy: Pace {
            max_in_flight_per: crate::domain::group::GroupLimits::default(),
            max_in_flight: 7,
            waves: vec![wave(40, 0), wave(60, 40)],
            max_failures: 20,
            progress_deadline_ms: 1_000,
            revert: RevertPolicy::default(),
        },
        retry: retry::Policy::default(),
        verify_timeout_ms: 1,
        approval: Approval { required: 2, digest: Digest::of(b"approved") },
        enforce: Some(enforce),
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}

/// An enforcement begun on the second of December at noon.
struct EnforcementNight {
    plan: Plan,
    record: Record,
    now: Timestamp,
}

impl EnforcementNight {
    fn new(mode: Mode) -> Self {
        let now = at("2026-12-02T12:00:00Z");
        let record = Record::begun(RolloutId::from_bytes([4; 16]), 4, Digest::of(b"targets"), now);
        Self { plan: plan(mode), record, now }
    }

    fn try_to(&mut self, event: &Event) -> Result<Option<String>, VerbRefusal> {
        let decision = decide(&self.record, event, &Context { now: self.now, plan: &self.plan })?;
        Ok(decision.map(|decision| {
            assert_eq!(decision.record.version, self.record.version + 1);
            let stored =
                serde_json::to_string(&decision.record).expect("a record is stored as JSON");
            assert_eq!(
                serde_json::from_str::<Record>(&stored).expect("and read back"),
                decision.record
            );
            self.record = decision.record;
            decision.why
        }))
    }

    fn to(&mut self, event: &Event) -> Option<String> {
        self.try_to(event).expect("no refusal")
    }

    fn look(&mut self, now: &str) -> Option<String> {
        self.now = at(now);
        self.to(&Event::Looked)
    }

    fn found(&mut self, places: &[u32]) -> String {
        let event = Event::Surveyed {
            drifted: drifted(places),
            right: 100 - places.len() as u32,
            unseen: 0,
            phase: "completed",
        };
        self.to(&event).expect("a survey's end moves it")
    }

    fn put_right(&mut self, places: &[u32]) -> String {
        self.to(&Event::Applied { switched: places.to_vec(), failed: 0, phase: "completed" })
            .expect("a run's end moves it")
    }

    /// A whole run of the next day that finds and puts right these targets.
    fn run(&mut self, places: &[u32]) -> String {
        self.now += jiff::SignedDuration::from_hours(24);
        self.to(&Event::Looked).expect("a tick has come");
        let summary = self.found(places);
        if let EnforcementStage::Applying { left_out, .. } = &self.record.stage {
            let rest: Vec<u32> =
                places.iter().filter(|place| !left_out.contains(place)).copied().collect();
            self.put_right(&rest);
        }
        summary
    }

    fn release(
        &mut self,
        only: Option<u32>,
        places: &[u32],
    ) -> Result<Option<String>, VerbRefusal> {
        let mark = Attribution { by: "ada".into(), reason: "looked at".into(), at: self.now };
        self.try_to(&Event::Release { only, drifted: drifted(places), mark })
    }

    fn stop(&mut self) -> Result<Option<String>, VerbRefusal> {
        let mark = Attribution { by: "ada".into(), reason: String::new(), at: self.now };
        self.try_to(&Event::Stop { mark })
    }

    fn stage(&self) -> &'static str {
        self.record.stage.as_str()
    }
}

#[test]
fn a_tick_begins_one_run_and_only_once() {
    let mut night = EnforcementNight::new(Mode::Apply);
    assert_eq!(night.look("2026-12-03T01:59:59Z"), None, "before the tick");
    assert_eq!(
        night.look("2026-12-03T02:00:00Z").as_deref(),
        Some("run 1 begins, for the tick of 2026-12-03T02:00:00Z")
    );
    let survey = night.record.stage.rollout().expect("a run is at hand");
    assert_eq!(survey, RolloutId::derive(&name("night-drift"), 1, true, &Digest::of(b"targets")));
    night.found(&[]);
    // The same tick again, also from a clock that was stepped back over it.
    assert_eq!(night.look("2026-12-03T02:00:01Z"), None);
    assert_eq!(night.look("2026-12-01T02:00:00Z"), None);
    assert_eq!(night.look("2026-12-03T02:00:00Z"), None);
    assert!(night.look("2026-12-04T02:00:00Z").is_some_and(|why| why.starts_with("run 2 begins")));
}

#[test]
fn missed_ticks_count_as_one_run() {
    let mut night = EnforcementNight::new(Mode::Inform);
    let why = night.look("2026-12-06T09:00:00Z").expect("the newest tick");
    assert_eq!(
        why,
        "run 1 begins, for the tick of 2026-12-06T02:00:00Z; 3 earlier ticks were missed"
    );
    assert_eq!((night.record.runs, night.record.skipped), (1, 3));
    night.found(&[]);
    assert_eq!(night.look("2026-12-06T09:00:01Z"), None);
}

#[test]
fn a_tick_during_a_run_is_skipped() {
    let mut night = EnforcementNight::new(Mode::Apply);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    let why = night.look("2026-12-04T02:00:00Z").expect("noted");
    assert_eq!(why, "the tick of 2026-12-04T02:00:00Z is skipped: run 1 is under way");
    assert_eq!((night.record.runs, night.record.skipped, night.stage()), (1, 1, "surveying"));
    assert_eq!(night.look("2026-12-04T02:00:01Z"), None, "noted once");
}

#[test]
fn drift_within_the_bound_is_put_right_and_inform_only_reports() {
    let mut night = EnforcementNight::new(Mode::Apply);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    assert_eq!(night.found(&[3, 9]), "run 1: 2 drifted; put right");
    let targets = [target(3), target(9)];
    let wanted = RolloutId::derive(&name("night-enforce"), 1, true, &target::digest(&targets));
    assert_eq!(
        night.record.stage,
        EnforcementStage::Applying { rollout: wanted, left_out: Vec::new() }
    );
    assert_eq!(night.put_right(&[3, 9]), "run 1: 2 put right");
    let run = night.record.last.as_ref().expect("a run");
    assert_eq!(run.found, Some(SurveyResult { right: 98, drifted: 2, left_out: 0, unseen: 0 }));
    assert_eq!(run.applied, Some(AppliedRun { rollout: wanted, switched: 2, failed: 0 }));
    assert_eq!(night.stage(), "idle");

    let mut night = EnforcementNight::new(Mode::Inform);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    assert_eq!(night.found(&(0..50).collect::<Vec<_>>()), "run 1: 50 drifted; only reported");
    assert_eq!((night.stage(), night.record.flips.len()), ("idle", 0));
}

#[test]
fn more_drift_than_allowed_is_held_until_released() {
    let mut night = EnforcementNight::new(Mode::Apply);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    let why = night.found(&[1, 2, 3]);
    assert_eq!(
        why,
        "run 1: 3 drifted: more than the 2 that max_drift allows, nothing is put right until somebody releases it"
    );
    assert_eq!(night.record.stage, EnforcementStage::Held { drifted: 3, allowed: 2 });
    assert_eq!(
        night.look("2026-12-04T02:00:00Z").as_deref(),
        Some("the tick of 2026-12-04T02:00:00Z is skipped: it is held")
    );
    assert_eq!(night.record.runs, 1);
    let why = night.release(None, &[1, 2, 3]).expect("held").expect("moves");
    assert_eq!(why, "released by ada: looked at; 3 are put right");
    assert_eq!(night.stage(), "applying");
    night.put_right(&[1, 2, 3]);
    assert_eq!(night.release(None, &[]), Err(VerbRefusal::NothingHeld { stage: "idle" }));
}

#[test]
fn a_target_that_flips_back_is_held_and_the_rest_goes_on() {
    let mut night = EnforcementNight::new(Mode::Apply);
    for run in 1..=FLIPS_MAX {
        assert_eq!(night.run(&[5]), format!("run {run}: 1 drifted; put right"));
    }
    let summary = night.run(&[5, 8]);
    assert_eq!(
        summary,
        "run 4: 2 drifted, 1 of them held (1 newly: flipped back 3 times within 10 runs); put right"
    );
    assert_eq!(night.record.held().map(|flips| flips.ordinal).collect::<Vec<_>>(), [5]);
    let run = night.record.last.clone().expect("a run");
    assert_eq!(run.applied.map(|applied| applied.switched), Some(1), "the other one was put right");
    assert_eq!(night.run(&[5]), "run 5: 1 drifted, 1 of them held");
    assert_eq!(night.stage(), "idle");
    assert_eq!(night.release(Some(8), &[]), Err(VerbRefusal::NotHeld));
    night.release(Some(5), &[]).expect("it is held");
    assert_eq!(night.run(&[5]), "run 6: 1 drifted; put right");
}

#[test]
fn flips_far_apart_are_forgotten() {
    let mut night = EnforcementNight::new(Mode::Apply);
    for _ in 0..3 {
        night.run(&[5]);
        for _ in 0..FLIPS_RUNS {
            night.run(&[]);
        }
        assert!(night.record.flips.is_empty(), "{:?}", night.record.flips);
    }
    assert_eq!(night.run(&[5]), "run 34: 1 drifted; put right");
}

#[test]
fn what_is_kept_of_targets_is_bounded_and_held_ones_stay() {
    let mut flips = vec![
        Flips { ordinal: 0, runs: Vec::new(), held: true },
        Flips { ordinal: 1, runs: vec![6, 7], held: false },
    ];
    let switched: Vec<u32> = (2..2 + FLIPS_KEPT as u32).collect();
    flips::put_right(&mut flips, 8, &switched);
    assert_eq!(flips.len(), FLIPS_KEPT);
    assert_eq!(flips[..2].iter().map(|flips| flips.ordinal).collect::<Vec<_>>(), [0, 1]);
    assert!(flips.is_sorted_by_key(|flips| flips.ordinal));
}

#[test]
fn a_run_that_cannot_begin_or_is_aborted_ends() {
    let mut night = EnforcementNight::new(Mode::Apply);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    let why = night.to(&Event::Refused { why: "a proxy is taken".into() });
    assert_eq!(
        (why.as_deref(), night.stage()),
        (Some("run 1: not begun: a proxy is taken"), "idle")
    );
    night.look("2026-12-04T02:00:00Z").expect("the next run");
    let why = night.to(&Event::Surveyed {
        drifted: drifted(&[1]),
        right: 0,
        unseen: 0,
        phase: "aborted",
    });
    assert_eq!(why.as_deref(), Some("run 2: its survey is aborted; nothing was put right"));
    night.run(&[1]);
    // What came late means nothing.
    assert_eq!(night.to(&Event::Refused { why: String::new() }), None);
    assert_eq!(
        night.to(&Event::Applied { switched: vec![1], failed: 0, phase: "completed" }),
        None
    );
}

const HALTED: &str = "halted: 3 failures reach the budget of 3";

#[test]
fn a_halted_run_says_so_and_later_ones_only_look() {
    let halted = |why: Option<&str>| Event::Halted { why: why.map(str::to_owned) };
    let mut night = EnforcementNight::new(Mode::Apply);
    assert_eq!(night.to(&halted(Some(HALTED))), None, "no run is at hand");
    night.look("2026-12-03T02:00:00Z").expect("a run");
    night.found(&[3, 9]);
    let why = night.to(&halted(Some(HALTED))).expect("said");
    assert_eq!(
        why,
        "run 1: halted: 3 failures reach the budget of 3; the next tick ends its rollout"
    );
    assert_eq!(night.to(&halted(Some(HALTED))), None, "once");
    assert_eq!(night.to(&halted(None)).as_deref(), Some("run 1: its rollout goes on"));
    night.to(&halted(Some(HALTED))).expect("again");
    let aborted = Event::Applied { switched: vec![3], failed: 1, phase: "aborted" };
    let why = night.to(&aborted).expect("over");
    assert_eq!(
        why,
        "run 1: 1 put right, 1 could not be; its rollout is aborted (halted: 3 failures reach the budget of 3)"
    );

    for run in 2..4 {
        let summary = night.run(&[9]);
        assert_eq!(
            summary,
            format!(
                "run {run}: 1 drifted; only reported, because run 1 halted: 3 failures reach the budget of 3"
            )
        );
        assert_eq!(night.stage(), "idle", "nothing is put right");
    }
    assert_eq!(
        night.release(None, &[]).expect("it is held back").as_deref(),
        Some("released by ada: looked at")
    );
    assert_eq!(night.release(None, &[]), Err(VerbRefusal::NothingHeld { stage: "idle" }));
    assert_eq!(night.run(&[9]), "run 4: 1 drifted; put right");

    // One that a person lets go on, and that completes, holds nothing back; nor does a survey.
    night.look("2026-12-09T02:00:00Z").expect("a run");
    night.found(&[3]);
    night.to(&halted(Some(HALTED))).expect("said");
    night.to(&halted(None)).expect("said");
    night.put_right(&[3]);
    night.look("2026-12-10T02:00:00Z").expect("a run");
    night.to(&halted(Some("halted: no change ended"))).expect("said");
    let why =
        night.to(&Event::Surveyed { drifted: Vec::new(), right: 0, unseen: 100, phase: "aborted" });
    assert_eq!(
        why.as_deref(),
        Some("run 6: its survey is aborted (halted: no change ended); nothing was put right")
    );
    assert_eq!(night.run(&[9]), "run 7: 1 drifted; put right");
}

#[test]
fn it_ends_by_a_person_or_by_a_revision_without_it() {
    let mut night = EnforcementNight::new(Mode::Apply);
    night.look("2026-12-03T02:00:00Z").expect("a run");
    let newer =
        |targets| Event::Renewed { origin: RolloutId::from_bytes([5; 16]), revision: 5, targets };
    assert_eq!(
        night.to(&newer(Some(Digest::of(b"other")))),
        None,
        "the run at hand comes to its end first"
    );
    night.found(&[]);
    night.to(&newer(Some(Digest::of(b"other")))).expect("it is replaced");
    assert_eq!((night.record.revision, night.record.runs, night.record.handled), (5, 1, night.now));
    assert_eq!(night.to(&newer(Some(Digest::of(b"other")))), None, "once");

    night.look("2026-12-05T02:00:00Z").expect("a run, numbered on");
    assert_eq!(night.record.runs, 2);
    assert_eq!(night.stop().expect("open").as_deref(), Some("stopped by ada"));
    assert_eq!(
        night.record.last.as_ref().and_then(|run| run.result.as_deref()),
        Some("the enforcement was stopped")
    );
    assert_eq!(night.look("2026-12-06T02:00:00Z"), None);
    assert_eq!(
        (night.stop(), night.release(None, &[])),
        (Err(VerbRefusal::Ended), Err(VerbRefusal::Ended))
    );
    let again = Event::Renewed {
        origin: RolloutId::from_bytes([6; 16]),
        revision: 6,
        targets: Some(Digest::of(b"other")),
    };
    night.to(&again).expect("a newer revision begins it again");
    let without =
        Event::Renewed { origin: RolloutId::from_bytes([7; 16]), revision: 7, targets: None };
    night.to(&without).expect("and one without `enforce` ends it");
    assert_eq!(
        night.record.stage,
        EnforcementStage::Ended { end: EnforcementEnd::Superseded { revision: 7 } }
    );
    assert_eq!(night.to(&without), None);
}

#[test]
fn the_plans_of_a_run_cover_its_targets_and_ask_for_no_approval() {
    let plan = plan(Mode::Apply);
    let survey = surveying_plan(&plan, 3, 100);
    assert_eq!((survey.name.as_str(), survey.revision, survey.survey), ("night-drift", 3, true));
    assert!(survey.calendar.is_always_open(), "a look is bound to no window");
    assert_eq!(
        (survey.strategy.waves.len(), survey.strategy.waves[0].end(), survey.strategy.max_failures),
        (1, 100, 100)
    );
    let apply = applying_plan(&plan, 3, 2);
    assert_eq!(
        (apply.name.as_str(), apply.survey, apply.strategy.max_in_flight),
        ("night-enforce", false, 7)
    );
    assert_eq!(
        (apply.strategy.waves[0].end(), apply.strategy.max_failures, apply.approval.required),
        (2, 20, 0)
    );
    assert_eq!((apply.calendar.not_before(), apply.enforce), (None, None));
    let long = name(&"n".repeat(63));
    assert_eq!(applying_name(&long).as_str().len(), 63);
}

/// One step of a walk: the clock moves by so many hours, forward or back, and then this happens.
#[derive(Debug, Clone)]
enum WalkStep {
    Look,
    Surveyed(Vec<u32>, bool),
    Applied(usize),
    Refused,
    Release,
    ReleaseOne(u32),
    Stop,
    Renewed(bool),
}

fn deed() -> impl Strategy<Value = WalkStep> {
    let places = prop::collection::btree_set(0u32..6, 0..4)
        .prop_map(|places| places.into_iter().collect::<Vec<_>>());
    prop_oneof![
        8 => Just(WalkStep::Look),
        6 => (places, prop::bool::weighted(0.9)).prop_map(|(places, whole)| WalkStep::Surveyed(places, whole)),
        6 => (0usize..4).prop_map(WalkStep::Applied),
        1 => Just(WalkStep::Refused),
        2 => Just(WalkStep::Release),
        1 => (0u32..6).prop_map(WalkStep::ReleaseOne),
        1 => prop::bool::weighted(0.2).prop_map(|stop| if stop { WalkStep::Stop } else { WalkStep::Look }),
        1 => prop::bool::weighted(0.8).prop_map(WalkStep::Renewed),
    ]
}

proptest! {
    /// However the clock moves and whatever comes, late or twice: one run at a time, its number one
    /// higher, each tick at most once, nothing put right beyond `max_drift` unless a person
    /// released it, and nothing that is held.
    #[test]
    fn any_walk_is_sound(steps in prop::collection::vec((-40i64..60, deed()), 1..150)) {
        let mut night = EnforcementNight::new(Mode::Apply);
        let (mut tick, mut found) = (night.record.handled, Vec::new());
        for (hours, deed) in steps {
            night.now += jiff::SignedDuration::from_hours(hours);
            let was = night.record.clone();
            let mut released = false;
            match deed {
                WalkStep::Look => drop(night.to(&Event::Looked)),
                WalkStep::Surveyed(places, whole) => {
                    if was.stage.as_str() == "surveying" {
                        found.clone_from(&places);
                    }
                    let phase = if whole { "completed" } else { "aborted" };
                    night.to(&Event::Surveyed { drifted: drifted(&places), right: 0, unseen: 0, phase });
                }
                WalkStep::Applied(count) => {
                    let switched = found.iter().copied().take(count).collect();
                    night.to(&Event::Applied { switched, failed: 0, phase: "completed" });
                }
                WalkStep::Refused => drop(night.to(&Event::Refused { why: "taken".into() })),
                WalkStep::Release => {
                    released = true;
                    let _ = night.release(None, &found);
                }
                WalkStep::ReleaseOne(place) => drop(night.release(Some(place), &found)),
                WalkStep::Stop => drop(night.stop()),
                WalkStep::Renewed(enforced) => {
                    let targets = enforced.then(|| Digest::of(b"renewed"));
                    let revision = night.record.revision + 1;
                    if night.to(&Event::Renewed { origin: RolloutId::from_bytes([9; 16]), revision, targets }).is_some() && enforced {
                        tick = night.record.handled;
                    }
                }
            }
            let is = &night.record;
            prop_assert!(is.version == was.version || is.version == was.version + 1);
            prop_assert!(is.flips.is_sorted_by_key(|flips| flips.ordinal));
            if is.runs != was.runs {
                let run = is.last.as_ref().expect("a run");
                prop_assert_eq!((was.stage.as_str(), is.runs, run.number), ("idle", was.runs + 1, is.runs));
                prop_assert!(run.tick > tick && run.tick <= night.now, "{} after {tick}, at {}", run.tick, night.now);
                tick = run.tick;
            }
            if is.stage.as_str() == "applying" && was.stage.as_str() != "applying" {
                let EnforcementStage::Applying { left_out, .. } = &is.stage else { unreachable!("its word says so") };
                let todo = found.iter().filter(|place| !left_out.contains(place)).count();
                prop_assert!(todo > 0 && (released || todo <= 2), "{todo} are put right");
                prop_assert!(is.held().all(|held| !found.contains(&held.ordinal) || left_out.contains(&held.ordinal)));
            }
        }
    }
}
