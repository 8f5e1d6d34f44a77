//! Targets that flip back: put right by one run and found drifted again by a later one, over and
//! over.
//!
//! Invariants: only a target that a run of ours switched has an entry; an entry without further use
//! is removed; a held one stays until a person releases it.

use serde::{Deserialize, Serialize};

use super::Drifted;

/// A target that flipped back so often within [`FLIPS_RUNS`] is held: somebody or something wants
/// the other value, and switching it back and forth at night helps nobody.
pub const FLIPS_MAX: usize = 3;

/// Runs within which flips are counted.
pub const FLIPS_RUNS: u32 = 10;

/// Most targets with an entry: about 400 KiB in a journal line. Beyond it those that were put right
/// least often and longest ago are forgotten, and only begin to be counted anew; held ones are kept
/// before all others.
pub const FLIPS_KEPT: usize = 10_000;

/// What is kept of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flips {
    /// Its place in the origin's list.
    #[serde(rename = "o")]
    pub ordinal: u32,
    /// The latest runs that put it right, oldest first; at most [`FLIPS_MAX`].
    #[serde(rename = "r")]
    pub runs: Vec<u32>,
    /// It is left alone until somebody releases it.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// Run `number` found these drifted: holds those that flipped back too often. Says how many are
/// newly held.
pub(super) fn hold(flips: &mut [Flips], number: u32, drifted: impl Iterator<Item = u32>) -> usize {
    let mut newly = 0;
    for ordinal in drifted {
        let Ok(at) = flips.binary_search_by_key(&ordinal, |flips| flips.ordinal) else { continue };
        let found = &mut flips[at];
        let recent = found.runs.iter().filter(|run| is_recent(**run, number)).count();
        if !found.held && recent >= FLIPS_MAX {
            found.held = true;
            newly += 1;
        }
    }
    newly
}

/// Whether a flip of run `run` still counts in run `number`.
fn is_recent(run: u32, number: u32) -> bool {
    number.saturating_sub(run) <= FLIPS_RUNS
}

/// Places of the drifted targets that are held, in order.
pub(super) fn left_out(flips: &[Flips], drifted: &[Drifted]) -> Vec<u32> {
    let held = |ordinal: &u32| {
        flips.binary_search_by_key(ordinal, |flips| flips.ordinal).is_ok_and(|at| flips[at].held)
    };
    drifted.iter().map(|drifted| drifted.ordinal).filter(held).collect()
}

/// Run `number` put these right.
pub(super) fn put_right(flips: &mut Vec<Flips>, number: u32, switched: &[u32]) {
    for ordinal in switched {
        match flips.binary_search_by_key(ordinal, |flips| flips.ordinal) {
            Ok(at) => {
                let runs = &mut flips[at].runs;
                if runs.len() == FLIPS_MAX {
                    runs.remove(0);
                }
                runs.push(number);
            }
            Err(at) => {
                flips.insert(at, Flips { ordinal: *ordinal, runs: vec![number], held: false })
            }
        }
    }
    if flips.len() > FLIPS_KEPT {
        let mut ranked: Vec<(bool, usize, u32, u32)> = flips
            .iter()
            .map(|flips| {
                (
                    flips.held,
                    flips.runs.len(),
                    flips.runs.last().copied().unwrap_or(0),
                    flips.ordinal,
                )
            })
            .collect();
        ranked.sort_unstable();
        let forgotten: std::collections::BTreeSet<u32> =
            ranked[..flips.len() - FLIPS_KEPT].iter().map(|ranked| ranked.3).collect();
        flips.retain(|flips| !forgotten.contains(&flips.ordinal));
    }
}

/// After run `number`: what no later run can count any more is forgotten.
pub(super) fn forget(flips: &mut Vec<Flips>, number: u32) {
    for flips in flips.iter_mut().filter(|flips| !flips.held) {
        flips.runs.retain(|run| is_recent(*run, number.saturating_add(1)));
    }
    flips.retain(|flips| flips.held || !flips.runs.is_empty());
}
