use jiff::SignedDuration;

use super::*;
use crate::domain::call::{Answer, Call, Disposition, JobView, JobsPage, ProxyStatus};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{JobId, Name};
use crate::domain::proof::TroubleWord;
use crate::domain::target::Target;
use crate::simcloud::faults::{Between, ClockFault, ClockStep, OffsetShape, QuotaRule, Rate};
use crate::simcloud::sim::Arrival;

const HOUR: Duration = Duration::from_secs(3_600);

fn start() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().expect("an instant")
}

fn after(seconds: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(seconds)
}

fn always() -> Rate {
    Rate::always(1.0).expect("in range")
}

fn calm() -> Faults {
    Faults { job_time: Between::exactly(Duration::from_secs(2)), ..Faults::default() }
}

struct ModelFixture {
    model: Model,
    targets: Vec<Target>,
}

impl ModelFixture {
    fn new(faults: Faults) -> Self {
        let fleet = Fleet::generate(6, 3, 1).expect("possible numbers");
        let lane = Name::parse("sim", "lane").expect("a name");
        let targets = fleet.proxies().iter().map(|p| p.target(&lane)).collect();
        Self { model: Model::new(&fleet, faults, 11, start()), targets }
    }
    fn at(&mut self, seconds: f64, call: &Call) -> Arrival {
        self.model.arrive(after(seconds), call)
    }
    fn submit(&mut self, seconds: f64, target: usize) -> Arrival {
        let call = Call::Submit { target: self.targets[target].clone(), ssl_option: true };
        self.at(seconds, &call)
    }
    fn inspect(&mut self, seconds: f64, target: usize) -> Arrival {
        let call = Call::Inspect { target: self.targets[target].clone() };
        self.at(seconds, &call)
    }
    fn follow(&mut self, seconds: f64, job: &JobId) -> Arrival {
        let call = Call::Follow { target: self.targets[0].clone(), job: job.clone() };
        self.at(seconds, &call)
    }
    fn find(&mut self, seconds: f64, since: f64, offset: u32) -> Arrival {
        let call = Call::FindJobs {
            target: self.targets[0].clone(),
            within: TimeSpan::lasting(after(since), HOUR),
            offset,
        };
        self.at(seconds, &call)
    }
    fn state(&self, target: usize) -> ProxyState {
        self.model.proxy(&self.targets[target].proxy_id).expect("of the fleet")
    }
}

fn job(arrival: &Arrival) -> JobId {
    match &arrival.reply.outcome {
        Ok(Answer::Accepted(Some(job))) => job.clone(),
        other => panic!("no job id: {other:?}"),
    }
}

fn view(arrival: &Arrival) -> (Option<bool>, ProxyStatus, String) {
    match &arrival.reply.outcome {
        Ok(Answer::Proxy(Some(view))) => (view.ssl_option, view.status, view.word.clone()),
        other => panic!("no proxy: {other:?}"),
    }
}

fn disposition(arrival: &Arrival) -> Disposition {
    arrival.reply.outcome.as_ref().expect_err("an error").disposition
}

#[test]
fn a_switch_runs_as_a_job_and_takes_effect_at_its_end() {
    let mut bed = ModelFixture::new(calm());
    assert_eq!(view(&bed.inspect(0.0, 0)), (Some(false), ProxyStatus::Idle, "ACTIVE".into()));
    let accepted = bed.submit(0.0, 0);
    assert!(accepted.executed && accepted.reply.sent);
    let id = job(&accepted);
    assert_eq!(
        bed.follow(0.1, &id).reply.outcome,
        Ok(Answer::Job(JobView::Running { process: String::new() }))
    );
    assert_eq!(
        bed.follow(1.0, &id).reply.outcome,
        Ok(Answer::Job(JobView::Running { process: "50%".into() }))
    );
    assert_eq!(view(&bed.inspect(1.9, 0)), (Some(false), ProxyStatus::Busy, "CHANGING SSL".into()));
    assert_eq!(view(&bed.inspect(1.9, 1)).1, ProxyStatus::Idle, "the sister proxy shows nothing");
    assert_eq!(bed.follow(2.0, &id).reply.outcome, Ok(Answer::Job(JobView::Completed)));
    assert_eq!(view(&bed.inspect(2.0, 0)), (Some(true), ProxyStatus::Idle, "ACTIVE".into()));
    let state = bed.state(0);
    assert_eq!((state.executed, state.effective, state.flips), (1, 1, 1));
}

#[test]
fn the_same_value_again_is_another_job() {
    let mut bed = ModelFixture::new(calm());
    let first = job(&bed.submit(0.0, 0));
    let second = job(&bed.submit(3.0, 0));
    assert_ne!(first, second);
    bed.model.advance(after(10.0));
    let state = bed.state(0);
    assert_eq!((state.executed, state.effective, state.flips), (2, 2, 1));
    let handed_out: Vec<JobId> = bed.model.jobs().map(|job| job.job_id).collect();
    assert_eq!(handed_out, [first, second]);
}

#[test]
fn a_busy_instance_refuses_and_another_instance_does_not() {
    let mut bed = ModelFixture::new(calm());
    bed.submit(0.0, 0);
    let refused = bed.submit(0.5, 1);
    assert_eq!(disposition(&refused), Disposition::Busy);
    assert!(!refused.executed);
    assert!(bed.submit(0.5, 2).executed);
    assert!(bed.submit(2.0, 1).executed, "free the moment the job ends");
    assert_eq!(bed.model.fired()["instance_busy"], 1);
}

#[test]
fn a_failed_job_changes_nothing_and_says_why() {
    let mut bed = ModelFixture::new(Faults { job_fails: always(), ..calm() });
    let id = job(&bed.submit(0.0, 0));
    let Ok(Answer::Job(JobView::Broken { reason })) = bed.follow(2.0, &id).reply.outcome else {
        panic!("a failed job")
    };
    assert!(reason.contains("restarted"), "{reason}");
    let state = bed.state(0);
    assert_eq!((state.executed, state.effective, state.ssl_option), (1, 0, false));
}

#[test]
fn a_new_job_is_invisible_for_a_while() {
    let mut bed = ModelFixture::new(Faults {
        visibility_lag: Between::exactly(Duration::from_secs(1)),
        ..calm()
    });
    let id = job(&bed.submit(0.0, 0));
    assert_eq!(disposition(&bed.follow(0.9, &id)), Disposition::NotFound);
    let none = Ok(Answer::Jobs { jobs: vec![], page: JobsPage { ids: vec![], total: Some(0) } });
    assert_eq!(bed.find(0.9, 0.0, 1).reply.outcome, none);
    assert!(bed.follow(1.0, &id).reply.outcome.is_ok());
    let Ok(Answer::Jobs { jobs, .. }) = bed.find(1.0, 0.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!(jobs.iter().map(|seen| &seen.job).collect::<Vec<_>>(), [&id]);
    assert_eq!(jobs[0].instance_id, bed.targets[0].instance_id);
    assert_eq!(bed.model.fired()["visibility_lag"], 1);
}

#[test]
fn the_job_list_is_filtered_by_creation_and_paged_as_its_shape_says() {
    let fleet = Fleet::generate(120, 120, 1).expect("possible numbers");
    let target = {
        let proxy = fleet.proxies()[0];
        let lane = Name::parse("sim", "lane").expect("a name");
        proxy.target(&lane)
    };
    for (shape, since, expected) in [
        (OffsetShape::Pages, 0.0, [(1, 50, 120), (2, 50, 120), (3, 20, 120), (4, 0, 120)]),
        (OffsetShape::Records, 0.0, [(1, 50, 120), (2, 50, 120), (101, 20, 120), (121, 0, 120)]),
        (
            OffsetShape::RecordsFromZero,
            0.0,
            [(0, 50, 120), (1, 50, 120), (101, 19, 120), (120, 0, 120)],
        ),
        // The filter has whole seconds and is widened, not narrowed.
        (OffsetShape::Pages, 100.5, [(1, 20, 20), (2, 0, 20), (1, 20, 20), (1, 20, 20)]),
    ] {
        let mut model = Model::new(&fleet, Faults { job_offset: shape, ..calm() }, 3, start());
        for (n, proxy) in fleet.proxies().iter().enumerate() {
            let request = Request::Switch {
                instance_id: proxy.instance_id,
                proxy_id: proxy.proxy_id,
                ssl_option: true,
            };
            assert!(model.handle(after(n as f64), &request).executed);
        }
        for (offset, rows, total) in expected {
            let arrival = model.arrive(
                after(200.0),
                &Call::FindJobs {
                    target: target.clone(),
                    within: TimeSpan::lasting(after(since), HOUR),
                    offset,
                },
            );
            let Ok(Answer::Jobs { page, .. }) = arrival.reply.outcome else { panic!("a list") };
            assert_eq!(
                (page.ids.len(), page.total),
                (rows, Some(total)),
                "{shape:?}, offset {offset}"
            );
        }
        assert_eq!(model.fired()["jobs_by_records"] > 0, shape != OffsetShape::Pages);
    }
}

#[test]
fn others_may_work_under_a_name_that_rules_nothing_out() {
    let mut bed = ModelFixture::new(Faults { foreign_unknown: always(), ..calm() });
    bed.inspect(0.0, 0);
    assert_eq!(disposition(&bed.submit(0.1, 0)), Disposition::Busy);
    assert_eq!(view(&bed.inspect(0.2, 0)).1, ProxyStatus::Idle, "the job list alone tells of it");
    let Ok(Answer::Jobs { jobs, .. }) = bed.find(0.3, 0.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!((jobs.len(), jobs[0].instance_id), (1, bed.targets[0].instance_id));
    assert_eq!(bed.model.misleading().collect::<Vec<_>>(), [bed.targets[0].instance_id]);
    bed.model.advance(after(3.0));
    assert!(!bed.state(0).ssl_option, "it switches nothing");
}

#[test]
fn a_proxy_may_stay_active_while_its_job_runs() {
    let mut bed = ModelFixture::new(Faults { stays_active: always(), ..calm() });
    job(&bed.submit(0.0, 0));
    assert_eq!(view(&bed.inspect(1.0, 0)), (Some(false), ProxyStatus::Idle, "ACTIVE".to_owned()));
    assert_eq!(disposition(&bed.submit(1.0, 0)), Disposition::Busy);
    assert_eq!(view(&bed.inspect(2.0, 0)), (Some(true), ProxyStatus::Idle, "ACTIVE".to_owned()));
}

#[test]
fn jobs_of_other_instances_fill_the_list() {
    let mut bed =
        ModelFixture::new(Faults { jobs_elsewhere: Some(Duration::from_millis(500)), ..calm() });
    let id = job(&bed.submit(3.0, 0));
    let Ok(Answer::Jobs { jobs, page }) = bed.find(10.0, 0.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!(page.total, Some(22));
    let ours: Vec<_> = jobs
        .iter()
        .filter(|seen| seen.instance_id == bed.targets[0].instance_id)
        .map(|seen| &seen.job)
        .collect();
    assert_eq!((ours, jobs.len()), (vec![&id], 22), "no name rules the others out");
    assert!(jobs.is_sorted_by_key(|seen| std::cmp::Reverse(seen.created)));
    assert_eq!(bed.model.fired()["jobs_elsewhere"], 21);
}

#[test]
fn lost_answers_are_executed_or_not_as_they_say() {
    type Set = fn(&mut Faults);
    let cases: [(&str, Set, bool, Result<(), Disposition>); 12] = [
        ("throttle", |f| f.throttle = always(), false, Err(Disposition::Throttled)),
        (
            "throttle_with_retry_after",
            |f| f.throttle_with_retry_after = always(),
            false,
            Err(Disposition::Throttled),
        ),
        ("token_expired", |f| f.token_expired = always(), false, Err(Disposition::Unauthorised)),
        ("error_500_before", |f| f.error_500_before = always(), false, Err(Disposition::Unknown)),
        ("error_500_after", |f| f.error_500_after = always(), true, Err(Disposition::Unknown)),
        ("drop_before", |f| f.drop_before = always(), false, Err(Disposition::Unknown)),
        ("drop_after", |f| f.drop_after = always(), true, Err(Disposition::Unknown)),
        ("garbage_200", |f| f.garbage_200 = always(), true, Err(Disposition::Unknown)),
        ("no_job_id_200", |f| f.no_job_id_200 = always(), true, Ok(())),
        ("busy", |f| f.busy = always(), false, Err(Disposition::Busy)),
        ("job_fails", |f| f.job_fails = always(), true, Ok(())),
        ("slow", |f| f.slow = always(), true, Ok(())),
    ];
    for (word, set, executed, outcome) in cases {
        let mut faults = calm();
        set(&mut faults);
        let mut bed = ModelFixture::new(faults);
        let arrival = bed.submit(0.0, 0);
        assert_eq!(arrival.executed, executed, "{word}");
        assert_eq!(
            arrival.reply.outcome.as_ref().map(|_| ()).map_err(|error| error.disposition),
            outcome,
            "{word}"
        );
        assert_eq!(bed.model.fired()[word], 1, "{word}");
        let seen = bed.model.ledger().switches()[0];
        assert_eq!(matches!(seen.fate, Fate::Executed(_)), executed, "{word}");
        assert_eq!(bed.state(0).executed, u32::from(executed), "{word}");
        match word {
            "slow" => assert_eq!(arrival.answer_after, Duration::from_secs(90)),
            "throttle_with_retry_after" => {
                assert_eq!(arrival.reply.outcome.expect_err("a 429").retry_after, Some(2))
            }
            "no_job_id_200" => assert_eq!(arrival.reply.outcome, Ok(Answer::Accepted(None))),
            _ => {}
        }
    }
}

#[test]
fn an_html_502_was_executed_about_half_of_the_time() {
    let fleet = Fleet::generate(200, 200, 1).expect("possible numbers");
    let mut model = Model::new(&fleet, Faults { html_502: always(), ..calm() }, 5, start());
    for proxy in fleet.proxies() {
        let response = model.handle(
            start(),
            &Request::Switch {
                instance_id: proxy.instance_id,
                proxy_id: proxy.proxy_id,
                ssl_option: true,
            },
        );
        assert!(matches!(response.content, Content::Answer { status: 502, html: true, .. }));
    }
    let executed = model.ledger().executed_total();
    assert!((60..140).contains(&executed), "{executed}");
}

#[test]
fn the_quota_admits_so_many_in_any_interval() {
    let quota = QuotaRule { requests: 3, per: Duration::from_secs(1) };
    let mut bed = ModelFixture::new(Faults { quota: Some(quota), ..calm() });
    for at in [0.0, 0.1, 0.2] {
        assert!(bed.inspect(at, 0).reply.outcome.is_ok());
    }
    let refused = bed.inspect(0.9, 0).reply.outcome.expect_err("over the quota");
    assert_eq!((refused.disposition, refused.retry_after), (Disposition::Throttled, Some(1)));
    assert!(
        bed.inspect(1.0, 0).reply.outcome.is_ok(),
        "half-open: the first has left the interval"
    );
    assert_eq!(bed.model.fired()["quota"], 1);
    assert_eq!(bed.model.ledger().worst()[0].arrivals, 4, "the ledger counts refused calls too");
}

#[test]
fn others_may_start_work_right_after_we_looked() {
    let mut bed = ModelFixture::new(Faults { foreign_job: always(), ..calm() });
    assert_eq!(view(&bed.inspect(0.0, 0)).1, ProxyStatus::Idle);
    assert_eq!(disposition(&bed.submit(0.1, 0)), Disposition::Busy);
    assert_eq!(view(&bed.inspect(0.2, 0)).1, ProxyStatus::Busy);
    let Ok(Answer::Jobs { jobs, page }) = bed.find(0.3, 0.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!((jobs.len(), page.ids.len()), (0, 1), "its name rules it out");
    assert_eq!(bed.model.jobs().count(), 0);

    let mut bed = ModelFixture::new(Faults { foreign_change: always(), ..calm() });
    bed.inspect(0.0, 0);
    bed.model.advance(after(2.0));
    assert!(
        bed.state(0).ssl_option ^ bed.state(1).ssl_option,
        "one of the two proxies of the instance was switched"
    );
    assert_eq!(bed.state(0).effective + bed.state(1).effective, 0, "not by us");

    let other = bed.targets[4].clone();
    assert!(bed.model.foreign_change(after(3.0), &other.proxy_id, true));
    assert!(!bed.model.foreign_job(after(3.0), &other.instance_id), "one at a time");
}

#[test]
fn strangers_are_not_found() {
    let mut bed = ModelFixture::new(calm());
    let mut stranger = bed.targets[0].clone();
    stranger.proxy_id = "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id");
    let call = Call::Inspect { target: stranger.clone() };
    assert_eq!(bed.at(0.0, &call).reply.outcome, Ok(Answer::Proxy(None)));
    let call = Call::Submit { target: stranger.clone(), ssl_option: true };
    assert_eq!(disposition(&bed.at(0.0, &call)), Disposition::NotFound);
    stranger.instance_id = "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id");
    let call = Call::Inspect { target: stranger };
    assert_eq!(disposition(&bed.at(0.0, &call)), Disposition::NotFound);
    let job = "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7".parse().expect("an id");
    assert_eq!(disposition(&bed.follow(0.0, &job)), Disposition::NotFound);
    let proxy_id = bed.targets[0].proxy_id;
    bed.model.set_faulty(&proxy_id, true);
    assert_eq!(view(&bed.inspect(0.0, 0)).1, ProxyStatus::Faulty);
}

#[test]
fn ssl_option_comes_in_every_shape() {
    use crate::simcloud::faults::{NodesShape, SslOptionShape};
    for (shape, expected) in [
        (SslOptionShape::String, Some(false)),
        (SslOptionShape::Boolean, Some(false)),
        (SslOptionShape::Absent, None),
    ] {
        for readonly_nodes in [NodesShape::Array, NodesShape::Object] {
            let mut bed = ModelFixture::new(Faults { ssl_option: shape, readonly_nodes, ..calm() });
            assert_eq!(view(&bed.inspect(0.0, 0)).0, expected, "{shape:?} {readonly_nodes:?}");
        }
    }
}

/// Every fault at once, thousands of calls: the books must balance and the run must repeat.
fn stormy_run(seed: u64) -> (String, Model) {
    let rate = |p| Rate::always(p).expect("in range");
    let faults = Faults {
        throttle: rate(0.02),
        throttle_with_retry_after: rate(0.02),
        error_500_before: rate(0.05),
        error_500_after: rate(0.05),
        html_502: rate(0.03),
        garbage_200: rate(0.02),
        no_job_id_200: rate(0.02),
        drop_before: rate(0.02),
        drop_after: rate(0.02),
        slow: rate(0.02),
        job_fails: rate(0.1),
        busy: rate(0.03),
        token_expired: rate(0.01),
        foreign_job: rate(0.02),
        foreign_change: rate(0.02),
        foreign_unknown: rate(0.02),
        stays_active: rate(0.3),
        wire_silent: rate(0.05),
        wire_wrong: rate(0.05),
        jobs_elsewhere: Some(Duration::from_millis(20)),
        job_offset: OffsetShape::Records,
        latency: Between { min: Duration::from_millis(1), max: Duration::from_millis(50) },
        job_time: Between { min: Duration::from_millis(10), max: Duration::from_secs(1) },
        visibility_lag: Between { min: Duration::ZERO, max: Duration::from_millis(300) },
        clock: ClockFault { ahead: SignedDuration::from_secs(90), ..ClockFault::default() },
        quota: Some(QuotaRule { requests: 105, per: Duration::from_secs(1) }),
        ..Faults::default()
    };
    let fleet = Fleet::generate(40, 20, 1).expect("possible numbers");
    let mut model = Model::new(&fleet, faults, seed, start());
    let lane = Name::parse("sim", "lane").expect("a name");
    let mut rng = Rng::with_seed(seed ^ 1);
    let mut story = String::new();
    let mut last_job: Option<JobId> = None;
    let mut at = 0.0;
    for _ in 0..5000 {
        at += rng.f64() / 50.0;
        let proxy = fleet.proxies()[rng.usize(..40)];
        let target = proxy.target(&lane);
        let call = match (rng.u8(..4), last_job.clone()) {
            (0, _) => Call::Inspect { target },
            (1, Some(job)) => Call::Follow { target, job },
            (2, _) => Call::FindJobs {
                target,
                within: TimeSpan::lasting(after(at - 5.0), HOUR),
                offset: rng.u32(1..4),
            },
            _ => Call::Submit { target, ssl_option: rng.bool() },
        };
        let arrival = model.arrive(after(at), &call);
        if let Ok(Answer::Accepted(Some(job))) = &arrival.reply.outcome {
            last_job = Some(job.clone());
        }
        if let Ok(Answer::Proxy(Some(view))) = &arrival.reply.outcome {
            let proof = model.probe(after(at), view.endpoint.as_ref().expect("an address"));
            story.push_str(&format!("{at} {proof:?}\n"));
        }
        story.push_str(&format!("{at} {arrival:?}\n"));
    }
    model.advance(after(at + 10.0));
    (story, model)
}

#[test]
fn the_wire_shows_what_is_in_force_and_nobody_listens_elsewhere() {
    let fleet = Fleet::generate(6, 3, 1).expect("possible numbers");
    let mut model = Model::new(&fleet, Faults::default(), 1, start());
    let lane = Name::parse("sim", "lane").expect("a name");
    for (place, proxy) in fleet.proxies().iter().enumerate() {
        let target = proxy.target(&lane);
        let at = after(place as f64 * 10.0);
        let Ok(Answer::Proxy(Some(view))) =
            model.arrive(at, &Call::Inspect { target: target.clone() }).reply.outcome
        else {
            panic!("a proxy of the fleet")
        };
        let endpoint = view.endpoint.expect("an address");
        let shows =
            |model: &mut Model, at| model.probe(at, &endpoint).greeting.expect("a greeting").tls;
        assert!(!shows(&mut model, at));
        model.arrive(at, &Call::Submit { target, ssl_option: true });
        assert!(!shows(&mut model, at), "the job still runs");
        assert!(shows(&mut model, after(place as f64 * 10.0 + 9.0)), "{endpoint}");
    }
    for nowhere in ["10.0.0.6:3306", "10.0.0.0:3307", "192.0.2.1:3306", "db.example.com:3306"] {
        let proof = model.probe(after(60.0), &nowhere.parse().expect("an endpoint"));
        assert_eq!(
            proof.trouble.expect("no connection").word,
            TroubleWord::Unreachable,
            "{nowhere}"
        );
    }
}

#[test]
fn the_ledger_balances_under_every_fault_at_once() {
    let (_, model) = stormy_run(42);
    let ledger = model.ledger();
    assert_eq!(ledger.arrivals_total(), 5000);
    assert_eq!(
        ledger.executed_total(),
        model.jobs().count() as u64,
        "one job for each executed call"
    );
    assert_eq!(
        ledger.executed_total(),
        model.proxies().map(|p| u64::from(p.executed)).sum::<u64>()
    );
    assert_eq!(ledger.switches_total() as usize, ledger.switches().len());
    let completed = model.jobs().filter(|job| job.status == "Completed").count();
    assert_eq!(completed as u32, model.proxies().map(|p| p.effective).sum::<u32>());
    assert_eq!(
        model.jobs().filter(|job| job.status == "Failed").count() as u64,
        model.fired()["job_fails"]
    );
    for (word, count) in model.fired() {
        assert!(count > 0, "{word} never fired");
    }
    assert!(model.next_end().is_none(), "every job has ended");
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let (first, _) = stormy_run(7);
    assert!(first == stormy_run(7).0, "two runs of one seed differ");
    assert!(first != stormy_run(8).0);
}

#[test]
fn time_never_goes_back() {
    let mut bed = ModelFixture::new(calm());
    bed.submit(5.0, 0);
    bed.inspect(1.0, 0);
    assert_eq!(bed.model.ledger().arrivals().collect::<Vec<_>>(), [5_000_000_000, 5_000_000_000]);
}

/// Not an assertion about time: prints the rate, for `cargo test --release -- --ignored
/// --nocapture`.
#[test]
#[ignore = "prints a figure"]
fn rate_of_simulated_calls() {
    let fleet = Fleet::generate(10_000, 5_000, 1).expect("possible numbers");
    let mut model = Model::new(
        &fleet,
        Faults { error_500_after: Rate::always(0.05).expect("in range"), ..calm() },
        1,
        start(),
    );
    let lane = Name::parse("sim", "lane").expect("a name");
    let targets: Vec<Target> = fleet.proxies().iter().map(|p| p.target(&lane)).collect();
    let began = tokio::time::Instant::now();
    let mut calls = 0u32;
    for (n, target) in targets.iter().cycle().take(100_000).enumerate() {
        let now = after(n as f64 / 1000.0);
        model.arrive(now, &Call::Inspect { target: target.clone() });
        let submitted =
            model.arrive(now, &Call::Submit { target: target.clone(), ssl_option: true });
        calls += 2;
        if let Ok(Answer::Accepted(Some(job))) = submitted.reply.outcome {
            model.arrive(now, &Call::Follow { target: target.clone(), job });
            calls += 1;
        }
    }
    println!("{:.0} simulated calls a second", f64::from(calls) / began.elapsed().as_secs_f64());
}

#[test]
fn jobs_are_dated_and_found_by_the_clouds_own_clock() {
    let step =
        ClockStep { after: Duration::from_secs(100), ahead: SignedDuration::from_secs(-7_200) };
    let clock = ClockFault { ahead: SignedDuration::from_secs(3_600), steps: vec![step] };
    let mut bed = ModelFixture::new(Faults { clock, ..calm() });
    let told = bed.inspect(1.0, 0).reply.cloud_time.expect("every answer tells it");
    assert_eq!(told, after(3_601.0));
    let job = bed.submit(2.0, 0);
    assert!(
        matches!(bed.find(5.0, 0.0, 1).reply.outcome, Ok(Answer::Jobs { jobs, .. }) if jobs.is_empty()),
        "not by the right time"
    );
    let Ok(Answer::Jobs { jobs, .. }) = bed.find(6.0, 3_600.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!((jobs.len(), jobs[0].created), (1, Some(after(3_602.0))));
    assert!(job.executed);
    // Set back by three hours: what is made from now on is dated before what was made first.
    let told = bed.inspect(101.0, 0).reply.cloud_time.expect("told");
    assert_eq!(told, after(101.0 - 7_200.0));
    bed.submit(102.0, 1);
    let Ok(Answer::Jobs { jobs, .. }) = bed.find(105.0, -7_200.0, 1).reply.outcome else {
        panic!("a list")
    };
    assert_eq!(jobs.len(), 1);
    assert!(bed.model.fired()["clock"] > 0);
}
