//! A daemon without its process: the real engine, the memory store and the API on a real unix
//! socket, over a cloud that answers at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use sealift::api::{self, Api, Callers, Doors, NetworkDoor, Switches};
use sealift::clock::{Clock, SystemClock, Times};
use sealift::cloud::{Cloud, LastCheck};
use sealift::config::DoorConfig;
use sealift::domain::call::{
    Answer, Call, CallError, Disposition, JobView, JobsPage, ProxySeen, ProxyStatus, ProxyView,
    Reply,
};
use sealift::domain::change::Timing;
use sealift::domain::id::Name;
use sealift::domain::lane::{Access, Credentials, Lane, LaneTls, Language, SecretSource};
use sealift::domain::people::People;
use sealift::domain::plan::WireRules;
use sealift::domain::proof::{Endpoint, Proof, Trouble, TroubleWord};
use sealift::engine::enforce::Enforcer;
use sealift::engine::{Handle, Options, start};
use sealift::metrics::{CallTallies, CountedCloud, Metrics};
use sealift::page;
use sealift::probe::Probe;
use sealift::store::Store;
use sealift::store::memory::MemoryStore;
use sealift::store::running::Exporter;
use sealift::store::sled::SledStore;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What the cloud says of a proxy whose id begins with `e`.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)> no\u{202e}\u{7}";

/// A cloud that answers at once. A proxy whose id begins with `e` or `f` refuses the switch; while
/// `busy` every proxy is, while `refuse` every switch is refused.
#[derive(Default)]
pub struct Quick {
    pub busy: Mutex<bool>,
    /// Whether proxies have a port, which never answers.
    pub silent: Mutex<bool>,
    refuse: Mutex<bool>,
    on: Mutex<BTreeSet<String>>,
    /// Every call, in its word.
    calls: Mutex<Vec<&'static str>>,
}

impl Quick {
    /// Whether every proxy is busy from now on.
    pub fn busy(&self, busy: bool) {
        *self.busy.lock().expect("a test's lock") = busy;
    }

    /// Whether every switch is refused from now on.
    pub fn refuse(&self, refuse: bool) {
        *self.refuse.lock().expect("a test's lock") = refuse;
    }

    /// Somebody else switches a proxy of [`targets`].
    pub fn set(&self, lead: char, place: u32, value: bool) {
        let proxy = format!("{lead}{place:031x}po01");
        let mut on = self.on.lock().expect("a test's lock");
        let _ = if value { on.insert(proxy) } else { on.remove(&proxy) };
    }

    /// How many calls of this word were made.
    pub fn calls(&self, word: &str) -> usize {
        self.calls.lock().expect("a test's lock").iter().filter(|made| **made == word).count()
    }

    /// What a proxy of [`targets`] shows.
    pub fn shows(&self, lead: char, place: u32) -> bool {
        self.on.lock().expect("a test's lock").contains(&format!("{lead}{place:031x}po01"))
    }
}

fn no_jobs() -> JobsPage {
    JobsPage { ids: Vec::new(), total: Some(0) }
}

impl Cloud for Quick {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        self.calls.lock().expect("a test's lock").push(call.as_str());
        let proxy = call.target().map(|target| target.proxy_id.to_string()).unwrap_or_default();
        let outcome = match check() {
            Err(withheld) => Err(error(Disposition::Withheld, &withheld.0)),
            Ok(()) => match &call {
                Call::Inspect { .. } => {
                    let busy = *self.busy.lock().expect("a test's lock");
                    let status = if busy { ProxyStatus::Busy } else { ProxyStatus::Idle };
                    let on = self.on.lock().expect("a test's lock").contains(&proxy);
                    Ok(Answer::Proxy(Some(ProxyView {
                        ssl_option: Some(on),
                        status,
                        word: "ACTIVE".into(),
                        endpoint: None,
                    })))
                }
                Call::Submit { .. } if proxy.starts_with('e') => {
                    Err(error(Disposition::Fatal, HOSTILE))
                }
                Call::Submit { .. }
                    if proxy.starts_with('f') || *self.refuse.lock().expect("a test's lock") =>
                {
                    Err(error(Disposition::Fatal, "refused for good"))
                }
                Call::Submit { ssl_option, .. } => {
                    let mut on = self.on.lock().expect("a test's lock");
                    let _ = if *ssl_option { on.insert(proxy.clone()) } else { on.remove(&proxy) };
                    Ok(Answer::Accepted(Some(
                        format!("job-{}", &proxy[28..32]).parse().expect("a job id"),
                    )))
                }
                Call::Follow { .. } => Ok(Answer::Job(JobView::Completed)),
                Call::FindJobs { .. } => Ok(Answer::Jobs { jobs: Vec::new(), page: no_jobs() }),
                // No list is told: every job is asked for alone.
                Call::Jobs { .. } => Ok(Answer::Listed { jobs: Vec::new(), page: no_jobs() }),
                Call::Running { .. } => Ok(Answer::Jobs { jobs: Vec::new(), page: no_jobs() }),
                Call::ShowJob { .. } => Ok(Answer::JobShown {
                    instance_id: None,
                    name: String::new(),
                    view: JobView::Completed,
                }),
                Call::Instances { .. } => Ok(Answer::Instances { instances: Vec::new(), total: 0 }),
                Call::Proxies { instance_id, .. } => {
                    // Each instance of `targets` has one proxy of the same name.
                    let proxy = format!("{}po01", &instance_id.as_str()[..32]);
                    let on = self.on.lock().expect("a test's lock").contains(&proxy);
                    let endpoint = self
                        .silent
                        .lock()
                        .expect("a test's lock")
                        .then(|| "192.0.2.1:3306".parse().expect("an endpoint"));
                    let view = ProxyView {
                        ssl_option: Some(on),
                        status: ProxyStatus::Idle,
                        word: "ACTIVE".into(),
                        endpoint,
                    };
                    Ok(Answer::Proxies(vec![ProxySeen {
                        proxy_id: proxy.parse().expect("a proxy's id"),
                        view,
                    }]))
                }
            },
        };
        std::future::ready(Reply {
            sent: outcome.is_ok(),
            outcome,
            request_id: Some("req-1".into()),
            cloud_time: None,
            beside: Vec::new(),
        })
        .boxed()
    }
}

impl Probe for Quick {
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        _: Option<&'a WireRules>,
    ) -> BoxFuture<'a, Proof> {
        if *self.silent.lock().expect("a test's lock") {
            return std::future::pending().boxed();
        }
        let trouble = Trouble {
            word: TroubleWord::Unreachable,
            message: "no connection: nobody listens there".into(),
        };
        let (endpoint, at) = (endpoint.clone(), Timestamp::UNIX_EPOCH);
        let proof = Proof {
            endpoint,
            at,
            took_ms: 0,
            greeting: None,
            tls: None,
            login: None,
            trouble: Some(trouble),
        };
        std::future::ready(proof).boxed()
    }
}

fn error(disposition: Disposition, message: &str) -> CallError {
    CallError {
        disposition,
        retry_after: None,
        status: None,
        code: Some("DBS.1".into()),
        request_id: None,
        message: message.into(),
    }
}

fn lane() -> Lane {
    lane_named("lab")
}

pub fn lane_named(name: &str) -> Lane {
    Lane {
        name: Name::parse(name, "lane").expect("a name"),
        access: Access {
            endpoint: "https://cloud.invalid".into(),
            project_id: "056538411200d4cd2f79c003c7606412".parse().expect("a project id"),
            credentials: Credentials::Token(SecretSource::Env("UNUSED".into())),
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota: None,
        max_in_flight: 50,
        call_timeout: Duration::from_secs(5),
        clock_tolerance: sealift::domain::lane::CLOCK_TOLERANCE,
        timing: Timing {
            settle: Duration::from_millis(20),
            poll: Duration::from_millis(10),
            poll_max: Duration::from_millis(20),
            job_limit: Duration::from_secs(60),
            recover_limit: Duration::from_secs(60),
        },
    }
}

/// The machine's clock, whose wall may be moved, and which may be set forward as a whole.
#[derive(Default)]
pub struct Movable {
    ahead: Mutex<SignedDuration>,
    passed: Mutex<Duration>,
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl Movable {
    /// The wall clock shows this instant now.
    pub fn set(&self, to: Timestamp) {
        let mut ahead = self.ahead.lock().expect("a test's lock");
        *ahead = to.duration_since(SystemClock.times().wall);
    }

    /// So much time passes at once, by both clocks.
    pub fn pass(&self, time: Duration) {
        *self.passed.lock().expect("a test's lock") += time;
    }

    /// Whether the engine stands still from now on, in the middle of a pass.
    pub fn freeze(&self, frozen: bool) {
        *self.frozen.lock().expect("a test's lock") = frozen;
        self.thawed.notify_all();
    }
}

impl Clock for Movable {
    fn times(&self) -> Times {
        let Times { wall, boot } = SystemClock.times();
        let passed = *self.passed.lock().expect("a test's lock");
        let ahead = *self.ahead.lock().expect("a test's lock");
        Times { wall: wall + ahead + passed, boot: boot + passed }
    }
}

/// The same clock for the engine, whose task waits in it while it is frozen.
struct FreezingClock(Arc<Movable>);

impl Clock for FreezingClock {
    fn times(&self) -> Times {
        let frozen = self.0.frozen.lock().expect("a test's lock");
        drop(self.0.thawed.wait_while(frozen, |frozen| *frozen).expect("a test's lock"));
        self.0.times()
    }
}

/// The whole thing; ends with the test.
pub struct ApiWorld {
    pub folder: tempfile::TempDir,
    pub cloud: Arc<Quick>,
    pub clock: Arc<Movable>,
    pub store: Arc<dyn Store>,
    pub socket: PathBuf,
    /// Where its door on the network is, if it has one.
    pub network: Option<SocketAddr>,
    pub handle: Handle,
    pub stop: CancellationToken,
    /// What stands behind the socket, which tells nobody who calls.
    pub router: axum::Router,
    http: reqwest::Client,
}

/// An answer: its status and its JSON.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub json: Value,
}

impl ApiWorld {
    pub async fn new() -> Self {
        Self::with(Arc::new(MemoryStore::new()), api::IDLE_MAX).await
    }

    /// Over this store, and with this limit for clients that stall.
    pub async fn with(store: Arc<dyn Store>, idle: Duration) -> Self {
        Self::start(store, idle, Callers::default(), |_| DoorConfig::default()).await
    }

    /// With this list of people, of whom the test's own user must be one who may read.
    pub async fn with_people(people: People) -> Self {
        Self::opened(people, |_| DoorConfig::default()).await
    }

    /// Over a store on disk, of which copies are served.
    pub async fn exporting(store: Arc<SledStore>, idle: Duration) -> Self {
        let exporter: Arc<dyn Exporter> = store.clone();
        Self::begin(store, Some(exporter), idle, Callers::default(), |_| DoorConfig::default())
            .await
    }

    /// The same over this store.
    pub async fn over(store: Arc<dyn Store>, people: People) -> Self {
        Self::start(store, api::IDLE_MAX, Callers::new(Some(people)), |_| DoorConfig::default())
            .await
    }

    /// With this list of people, and the doors that `prepare` names, with its files in the folder
    /// that it is given.
    pub async fn opened(people: People, prepare: impl FnOnce(&Path) -> DoorConfig) -> Self {
        Self::start(
            Arc::new(MemoryStore::new()),
            api::IDLE_MAX,
            Callers::new(Some(people)),
            prepare,
        )
        .await
    }

    async fn start(
        store: Arc<dyn Store>,
        idle: Duration,
        callers: Callers,
        prepare: impl FnOnce(&Path) -> DoorConfig,
    ) -> Self {
        Self::begin(store, None, idle, callers, prepare).await
    }

    async fn begin(
        store: Arc<dyn Store>,
        exporter: Option<Arc<dyn Exporter>>,
        idle: Duration,
        callers: Callers,
        prepare: impl FnOnce(&Path) -> DoorConfig,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cloud = Arc::new(Quick::default());
        let clock = Arc::new(Movable::default());
        let options = Options { lanes: vec![lane()], quota_spent: false, levels: Vec::new() };
        let calls = Arc::<CallTallies>::default();
        let counted = CountedCloud::new(cloud.clone(), clock.clone(), calls.clone());
        let (handle, engine) = start(
            store.clone(),
            Arc::new(counted),
            cloud.clone(),
            Arc::new(FreezingClock(clock.clone())),
            Arc::new(()),
            options,
        );
        let stop = CancellationToken::new();
        let switches = Switches::open(folder.path().to_owned()).expect("no lane is paused");
        let socket = folder.path().join("run/api.sock");
        let config = prepare(folder.path());
        let doors = Doors::open(&config, folder.path(), callers, clock.clone())
            .expect("good files")
            .with_page(page::answers());
        let door = NetworkDoor::open(&config, &doors).expect("a free port");
        let network = door.as_ref().map(|door| door.address);
        let api = Api::new(
            handle.clone(),
            store.clone(),
            cloud.clone(),
            clock.clone(),
            Arc::from([lane()]),
            switches,
            stop.clone(),
        );
        let api = api.with_doors(doors.clone());
        let served = Arc::new(match exporter {
            Some(exporter) => api.with_exporter(exporter),
            None => api,
        });
        let listener = api::bind(&socket).expect("a free socket").idle(idle).beside(door, doors);
        tokio::spawn(engine);
        let routes = api::router(served.clone());
        let router = routes.clone().merge(page::router(served.clone(), routes));
        let router = Metrics::new(served.clone(), calls).beside(router);
        tokio::spawn(api::serve(listener, router.clone(), stop.clone()));
        tokio::spawn(async move { served.follow().await });
        let http = reqwest::Client::builder()
            .unix_socket(&*socket)
            .redirect(Policy::none())
            .build()
            .expect("a client");
        let world =
            Self { folder, cloud, clock, store, socket, network, handle, stop, router, http };
        world.until("/readyz", |answered| answered.status == StatusCode::OK).await;
        world
    }

    /// What carries out enforcements; the test says when it passes.
    pub fn enforcer(&self) -> Enforcer {
        Enforcer::new(self.store.clone(), self.handle.clone(), self.clock.clone())
    }

    /// Lets the enforcer pass until the answer is as wanted.
    pub async fn enforced(
        &self,
        enforcer: &mut Enforcer,
        path: &str,
        wanted: impl Fn(&Answered) -> bool,
    ) -> Answered {
        self.ask(path, wanted, Some(enforcer)).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, None, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        self.send(Method::POST, path, Some(body), None).await
    }

    pub async fn upload(&self, path: &str, form: Form) -> Answered {
        self.send(Method::POST, path, None, Some(form)).await
    }

    /// A verb for the record of this tag alone.
    pub async fn matching(&self, tag: &str, path: &str, body: Value) -> Answered {
        answered(
            self.http.post(format!("http://sealift{path}")).header("If-Match", tag).json(&body),
        )
        .await
    }

    /// A request with a body of this type.
    pub async fn typed(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &'static str,
    ) -> Answered {
        answered(
            self.http
                .request(method, format!("http://sealift{path}"))
                .header("Content-Type", kind)
                .body(body),
        )
        .await
    }

    /// A form of a view; what it leads to is not followed.
    pub async fn fill(&self, path: &str, fields: &[(&str, &str)]) -> (Answered, Option<String>) {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .http
            .post(format!("http://sealift{path}"))
            .header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.expect("the server answers");
        let leads = response
            .headers()
            .get("Location")
            .map(|value| value.to_str().expect("an address").to_owned());
        let status = response.status();
        (
            Answered { status, json: Value::String(response.text().await.expect("a whole body")) },
            leads,
        )
    }

    /// The text of a view.
    pub async fn view(&self, path: &str) -> String {
        let answered = self.get(path).await;
        answered.json.as_str().map_or_else(|| answered.json.to_string(), str::to_owned)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        form: Option<Form>,
    ) -> Answered {
        let mut request = self.http.request(method, format!("http://sealift{path}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(form) = form {
            request = request.multipart(form);
        }
        answered(request).await
    }

    /// Asks until the answer is as wanted; the engine works on its own tasks, so there is nothing
    /// else to wait on.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Answered) -> bool) -> Answered {
        self.ask(path, wanted, None).await
    }

    async fn ask(
        &self,
        path: &str,
        wanted: impl Fn(&Answered) -> bool,
        mut enforcer: Option<&mut Enforcer>,
    ) -> Answered {
        let mut last = None;
        for _ in 0..1000 {
            if let Some(enforcer) = &mut enforcer {
                enforcer.pass().await.expect("a store in memory");
            }
            let answered = self.get(path).await;
            if wanted(&answered) {
                return answered;
            }
            last = Some(answered);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{path} never became as wanted; the last answer: {last:?}");
    }

    pub async fn submit(&self, plan: &str) -> Answered {
        self.upload("/v1/rollouts", form(plan, &[])).await
    }

    pub fn spool(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path().join("spool")).into_iter().flatten();
        files.map(|entry| entry.expect("a readable folder").path()).collect()
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    let text = response.text().await.expect("a whole body");
    Answered { status, json: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

pub fn form(plan: &str, files: &[(&str, &str)]) -> Form {
    let mut form = Form::new().part("plan", Part::text(plan.to_owned()).file_name("plan.yaml"));
    for (name, text) in files {
        form = form.part("file", Part::text((*text).to_owned()).file_name((*name).to_owned()));
    }
    form
}

/// `n` proxies on `n` instances; `lead` is the first hex digit of their ids.
pub fn targets(lead: char, n: u32) -> String {
    let line = |i: u32| {
        format!(
            "    - {{lane: lab, instance_id: {lead}{i:031x}in07, proxy_id: {lead}{i:031x}po01}}\n"
        )
    };
    (0..n).map(line).collect()
}

pub fn plan(name: &str, list: &str, rest: &str) -> String {
    format!("version: 1\nname: {name}\nssl_option: true\ntargets:\n  list:\n{list}{rest}")
}
