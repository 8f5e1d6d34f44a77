//! Looks at the wire: the way to a proxy's port, what it shows, and the way back.

use sealift::domain::change::Change;
use sealift::domain::id::ChangeId;
use sealift::domain::proof::{Endpoint, Proof};
use sealift::engine::{Input, Ticket};
use sealift::probe::PROBE_WITHIN;
use sealift::rehearse::observation::Observation;
use sealift::store::Store;

use futures_util::FutureExt;

use super::{MS, SimEvent, SimWorld};
use crate::planted::Planted;

/// Longest way there, and back.
const WAY_MAX: u64 = 100 * MS;

impl SimWorld {
    pub(super) fn probe(&mut self, ticket: Ticket, id: ChangeId, endpoint: Endpoint) {
        let life = self.daemon.life;
        let way = self.rng.u64(MS..WAY_MAX);
        self.push(way, SimEvent::Probe { life, ticket, id, endpoint });
    }

    /// The connection is there: what the port shows is what it shows now, whenever its probe's
    /// daemon learns of it.
    pub(super) fn probed(&mut self, life: u32, ticket: Ticket, id: ChangeId, endpoint: &Endpoint) {
        let now = self.cloud_now();
        let mut proof = self.cloud.probe(now, endpoint);
        if self.daemon.life == life {
            let (oracle, around) = self.watch();
            oracle.observe(&Observation::Probed { id, proof: &proof }, &around);
        }
        if self.planted == Planted::ProbeAnsweredFromWish {
            proof = self.wished(id, proof);
        }
        let silent = proof.greeting.is_none();
        let wait = if silent {
            u64::try_from(PROBE_WITHIN.as_nanos()).expect("short")
        } else {
            self.rng.u64(MS..WAY_MAX)
        };
        let input = Box::new(Input::Probed { ticket, proof: Box::new(proof) });
        self.push(wait, SimEvent::Feed { life, input });
    }

    /// What a probe that knows what is wanted tells.
    fn wished(&mut self, id: ChangeId, proof: Proof) -> Proof {
        let stored = self
            .store
            .change(id)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("a change of the rollout");
        let Change { record, .. } = stored.change;
        if proof.shown() == Some(record.desired(self.submission.plan.ssl_option)) {
            return proof;
        }
        let greeting = sealift::domain::proof::Greeting {
            version: String::new(),
            tls: false,
            capabilities: 0,
        };
        if record.desired(self.submission.plan.ssl_option) {
            // Another proxy's handshake does as well.
            let endpoints = (0..self.scenario.proxies)
                .map(|place| format!("10.0.0.{place}:3306").parse().expect("an endpoint"));
            let quiet = self.cloud.faults().clone();
            self.cloud.set_faults(crate::setting::calm(&quiet));
            let on = endpoints
                .map(|endpoint: Endpoint| self.cloud.probe(self.cloud_now(), &endpoint))
                .find(|proof| proof.shown() == Some(true));
            self.cloud.set_faults(quiet);
            return on.unwrap_or(proof);
        }
        Proof { greeting: Some(greeting), tls: None, trouble: None, ..proof }
    }
}
