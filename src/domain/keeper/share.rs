//! Which daemon should keep which lane.
//!
//! Job: share the lanes out over the daemons that live, so that each has as many as any other.
//!
//! Invariants: a lane stays where it is unless its keeper goes, cannot reach it, or has two more
//! than another that could have it; of daemons that all have all lanes none has two more than
//! another. Everybody who sees the same rows comes to the same result.
//!
//! Deliberately not here: taking and giving up (`domain::keeper`), which are safe whatever two
//! daemons think.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;

use super::tables::LaneOffer;
use crate::domain::id::{Digest, Name};

/// The daemons that may have lanes, each with those of its configuration.
pub type Offers<'a> = BTreeMap<&'a Name, &'a BTreeMap<Name, LaneOffer>>;

/// Who should keep each lane. `lanes`: all there are, each with its keeper, if that lives. A lane
/// that nobody offers is left out.
pub fn share_out(
    lanes: &BTreeMap<Name, Option<Name>>,
    offers: &Offers<'_>,
) -> BTreeMap<Name, Name> {
    let mut load: BTreeMap<&Name, usize> = offers.keys().map(|name| (*name, 0)).collect();
    let mut shared: BTreeMap<Name, Name> = BTreeMap::new();
    for (lane, keeper) in lanes {
        let stays =
            keeper.as_ref().filter(|keeper| willing(lane, offers).any(|one| one == *keeper));
        if let Some(keeper) = stays {
            *load.get_mut(keeper).expect("who is willing offers it") += 1;
            shared.insert(lane.clone(), keeper.clone());
        }
    }
    for lane in lanes.keys() {
        if shared.contains_key(lane) {
            continue;
        }
        let best =
            willing(lane, offers).min_by_key(|daemon| (load[*daemon], Reverse(rank(lane, daemon))));
        if let Some(daemon) = best {
            *load.get_mut(daemon).expect("who is willing offers it") += 1;
            shared.insert(lane.clone(), daemon.clone());
        }
    }
    while let Some((lane, to)) = next_move(&shared, offers, &load) {
        let from = shared.insert(lane, to.clone()).expect("it is shared out");
        *load.get_mut(&from).expect("a daemon") -= 1;
        *load.get_mut(&to).expect("a daemon") += 1;
    }
    shared
}

/// The lane that should go from a daemon with two more than another that could have it, and where.
fn next_move(
    shared: &BTreeMap<Name, Name>,
    offers: &Offers<'_>,
    load: &BTreeMap<&Name, usize>,
) -> Option<(Name, Name)> {
    let moves = shared.iter().flat_map(|(lane, from)| {
        let relieved = willing(lane, offers).filter(move |to| load[*to] + 2 <= load[from]);
        relieved.map(move |to| (load[from] - load[to], rank(lane, to), lane, to))
    });
    moves.max().map(|(.., lane, to)| (lane.clone(), to.clone()))
}

/// The daemons that may have the lane: those that reach it, or if none does, all that have it.
fn willing<'a>(lane: &'a Name, offers: &'a Offers<'_>) -> impl Iterator<Item = &'a Name> {
    let offered = move |lanes: &BTreeMap<Name, LaneOffer>| lanes.get(lane).copied();
    let reached = offers.values().any(|lanes| offered(lanes) == Some(LaneOffer::Willing));
    offers.iter().filter_map(move |(name, lanes)| match offered(lanes)? {
        LaneOffer::Willing => Some(*name),
        LaneOffer::Unreached => (!reached).then_some(*name),
    })
}

/// How well a daemon suits what is shared out: for each of them another order of the daemons, so
/// that what one leaves behind does not all go to the next.
pub(super) fn rank(what: &impl Display, daemon: &Name) -> Digest {
    Digest::of(format!("{what}/{daemon}").as_bytes())
}
