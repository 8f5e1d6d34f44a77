use futures_util::FutureExt as _;

use super::*;
use crate::clock::Times;
use crate::domain::change::{How, Record, ShownByApi, State};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::plan::WireRules;
use crate::domain::proof::{TlsVersion, Trouble, TroubleWord};
use crate::engine::staged::lane;
use crate::engine::{Input, Options, Ticket};
use crate::store::memory::MemoryStore;
use crate::store::{Active, Store as _, fixtures};

const CHANGES: usize = PROBES_MAX + 9;

fn times(second: i64) -> Times {
    Times {
        wall: fixtures::at(second),
        boot: Duration::from_secs(u64::try_from(second).expect("after the start")),
    }
}

fn silent(endpoint: &Endpoint) -> Box<Proof> {
    let trouble = Trouble { word: TroubleWord::TimedOut, message: "silent".into() };
    let (endpoint, at) = (endpoint.clone(), fixtures::at(0));
    Box::new(Proof {
        endpoint,
        at,
        took_ms: 9,
        greeting: None,
        tls: None,
        login: None,
        trouble: Some(trouble),
    })
}

/// A core whose changes all wait for a proof, and what it asked for so far.
struct ProbeFixture {
    core: Core,
    probes: Vec<(Ticket, Endpoint)>,
}

impl ProbeFixture {
    fn new() -> Self {
        let core = Core::new(
            Options {
                lanes: vec![Lane { max_in_flight: 100, ..lane("main") }],
                quota_spent: false,
                levels: Vec::new(),
            },
            times(0),
        );
        let mut bench = Self { core, probes: Vec::new() };
        bench.step(0, Input::Tick);
        bench.step(0, scanned());
        bench
    }

    fn step(&mut self, second: i64, input: Input) {
        let mut effects = Vec::new();
        self.core.step(times(second), input, &mut effects);
        for effect in effects {
            if let Effect::Probe { ticket, endpoint, .. } = effect {
                self.probes.push((ticket, endpoint));
            }
        }
    }
}

/// A rollout under a plan that asks for a proof, all its changes active and shown by the API.
fn scanned() -> Input {
    let store = MemoryStore::new();
    let mut submission = fixtures::submission("alpha", &[CHANGES as u32], 0);
    submission.plan.wire = Some(WireRules { min_tls: TlsVersion::V12, ca: None });
    let id = submission.id();
    store.submit(submission).now_or_never().expect("ready").expect("taken");
    let open = store.open_rollouts().now_or_never().expect("ready").expect("memory");
    let page =
        store.page(id, Vec::new(), None, CHANGES).now_or_never().expect("ready").expect("memory");
    let waiting = |(active, place): (Active, usize)| {
        let shown = ShownByApi {
            endpoint: format!("10.0.0.{place}:3306").parse().expect("an endpoint"),
            how: How::Switched,
        };
        let record = Record {
            state: State::Verifying { job: None },
            shown: Some(Box::new(shown)),
            version: 5,
            ..Record::queued()
        };
        let mut change = active.change;
        change.target.lane = Name::parse("main", "lane").expect("a name");
        change.record = record;
        Active { change, due: Some(fixtures::at(0)), ..active }
    };
    Input::Scanned { open, due: page.changes.into_iter().zip(0..).map(waiting).collect() }
}

#[test]
fn no_more_probes_are_out_than_there_are_places() {
    let mut bench = ProbeFixture::new();
    assert_eq!(bench.probes.len(), PROBES_MAX);
    let (ticket, endpoint) = bench.probes[0].clone();
    bench.step(1, Input::Probed { ticket, proof: silent(&endpoint) });
    assert_eq!(bench.probes.len(), PROBES_MAX + 1, "a place that is free goes to the next in line");
    let places: std::collections::BTreeSet<&Endpoint> =
        bench.probes.iter().map(|(_, endpoint)| endpoint).collect();
    assert_eq!(places.len(), PROBES_MAX + 1, "one probe a target");
    bench.step(1, Input::Drain);
    let (ticket, endpoint) = bench.probes[1].clone();
    bench.step(2, Input::Probed { ticket, proof: silent(&endpoint) });
    assert_eq!(bench.probes.len(), PROBES_MAX + 1, "whoever drains begins none");
    for (ticket, endpoint) in bench.probes.clone().split_off(2) {
        bench.step(3, Input::Probed { ticket, proof: silent(&endpoint) });
    }
    assert_eq!(bench.core.probes.out, 0, "every place comes back");
}
