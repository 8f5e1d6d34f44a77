//! A rollout's frozen targets, read by their place in the list.
//!
//! Invariants: the list never changes, and lies in memory or in a file of this machine. The
//! fingerprints serve one question only, whether two rollouts share a proxy: sixteen bytes a
//! target, so that a million targets cost 16 MB instead of being held.

use std::ops::ControlFlow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::domain::target::{Target, TargetList};

use super::Unavailable;

/// A frozen list of targets. It is read while the state is locked, so nothing that is far may stand
/// behind it: [`local::Local`] lists what may.
pub(crate) trait FrozenTargets: local::Local + Send + Sync + std::fmt::Debug {
    fn count(&self) -> u32;

    /// Reads the list once from end to end, so that no later question meets damage in it.
    fn check(&self) -> Result<(), Unavailable>;

    /// The target at this place.
    fn get(&self, ordinal: u32) -> Result<Target, Unavailable>;

    /// Nothing is asked for a while: what is kept in memory to answer quickly is given up.
    fn rest(&self) {}

    /// Targets that are kept in memory to answer quickly.
    #[cfg(test)]
    fn kept(&self) -> usize {
        0
    }

    /// Walks the list from `first` on until told to stop.
    fn scan(
        &self,
        first: u32,
        each: &mut dyn FnMut(u32, &Target) -> ControlFlow<()>,
    ) -> Result<(), Unavailable>;
}

mod local {
    use crate::domain::target::TargetList;
    use crate::store::submission::StoredSubmission;

    /// What may be read under the state's lock: memory, and files of this machine. Nothing outside
    /// of this file can name it, so whoever adds a kind of list does it here.
    pub trait Local {}

    impl Local for TargetList {}
    impl Local for StoredSubmission {}
}

pub(crate) fn all(targets: &dyn FrozenTargets) -> Result<Vec<Target>, Unavailable> {
    let mut list = Vec::with_capacity(targets.count() as usize);
    targets.scan(0, &mut |_, target| {
        list.push(target.clone());
        ControlFlow::Continue(())
    })?;
    Ok(list)
}

impl FrozenTargets for TargetList {
    fn count(&self) -> u32 {
        u32::try_from(self.len()).expect("a plan is cut to fewer than 2^32 targets")
    }

    fn check(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn get(&self, ordinal: u32) -> Result<Target, Unavailable> {
        let found = usize::try_from(ordinal).ok().and_then(|place| <[Target]>::get(self, place));
        found.cloned().ok_or_else(|| Unavailable(format!("the list ends before target {ordinal}")))
    }

    fn scan(
        &self,
        first: u32,
        each: &mut dyn FnMut(u32, &Target) -> ControlFlow<()>,
    ) -> Result<(), Unavailable> {
        // The list is asked first: a place after its end has no number.
        for (target, ordinal) in self.iter().skip(first as usize).zip(first..) {
            if each(ordinal, target).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The proxies of one rollout, as sorted fingerprints.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprints(Arc<[u128]>);

impl Fingerprints {
    /// Fingerprints of these targets.
    pub fn of<'a>(targets: impl Iterator<Item = &'a Target>) -> Self {
        let mut all: Vec<u128> = targets.map(fingerprint).collect();
        all.sort_unstable();
        Self(all.into())
    }

    /// Fingerprints of a whole list, read once from end to end.
    pub fn read(targets: &dyn FrozenTargets) -> Result<Self, Unavailable> {
        let mut all = Vec::with_capacity(targets.count() as usize);
        targets.scan(0, &mut |_, target| {
            all.push(fingerprint(target));
            ControlFlow::Continue(())
        })?;
        all.sort_unstable();
        Ok(Self(all.into()))
    }

    /// Fingerprints that both have.
    fn shared(&self, other: &Self) -> Vec<u128> {
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut shared = Vec::new();
        while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
            match our.cmp(their) {
                std::cmp::Ordering::Less => drop(ours.next()),
                std::cmp::Ordering::Greater => drop(theirs.next()),
                std::cmp::Ordering::Equal => {
                    shared.push(**our);
                    ours.next();
                    theirs.next();
                }
            }
        }
        shared
    }
}

/// What two rollouts share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// The first shared proxy in the newer list's order.
    pub proxy: String,
    /// How many are shared.
    pub count: usize,
}

/// The proxies that `newer` shares with a rollout that is there. Equal fingerprints are looked up
/// in both lists.
pub(crate) fn overlap(
    newer: &dyn FrozenTargets,
    newer_prints: &Fingerprints,
    there: &dyn FrozenTargets,
    there_prints: &Fingerprints,
) -> Result<Option<Overlap>, Unavailable> {
    let shared = newer_prints.shared(there_prints);
    if shared.is_empty() {
        return Ok(None);
    }
    let mut theirs = std::collections::HashSet::new();
    there.scan(0, &mut |_, target| {
        if shared.binary_search(&fingerprint(target)).is_ok() {
            theirs.insert(target.proxy_id);
        }
        ControlFlow::Continue(())
    })?;
    let mut found: Option<Overlap> = None;
    newer.scan(0, &mut |_, target| {
        if shared.binary_search(&fingerprint(target)).is_ok() && theirs.contains(&target.proxy_id) {
            let overlap = found
                .get_or_insert_with(|| Overlap { proxy: target.proxy_id.to_string(), count: 0 });
            overlap.count += 1;
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// A proxy is one, whatever the lane that reaches it.
fn fingerprint(target: &Target) -> u128 {
    let full: [u8; 32] = Sha256::digest(target.proxy_id.as_str()).into();
    u128::from_be_bytes(full[..16].try_into().expect("sixteen bytes of thirty-two"))
}
