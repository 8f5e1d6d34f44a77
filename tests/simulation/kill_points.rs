//! Small worlds without crashes of their own, killed at every one of their boundaries: each commit,
//! with the write lost and with it landed, and each call, at four places. The daemon comes back and
//! takes up what it left.

use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::world::{CallPoint, Kill, Outcome, run};
use crate::{ENOUGH, number, on_all_cores};

/// Worlds killed in one test run.
const WORLDS: u64 = 6;
/// Worlds of which every point is killed a second time a little later, in the middle of what the
/// first kill left.
const TWICE_WORLDS: u64 = 2;
/// How many commits later.
const SECOND_WITHIN: u64 = 4;

/// Every commit of a run, lost and landed.
pub fn commit_kills(whole: &Outcome) -> Vec<Kill> {
    (1..=whole.commits)
        .flat_map(|number| [false, true].map(|landed| Kill::Commit { number, landed }))
        .collect()
}

/// Every call of a run, at each of its boundaries.
pub fn call_kills(whole: &Outcome) -> Vec<Kill> {
    (1..=whole.calls)
        .flat_map(|number| CallPoint::ALL.map(|at| Kill::Call { number, at }))
        .collect()
}

fn whole(world: u64) -> Outcome {
    let outcome = run(DrawnScenario::small(world), Planted::Nothing, &[]);
    assert!(outcome.violations.is_empty(), "world {world}: {:?}", outcome.violations);
    outcome
}

/// Kills a world at each point in turn; the number of kills that really came to pass.
fn kill_each(world: u64, points: &[Vec<Kill>]) -> u64 {
    let fired = std::sync::atomic::AtomicU64::new(0);
    let found = on_all_cores(points.len() as u64, ENOUGH, &|place| {
        let kills = &points[place as usize];
        let outcome = run(DrawnScenario::small(world), Planted::Nothing, kills);
        let killed = outcome.fired.get("killed_at_boundary").copied().unwrap_or(0);
        fired.fetch_add(killed, std::sync::atomic::Ordering::Relaxed);
        outcome.violations.into_iter().next().map(|violation| (kills.clone(), violation))
    });
    assert!(found.is_empty(), "world {world}: {found:#?}");
    fired.into_inner()
}

#[test]
fn every_store_boundary_killed() {
    let worlds = number("SEALIFT_KILL_WORLDS", WORLDS);
    let mut killed = 0;
    for world in 0..worlds {
        let points: Vec<_> =
            commit_kills(&whole(world)).into_iter().map(|kill| vec![kill]).collect();
        let fired = kill_each(world, &points);
        assert_eq!(
            fired,
            points.len() as u64,
            "every point is reached, for nothing differs before it"
        );
        killed += fired;
    }
    println!("{killed} kills at commits in {worlds} worlds");
    assert!(killed > 200, "only {killed} kill points");
}

#[test]
fn every_call_boundary_killed() {
    let worlds = number("SEALIFT_KILL_WORLDS", WORLDS);
    let (mut killed, mut points) = (0, 0);
    for world in 0..worlds {
        let kills: Vec<_> = call_kills(&whole(world)).into_iter().map(|kill| vec![kill]).collect();
        killed += kill_each(world, &kills);
        points += kills.len() as u64;
    }
    println!("{killed} kills at {points} boundaries of calls in {worlds} worlds");
    // A call that is refused or withheld has no wire instant; all others are killed at each of
    // their boundaries.
    assert!(killed > 400 && killed * 10 > points * 7, "only {killed} kills at {points} points");
}

/// A daemon that is killed in the middle of taking up what a kill left.
#[test]
fn every_store_boundary_killed_twice() {
    let worlds = number("SEALIFT_KILL_WORLDS", TWICE_WORLDS);
    let mut killed = 0;
    for world in 0..worlds {
        let pairs: Vec<_> = commit_kills(&whole(world))
            .into_iter()
            .flat_map(|first| {
                let Kill::Commit { number, landed } = first else {
                    unreachable!("a commit's kill")
                };
                (1..=SECOND_WITHIN).map(move |later| {
                    vec![first, Kill::Commit { number: number + later, landed: !landed }]
                })
            })
            .collect();
        killed += kill_each(world, &pairs);
    }
    println!("{killed} kills in pairs in {worlds} worlds");
    assert!(killed > 400, "only {killed} kills");
}
