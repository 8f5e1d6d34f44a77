//! The emulator end to end: each call and each fault through the real client, and what a bare
//! socket sees.

use std::net::Ipv4Addr;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::cloud::Cloud as _;
use crate::cloud::http::HttpCloud;
use crate::cloud::http::tests::lane;
use crate::domain::call::{Answer, Call, Disposition, JobView, JobsPage, ProxyStatus, Reply};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::JobId;
use crate::domain::lane::{Language, SecretSource};
use crate::domain::target::Target;
use crate::simcloud::faults::{Between, Rate};

const HOUR: Duration = Duration::from_secs(3_600);

/// A clock that only the test moves.
pub(crate) struct HandClock(pub(crate) Mutex<Duration>);

impl HandClock {
    pub(crate) fn pass(&self, duration: Duration) {
        *self.0.lock().expect("no panic under the lock") += duration;
    }
}

impl Clock for HandClock {
    fn times(&self) -> Times {
        let boot = *self.0.lock().expect("no panic under the lock");
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().expect("an instant");
        Times { wall: start + SignedDuration::try_from(boot).expect("short"), boot }
    }
}

const TOKEN: &str = "emulated-token";

struct EmulatorFixture {
    running: RunningEmulator,
    cloud: HttpCloud,
    clock: Arc<HandClock>,
    targets: Vec<Target>,
    _dir: tempfile::TempDir,
}

async fn bed(faults: Faults) -> EmulatorFixture {
    bed_in(Language::EnUs, faults).await
}

async fn bed_in(language: Language, faults: Faults) -> EmulatorFixture {
    let clock = Arc::new(HandClock(Mutex::new(Duration::from_secs(1000))));
    let fleet = Fleet::generate(6, 3, 1).expect("possible numbers");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token = dir.path().join("token");
    crate::cloud::secret::write(&token, TOKEN);
    let options = Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        fleet: fleet.clone(),
        faults,
        seed: 7,
        token: Some(SecretString::from(TOKEN)),
        accounts: Accounts::default(),
        project_id: Some("056538411200d4cd2f79c003c7606412".parse().expect("an id")),
        watch: vec![Duration::from_secs(300)],
        wire: false,
    };
    let running = Emulator::start(options, clock.clone()).expect("loopback");
    let mut lane = lane(&running.endpoint(), SecretSource::File(token), Duration::from_secs(30));
    lane.access.language = language;
    let targets = fleet.proxies().iter().map(|p| p.target(&lane.name)).collect();
    EmulatorFixture {
        running,
        cloud: HttpCloud::new(&[lane], &(clock.clone() as Arc<dyn Clock>)).expect("a client"),
        clock,
        targets,
        _dir: dir,
    }
}

impl EmulatorFixture {
    async fn perform(&self, call: Call) -> Reply {
        self.cloud.perform(call, Box::new(|| Ok(()))).await
    }
    async fn submit(&self, target: usize) -> Reply {
        self.perform(Call::Submit { target: self.targets[target].clone(), ssl_option: true }).await
    }
    async fn inspect(&self, target: usize) -> Reply {
        self.perform(Call::Inspect { target: self.targets[target].clone() }).await
    }
    async fn follow(&self, job: &JobId) -> Reply {
        self.perform(Call::Follow { target: self.targets[0].clone(), job: job.clone() }).await
    }
    fn executed(&self, target: usize) -> u32 {
        let id = self.targets[target].proxy_id;
        self.running.with_model(|model| model.proxy(&id)).expect("of the fleet").executed
    }
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.running.addr).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
    async fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }
}

fn calm() -> Faults {
    Faults { job_time: Between::exactly(Duration::from_secs(2)), ..Faults::default() }
}

fn always() -> Rate {
    Rate::always(1.0).expect("in range")
}

fn job(reply: &Reply) -> JobId {
    match &reply.outcome {
        Ok(Answer::Accepted(Some(job))) => job.clone(),
        other => panic!("no job id: {other:?}"),
    }
}

fn disposition(reply: &Reply) -> Disposition {
    reply.outcome.as_ref().expect_err("no answer").disposition
}

#[tokio::test]
async fn a_change_goes_through_all_four_calls() {
    let bed = bed(calm()).await;
    let Ok(Answer::Proxy(Some(view))) = bed.inspect(0).await.outcome else { panic!("a proxy") };
    assert_eq!((view.ssl_option, view.status), (Some(false), ProxyStatus::Idle));
    let accepted = bed.submit(0).await;
    assert_eq!(accepted.request_id.as_ref().map(String::len), Some(32));
    let id = job(&accepted);
    bed.clock.pass(Duration::from_secs(1));
    assert_eq!(
        bed.follow(&id).await.outcome,
        Ok(Answer::Job(JobView::Running { process: "50%".into() }))
    );
    assert_eq!(disposition(&bed.submit(1).await), Disposition::Busy);

    let since = "2026-11-24T00:16:40Z".parse().expect("the start");
    let call = Call::FindJobs {
        target: bed.targets[0].clone(),
        within: TimeSpan::lasting(since, HOUR),
        offset: 1,
    };
    let Ok(Answer::Jobs { jobs, page }) = bed.perform(call).await.outcome else { panic!("a list") };
    assert_eq!((jobs.len(), page.total), (1, Some(1)));
    assert_eq!((&jobs[0].job, jobs[0].instance_id), (&id, bed.targets[0].instance_id));
    let later = since + SignedDuration::from_secs(1);
    let call = Call::FindJobs {
        target: bed.targets[0].clone(),
        within: TimeSpan::lasting(later, HOUR),
        offset: 1,
    };
    assert_eq!(
        bed.perform(call).await.outcome,
        Ok(Answer::Jobs { jobs: vec![], page: JobsPage { ids: vec![], total: Some(0) } })
    );

    bed.clock.pass(Duration::from_secs(1));
    assert_eq!(bed.follow(&id).await.outcome, Ok(Answer::Job(JobView::Completed)));
    let Ok(Answer::Proxy(Some(view))) = bed.inspect(0).await.outcome else { panic!("a proxy") };
    assert_eq!(view.ssl_option, Some(true));
}

#[tokio::test]
async fn each_fault_comes_through_as_its_class() {
    type Set = fn(&mut Faults);
    type Case = (&'static str, Set, Option<bool>, Result<(), Disposition>);
    let cases: [Case; 11] = [
        ("throttle", |f| f.throttle = always(), Some(false), Err(Disposition::Throttled)),
        (
            "throttle_with_retry_after",
            |f| f.throttle_with_retry_after = always(),
            Some(false),
            Err(Disposition::Throttled),
        ),
        (
            "token_expired",
            |f| f.token_expired = always(),
            Some(false),
            Err(Disposition::Unauthorised),
        ),
        (
            "error_500_before",
            |f| f.error_500_before = always(),
            Some(false),
            Err(Disposition::Unknown),
        ),
        (
            "error_500_after",
            |f| f.error_500_after = always(),
            Some(true),
            Err(Disposition::Unknown),
        ),
        ("html_502", |f| f.html_502 = always(), None, Err(Disposition::Unknown)),
        ("drop_before", |f| f.drop_before = always(), Some(false), Err(Disposition::Unknown)),
        ("drop_after", |f| f.drop_after = always(), Some(true), Err(Disposition::Unknown)),
        ("garbage_200", |f| f.garbage_200 = always(), Some(true), Err(Disposition::Unknown)),
        ("no_job_id_200", |f| f.no_job_id_200 = always(), Some(true), Ok(())),
        ("busy", |f| f.busy = always(), Some(false), Err(Disposition::Busy)),
    ];
    let in_both = cases
        .into_iter()
        .flat_map(|case| [Language::EnUs, Language::ZhCn].map(|language| (language, case)));
    for (language, (word, set, executed, outcome)) in in_both {
        let mut faults = calm();
        set(&mut faults);
        let bed = bed_in(language, faults).await;
        let reply = bed.submit(0).await;
        assert_eq!(
            reply.outcome.as_ref().map(|_| ()).map_err(|error| error.disposition),
            outcome,
            "{word}: {reply:?}"
        );
        assert!(reply.sent, "{word}");
        if let Some(executed) = executed {
            assert_eq!(bed.executed(0), u32::from(executed), "{word}");
        }
        assert_eq!(
            bed.running.with_model(|model| model.fired()[word]),
            1,
            "{word}: one request, not repeated"
        );
        assert_eq!(bed.running.with_model(|model| model.ledger().arrivals_total()), 1, "{word}");
        let service = reply
            .outcome
            .as_ref()
            .err()
            .filter(|error| error.code.as_ref().is_some_and(|code| code.starts_with("DBS")));
        assert!(
            service.is_none_or(|error| error.message.is_ascii() == (language == Language::EnUs)),
            "{word}: {reply:?}"
        );
        if word == "throttle_with_retry_after" {
            assert_eq!(reply.outcome.expect_err("a 429").retry_after, Some(2));
        }
    }
}

#[tokio::test]
async fn a_failed_job_and_a_hidden_job_come_through() {
    for language in [Language::EnUs, Language::ZhCn] {
        let faults = Faults {
            job_fails: always(),
            visibility_lag: Between::exactly(Duration::from_secs(1)),
            ..calm()
        };
        let bed = bed_in(language, faults).await;
        let id = job(&bed.submit(0).await);
        assert_eq!(disposition(&bed.follow(&id).await), Disposition::NotFound);
        bed.clock.pass(Duration::from_secs(2));
        let reply = bed.follow(&id).await;
        assert!(matches!(reply.outcome, Ok(Answer::Job(JobView::Broken { .. }))), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_comes_through_in_both_languages() {
    for language in [Language::EnUs, Language::ZhCn] {
        let bed = bed_in(language, calm()).await;
        let [mut elsewhere, mut gone] = [bed.targets[0].clone(), bed.targets[0].clone()];
        elsewhere.instance_id = "f96c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id");
        gone.proxy_id = "fec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id");
        for call in [
            Call::Inspect { target: elsewhere.clone() },
            Call::Submit { target: elsewhere, ssl_option: true },
            Call::Submit { target: gone, ssl_option: true },
        ] {
            let reply = bed.perform(call).await;
            assert_eq!(disposition(&reply), Disposition::NotFound, "{reply:?}");
        }
    }
}

/// Whoever goes where the emulated cloud says, a preflight say, must not knock in somebody's
/// network.
#[tokio::test]
async fn every_address_that_is_reported_is_on_this_machine() {
    let bed = bed(calm()).await;
    let project = "056538411200d4cd2f79c003c7606412";
    let instance = bed.targets[0].instance_id;
    let mut told = 0;
    for path in
        [format!("/v3/{project}/instances"), format!("/v3/{project}/instances/{instance}/proxies")]
    {
        let answer = bed.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Token: {TOKEN}\r\n\r\n")).await;
        for address in answer.split('"').filter_map(|text| text.parse::<std::net::IpAddr>().ok()) {
            assert!(address.is_loopback(), "{address} in {answer}");
            told += 1;
        }
    }
    assert!(told > 2);
}

#[tokio::test(start_paused = true)]
async fn latency_and_slow_answers_are_waited_out() {
    let latency = Between::exactly(Duration::from_secs(5));
    let bed = bed(Faults { latency, ..calm() }).await;
    let began = tokio::time::Instant::now();
    assert!(bed.submit(0).await.outcome.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(5));

    bed.running.with_model(|model| model.set_faults(Faults { slow: always(), ..calm() }));
    let reply = bed.submit(2).await;
    assert_eq!(
        (disposition(&reply), reply.sent),
        (Disposition::Unknown, true),
        "longer than the call timeout"
    );
    assert_eq!(bed.executed(2), 1);
}

#[tokio::test]
async fn a_dropped_connection_is_closed_without_a_byte() {
    let bed = bed(Faults { drop_after: always(), ..calm() }).await;
    let Target { instance_id, proxy_id, .. } = &bed.targets[0];
    let path = format!(
        "/v3/056538411200d4cd2f79c003c7606412/instances/{instance_id}/proxy/{proxy_id}/ssl"
    );
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {TOKEN}\r\nContent-Length: 21\r\n\r\n{{\"ssl_option\": false}}"
    );
    // Keep-alive: reading to the end only returns because the emulator closes.
    assert_eq!(bed.raw(&request).await, "");
    assert_eq!(bed.executed(0), 1);
}

#[tokio::test]
async fn the_gateway_refuses_in_its_own_words() {
    let bed = bed(calm()).await;
    let Target { instance_id, proxy_id, .. } = &bed.targets[0];
    let project = "056538411200d4cd2f79c003c7606412";
    let ssl = format!("/v3/{project}/instances/{instance_id}/proxy/{proxy_id}/ssl");
    let token = format!("X-Auth-Token: {TOKEN}\r\n");
    for (line, headers, body, status, word) in [
        (format!("PUT {ssl}"), "", "{\"ssl_option\":true}", 401, "x-auth-token not found"),
        (
            format!("PUT {ssl}"),
            "X-Auth-Token: other\r\n",
            "{\"ssl_option\":true}",
            401,
            "APIGW.0301",
        ),
        (format!("PUT {ssl}"), &*token, "{\"ssl_option\":\"true\"}", 400, "DBS.280001"),
        (format!("PUT {ssl}"), &token, "{\"ssl_option\":true,\"x\":1}", 400, "DBS.280001"),
        (format!("PUT {ssl}"), &token, "", 400, "DBS.280001"),
        (format!("PUT {}", ssl.replace("/proxy/", "/proxyId/")), &token, "{}", 404, "APIGW.0101"),
        (format!("POST {ssl}"), &token, "{\"ssl_option\":true}", 404, "APIGW.0101"),
        (
            format!("PUT {}", ssl.replace("in07", "in08")),
            &token,
            "{\"ssl_option\":true}",
            400,
            "DBS.280404",
        ),
        (
            format!("PUT {}", ssl.replace(project, "156538411200d4cd2f79c003c7606412")),
            &token,
            "{\"ssl_option\":true}",
            403,
            "APIGW.0310",
        ),
        ("GET /nothing".to_owned(), &token, "", 404, "APIGW.0101"),
    ] {
        let length = body.len();
        let answer =
            bed.raw(&format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(word),
            "{line}: {answer}"
        );
        assert!(answer.to_ascii_lowercase().contains("x-request-id: "), "{answer}");
    }
    assert_eq!(bed.running.with_model(|model| model.ledger().executed_total()), 0);
    assert_eq!(
        bed.running.with_model(|model| model.ledger().arrivals_total()),
        10,
        "refused requests arrived too"
    );
}

#[tokio::test]
async fn the_control_paths_report_and_change() {
    let bed = bed(calm()).await;
    let id = job(&bed.submit(0).await);
    bed.clock.pass(Duration::from_secs(5));
    let ledger = bed.get("/_emulator/ledger").await;
    let json: serde_json::Value =
        serde_json::from_str(ledger.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(json["arrivals_total"], 1, "looking is not counted");
    assert_eq!(
        (&json["switches_total"], &json["executed_total"], &json["ssl_on"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(json["jobs"][0]["job_id"], id.as_str());
    assert_eq!(json["jobs"][0]["status"], "Completed");
    assert_eq!(json["proxies"].as_array().map(Vec::len), Some(6));
    assert_eq!(json["proxies"][0]["effective"], 1);
    assert_eq!(
        json["worst"][0],
        serde_json::json!({"interval_ms": 1000, "arrivals": 1, "at_ms": 0, "saturated": false})
    );
    assert_eq!(json["worst"][1]["interval_ms"], 300_000);
    assert!(bed.get("/_emulator/arrivals").await.ends_with("[0]"));

    let post = async |text: &str| {
        bed.raw(&format!(
            "POST /_emulator/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ))
        .await
    };
    assert!(post("throttle: 1\n").await.starts_with("HTTP/1.1 204"));
    assert_eq!(disposition(&bed.inspect(0).await), Disposition::Throttled);
    let refused = post("throtle: 1\n").await;
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("unknown key `throtle`"),
        "{refused}"
    );
    assert!(bed.get("/_emulator/faults").await.contains("throttle:"));
    assert!(bed.get("/_emulator/nothing").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_taken_address_is_an_error_and_stopping_frees_it() {
    let EmulatorFixture { running, .. } = bed(calm()).await;
    let addr = running.addr;
    let again = || {
        let options = Options {
            listen: addr,
            fleet: Fleet::generate(1, 1, 0).expect("possible numbers"),
            faults: calm(),
            seed: 0,
            token: None,
            accounts: Accounts::default(),
            project_id: None,
            watch: vec![],
            wire: false,
        };
        Emulator::start(options, Arc::new(HandClock(Mutex::new(Duration::ZERO))))
    };
    assert!(matches!(again(), Err(EmulatorError::Listen { .. })));
    running.stop().await.expect("it ran well");
    assert!(again().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_arrive_once_each() {
    let rate = |p| Rate::always(p).expect("in range");
    let faults = Faults {
        error_500_after: rate(0.1),
        drop_before: rate(0.05),
        drop_after: rate(0.05),
        throttle: rate(0.05),
        ..calm()
    };
    let bed = bed(faults).await;
    for round in 0..3 {
        let calls = (0..256).map(|n| {
            if n % 2 == 0 { bed.submit(n % 6).boxed() } else { bed.inspect(n % 6).boxed() }
        });
        let replies = futures_util::future::join_all(calls).await;
        assert!(replies.iter().all(|reply| reply.sent), "round {round}: {replies:?}");
        bed.clock.pass(Duration::from_secs(3));
    }
    bed.running.with_model(|model| {
        let ledger = model.ledger();
        assert_eq!(
            (ledger.arrivals_total(), ledger.switches_total()),
            (3 * 256, 3 * 128),
            "none lost, none repeated"
        );
        assert_eq!(ledger.executed_total(), model.jobs().count() as u64);
    });
}
