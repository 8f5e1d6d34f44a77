//! Which enforcements keep targets of a plan at the other value: what the plan does, their next
//! runs undo.
//!
//! Invariant: the plan's list and the stored enforcements decide alone; nothing is refused here,
//! for a person may want just that.
//!
//! Deliberately not here: enforcements that only report, that have ended, or that the plan itself
//! replaces, as a newer revision of theirs does once it has completed. While the plan's rollout is
//! open no run begins on its proxies.

use jiff::Timestamp;

use crate::domain::enforce::{EnforcementStage, Mode, Record};
use crate::domain::id::{Name, ProxyId};
use crate::domain::plan::Plan;
use crate::domain::target::{Target, TargetList};
use crate::domain::zone::Zone;
use crate::store::{Store, Unavailable};

/// Enforcements that are told of: more than that want one plan's targets otherwise by mistake only.
const OPPOSING_MAX: usize = 20;

/// Proxies of one enforcement that are named; the others are counted.
const NAMED_MAX: usize = 5;

/// An enforcement that keeps targets of a plan at the other value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opposing {
    pub name: Name,
    /// The revision that is enforced.
    pub revision: u32,
    /// The value that it keeps them at.
    pub ssl_option: bool,
    /// It puts nothing right until a person releases it.
    pub held: bool,
    pub next_tick: Option<Timestamp>,
    /// The zone of its ticks.
    pub zone: Zone,
    /// How many of the plan's targets.
    pub targets: u32,
    /// The first of them, in the order of its own list.
    pub first: Vec<ProxyId>,
}

/// The enforcements that keep some of these targets at the other value than this plan wants.
///
/// # Errors
/// When the store cannot be read.
pub async fn opposing(
    store: &dyn Store,
    plan: &Plan,
    targets: &TargetList,
    now: Timestamp,
) -> Result<Vec<Opposing>, Unavailable> {
    let mut found = Vec::new();
    for enforcement in store.enforcements().await? {
        let record = enforcement.record;
        let replaced = enforcement.name == plan.name && record.revision < plan.revision;
        if replaced || matches!(record.stage, EnforcementStage::Ended { .. }) {
            continue;
        }
        let Some(origin) = store.rollout(record.origin).await? else { continue };
        let Some(enforce) =
            origin.plan.enforce.as_ref().filter(|enforce| enforce.mode == Mode::Apply)
        else {
            continue;
        };
        if origin.plan.ssl_option == plan.ssl_option {
            continue;
        }
        let Some(theirs) = store.targets(origin.id).await? else { continue };
        let held = matches!(record.stage, EnforcementStage::Held { .. }) || record.halted.is_some();
        let (next_tick, ours) = (record.next_tick(enforce, now), targets.clone());
        let overlap = tokio::task::spawn_blocking(move || overlap(&ours, &theirs, &record)).await;
        let (targets, first) =
            overlap.map_err(|error| Unavailable(format!("comparing targets broke: {error}")))?;
        if targets > 0 {
            let (name, revision, ssl_option) =
                (enforcement.name, origin.plan.revision, origin.plan.ssl_option);
            found.push(Opposing {
                name,
                revision,
                ssl_option,
                held,
                next_tick,
                zone: enforce.time_zone.clone(),
                targets,
                first,
            });
        }
        if found.len() == OPPOSING_MAX {
            break;
        }
    }
    Ok(found)
}

/// Proxies of both lists, but for those that the enforcement leaves alone because they flipped back
/// again and again.
fn overlap(ours: &[Target], theirs: &[Target], record: &Record) -> (u32, Vec<ProxyId>) {
    let mut wanted: Vec<ProxyId> = ours.iter().map(|target| target.proxy_id).collect();
    wanted.sort_unstable();
    let mut held = record.held().map(|flips| flips.ordinal).peekable();
    let (mut count, mut first) = (0, Vec::new());
    for (target, ordinal) in theirs.iter().zip(0_u32..) {
        if held.next_if_eq(&ordinal).is_some() || wanted.binary_search(&target.proxy_id).is_err() {
            continue;
        }
        count += 1;
        if first.len() < NAMED_MAX {
            first.push(target.proxy_id);
        }
    }
    (count, first)
}

/// What the journal keeps of them beside the submission; empty without any.
pub fn note(found: &[Opposing]) -> String {
    let parts = found.iter().map(|one| {
        let to = if one.ssl_option { "on" } else { "off" };
        format!("the enforcement {} keeps {} of them at ssl {to}", one.name, one.targets)
    });
    parts.collect::<Vec<_>>().join("; ")
}
