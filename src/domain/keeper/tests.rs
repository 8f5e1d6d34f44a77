//! Keepers over one store, with clocks that run apart, lost and late messages, standing and dying
//! daemons, and failovers to an older copy: a small simulation of heartbeats.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::*;

/// Real time, in nanoseconds.
type RealNanos = u64;
const MS: RealNanos = 1_000_000;
const S: RealNanos = 1_000 * MS;

/// Faults end then.
const CALM_AT: RealNanos = 150 * S;
/// By then every lane has its keeper, and all are even.
const EVEN_AT: RealNanos = CALM_AT + 60 * S;
/// Until then nothing moves any more.
const END_AT: RealNanos = EVEN_AT + 30 * S;
/// Seeds of a run.
const SEEDS: u64 = 120;

/// Bugs planted at the boundary of the shipped code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlantedLease {
    Nothing,
    /// A lane is trusted from when the answer came.
    TrustedFromReply,
    /// A lane is taken three seconds before its keeper has stood still for a lease.
    TakenEarly,
    /// The store does not ask whether the former keeper still stands.
    FormerNotAsked,
    /// The store does not ask whether somebody else has taken the lane since.
    VersionNotAsked,
    /// Nobody sees that the store is another copy.
    FailoverUnseen,
}

enum BeatEvent {
    Beat { life: u32 },
    AtStore { life: u32, beat: Box<Heartbeat>, sent: Boot },
    Answer { life: u32, tables: Box<KeeperTables>, sent: Boot },
    Freeze { lasts: RealNanos },
    Crash,
    Start,
    Leave,
    Failover,
}

struct BeatingDaemon {
    name: Name,
    /// How many millionths its clock is fast.
    fast: i64,
    lanes: BTreeSet<Name>,
    keeper: Option<Keeper>,
    life: u32,
    frozen_until: RealNanos,
    /// A lane that it does not reach in this time.
    cut: Option<(Name, RealNanos, RealNanos)>,
    /// It stays away when it has left.
    gone: bool,
}

impl BeatingDaemon {
    fn boot(&self, now: RealNanos) -> Boot {
        let off = i128::from(now) * i128::from(self.fast) / 1_000_000;
        let boot = i128::from(now) + off + 1_000 * i128::from(S);
        Boot::from_nanos(u64::try_from(boot).expect("after the start"))
    }
}

struct BeatWorld {
    rng: Rng,
    planted: PlantedLease,
    now: RealNanos,
    queue: BTreeMap<(RealNanos, u64), (usize, BeatEvent)>,
    next: u64,
    daemons: Vec<BeatingDaemon>,
    tables: KeeperTables,
    /// Copies that a failover may bring back.
    older: Vec<KeeperTables>,
    loss: f64,
    late: RealNanos,
    /// Failovers that come right after a lane was taken: what is lost then is that take.
    aimed: u32,
    fired: BTreeMap<&'static str, u64>,
    broken: Option<String>,
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

impl BeatWorld {
    fn new(seed: u64, planted: PlantedLease) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5ea1_1f70_0000_0086);
        let lanes: Vec<Name> = (0..rng.usize(1..=7)).map(|n| name(&format!("lane-{n}"))).collect();
        let alike = rng.bool();
        let daemons: Vec<BeatingDaemon> = (0..rng.usize(2..=4))
            .map(|n| {
                let own = |_: &&Name| alike || rng.f64() < 0.7;
                let own: BTreeSet<Name> = lanes.iter().filter(own).cloned().collect();
                let from = rng.u64(0..CALM_AT / 2);
                let cut = (rng.f64() < 0.3).then(|| {
                    (lanes[rng.usize(0..lanes.len())].clone(), from, from + rng.u64(0..CALM_AT / 2))
                });
                BeatingDaemon {
                    name: name(&format!("db-{n}")),
                    fast: rng.i64(-41_000..=41_000),
                    lanes: own,
                    keeper: None,
                    life: 0,
                    frozen_until: 0,
                    cut,
                    gone: false,
                }
            })
            .collect();
        let mut world = Self {
            planted,
            now: 0,
            queue: BTreeMap::new(),
            next: 0,
            daemons,
            tables: KeeperTables::default(),
            older: Vec::new(),
            loss: if rng.bool() { rng.f64() * 0.3 } else { 0.0 },
            late: if rng.bool() { rng.u64(1..4 * S) } else { 50 * MS },
            aimed: if rng.bool() { rng.u32(1..6) } else { 0 },
            fired: BTreeMap::new(),
            broken: None,
            rng,
        };
        for place in 0..world.daemons.len() {
            let at = world.rng.u64(0..20 * S);
            world.push(at, place, BeatEvent::Start);
            for _ in 0..world.rng.u32(0..4) {
                let (at, lasts) = (world.rng.u64(0..CALM_AT), world.rng.u64(S..15 * S));
                world.push(at, place, BeatEvent::Freeze { lasts });
            }
            for _ in 0..world.rng.u32(0..3) {
                let at = world.rng.u64(0..CALM_AT);
                let what = if world.rng.bool() { BeatEvent::Crash } else { BeatEvent::Leave };
                world.push(at, place, what);
            }
        }
        for _ in 0..world.rng.u32(0..3) {
            let at = world.rng.u64(0..CALM_AT);
            world.push(at, 0, BeatEvent::Failover);
        }
        world
    }

    fn push(&mut self, after: RealNanos, place: usize, what: BeatEvent) {
        self.next += 1;
        self.queue.insert((self.now + after, self.next), (place, what));
    }

    fn fire(&mut self, word: &'static str) {
        *self.fired.entry(word).or_default() += 1;
    }

    fn calm(&self) -> bool {
        self.now >= CALM_AT
    }

    /// A way of a message; `None`: it is lost.
    fn way(&mut self) -> Option<RealNanos> {
        if self.calm() {
            return Some(self.rng.u64(0..20 * MS));
        }
        (self.rng.f64() >= self.loss).then(|| self.rng.u64(0..self.late))
    }

    fn run(mut self) -> Self {
        let mut even = None;
        while let Some(((at, _), (place, what))) = self.queue.pop_first() {
            if even.is_none() && at >= EVEN_AT {
                self.look_whether_even();
                even = Some(self.tables.lanes.clone());
            }
            if at >= END_AT || self.broken.is_some() {
                break;
            }
            self.now = at;
            self.happen(place, what);
        }
        if self.broken.is_none() && even.is_some_and(|even| even != self.tables.lanes) {
            self.broken = Some("lanes still move in the calm".to_owned());
        }
        self
    }

    fn happen(&mut self, place: usize, what: BeatEvent) {
        let frozen = self.daemons[place].frozen_until;
        let inside = matches!(what, BeatEvent::Beat { .. } | BeatEvent::Answer { .. });
        if inside && frozen > self.now {
            return self.push(frozen - self.now, place, what);
        }
        match what {
            BeatEvent::Start => self.start(place),
            BeatEvent::Crash => self.crash(place),
            BeatEvent::Leave => {
                if let Some(keeper) = &mut self.daemons[place].keeper {
                    keeper.leave();
                    self.daemons[place].gone = self.rng.f64() < 0.3;
                    self.fire("leave");
                }
            }
            BeatEvent::Freeze { lasts } => {
                self.fire("freeze");
                self.daemons[place].frozen_until = frozen.max((self.now + lasts).min(CALM_AT));
            }
            BeatEvent::Failover => {
                self.fire("failover");
                let epoch = self.tables.epoch + 1;
                let back = self.rng.usize(0..=self.older.len().min(12));
                if let Some(older) = self.older.len().checked_sub(back).filter(|_| back > 0) {
                    self.tables = self.older[older].clone();
                }
                self.tables.epoch =
                    if self.planted == PlantedLease::FailoverUnseen { 0 } else { epoch };
            }
            BeatEvent::Beat { life } => self.beat(place, life),
            BeatEvent::AtStore { life, beat, sent } => self.at_store(place, life, &beat, sent),
            BeatEvent::Answer { life, tables, sent } => self.answer(place, life, *tables, sent),
        }
    }

    fn start(&mut self, place: usize) {
        let daemon = &mut self.daemons[place];
        if daemon.keeper.is_some() || daemon.gone {
            return;
        }
        let me = DaemonRun { name: daemon.name.clone(), run: self.rng.u64(..) };
        daemon.keeper = Some(Keeper::new(me, daemon.lanes.clone()));
        let life = daemon.life;
        self.push(0, place, BeatEvent::Beat { life });
    }

    fn crash(&mut self, place: usize) {
        if self.daemons[place].keeper.take().is_some() {
            self.fire("crash");
        }
        self.daemons[place].life += 1;
        let rest = self.rng.u64(0..20 * S);
        self.push(rest, place, BeatEvent::Start);
    }

    fn beat(&mut self, place: usize, life: u32) {
        let (now, calm) = (self.now, self.calm());
        let daemon = &mut self.daemons[place];
        let boot = daemon.boot(now);
        let cut = daemon.cut.clone().filter(|(_, from, until)| (*from..*until).contains(&now));
        let begun = cut.as_ref().map(|(_, from, _)| daemon.boot(*from));
        let Some(keeper) = daemon.keeper.as_mut().filter(|_| daemon.life == life) else { return };
        match (cut, begun) {
            (Some((lane, ..)), Some(begun)) => keeper.out_of_reach(&lane, begun, boot),
            _ => {
                for lane in keeper.kept().keys().cloned().collect::<Vec<_>>() {
                    keeper.reached(&lane);
                }
            }
        }
        let giving = keeper.kept().iter().filter(|(_, kept)| kept.giving);
        let back: BTreeSet<Name> =
            giving.map(|(lane, _)| lane.clone()).filter(|_| calm || self.rng.bool()).collect();
        let early = if self.planted == PlantedLease::TakenEarly { LEASE / 2 } else { Boot::ZERO };
        let beat = keeper.next_beat(boot + early, &back);
        if keeper.has_left() {
            daemon.keeper = None;
            daemon.life += 1;
            self.fire("left");
            return self.push(S, place, BeatEvent::Start);
        }
        match self.way() {
            Some(way) => {
                let beat = Box::new(beat);
                self.push(way, place, BeatEvent::AtStore { life, beat, sent: boot });
            }
            None => self.fire("request_lost"),
        }
        self.push(S, place, BeatEvent::Beat { life });
    }

    fn at_store(&mut self, place: usize, life: u32, beat: &Heartbeat, sent: Boot) {
        let before = self.tables.clone();
        let mut beat = beat.clone();
        match self.planted {
            PlantedLease::FormerNotAsked => {
                for take in beat.takes.values_mut() {
                    if let Some((former, at)) = &mut take.from {
                        *at = self.tables.beat_of(former).unwrap_or(*at);
                    }
                }
            }
            PlantedLease::VersionNotAsked => {
                for (lane, take) in &mut beat.takes {
                    let row = self.tables.lanes.get(lane).cloned().unwrap_or_default();
                    take.version = row.version;
                    take.from = row.keeper.map(|run| {
                        let at = self.tables.beat_of(&run).unwrap_or(0);
                        (run, at)
                    });
                }
            }
            _ => {}
        }
        self.tables.apply(&beat);
        let mut taken = false;
        for (lane, row) in &self.tables.lanes {
            let was = before.lanes.get(lane).and_then(|was| was.keeper.as_ref());
            taken |= row.keeper.is_some() && was != row.keeper.as_ref();
            let word = match (was, &row.keeper) {
                (None, Some(_)) => "taken",
                (Some(_), None) => "given_up",
                (Some(was), Some(is)) if was != is => "taken_over",
                _ => continue,
            };
            *self.fired.entry(word).or_default() += 1;
        }
        if self.tables.daemons.values().any(|row| row.lapsed) {
            self.fire("lapsed");
        }
        if beat.over.is_some() && self.tables.daemons.contains_key(&beat.name) {
            self.fire("replaced");
        }
        self.older.push(self.tables.clone());
        if taken && self.aimed > 0 && !self.calm() && self.rng.bool() {
            self.aimed -= 1;
            let soon = self.rng.u64(0..S);
            self.push(soon, 0, BeatEvent::Failover);
        }
        match self.way() {
            Some(way) => {
                let tables = Box::new(self.tables.clone());
                self.push(way, place, BeatEvent::Answer { life, tables, sent });
            }
            None => self.fire("answer_lost"),
        }
    }

    fn answer(&mut self, place: usize, life: u32, tables: KeeperTables, sent: Boot) {
        let now = self.now;
        let daemon = &mut self.daemons[place];
        let boot = daemon.boot(now);
        let Some(keeper) = daemon.keeper.as_mut().filter(|_| daemon.life == life) else { return };
        let sent = if self.planted == PlantedLease::TrustedFromReply { boot } else { sent };
        keeper.answered(sent, boot, tables);
        if keeper.kept().values().any(|kept| kept.giving) {
            self.fire("giving");
        }
        self.look_for_two();
    }

    fn trusts(&self, daemon: &BeatingDaemon, lane: &Name) -> bool {
        let kept = daemon.keeper.as_ref().and_then(|keeper| keeper.kept().get(lane));
        kept.is_some_and(|kept| daemon.boot(self.now) < kept.until)
    }

    fn look_for_two(&mut self) {
        let lanes: BTreeSet<&Name> = self.daemons.iter().flat_map(|daemon| &daemon.lanes).collect();
        for lane in lanes {
            let trusting: Vec<&Name> = self
                .daemons
                .iter()
                .filter(|daemon| self.trusts(daemon, lane))
                .map(|daemon| &daemon.name)
                .collect();
            if trusting.len() > 1 {
                self.broken = Some(format!("{lane} is trusted by {trusting:?}"));
                return;
            }
        }
    }

    fn look_whether_even(&mut self) {
        self.now = EVEN_AT;
        let living: Vec<&BeatingDaemon> = self
            .daemons
            .iter()
            .filter(|daemon| daemon.keeper.as_ref().is_some_and(|keeper| !keeper.leaving))
            .collect();
        let lanes: BTreeSet<&Name> = living.iter().flat_map(|daemon| &daemon.lanes).collect();
        let has =
            |daemon: &BeatingDaemon| lanes.iter().filter(|lane| self.trusts(daemon, lane)).count();
        let broken = lanes.iter().find_map(|lane| {
            let keeper = living.iter().find(|daemon| self.trusts(daemon, lane));
            let Some(keeper) = keeper else { return Some(format!("{lane} has no keeper")) };
            let uneven = living.iter().find(|other| {
                let unreached = other.keeper.as_ref().is_some_and(|keeper| {
                    keeper.unreached.get(*lane).is_some_and(|until| other.boot(self.now) < *until)
                });
                other.lanes.contains(*lane) && !unreached && has(other) + 2 <= has(keeper)
            })?;
            Some(format!("{lane} is with {}, {} has two less", keeper.name, uneven.name))
        });
        self.broken = self.broken.take().or(broken);
    }
}

#[test]
fn one_daemon_at_a_time_trusts_that_it_has_a_lane_and_each_lane_finds_one() {
    let mut fired: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let world = BeatWorld::new(seed, PlantedLease::Nothing).run();
        assert_eq!(world.broken, None, "seed {seed}");
        for (word, count) in world.fired {
            *fired.entry(word).or_default() += count;
        }
    }
    for word in [
        "answer_lost",
        "crash",
        "failover",
        "freeze",
        "given_up",
        "giving",
        "lapsed",
        "leave",
        "left",
        "replaced",
        "request_lost",
        "taken",
        "taken_over",
    ] {
        assert!(fired.contains_key(word), "{word} never happened: {fired:?}");
    }
}

#[test]
fn planted_bugs_of_leases_are_found() {
    for planted in [
        PlantedLease::TrustedFromReply,
        PlantedLease::TakenEarly,
        PlantedLease::FormerNotAsked,
        PlantedLease::VersionNotAsked,
        PlantedLease::FailoverUnseen,
    ] {
        let first = (0..SEEDS).find_map(|seed| {
            let broken = BeatWorld::new(seed, planted).run().broken?;
            Some((seed, broken))
        });
        println!("{planted:?}: {first:?}");
        assert!(first.is_some(), "{planted:?} was not found");
    }
}

fn offers(daemons: &[(&str, &[&str])]) -> Vec<(Name, BTreeMap<Name, LaneOffer>)> {
    let offer = |lane: &&str| match lane.strip_prefix('!') {
        Some(lane) => (name(lane), LaneOffer::Unreached),
        None => (name(lane), LaneOffer::Willing),
    };
    let of = |(daemon, lanes): &(&str, &[&str])| (name(daemon), lanes.iter().map(offer).collect());
    daemons.iter().map(of).collect()
}

fn shared(lanes: &[(&str, Option<&str>)], daemons: &[(&str, &[&str])]) -> Vec<(String, String)> {
    let rows = offers(daemons);
    let offers: Offers<'_> = rows.iter().map(|(daemon, lanes)| (daemon, lanes)).collect();
    let lanes = lanes.iter().map(|(lane, keeper)| (name(lane), keeper.map(name))).collect();
    let shared = share_out(&lanes, &offers);
    shared.into_iter().map(|(lane, daemon)| (lane.to_string(), daemon.to_string())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(lane, daemon)| ((*lane).into(), (*daemon).into())).collect()
}

#[test]
fn a_lane_stays_with_its_keeper_as_long_as_the_shares_are_even() {
    let all: &[&str] = &["a", "b", "c"];
    assert_eq!(
        shared(&[("a", Some("x")), ("b", Some("x")), ("c", Some("y"))], &[("x", all), ("y", all)]),
        pairs(&[("a", "x"), ("b", "x"), ("c", "y")])
    );
    let moved =
        shared(&[("a", Some("x")), ("b", Some("x")), ("c", Some("x"))], &[("x", all), ("y", all)]);
    let to_y = moved.iter().filter(|(_, daemon)| daemon == "y").count();
    assert_eq!(to_y, 1, "one lane is enough: {moved:?}");
}

#[test]
fn who_cannot_reach_a_lane_has_it_only_while_nobody_else_can() {
    let lane = &[("a", Some("x"))];
    assert_eq!(shared(lane, &[("x", &["!a"]), ("y", &["a"])]), pairs(&[("a", "y")]));
    assert_eq!(
        shared(lane, &[("x", &["!a"]), ("y", &["!a"])]),
        pairs(&[("a", "x")]),
        "where nobody reaches it, it stays"
    );
    assert_eq!(shared(lane, &[("y", &["b"])]), pairs(&[]), "nobody has it in the configuration");
}

#[test]
fn shares_are_even_and_a_daemon_that_goes_moves_only_its_own() {
    let mut rng = Rng::with_seed(86);
    for _ in 0..60 {
        let lanes: Vec<String> = (0..rng.usize(1..12)).map(|n| format!("l{n}")).collect();
        let lanes: Vec<&str> = lanes.iter().map(String::as_str).collect();
        let names: Vec<String> = (0..rng.usize(2..6)).map(|n| format!("d{n}")).collect();
        let daemons: Vec<(&str, &[&str])> =
            names.iter().map(|name| (name.as_str(), lanes.as_slice())).collect();
        let free: Vec<(&str, Option<&str>)> = lanes.iter().map(|lane| (*lane, None)).collect();
        let first = shared(&free, &daemons);
        let load = |of: &[(String, String)], daemon: &str| {
            of.iter().filter(|(_, has)| has == daemon).count()
        };
        let loads: Vec<usize> = names.iter().map(|name| load(&first, name)).collect();
        assert!(loads.iter().max() <= loads.iter().min().map(|least| least + 1).as_ref());
        let left = &daemons[1..];
        let kept: Vec<(&str, Option<&str>)> = first
            .iter()
            .map(|(lane, has)| (lane.as_str(), Some(has.as_str()).filter(|has| *has != names[0])))
            .collect();
        for ((lane, was), (_, is)) in first.iter().zip(shared(&kept, left)) {
            assert!(*was == is || *was == names[0], "{lane} went from {was} to {is}");
        }
    }
}

#[test]
fn one_of_the_daemons_looks_after_a_rollout() {
    let living: BTreeSet<Name> = ["x", "y", "z"].map(name).into();
    let mut had = BTreeMap::new();
    for rollout in 0..30 {
        let what = format!("rollout-{rollout}");
        let by =
            |me: &&Name| Fellows { me: (*me).clone(), living: living.clone() }.looks_after(&what);
        let looking: Vec<&Name> = living.iter().filter(by).collect();
        assert_eq!(looking.len(), 1);
        *had.entry(looking[0].clone()).or_insert(0) += 1;
    }
    assert_eq!(had.len(), 3, "all have some: {had:?}");
    let alone = Fellows { me: name("x"), living: BTreeSet::new() };
    assert!(alone.looks_after(&"any"), "who sees nobody looks himself");
}

#[test]
fn a_second_daemon_of_a_name_is_not_admitted_while_the_first_one_lives() {
    let (mut tables, at) = (KeeperTables::default(), Boot::from_secs);
    let lanes: BTreeSet<Name> = [name("a")].into();
    let mut first = Keeper::new(DaemonRun { name: name("x"), run: 1 }, lanes.clone());
    let mut second = Keeper::new(DaemonRun { name: name("x"), run: 2 }, lanes);
    let none = BTreeSet::new();
    let mut turn = |keeper: &mut Keeper, now| {
        tables.apply(&keeper.next_beat(at(now), &none));
        keeper.answered(at(now), at(now), tables.clone());
        keeper.is_admitted()
    };
    for now in 100..120 {
        assert!(turn(&mut first, now));
        assert!(!turn(&mut second, now), "two of one name at {now}");
    }
    let admitted = (120..140).find(|now| turn(&mut second, *now));
    assert_eq!(admitted, Some(125), "a lease after it saw the last of the first one");
    assert!(!turn(&mut first, 140), "who was frozen for so long finds its name taken");
    assert!(first.kept().is_empty());
}
