use super::*;
use crate::store::fixtures;

fn rollout(place: u32) -> RolloutId {
    fixtures::submission(["alpha", "beta", "gamma"][place as usize], &[8], 0).id()
}

fn change(of: u32, ordinal: u32) -> Waiter {
    Waiter::Change(ChangeId { rollout: rollout(of), ordinal })
}

/// Serves one; tells whom.
fn serve(line: &mut FairQueue) -> Option<Waiter> {
    let (rank, place, who) = line.first(true)?;
    line.remove(rank, place, who);
    line.charge(who);
    Some(who)
}

/// How many of so many permits went to each of the three.
fn shares(line: &mut FairQueue, permits: usize) -> [usize; 3] {
    let mut shares = [0; 3];
    for _ in 0..permits {
        let Some(Waiter::Change(id)) = serve(line) else { break };
        let of = (0..3).find(|place| rollout(*place) == id.rollout).expect("one of them");
        shares[of as usize] += 1;
    }
    shares
}

fn fill(line: &mut FairQueue, of: u32, from: u32, count: u32) {
    for ordinal in from..from + count {
        line.enqueue(Rank::Start, u64::from(of * 10_000 + ordinal), change(of, ordinal));
    }
}

#[test]
fn rollouts_share_evenly_however_long_their_lines_are() {
    let mut line = FairQueue::default();
    fill(&mut line, 0, 0, 1_000);
    fill(&mut line, 1, 0, 100);
    fill(&mut line, 2, 0, 50);
    assert_eq!(shares(&mut line, 150), [50, 50, 50]);
    assert_eq!(shares(&mut line, 100), [50, 50, 0], "what one does not need the others share");
    assert_eq!(shares(&mut line, 2_000), [900, 0, 0]);
    assert_eq!(line.waiting(), 0);
}

#[test]
fn who_comes_later_gets_an_even_share_and_no_more() {
    let mut line = FairQueue::default();
    fill(&mut line, 0, 0, 1_000);
    assert_eq!(shares(&mut line, 300), [300, 0, 0]);
    fill(&mut line, 1, 0, 1_000);
    assert_eq!(shares(&mut line, 100), [50, 50, 0]);
    // One that was there before and had nothing to do saves nothing up either.
    fill(&mut line, 2, 0, 10);
    assert_eq!(shares(&mut line, 30), [10, 10, 10]);
    assert_eq!(shares(&mut line, 200), [100, 100, 0]);
    fill(&mut line, 2, 10, 100);
    let [first, second, third] = shares(&mut line, 90);
    assert!(
        [first, second, third].iter().all(|share| share.abs_diff(30) <= 1),
        "{first} {second} {third}"
    );
}

#[test]
fn permits_of_a_higher_rank_count_for_the_share_too() {
    let mut line = FairQueue::default();
    fill(&mut line, 0, 0, 100);
    fill(&mut line, 1, 0, 100);
    for ordinal in 0..10 {
        line.enqueue(Rank::InFlight, 50_000 + ordinal, change(0, 500 + ordinal as u32));
    }
    assert_eq!(shares(&mut line, 10), [10, 0, 0], "work in flight goes first");
    assert_eq!(shares(&mut line, 10), [0, 10, 0], "and is made up for");
    assert_eq!(shares(&mut line, 10), [5, 5, 0]);
}

#[test]
fn within_a_rollout_who_came_first_goes_first_and_a_list_goes_before_all_of_its_rank() {
    let mut line = FairQueue::default();
    line.enqueue(Rank::InFlight, 2, change(0, 2));
    line.enqueue(Rank::InFlight, 1, change(0, 1));
    line.enqueue(Rank::InFlight, 3, Waiter::List);
    line.enqueue(Rank::Switch, 4, change(1, 4));
    line.enqueue(Rank::Ask, 5, Waiter::Ask(5));
    let order: Vec<_> = std::iter::from_fn(|| serve(&mut line)).collect();
    assert_eq!(order, [change(1, 4), Waiter::List, change(0, 1), change(0, 2), Waiter::Ask(5)]);
}

#[test]
fn a_look_after_that_may_wait_goes_after_the_starts_of_its_own_rollout_alone() {
    let mut line = FairQueue::default();
    fill(&mut line, 0, 0, 2);
    line.enqueue(Rank::LookAfter, 5, change(0, 5));
    line.enqueue(Rank::Ask, 6, Waiter::Ask(6));
    assert_eq!(line.starts(), 2);
    let order: Vec<_> = std::iter::from_fn(|| serve(&mut line)).collect();
    assert_eq!(order, [change(0, 0), change(0, 1), change(0, 5), Waiter::Ask(6)]);

    // Another rollout's new work never ends.
    fill(&mut line, 0, 0, 1);
    line.enqueue(Rank::LookAfter, 5, change(0, 5));
    fill(&mut line, 1, 0, 100);
    let before = std::iter::from_fn(|| serve(&mut line)).position(|who| who == change(0, 5));
    assert!(before.is_some_and(|before| before <= 2), "{before:?}");

    // Where nothing new may begin it goes.
    let mut line = FairQueue::default();
    fill(&mut line, 0, 0, 2);
    assert_eq!(line.first(false), None);
    line.enqueue(Rank::LookAfter, 5, change(0, 5));
    assert_eq!(line.first(false).map(|(_, _, who)| who), Some(change(0, 5)));
}

#[test]
fn what_is_kept_of_rollouts_that_have_gone_is_bounded() {
    let mut line = FairQueue::default();
    for turn in 0..100 {
        let gone = fixtures::submission("alpha", &[8], turn).id();
        line.enqueue(Rank::Start, 1, Waiter::Change(ChangeId { rollout: gone, ordinal: 0 }));
        serve(&mut line);
        fill(&mut line, 1, 0, 1);
        serve(&mut line);
    }
    assert!(line.shares.len() <= 3 && line.payers.is_empty(), "{}", line.shares.len());
}

#[test]
fn who_leaves_the_line_is_not_served() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut line = FairQueue::default();
    let mut known = std::collections::BTreeSet::new();
    for place in 1..2_000_u64 {
        let rank = [Rank::Switch, Rank::InFlight, Rank::Start][random.usize(0..3)];
        let who = change(random.u32(0..3), u32::try_from(place).expect("few"));
        line.enqueue(rank, place, who);
        known.insert((rank, place, who));
        match random.u32(0..3) {
            0 => {
                let (rank, place, who) =
                    *known.iter().nth(random.usize(0..known.len())).expect("in range");
                line.remove(rank, place, who);
                known.remove(&(rank, place, who));
            }
            1 => {
                let first = line.first(true).expect("somebody waits");
                assert_eq!(
                    Some(first.0),
                    known.first().map(|(rank, ..)| *rank),
                    "the highest rank"
                );
                assert!(known.remove(&first), "it waits");
                line.remove(first.0, first.1, first.2);
                line.charge(first.2);
            }
            _ => {}
        }
        assert_eq!(line.waiting(), known.len());
    }
    assert_eq!(std::iter::from_fn(|| serve(&mut line)).count(), known.len());
}
