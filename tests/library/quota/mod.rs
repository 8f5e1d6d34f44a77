//! A lane's quota over whole rollouts, on virtual time: what the cloud counts in its own log. The
//! figures are printed; `cargo nextest run --test library --no-capture quota::` shows them.

mod bed;
mod bound;
mod figures;

use std::time::Duration;

use self::bed::{QuotaFixture, quota};
use self::bound::bound;
use self::figures::{jain, used, within, worst};
use sealift::domain::call::Call;
use sealift::domain::quota::Quota;
use tokio::time::sleep;

const JOB: Duration = Duration::from_secs(20);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_whole_allowance_is_used_and_never_more() {
    for (allowed, intervals) in
        [(quota(120, 300), 12), (quota(600, 60), 12), (quota(50, 10), 60), (quota(7, 30), 30)]
    {
        let calls = allowed.requests * intervals;
        let bed = QuotaFixture::new(&[(calls / 3 + 600, 400)], Some(allowed), JOB).await;
        let daemon = bed.start(Some(allowed), false, Vec::new());
        // The first interval has no calls before it and the line has to fill: it is left out.
        sleep(allowed.per * intervals).await;
        assert!(bed.all_have_work().await, "there is no work left, so nothing is said of the use");
        let (arrived, time) = (bed.arrived(), allowed.per..allowed.per * intervals);
        let (share, most) = (used(&arrived, time, allowed), within(&arrived, allowed));
        println!(
            "{} calls in any {:?}: {:.2} % used over {intervals} intervals, at most {most} in any, {} refused",
            allowed.requests,
            allowed.per,
            share * 100.0,
            arrived.iter().filter(|call| call.refused).count()
        );
        assert!(share >= 0.99, "only {share} of the allowance was used");
        assert!(
            arrived.iter().all(|call| !call.refused),
            "the cloud, which counts for itself, refused a call"
        );
        daemon.kill();
    }
}

/// The calls that a plain client makes for a change whose job takes a minute: a look before, the
/// switch, the job every ten seconds, a look after.
const PLAIN_CALLS: u32 = 9;

/// The most that a change may cost after a discovery: the switch and the look after, and a share in
/// the lists of jobs.
const CALLS_MAX: f64 = 2.5;

#[tokio::test(start_paused = true)]
async fn a_change_costs_few_calls_after_a_discovery() {
    const CHANGES: u32 = 80;
    let begins = jiff::Timestamp::UNIX_EPOCH + seconds(30);
    let bed = QuotaFixture::beginning(Some(begins), &[(CHANGES, 20)], None, seconds(60)).await;
    let daemon = bed.start(None, false, Vec::new());
    for target in bed.targets(0).await {
        let call = Call::Proxies { lane: target.lane, instance_id: target.instance_id };
        daemon
            .handle
            .ask(call)
            .await
            .expect("the lane is there")
            .outcome
            .expect("the cloud answers");
    }
    let discovery = bed.arrived().len();
    assert!(bed.now() < seconds(30), "nothing but the discovery was sent so far");
    bed.all_succeed(seconds(3_600)).await;
    let each = |calls: usize| calls as f64 / f64::from(CHANGES);
    let (calls, all) = (each(bed.arrived().len() - discovery), each(bed.arrived().len()));
    println!(
        "{calls:.2} calls a change at 20 in flight and jobs of 60 s, {all:.2} with the discovery; a plain client makes {PLAIN_CALLS}"
    );
    assert!(calls <= CALLS_MAX, "{calls} calls a change");
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn a_rollout_in_waves_takes_little_longer_than_it_must() {
    let mut late = Vec::new();
    // The last: with jobs this long the lane lists them every `poll_max`, and the end of each wave
    // waits for a list.
    for (allowed, job, waves, most) in [
        (quota(600, 60), seconds(20), [60, 300, 840], 1.03),
        (quota(150, 300), seconds(60), [20, 100, 280], 1.03),
        (quota(100, 60), seconds(300), [20, 100, 280], 1.05),
    ] {
        let bed = QuotaFixture::in_waves(&waves, 1_000, allowed, job).await;
        let daemon = bed.start(Some(allowed), false, Vec::new());
        bed.all_succeed(seconds(24 * 3_600)).await;
        let arrived = bed.arrived();
        let (first, last) = (arrived[0].at, arrived[arrived.len() - 1].at);
        let (took, bound) = ((last - first).as_secs_f64(), bound(allowed, job, &waves));
        let lists = arrived.iter().filter(|call| call.rollout.is_none()).count();
        println!(
            "waves {waves:?} at {} in {:?}, jobs of {job:?}: {took:.1} s, {:.2} % of the bound, {lists} lists",
            allowed.requests,
            allowed.per,
            took / bound * 100.0
        );
        within(&arrived, allowed);
        daemon.kill();
        late.extend((took > bound * most).then_some((allowed, took, bound)));
    }
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn rollouts_of_one_lane_share_it_evenly() {
    let allowed = quota(120, 60);
    for rollouts in [vec![(900, 60), (300, 12)], vec![(900, 90), (500, 30), (300, 10)]] {
        let bed = QuotaFixture::new(&rollouts, None, JOB).await;
        let daemon = bed.start(Some(allowed), false, Vec::new());
        sleep(allowed.per).await;
        let mut total = vec![0; rollouts.len()];
        let mut intervals = 0;
        loop {
            let from = bed.now();
            sleep(allowed.per).await;
            if !bed.all_have_work().await {
                break;
            }
            let mut shares = vec![0; rollouts.len()];
            for place in bed
                .arrived()
                .iter()
                .filter(|call| (from..bed.now()).contains(&call.at))
                .filter_map(|call| call.rollout)
            {
                shares[place] += 1;
                total[place] += 1;
            }
            let even = shares.iter().sum::<usize>() as f64 / shares.len() as f64;
            let fair =
                shares.iter().all(|share| (*share as f64 - even).abs() <= (even / 10.0).max(1.0));
            assert!(fair, "within one interval the permits went {shares:?}");
            intervals += 1;
        }
        let index = jain(&total);
        println!(
            "rollouts of (size, in flight) {rollouts:?} over {intervals} intervals: calls {total:?}, Jain's index {index:.5}"
        );
        assert!(intervals >= 5 && index >= 0.999, "{intervals} {index}");
        daemon.kill();
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_account_really_gives_is_learnt() {
    // The account gives two thirds, a third, and a tenth of what the configuration says; and all of
    // it.
    for (configured, account) in [
        (quota(150, 60), quota(100, 60)),
        (quota(300, 300), quota(100, 300)),
        (quota(500, 60), quota(50, 60)),
        (quota(100, 60), quota(100, 60)),
    ] {
        let intervals = 40;
        let bed =
            QuotaFixture::new(&[(account.requests * intervals / 3 + 400, 300)], Some(account), JOB)
                .await;
        let daemon = bed.start(Some(configured), false, Vec::new());
        let (learnt_by, end) = (account.per * 10, account.per * intervals);
        sleep(learnt_by).await;
        let mut ceilings = Vec::new();
        while bed.now() < end {
            sleep(account.per / 4).await;
            ceilings.push(daemon.standing().ceiling);
        }
        assert!(bed.all_have_work().await);
        let arrived = bed.arrived();
        let refused = arrived.iter().filter(|call| call.refused).count();
        let late = arrived.iter().filter(|call| call.refused && call.at >= learnt_by).count();
        let taken: Vec<_> =
            arrived.iter().filter(|call| !call.refused).map(|call| call.at).collect();
        let most = worst(&taken, Duration::ZERO..Duration::MAX, account.per);
        let share = used(&arrived, learnt_by..end, account);
        let (low, high) =
            (ceilings.iter().min().expect("some"), ceilings.iter().max().expect("some"));
        println!(
            "configured {}, given {} in {:?}: {refused} refused in {intervals} intervals, {late} of them after ten; ceiling {low} to {high}; \
             {:.2} % of what is given used; at most {most} taken in any interval",
            configured.requests,
            account.requests,
            account.per,
            share * 100.0
        );
        assert!(most <= account.requests as usize);
        within(&arrived, configured);
        let given = f64::from(account.requests);
        let step = f64::from(configured.requests.div_ceil(20));
        assert!(
            f64::from(*low) >= given * 0.9 && f64::from(*high) <= given + step,
            "the ceiling is far from what is given"
        );
        assert!(share >= 0.95, "only {share} of what is given was used");
        assert!(refused <= 25 && late <= 10, "the account was asked for too much too often");
        if configured == account {
            assert_eq!(refused, 0);
        }
        daemon.kill();
    }
}

#[tokio::test(start_paused = true)]
async fn all_changes_end_in_an_account_that_gives_less() {
    let (configured, account) = (quota(200, 60), quota(30, 60));
    let bed = QuotaFixture::new(&[(120, 20), (40, 20)], Some(account), JOB).await;
    let daemon = bed.start(Some(configured), false, Vec::new());
    bed.all_succeed(seconds(4 * 3_600)).await;
    let arrived = bed.arrived();
    let refused = arrived.iter().filter(|call| call.refused).count();
    println!(
        "160 changes with {} calls, {refused} of them refused, in {:?}",
        arrived.len(),
        bed.now()
    );
    assert!(refused * 20 <= arrived.len(), "{refused} of {}", arrived.len());
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn a_stray_refusal_costs_little() {
    let allowed = quota(120, 60);
    let bed = QuotaFixture::new(&[(2_000, 300)], None, JOB).await;
    let daemon = bed.start(Some(allowed), false, Vec::new());
    sleep(seconds(300)).await;
    bed.refuse_next(1);
    sleep(seconds(600)).await;
    let arrived = bed.arrived();
    assert_eq!(arrived.iter().filter(|call| call.refused).count(), 1, "it was refused once");
    let share = used(&arrived, seconds(300)..seconds(900), allowed);
    println!(
        "one stray 429: {:.2} % of the next ten intervals used, ceiling {}",
        share * 100.0,
        daemon.standing().ceiling
    );
    assert!(share >= 0.97, "{share}");
    assert_eq!(daemon.standing().ceiling, allowed.requests, "it is made up for");
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn a_quota_changed_while_it_runs_breaks_neither_the_old_nor_the_new_one() {
    let steps: [(u64, Option<Quota>); 7] = [
        (0, Some(quota(100, 60))),
        (150, Some(quota(30, 60))),
        (400, Some(quota(200, 30))),
        (415, Some(quota(300, 120))),
        (700, Some(quota(10, 5))),
        (903, None),
        (950, Some(quota(90, 60))),
    ];
    let end = seconds(1_300);
    let bed = QuotaFixture::new(&[(6_000, 900)], None, JOB).await;
    let daemon = bed.start(steps[0].1, false, Vec::new());
    for (at, quota) in &steps[1..] {
        sleep(seconds(*at).saturating_sub(bed.now())).await;
        daemon.change(*quota).await;
    }
    sleep(end - bed.now()).await;
    let times: Vec<_> = bed.arrived().iter().map(|call| call.at).collect();
    for (place, (from, quota)) in steps.iter().enumerate() {
        let Some(quota) = quota else { continue };
        // What was on its way at the change arrives a little later.
        let settled = seconds(*from) + Duration::from_millis(100);
        let over = steps.get(place + 1).map_or(end, |(at, _)| seconds(*at) + quota.per);
        let most = worst(&times, settled..over, quota.per);
        println!(
            "{} in {:?} from {from} s: at most {most} in any interval until {over:?}",
            quota.requests, quota.per
        );
        // At a fall the intervals hold what was sent before it.
        let before = worst(&times, settled.saturating_sub(seconds(1))..settled, quota.per);
        assert!(
            most <= (quota.requests as usize).max(before),
            "{most} in an interval of {quota:?} from {from} s"
        );
        let own = worst(&times, settled + quota.per..over, quota.per);
        assert!(own <= quota.requests as usize, "{own} in an interval of {quota:?} from {from} s");
    }
    // And each is used once it holds alone.
    for (place, from, until) in
        [(0, 60, 150), (1, 250, 400), (3, 540, 700), (4, 830, 900), (6, 1_080, 1_300)]
    {
        let quota = steps[place].1.expect("one with a quota");
        let share = used(&bed.arrived(), seconds(from)..seconds(until), quota);
        println!(
            "{} in {:?}: {:.1} % used from {from} s to {until} s",
            quota.requests,
            quota.per,
            share * 100.0
        );
        assert!(share >= 0.93, "{share} of {quota:?}");
    }
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn the_level_outlives_a_clean_end_exactly_and_a_kill_costs_an_interval() {
    let allowed = quota(100, 60);
    let bed = QuotaFixture::new(&[(2_000, 300)], Some(allowed), JOB).await;
    let mut daemon = bed.start(Some(allowed), false, Vec::new());
    let mut ends = Vec::new();
    for second in [90, 171, 240] {
        sleep(seconds(second) - bed.now()).await;
        let levels = daemon.end().await;
        let ended = bed.now();
        sleep(seconds(2)).await;
        daemon = bed.start(Some(allowed), true, levels);
        sleep(seconds(10)).await;
        let next =
            bed.arrived().iter().map(|call| call.at).find(|at| *at > ended).expect("it goes on");
        ends.push(next - ended);
    }
    sleep(seconds(300) - bed.now()).await;
    let arrived = bed.arrived();
    let share = used(&arrived, seconds(60)..seconds(300), allowed);
    println!(
        "three clean restarts in four minutes: the first call after {ends:?}; {:.1} % used",
        share * 100.0
    );
    assert!(ends.iter().all(|gap| *gap <= seconds(4)), "{ends:?}");
    // Each costs the two seconds that it is away and what it drains; the allowance of these is used
    // after it, or lost.
    assert!(share >= 0.94, "{share}");
    let killed = bed.now();
    daemon.kill();
    sleep(seconds(2)).await;
    let daemon = bed.start(Some(allowed), true, Vec::new());
    sleep(seconds(120)).await;
    let arrived = bed.arrived();
    let next = arrived
        .iter()
        .map(|call| call.at)
        .find(|at| *at > killed + seconds(1))
        .expect("it goes on");
    println!("a kill: the first call after {:?}", next - killed);
    assert!(next - killed >= allowed.per, "what a killed daemon sent is not known");
    assert!(arrived.iter().all(|call| !call.refused), "the cloud counts for itself");
    within(&arrived, allowed);
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn lateness_is_not_learnt_as_the_time_of_jobs() {
    // Jobs are asked for one by one, and have ended at the first look, two seconds after the
    // switch.
    let bed = QuotaFixture::new(&[(4_000, 50)], None, seconds(1)).await;
    bed.refuse_lists();
    let daemon = bed.start(None, false, Vec::new());
    let done = async || bed.rollout(0).await.total().succeeded;
    sleep(seconds(30)).await;
    let before = done().await;
    bed.answer_late(seconds(20));
    sleep(seconds(90)).await;
    bed.answer_late(Duration::ZERO);
    // What is out comes back late still.
    sleep(seconds(21)).await;
    let late = done().await;
    sleep(seconds(15)).await;
    let after = done().await - late;
    println!(
        "50 in flight, of which a change takes 2.4 s: {before} in 30 s, {after} in 15 s once answers are quick again"
    );
    assert!(before >= 500, "{before} in the first 30 s");
    assert!(after >= 250, "{after} in 15 s: jobs are left alone for as long as answers were late");
    daemon.kill();
}

/// Calls that arrived in this time.
fn arrivals(bed: &QuotaFixture, time: std::ops::Range<Duration>) -> usize {
    bed.arrived().iter().filter(|call| time.contains(&call.at)).count()
}

#[tokio::test(start_paused = true)]
async fn a_kill_holds_back_for_settle_only_what_may_have_been_out() {
    // At 50 a second and a round trip of 80 ms some four calls are out, of which 15 s later the
    // last must have landed.
    let allowed = quota(50, 1);
    let bed = QuotaFixture::new(&[(4_000, 20)], Some(allowed), JOB).await;
    let mut daemon = bed.start(Some(allowed), false, Vec::new());
    sleep(seconds(30)).await;
    let mut kills = Vec::new();
    for _ in 0..3 {
        daemon.kill();
        daemon = bed.start(Some(allowed), true, bed.kept());
        let killed = bed.now();
        // What is in flight after a kill is asked for by and by: new work would be needed to fill a
        // second.
        sleep(seconds(2)).await;
        let (first, second) = (
            arrivals(&bed, killed + seconds(0)..killed + allowed.per),
            arrivals(&bed, killed + allowed.per..bed.now()),
        );
        kills.push((first, second));
        assert!(
            first <= 20,
            "{first} calls within the interval: no more than were on their way at the kill"
        );
        assert!(second > 0, "nothing is sent for longer than an interval");
        sleep(Duration::from_millis(700)).await;
    }
    println!("kills at 50 a second: calls of the first and of the next second {kills:?}");
    sleep(seconds(60)).await;
    assert!(bed.arrived().iter().all(|call| !call.refused), "the cloud counts for itself");
    within(&bed.arrived(), allowed);
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn a_person_s_reads_count_over_a_kill() {
    let allowed = quota(100, 60);
    let begins = jiff::Timestamp::UNIX_EPOCH + seconds(3_600);
    let bed = QuotaFixture::beginning(Some(begins), &[(300, 20)], Some(allowed), JOB).await;
    let look = |target: sealift::domain::target::Target| Call::Proxies {
        lane: target.lane,
        instance_id: target.instance_id,
    };
    let daemon = bed.start(Some(allowed), false, Vec::new());
    for target in bed.targets(0).await.into_iter().take(90) {
        daemon
            .handle
            .ask(look(target))
            .await
            .expect("the lane is there")
            .outcome
            .expect("the cloud answers");
    }
    daemon.kill();
    let daemon = bed.start(Some(allowed), true, bed.kept());
    assert_eq!(
        (daemon.standing_soon().await.used, arrivals(&bed, Duration::ZERO..bed.now())),
        (100, 90)
    );
    for target in bed.targets(0).await.into_iter().skip(90).take(90) {
        daemon
            .handle
            .ask(look(target))
            .await
            .expect("the lane is there")
            .outcome
            .expect("the cloud answers");
    }
    within(&bed.arrived(), allowed);
    daemon.kill();
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_outlives_a_clean_end() {
    let (configured, account) = (quota(300, 60), quota(100, 60));
    let bed = QuotaFixture::new(&[(3_000, 300)], Some(account), JOB).await;
    let daemon = bed.start(Some(configured), false, Vec::new());
    sleep(account.per * 8).await;
    let learnt = daemon.standing().ceiling;
    assert!(learnt <= 115, "{learnt}");
    let levels = daemon.end().await;
    let refused = bed.arrived().iter().filter(|call| call.refused).count();
    let daemon = bed.start(Some(configured), true, levels);
    sleep(seconds(5)).await;
    assert_eq!(daemon.standing().ceiling, learnt);
    sleep(account.per * 4).await;
    let again = bed.arrived().iter().filter(|call| call.refused).count() - refused;
    assert!(again <= 3, "{again} refusals more: it learns anew");
    daemon.kill();
}
