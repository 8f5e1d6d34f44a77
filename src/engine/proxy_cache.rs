//! Cache of recent proxy listings of one lane.
//!
//! Job: keep what a list of an instance's proxies said, for as long as it may replace a look before
//! a switch.
//!
//! Invariants: a view is returned for [`FRESH`] at most; at most [`INSTANCES_MAX`] instances are
//! kept, and a fresh one is not given up for a later one. Losing an entry costs one call.
//!
//! Deliberately not here: which change may use a view (`engine::core::spared_looks`), and what it
//! means (`domain::change`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::call::{ProxySeen, ProxyView};
use crate::domain::id::{InstanceId, ProxyId};
use crate::domain::quota::Boot;

/// How long a list counts as the look before. A proxy that others switch meanwhile is switched once
/// more to the same value, which harms nothing; what cannot bear even that looks anew.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Instances kept: a discovery of the largest fleets; about 3 MiB with one proxy each.
const INSTANCES_MAX: usize = 20_000;

/// What one list told, and when.
type CachedList = (Boot, Vec<(ProxyId, ProxyView)>);

/// The lists of one lane.
#[derive(Debug, Default)]
pub(super) struct ProxyCache {
    told: BTreeMap<InstanceId, CachedList>,
    /// The same by age, so that one more list costs no walk over all of them.
    by_age: BTreeSet<(Boot, InstanceId)>,
}

impl ProxyCache {
    /// Keeps what a list of this instance's proxies said; what was kept of it before is replaced.
    pub(super) fn insert(
        &mut self,
        instance: InstanceId,
        proxies: impl Iterator<Item = ProxySeen>,
        now: Boot,
    ) {
        while let Some((at, oldest)) = self.by_age.first().copied()
            && now >= at + FRESH
        {
            self.forget(&oldest);
        }
        self.forget(&instance);
        if self.told.len() < INSTANCES_MAX {
            self.by_age.insert((now, instance));
            self.told
                .insert(instance, (now, proxies.map(|seen| (seen.proxy_id, seen.view)).collect()));
        }
    }

    /// What was kept of the instance holds no longer.
    pub(super) fn forget(&mut self, instance: &InstanceId) {
        if let Some((at, _)) = self.told.remove(instance) {
            self.by_age.remove(&(at, *instance));
        }
    }

    /// The latest view of a proxy, while it is fresh.
    pub(super) fn get(
        &self,
        instance: &InstanceId,
        proxy: &ProxyId,
        now: Boot,
    ) -> Option<&ProxyView> {
        let (_, proxies) = self.told.get(instance).filter(|(at, _)| now < *at + FRESH)?;
        proxies.iter().find(|(known, _)| known == proxy).map(|(_, view)| view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::ProxyStatus;
    use crate::store::fixtures::target;

    fn tell(fresh: &mut ProxyCache, n: u32, now: Boot) {
        let view = ProxyView {
            ssl_option: Some(false),
            status: ProxyStatus::Idle,
            word: "ACTIVE".into(),
            endpoint: None,
        };
        let of = target(n, n);
        fresh.insert(
            of.instance_id,
            std::iter::once(ProxySeen { proxy_id: of.proxy_id, view }),
            now,
        );
    }

    fn knows(fresh: &ProxyCache, n: u32, now: Boot) -> bool {
        fresh.get(&target(n, n).instance_id, &target(n, n).proxy_id, now).is_some()
    }

    #[test]
    fn lists_age_and_make_room_and_are_no_more_than_the_bound() {
        let (mut fresh, second) = (ProxyCache::default(), Duration::from_secs(1));
        let most = u32::try_from(INSTANCES_MAX).expect("few");
        (0..most).for_each(|n| tell(&mut fresh, n, second * (n % 2)));
        tell(&mut fresh, most, second);
        assert!(
            knows(&fresh, 0, second) && !knows(&fresh, most, second),
            "what is fresh is not given up for what came later"
        );
        tell(&mut fresh, most, FRESH);
        assert!(knows(&fresh, most, FRESH) && !knows(&fresh, 0, FRESH) && knows(&fresh, 1, FRESH));
        assert_eq!(
            (fresh.told.len(), fresh.by_age.len()),
            (INSTANCES_MAX / 2 + 1, INSTANCES_MAX / 2 + 1)
        );
        tell(&mut fresh, most, FRESH + second);
        assert_eq!(fresh.told.len(), fresh.by_age.len(), "one told again has one age");
        fresh.forget(&target(most, most).instance_id);
        assert!(!knows(&fresh, most, FRESH + second) && fresh.told.len() == fresh.by_age.len());
    }
}
