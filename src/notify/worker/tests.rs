//! One receiver in virtual time: away, gone, back, and over restarts.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::cloud::secret;
use crate::domain::change::{Reason, ReasonWord, State};
use crate::domain::id::Name;
use crate::domain::lane::SecretSource;
use crate::domain::rollout::Phase;
use crate::notify::lanes::{LaneCause, LaneNews, LaneSight};
use crate::store::fixtures;
use crate::store::memory::MemoryStore;

/// The clock of tokio's paused time.
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn times(&self) -> Times {
        let boot = self.0.elapsed();
        Times { wall: fixtures::at(0).saturating_add(boot).expect("an instant"), boot }
    }
}

/// Answers as it is told to, and remembers what it was sent.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<ReceiverAnswer>>,
    /// What it answers when nothing else is asked for; `None`: it takes everything.
    usual: Mutex<Option<ReceiverAnswer>>,
    /// Ids with whether they were taken.
    seen: Mutex<Vec<(String, bool)>>,
}

impl Posts for Script {
    fn post<'a>(
        &'a self,
        _: &'a ReceiverUrl,
        message: SignedMessage,
    ) -> BoxFuture<'a, ReceiverAnswer> {
        Box::pin(async move {
            // A call takes its time, in which others go on.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let usual = self.usual.lock().expect("whole").clone();
            let answer = self.answers.lock().expect("whole").pop_front().or(usual);
            let taken = ReceiverAnswer::Taken { status: 200, excerpt: String::new() };
            let answer = answer.unwrap_or(taken);
            self.seen.lock().expect("whole").push((message.id, answer.is_taken()));
            answer
        })
    }
}

impl Script {
    fn seen(&self) -> Vec<(String, bool)> {
        self.seen.lock().expect("whole").clone()
    }

    /// The sequences that were taken, in their order.
    fn taken(&self) -> Vec<String> {
        let seen = self.seen();
        let part = |id: &str| id.split('_').nth(1).unwrap_or_default().to_owned();
        seen.iter().filter(|(_, taken)| *taken).map(|(id, _)| part(id)).collect()
    }

    fn usually(&self, answer: Option<ReceiverAnswer>) {
        *self.usual.lock().expect("whole") = answer;
    }
}

fn refused() -> Option<ReceiverAnswer> {
    let (text, excerpt) = ("answered 500".to_owned(), String::new());
    Some(ReceiverAnswer::Refused { text, retry_after: None, excerpt })
}

struct WorkerFixture {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    on: Vec<NoticeWord>,
}

/// A daemon's worker that runs.
struct RunningWorker {
    sending: Arc<Sending>,
    lanes: Arc<LaneLog>,
    stop: CancellationToken,
    worker: JoinHandle<()>,
    reader: JoinHandle<()>,
}

impl RunningWorker {
    async fn end(self) {
        self.stop.cancel();
        self.worker.await.expect("it ends");
        self.reader.abort();
    }

    /// As a kill: nothing is put away.
    fn kill(self) {
        self.worker.abort();
        self.reader.abort();
    }
}

impl WorkerFixture {
    fn new(on: &[NoticeWord]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        secret::write(&folder.path().join("url"), "https://hooks.example.com/x");
        std::fs::create_dir(folder.path().join("notify")).expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock(Instant::now()));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self { folder, store, script: Arc::default(), clock, on: on.to_vec() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> CursorFile {
        CursorFile::of(&self.path().join("notify"), &name("ops"))
    }

    fn cursor(&self) -> Cursor {
        self.file().read().expect("readable").expect("there")
    }

    fn start(&self) -> RunningWorker {
        let receiver = Receiver {
            name: name("ops"),
            url: Some(SecretSource::File(self.path().join("url"))),
            secret: None,
            old_secret: None,
            on: self.on.iter().copied().collect(),
            shape: MessageShape::Slack,
        };
        let sending = Arc::new(Sending::new(receiver, self.file(), self.script.clone(), None));
        let end = self.store.health().seq;
        let lanes = Arc::new(LaneLog::open(&self.path().join("notify")));
        let (store, lane) = ("store".to_owned(), lanes.last());
        sending.begin(Cursor { store, seq: end, lane, ..Cursor::default() }, end);
        let feed = Arc::new(Feed::new(self.store.clone(), end));
        let stop = CancellationToken::new();
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let worker = Worker::new(sending.clone(), feed.clone(), lanes.clone(), store, clock);
        let worker = tokio::spawn(worker.run(stop.clone()));
        let reader = tokio::spawn(async move {
            loop {
                feed.read_along().await.expect("available");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        RunningWorker { sending, lanes, stop, worker, reader }
    }

    /// Submits, and tells it so at this second of the virtual wall clock.
    async fn submit(&self, title: &str, first: u32) -> RolloutId {
        let at = self.clock.times().wall;
        let submission =
            crate::store::Submission { at, ..fixtures::submission(title, &[4], first) };
        self.store.submit(submission).await.expect("taken").id
    }
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

/// Virtual time passes, and what is due happens.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const SUBMITTED: &[NoticeWord] = &[NoticeWord::Submitted];

#[tokio::test(start_paused = true)]
async fn told_in_order_once_and_not_again_after_a_restart() {
    let world = WorkerFixture::new(&[NoticeWord::Submitted, NoticeWord::Aborted]);
    world.submit("before", 0).await;
    let running = world.start();
    let id = world.submit("one", 100).await;
    world.submit("two", 200).await;
    fixtures::abort(&*world.store, id).await;
    pass(3).await;
    assert_eq!(world.script.taken(), ["2", "3", "4"], "what was before it was there is not told");
    assert_eq!(world.script.seen()[0].0, "store_2_ops");
    assert_eq!(world.cursor().seq, 4);
    running.end().await;
    let running = world.start();
    world.submit("three", 300).await;
    pass(3).await;
    assert_eq!(world.script.taken(), ["2", "3", "4", "5"]);
    assert_eq!(running.sending.standing().taken, 1);
    running.end().await;
}

/// The cursor moves after it was taken: a daemon that is killed while it tells, tells it again under
/// the same id.
#[tokio::test(start_paused = true)]
async fn killed_while_it_tells_it_tells_the_same_again() {
    let world = WorkerFixture::new(SUBMITTED);
    let running = world.start();
    world.submit("one", 0).await;
    while world.script.seen().is_empty() {
        assert!(world.cursor().seq == 0, "before it was taken");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The answer is there, and nothing is written of it yet.
    running.kill();
    let running = world.start();
    pass(3).await;
    let ids: Vec<String> = world.script.seen().into_iter().map(|(id, _)| id).collect();
    assert!(ids.iter().all(|id| id == "store_1_ops"), "{ids:?}");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn tried_again_under_the_same_id_and_the_next_one_waits() {
    let world = WorkerFixture::new(SUBMITTED);
    world.script.usually(refused());
    let running = world.start();
    world.submit("one", 0).await;
    pass(2).await;
    world.submit("two", 100).await;
    pass(60).await;
    let standing = running.sending.standing();
    assert_eq!((standing.waiting, standing.why.as_str()), (2, "answered 500"));
    assert!(standing.oldest.is_some() && standing.next.is_some());
    assert!(!standing.wants_a_person(world.clock.times().wall), "one that restarts is none");
    pass(400).await;
    assert!(running.sending.standing().wants_a_person(world.clock.times().wall));
    world.script.usually(None);
    pass(3_600).await;
    assert_eq!(world.script.taken(), ["1", "2"]);
    let seen = world.script.seen();
    let tries = seen.iter().filter(|(id, _)| id == "store_1_ops").count();
    assert!(tries > 3 && seen.len() == tries + 1, "{seen:?}");
    let standing = running.sending.standing();
    assert_eq!((standing.waiting, standing.failing_since, standing.next), (0, None, None));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn given_up_after_a_day_and_counted_also_over_a_restart() {
    const DAY: u64 = 86_400;
    let world = WorkerFixture::new(SUBMITTED);
    world.script.usually(refused());
    let running = world.start();
    world.submit("one", 0).await;
    world.submit("two", 100).await;
    pass(DAY - 7_200).await;
    world.submit("three", 200).await;
    pass(3_600).await;
    assert_eq!(running.sending.standing().given_up, 0);
    pass(7_200).await;
    let standing = running.sending.standing();
    assert_eq!((standing.given_up, standing.waiting), (2, 1), "the third is younger");
    assert_eq!(world.cursor().seq, 2);
    running.end().await;
    world.script.usually(None);
    let running = world.start();
    pass(5).await;
    assert_eq!(world.script.taken(), ["3"]);
    assert_eq!(running.sending.standing().given_up, 2);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_is_told_nothing_until_it_takes_a_test() {
    let world = WorkerFixture::new(SUBMITTED);
    world.script.usually(Some(ReceiverAnswer::Gone { excerpt: String::new() }));
    let running = world.start();
    world.submit("one", 0).await;
    pass(5).await;
    world.script.usually(None);
    world.submit("two", 100).await;
    pass(3_600).await;
    assert_eq!((world.script.seen().len(), running.sending.standing().waiting), (1, 2));
    running.end().await;
    // Also after a restart.
    let running = world.start();
    pass(3_600).await;
    assert_eq!(world.script.seen().len(), 1);
    assert!(running.sending.standing().off.is_some());
    running.sending.revive();
    pass(5).await;
    assert_eq!(world.script.taken(), ["1", "2"]);
    assert_eq!((running.sending.standing().off, world.cursor().off), (None, None));
    running.end().await;
}

/// A full disk is when somebody must know: what comes is told, and nothing is skipped after.
#[tokio::test(start_paused = true)]
async fn a_cursor_that_cannot_be_written_is_loud_and_skips_nothing() {
    let world = WorkerFixture::new(SUBMITTED);
    let running = world.start();
    // It is written aside first, to where no byte has room.
    let aside = world.path().join("notify/ops.json.new");
    let fill = || std::os::unix::fs::symlink("/dev/full", &aside).expect("made");
    let make_room = || std::fs::remove_file(&aside).expect("removed");
    fill();
    world.submit("one", 0).await;
    pass(3).await;
    assert_eq!(world.script.taken(), ["1"]);
    let blocked = running.sending.standing().blocked.expect("loud");
    assert!(blocked.contains("cannot be written: No space left on device"), "{blocked}");
    running.kill();
    make_room();
    let running = world.start();
    pass(3).await;
    assert_eq!(world.script.taken(), ["1", "1"], "told again, under the same id");
    fill();
    world.submit("two", 100).await;
    pass(3).await;
    make_room();
    pass(60).await;
    assert_eq!((running.sending.standing().blocked, world.cursor().seq), (None, 2));
    running.kill();
    let running = world.start();
    pass(3).await;
    assert_eq!(world.script.taken(), ["1", "1", "2"]);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_cannot_be_read_stands_in_the_way() {
    let world = WorkerFixture::new(SUBMITTED);
    std::fs::write(world.file().path(), b"torn").expect("written");
    let running = world.start();
    world.submit("one", 0).await;
    pass(3).await;
    assert_eq!(world.script.seen(), []);
    assert!(running.sending.standing().blocked.is_some());
    assert_eq!(std::fs::read(world.file().path()).expect("there"), b"torn");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_names_others_tells_this_one_nothing() {
    let world = WorkerFixture::new(SUBMITTED);
    let running = world.start();
    for (title, first, notify) in [("one", 0, vec!["other"]), ("two", 100, vec!["other", "ops"])] {
        let mut submission = fixtures::submission(title, &[4], first);
        submission.plan.notify = notify.into_iter().map(name).collect();
        world.store.submit(submission).await.expect("taken");
    }
    pass(3).await;
    assert_eq!(world.script.taken(), ["2"]);
    running.end().await;
}

/// A storm of doubts is one message, also where the daemon is killed in the middle of it.
#[tokio::test(start_paused = true)]
async fn doubts_are_told_once_in_a_while() {
    let world = WorkerFixture::new(&[NoticeWord::InDoubt]);
    let running = world.start();
    let id = fixtures::started(&*world.store, fixtures::submission("one", &[4], 0)).await;
    fixtures::release(&*world.store, id, 0, 4).await;
    let doubt = async |ordinal| {
        let reason = Reason { word: ReasonWord::Unreadable, message: "two jobs".into() };
        fixtures::put(&*world.store, id, ordinal, State::InDoubt { reason }).await.expect("free");
    };
    doubt(0).await;
    pass(3).await;
    assert_eq!(world.script.taken().len(), 1);
    doubt(1).await;
    running.kill();
    let running = world.start();
    doubt(2).await;
    pass(3).await;
    assert_eq!(world.script.taken().len(), 1, "{:?}", world.script.seen());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_lane_is_told_in_its_place_and_once() {
    let world = WorkerFixture::new(&[NoticeWord::Submitted, NoticeWord::LaneHeld]);
    world.script.usually(refused());
    let running = world.start();
    world.submit("one", 0).await;
    pass(2).await;
    let sight = LaneSight {
        lane: name("lab"),
        cause: LaneCause::Credentials,
        since: fixtures::at(0),
        why: "refused".into(),
    };
    let news = LaneNews { held: vec![sight], well: Vec::new() };
    let after = world.store.health().seq;
    running.lanes.keep(news, after, world.clock.times().wall).await;
    world.submit("two", 100).await;
    pass(2).await;
    running.kill();
    world.script.usually(None);
    let running = world.start();
    pass(10).await;
    let taken = world.script.taken();
    assert!(taken.len() == 3 && taken[0] == "1" && taken[2] == "2", "{taken:?}");
    assert!(taken[1].starts_with("lane"), "{taken:?}");
    running.end().await;
    let running = world.start();
    pass(10).await;
    assert_eq!(world.script.taken().len(), 3);
    running.end().await;
}

/// A receiver far behind reads the disk, the others what is kept in memory: both see everything.
#[tokio::test(start_paused = true)]
async fn one_that_is_far_behind_misses_nothing() {
    let world = WorkerFixture::new(&[NoticeWord::Paused, NoticeWord::Resumed]);
    world.script.usually(refused());
    let running = world.start();
    let id = world.submit("one", 0).await;
    let mut expected = Vec::new();
    for turn in 0..700 {
        let now = fixtures::rollout(&*world.store, id).await;
        let paused = now.record.paused.is_none().then(|| fixtures::mark(turn));
        let why = if paused.is_some() { "paused by ada: test" } else { "resumed by ada: test" };
        let version = now.record.version + 1;
        let record = crate::domain::rollout::Record {
            paused,
            version,
            phase: Phase::Scheduled,
            ..now.record.clone()
        };
        let moves = crate::store::RolloutMove { record, why: why.into(), by: Some("ada".into()) };
        let commit = crate::store::Commit { moves: Some(moves), ..fixtures::blank(&now, turn) };
        world.store.commit(commit).await.expect("free to move");
        expected.push(world.store.health().seq.to_string());
    }
    pass(30).await;
    assert_eq!(running.sending.standing().waiting, 700);
    running.kill();
    world.script.usually(None);
    let running = world.start();
    pass(60).await;
    assert_eq!(world.script.taken(), expected);
    let mut ids = BTreeMap::new();
    world.script.seen().into_iter().filter(|(_, taken)| *taken).for_each(|(id, _)| {
        *ids.entry(id).or_insert(0) += 1;
    });
    assert!(ids.values().all(|times| *times == 1));
    running.end().await;
}
