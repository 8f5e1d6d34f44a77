//! The vendor's published definitions judge both sides of the line: every request that our client
//! makes, and every answer of the emulated cloud.
//!
//! The shipped client makes each of its calls against the emulated cloud, in good order and in
//! every kind of trouble, through a tap that keeps what was on the wire. Where the definitions and
//! the real cloud differ stands, by name, in `definitions/exceptions.rs`.

mod definition;
mod exceptions;
mod tap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use definition::{Definition, Exchange};
use exceptions::{EXCEPTIONS, Exception};
use sealift::clock::{Clock, SystemClock, Times};
use sealift::cloud::Cloud as _;
use sealift::cloud::answer::{self, WireAnswer};
use sealift::cloud::http::HttpCloud;
use sealift::domain::call::{Answer, Call, JobView, Reply};
use sealift::domain::cloud_clock::TimeSpan;
use sealift::domain::id::{JobId, Name};
use sealift::domain::lane::{
    Access, Credentials, Lane, LaneTls, Language, NameSource, SecretSource,
};
use sealift::domain::target::Target;
use sealift::simcloud::emulator::accounts::Accounts;
use sealift::simcloud::emulator::{Emulator, Options, RunningEmulator};
use sealift::simcloud::faults::Faults;
use sealift::simcloud::fleet::Fleet;
use serde_json::{Value, json};
use tap::Tap;

const OPERATIONS: &[&str] = &[
    "SwitchGaussMySqlProxySsl",
    "ShowGaussMySqlProxyList",
    "ShowGaussMySqlJobInfo",
    "ListImmediateJobs",
    "ListGaussMySqlInstances",
    "KeystoneCreateUserTokenByPassword",
];

const PROJECT: &str = "056538411200d4cd2f79c003c7606412";

const ACCOUNTS: &str = "\
keys:
  - {access_key: AKSDKJUDGE0000000000, secret_key: a-secret-key-of-forty-characters-exactly}
users:
  - {domain: acme, user: sealift, password: a-password}
";

/// A clock that also moves when it is told to: jobs end without waiting.
#[derive(Default)]
struct Stepped(AtomicU64);

impl Stepped {
    fn step(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Stepped {
    fn times(&self) -> Times {
        let (Times { wall, boot }, more) =
            (SystemClock.times(), Duration::from_secs(self.0.load(Ordering::SeqCst)));
        Times { wall: wall.checked_add(more).expect("not that late"), boot: boot + more }
    }
}

/// An emulated cloud, a tap before it, and our client on three lanes: signed, with a user, and one
/// that is not let in.
struct DefinitionFixture {
    clock: Arc<Stepped>,
    _cloud: RunningEmulator,
    tap: Tap,
    client: HttpCloud,
    targets: [Target; 2],
    _secrets: tempfile::TempDir,
}

impl DefinitionFixture {
    async fn new(faults: &str) -> Self {
        let clock = Arc::new(Stepped::default());
        let fleet = Fleet::generate(4, 2, 1).expect("a fleet");
        let of = |place: usize| {
            let proxy = fleet.proxies()[place];
            let (instance_id, proxy_id) = (proxy.instance_id, proxy.proxy_id);
            Target {
                lane: Name::parse("signed", "lane").expect("a name"),
                instance_id,
                proxy_id,
                tags: None,
                seen: None,
                instance_name: None,
            }
        };
        let targets = [of(0), of(1)];
        assert_eq!(targets[0].instance_id, targets[1].instance_id);
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            fleet,
            faults: Faults::from_yaml(faults).expect("a fault file"),
            seed: 1,
            token: None,
            accounts: Accounts::from_yaml(ACCOUNTS).expect("an accounts file"),
            project_id: Some(PROJECT.parse().expect("an id")),
            watch: Vec::new(),
            wire: false,
        };
        let cloud = Emulator::start(options, clock.clone()).expect("a free port");
        let tap = Tap::new(cloud.endpoint()).await;
        let secrets = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("ak", "AKSDKJUDGE0000000000"),
            ("sk", "a-secret-key-of-forty-characters-exactly"),
            ("password", "a-password"),
            ("wrong", "another-password"),
        ] {
            crate::end_to_end::field::write_secret(&secrets.path().join(name), text);
        }
        let lanes = lanes(secrets.path(), &tap.endpoint);
        let clock_of_ours: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = HttpCloud::new(&lanes, &clock_of_ours).expect("a client");
        Self { clock, _cloud: cloud, tap, client, targets, _secrets: secrets }
    }

    async fn call(&self, call: Call) -> Reply {
        self.client.perform(call, Box::new(|| Ok(()))).await
    }

    fn target(&self, lane: &str) -> Target {
        Target { lane: Name::parse(lane, "lane").expect("a name"), ..self.targets[0].clone() }
    }

    async fn switch(&self, place: usize, ssl_option: bool) -> Reply {
        self.call(Call::Submit { target: self.targets[place].clone(), ssl_option }).await
    }

    /// Every read that there is, about a job or about one that nobody knows.
    async fn read_all(&self, job: Option<&JobId>) -> Vec<Reply> {
        let target = self.targets[0].clone();
        let lane = &target.lane;
        let job = job
            .cloned()
            .unwrap_or_else(|| "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7".parse().expect("an id"));
        let since =
            SystemClock.times().wall.checked_sub(Duration::from_secs(60)).expect("not that early");
        let within = TimeSpan::lasting(since, Duration::from_secs(3_600));
        let mut replies = Vec::new();
        for call in [
            Call::Instances { lane: lane.clone(), offset: 0 },
            Call::Proxies { lane: lane.clone(), instance_id: target.instance_id },
            Call::Inspect { target: target.clone() },
            Call::Follow { target: target.clone(), job },
            Call::FindJobs { target: target.clone(), within, offset: 1 },
            Call::Jobs { lane: lane.clone(), within, offset: 1 },
            Call::Running { lane: lane.clone(), offset: 1 },
        ] {
            replies.push(self.call(call).await);
        }
        replies
    }
}

fn lanes(secrets: &Path, endpoint: &str) -> Vec<Lane> {
    let file = |name: &str| SecretSource::File(secrets.join(name));
    let user = |password: &str| Credentials::Password {
        iam_endpoint: endpoint.to_owned(),
        user: NameSource::Plain("sealift".into()),
        password: file(password),
        domain: NameSource::Plain("acme".into()),
        agency: None,
    };
    let key = |secret: &str| Credentials::AccessKey {
        access_key: file("ak"),
        secret_key: file(secret),
        security_token: None,
    };
    let lane = |name: &str, project: &str, credentials: Credentials| {
        let project_id = project.parse().expect("an id");
        crate::end_to_end::lanes::lane(
            name,
            Access {
                endpoint: endpoint.to_owned(),
                project_id,
                credentials,
                language: Language::default(),
                tls: LaneTls::default(),
            },
        )
    };
    vec![
        lane("signed", PROJECT, key("sk")),
        lane("user", PROJECT, user("password")),
        lane("stranger", PROJECT, user("wrong")),
        lane("forger", PROJECT, key("wrong")),
        lane("elsewhere", &"1".repeat(32), key("sk")),
    ]
}

fn job_of(reply: &Reply) -> JobId {
    match &reply.outcome {
        Ok(Answer::Accepted(Some(job))) => job.clone(),
        other => panic!("no job: {other:?}"),
    }
}

/// A night in which all goes well but for what a client may always meet.
async fn good_order() -> Vec<Exchange> {
    let bench = DefinitionFixture::new("job_time: 20s").await;
    let job = job_of(&bench.switch(0, true).await);
    for reply in bench.read_all(Some(&job)).await {
        assert!(reply.outcome.is_ok(), "{reply:?}");
    }
    let busy = bench.switch(1, true).await;
    assert_eq!(busy.outcome.expect_err("the instance is busy").status, Some(409));
    bench.clock.step(10);
    let running =
        bench.call(Call::Follow { target: bench.targets[0].clone(), job: job.clone() }).await;
    assert!(
        matches!(&running.outcome, Ok(Answer::Job(JobView::Running { process })) if process.ends_with('%')),
        "{running:?}"
    );
    bench.clock.step(20);
    for reply in bench.read_all(Some(&job)).await {
        assert!(reply.outcome.is_ok(), "{reply:?}");
    }
    let _job = job_of(&bench.switch(0, false).await);
    let mut absent = bench.target("signed");
    absent.proxy_id = "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id");
    let refused = bench.call(Call::Submit { target: absent, ssl_option: true }).await;
    assert_eq!(refused.outcome.expect_err("no such proxy").status, Some(400));
    bench.read_all(None).await;
    let by_token = bench.call(Call::Inspect { target: bench.target("user") }).await;
    assert!(by_token.outcome.is_ok(), "{by_token:?}");
    for lane in ["stranger", "forger", "elsewhere"] {
        let refused = bench.call(Call::Inspect { target: bench.target(lane) }).await;
        assert!(refused.outcome.is_err(), "{lane}: {refused:?}");
    }
    bench.tap.take()
}

/// The same calls where something is always wrong. Answers that break off or are no JSON are none,
/// and not here.
async fn trouble(faults: &str) -> Vec<Exchange> {
    let bench = DefinitionFixture::new(faults).await;
    let switched = bench.switch(0, true).await;
    bench.clock.step(20);
    let job = match switched.outcome {
        Ok(Answer::Accepted(job)) => job,
        _ => None,
    };
    bench.read_all(job.as_ref()).await;
    bench.tap.take()
}

/// Everything that client and emulated cloud ever say to each other.
async fn everything() -> Vec<Exchange> {
    let mut all = good_order().await;
    for faults in [
        "job_fails: 1.0",
        "throttle: 1.0",
        "throttle_with_retry_after: 1.0",
        "error_500_before: 1.0",
        "error_500_after: 1.0",
        "html_502: 1.0",
        "no_job_id_200: 1.0",
        "busy: 1.0",
        "token_expired: 1.0",
        "foreign_job: 1.0",
        "foreign_change: 1.0",
        "ssl_option: boolean",
        "ssl_option: absent",
        "readonly_nodes: object",
    ] {
        all.extend(trouble(faults).await);
    }
    all
}

fn definitions(exceptions: &[&Exception]) -> Vec<Definition> {
    let amended = |name: &&str| {
        let mut definition = Definition::read(name);
        exceptions.iter().for_each(|exception| (exception.amend)(&mut definition));
        definition
    };
    OPERATIONS.iter().map(amended).collect()
}

fn complaints(definitions: &[Definition], exchanges: &[Exchange]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for exchange in exchanges {
        match definitions.iter().find(|definition| definition.is_of(exchange)) {
            Some(definition) => found.extend(definition.complaints(exchange)),
            None => drop(
                found.insert(format!("{} {} is not published", exchange.method, exchange.path)),
            ),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_are_as_published() {
    let exchanges = everything().await;
    let all: Vec<&Exception> = EXCEPTIONS.iter().collect();
    let amended = definitions(&all);
    let mut seen: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for exchange in &exchanges {
        let definition = amended
            .iter()
            .find(|definition| definition.is_of(exchange))
            .expect("a published operation");
        seen.entry(&definition.name).or_default().insert(exchange.status);
    }
    // After a few refusals of who we are our client sends nothing more on a lane: not every call
    // meets 401.
    for (name, expected) in [
        ("SwitchGaussMySqlProxySsl", &[200, 400, 401, 409, 429, 500, 502][..]),
        ("ShowGaussMySqlProxyList", &[200, 401, 403, 429, 500, 502]),
        ("ShowGaussMySqlJobInfo", &[200, 400, 429, 500, 502]),
        ("ListImmediateJobs", &[200, 429, 500, 502]),
        ("ListGaussMySqlInstances", &[200, 429, 500, 502]),
        ("KeystoneCreateUserTokenByPassword", &[201, 401]),
    ] {
        let met = seen.get(name).cloned().unwrap_or_default();
        assert!(expected.iter().all(|status| met.contains(status)), "{name} met only {met:?}");
    }

    let found = complaints(&amended, &exchanges);
    assert!(found.is_empty(), "{found:#?}");

    for (place, left_out) in EXCEPTIONS.iter().enumerate() {
        let others: Vec<&Exception> = EXCEPTIONS
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place)
            .map(|(_, other)| other)
            .collect();
        assert!(
            !complaints(&definitions(&others), &exchanges).is_empty(),
            "nothing needs this exception any more: {}",
            left_out.why
        );
    }
}

/// A change of one thing in an exchange that was right.
type Plant = fn(&mut Exchange);

fn answer(exchange: &mut Exchange, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&exchange.answer).expect("JSON");
    change(&mut value);
    exchange.answer = value.to_string().into_bytes();
}

fn rename(object: &mut Value, from: &str, to: &str) {
    let taken = object.as_object_mut().expect("an object").remove(from).expect("it is there");
    object[to] = taken;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found() {
    let exchanges = good_order().await;
    let all: Vec<&Exception> = EXCEPTIONS.iter().collect();
    let amended = definitions(&all);
    let plants: &[(&str, Plant, &str)] = &[
        ("SwitchGaussMySqlProxySsl", |e| answer(e, |a| rename(a, "job_id", "jobId")), "jobId"),
        ("SwitchGaussMySqlProxySsl", |e| answer(e, |a| a["job_id"] = json!(7)), "/job_id"),
        ("SwitchGaussMySqlProxySsl", |e| e.status = 202, "status is not published"),
        (
            "SwitchGaussMySqlProxySsl",
            |e| e.path = e.path.replace("/proxy/", "/proxyId/"),
            "is not published",
        ),
        ("SwitchGaussMySqlProxySsl", |e| e.method = "POST".into(), "is not published"),
        (
            "SwitchGaussMySqlProxySsl",
            |e| e.body = br#"{"ssl_option":"true"}"#.to_vec(),
            "/ssl_option",
        ),
        ("SwitchGaussMySqlProxySsl", |e| e.body = b"{}".to_vec(), "ssl_option"),
        (
            "SwitchGaussMySqlProxySsl",
            |e| drop(e.headers.insert("content-type".into(), "text/plain".into())),
            "text/plain",
        ),
        (
            "SwitchGaussMySqlProxySsl",
            |e| drop(e.headers.remove("authorization")),
            "x-auth-token is missing",
        ),
        (
            "SwitchGaussMySqlProxySsl",
            |e| drop(e.headers.insert("x-surprise".into(), "1".into())),
            "x-surprise",
        ),
        (
            "ShowGaussMySqlProxyList",
            |e| answer(e, |a| rename(&mut a["proxy_list"][0]["proxy"], "pool_id", "id")),
            "id",
        ),
        (
            "ShowGaussMySqlProxyList",
            |e| answer(e, |a| a["proxy_list"][1]["proxy"]["ssl_option"] = json!(1)),
            "/ssl_option",
        ),
        (
            "ShowGaussMySqlProxyList",
            |e| answer(e, |a| a["proxy_list"][0]["proxy"]["port"] = json!("3306")),
            "/port",
        ),
        (
            "ShowGaussMySqlProxyList",
            |e| answer(e, |a| a["proxy_list"][0]["proxy"]["port"] = json!(1_u64 << 40)),
            "/port",
        ),
        ("ShowGaussMySqlProxyList", |e| e.query.push_str("&page=2"), "page"),
        (
            "ShowGaussMySqlProxyList",
            |e| e.query = e.query.replace("limit=100", "limit=all"),
            "no integer",
        ),
        (
            "ShowGaussMySqlProxyList",
            |e| drop(e.headers.insert("x-language".into(), "de-de".into())),
            "de-de",
        ),
        (
            "ShowGaussMySqlJobInfo",
            |e| answer(e, |a| a["job"]["status"] = json!("Done")),
            "/job/status",
        ),
        (
            "ShowGaussMySqlJobInfo",
            |e| answer(e, |a| drop(a["job"].as_object_mut().expect("a job").remove("instance"))),
            "instance",
        ),
        ("ShowGaussMySqlJobInfo", |e| e.query = String::new(), "lacks id"),
        ("ListImmediateJobs", |e| answer(e, |a| a["total_count"] = json!("1")), "/total_count"),
        (
            "ListImmediateJobs",
            |e| answer(e, |a| a["jobs"][0]["show_detail"] = json!("false")),
            "/show_detail",
        ),
        (
            "ListGaussMySqlInstances",
            |e| {
                answer(e, |a| {
                    drop(
                        a["instances"][0]["datastore"].as_object_mut().expect("one").remove("type"),
                    )
                })
            },
            "type",
        ),
        (
            "ListGaussMySqlInstances",
            |e| answer(e, |a| drop(a.as_object_mut().expect("one").remove("total_count"))),
            "total_count",
        ),
        ("ListGaussMySqlInstances", |e| e.answer = b"<html/>".to_vec(), "no JSON"),
        ("ListGaussMySqlInstances", |e| e.body = b"{}".to_vec(), "has a body"),
        (
            "KeystoneCreateUserTokenByPassword",
            |e| answer(e, |a| drop(a["token"].as_object_mut().expect("one").remove("expires_at"))),
            "expires_at",
        ),
        (
            "KeystoneCreateUserTokenByPassword",
            |e| e.body = e.body.replace_bytes("methods", "method"),
            "methods",
        ),
    ];
    for (name, plant, expected) in plants {
        let definition = amended
            .iter()
            .find(|definition| definition.name == *name)
            .expect("an operation of ours");
        let whole = |exchange: &&Exchange| {
            // A page of jobs that has rows.
            definition.is_of(exchange)
                && exchange.status < 300
                && !exchange.answer.starts_with(br#"{"jobs":[]"#)
        };
        let mut exchange = exchanges.iter().find(whole).expect("it went over the line").clone();
        assert_eq!(complaints(&amended, std::slice::from_ref(&exchange)), BTreeSet::new());
        plant(&mut exchange);
        let found = complaints(&amended, &[exchange]);
        assert!(
            found.iter().any(|what| what.contains(expected)),
            "{name}: {expected} was not found in {found:?}"
        );
    }
}

trait ReplaceBytes {
    fn replace_bytes(&self, from: &str, to: &str) -> Vec<u8>;
}

impl ReplaceBytes for Vec<u8> {
    fn replace_bytes(&self, from: &str, to: &str) -> Vec<u8> {
        String::from_utf8_lossy(self).replace(from, to).into_bytes()
    }
}

/// The vendor's own examples are not what its own schemas say; our reader takes both.
#[test]
fn the_vendors_examples_are_read_although_they_break_its_schemas() {
    let target = Target {
        lane: Name::parse("a", "lane").expect("a name"),
        instance_id: "7a871d6d494e4327ad2e326afb591108in07".parse().expect("an id"),
        proxy_id: "2e7cf21d14794bafab623a334efd9ad8po01".parse().expect("an id"),
        tags: None,
        seen: None,
        instance_name: None,
    };
    let job: JobId = "31b8ae23-c687-4d80-b7b4-42a66c9bb886".parse().expect("an id");
    let within = TimeSpan::lasting(SystemClock.times().wall, Duration::from_secs(3_600));
    let lane = target.lane.clone();
    for (name, call, breaks) in [
        (
            "SwitchGaussMySqlProxySsl",
            Call::Submit { target: target.clone(), ssl_option: true },
            &[][..],
        ),
        (
            "ShowGaussMySqlProxyList",
            Call::Inspect { target: target.clone() },
            &[
                "/proxy_list/0/proxy/ram",
                "/proxy_list/0/proxy/transaction_split",
                "/proxy_list/0/proxy/vcpus",
                "/proxy_list/0/readonly_nodes",
            ],
        ),
        ("ShowGaussMySqlJobInfo", Call::Follow { target: target.clone(), job }, &[]),
        ("ListImmediateJobs", Call::Jobs { lane: lane.clone(), within, offset: 1 }, &[]),
        (
            "ListGaussMySqlInstances",
            Call::Instances { lane, offset: 0 },
            &[
                "/instances/0/backup_strategy/keep_days",
                "/instances/0/enterprise_project_id",
                "/instances/0/flavor_info/ram",
                "/instances/0/flavor_info/vcpus",
                "/instances/0/port",
                "/instances/0/volume/size",
            ],
        ),
    ] {
        let (definition, example) = (Definition::read(name), Definition::example(name));
        let found = definition.judge(definition.success(), &example);
        let leaves = found.iter().filter(|what| !what.ends_with("validation failed"));
        let told: Vec<&str> =
            leaves.filter_map(|what| Some(what.split_once('\'')?.1.split_once('\'')?.0)).collect();
        assert_eq!(told, breaks, "{name}: {found:#?}");
        let body = example.to_string();
        let wire = WireAnswer {
            status: 200,
            request_id: None,
            retry_after: None,
            date: None,
            aged: false,
            body: body.as_bytes(),
            cut: false,
            secret: None,
        };
        let reply = answer::read(&call, &wire);
        assert!(reply.outcome.is_ok(), "{name}: {reply:?}");
    }
}
