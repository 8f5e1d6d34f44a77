//! Credentials over real HTTP, judged by the emulator: what is sent, how often, and what is never
//! sent or told.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;

mod agencies;
mod many_lanes;

use super::refusals::{HOLD, HOLD_LONG};
use super::*;
use crate::clock::Times;
use crate::cloud::http::HttpCloud;
use crate::cloud::http::tests::{ServerReaction, lane_as, server};
use crate::cloud::secret::LOOK_EVERY;
use crate::cloud::{Cloud as _, LastCheck, Withheld};
use crate::domain::call::{Call, CallError};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::ProjectId;
use crate::domain::lane::NameSource;
use crate::domain::target::Target;
use crate::simcloud::emulator::accounts::{AccountKey, AccountUser as Known, Accounts};
use crate::simcloud::emulator::tests::HandClock;
use crate::simcloud::emulator::{Emulator, Options, RunningEmulator};
use crate::simcloud::faults::{Faults, Rate};
use crate::simcloud::fleet::{Fleet, FleetProxy};

const AK: &str = "HPUAEXAMPLEAK0000001";
const SK: &str = "sk-that-must-not-be-told-0000000000000001";
const PASSWORD: &str = "Passw0rd-that-must-not-be-told";
const SECURITY_TOKEN: &str = "security-token-that-must-not-be-told";
const PATIENT: Duration = Duration::from_secs(30);
/// For what must end by the call timeout.
const SHORT: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Our clock: the cloud's, with a wall clock that can be wrong.
struct OurClock {
    cloud: Arc<HandClock>,
    ahead: Mutex<SignedDuration>,
}

impl Clock for OurClock {
    fn times(&self) -> Times {
        let Times { wall, boot } = self.cloud.times();
        Times { wall: wall + *self.ahead.lock().expect("no panic under the lock"), boot }
    }
}

struct AuthFixture {
    running: RunningEmulator,
    cloud: HttpCloud,
    clock: Arc<OurClock>,
    target: Target,
    dir: tempfile::TempDir,
}

fn key(access_key: &str, secret_key: &str) -> AccountKey {
    AccountKey {
        access_key: access_key.to_owned(),
        secret_key: secret_key.into(),
        security_token: None,
    }
}

fn user(password: &str) -> Known {
    Known {
        domain: "acme".into(),
        user: "sealift".into(),
        password: password.into(),
        projects: None,
        agent_operator: true,
    }
}

fn accounts(keys: Vec<AccountKey>, users: Vec<Known>) -> Accounts {
    Accounts { keys, users, ..Accounts::default() }
}

fn bed(accounts: Accounts, credentials: impl FnOnce(&Path, &str) -> Credentials) -> AuthFixture {
    bed_within(PATIENT, accounts, credentials)
}

fn bed_within(
    timeout: Duration,
    accounts: Accounts,
    credentials: impl FnOnce(&Path, &str) -> Credentials,
) -> AuthFixture {
    let (running, clock, proxy) =
        emulator(accounts, Some("056538411200d4cd2f79c003c7606412".parse().expect("an id")));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lane = lane_as(&running.endpoint(), credentials(dir.path(), &running.endpoint()), timeout);
    let target = proxy.target(&lane.name);
    let cloud = HttpCloud::new(&[lane], &(clock.clone() as Arc<dyn Clock>)).expect("a client");
    AuthFixture { running, cloud, clock, target, dir }
}

/// An emulator with these accounts, our clock beside its own, and the one proxy that it has.
fn emulator(
    accounts: Accounts,
    project_id: Option<ProjectId>,
) -> (RunningEmulator, Arc<OurClock>, FleetProxy) {
    let hand = Arc::new(HandClock(Mutex::new(Duration::from_secs(1000))));
    let fleet = Fleet::generate(1, 1, 1).expect("possible numbers");
    let proxy = fleet.proxies()[0];
    let options = Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        fleet,
        faults: Faults::default(),
        seed: 7,
        token: None,
        accounts,
        project_id,
        watch: vec![],
        wire: false,
    };
    let running = Emulator::start(options, hand.clone()).expect("loopback");
    let clock = Arc::new(OurClock { cloud: hand, ahead: Mutex::new(SignedDuration::ZERO) });
    (running, clock, proxy)
}

/// A lane with the key that the files `ak` and `sk` hold.
fn signing(accounts: Accounts, access_key: &str, secret_key: &str) -> AuthFixture {
    bed(accounts, |dir, _| {
        write(dir, "ak", access_key);
        write(dir, "sk", secret_key);
        let [access_key, secret_key] = ["ak", "sk"].map(|name| SecretSource::File(dir.join(name)));
        Credentials::AccessKey { access_key, secret_key, security_token: None }
    })
}

/// A lane with the password that the file `password` holds.
fn logging_in(accounts: Accounts, text: &str, iam: Option<&str>) -> AuthFixture {
    bed(accounts, password(text, iam))
}

fn password(text: &str, iam: Option<&str>) -> impl FnOnce(&Path, &str) -> Credentials {
    move |dir, endpoint| {
        write(dir, "password", &format!("{text}\n"));
        Credentials::Password {
            iam_endpoint: iam.unwrap_or(endpoint).to_owned(),
            user: NameSource::Plain("sealift".into()),
            password: SecretSource::File(dir.join("password")),
            domain: NameSource::Plain("acme".into()),
            agency: None,
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let (path, new) = (dir.join(name), dir.join("new"));
    crate::cloud::secret::write(&new, text);
    std::fs::rename(&new, &path).expect("same directory");
    path
}

impl AuthFixture {
    fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
        self.pass(LOOK_EVERY);
    }

    /// Our wall clock is so many minutes ahead of the cloud's.
    fn step(&self, minutes: i64) {
        *self.clock.ahead.lock().expect("no panic under the lock") =
            SignedDuration::from_mins(minutes);
    }

    fn pass(&self, time: Duration) {
        self.clock.cloud.pass(time);
    }

    async fn inspect(&self) -> Reply {
        self.inspect_after(Box::new(|| Ok(()))).await
    }

    async fn inspect_after(&self, check: LastCheck) -> Reply {
        let reply = self.cloud.perform(Call::Inspect { target: self.target.clone() }, check).await;
        let printed = format!("{reply:?}");
        for secret in [SK, PASSWORD, SECURITY_TOKEN, "MIIE"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        reply
    }

    async fn submit(&self) -> Reply {
        self.cloud
            .perform(
                Call::Submit { target: self.target.clone(), ssl_option: true },
                Box::new(|| Ok(())),
            )
            .await
    }

    async fn many(&self, count: usize) -> Vec<Reply> {
        futures_util::future::join_all((0..count).map(|_| self.inspect())).await
    }

    fn arrivals(&self) -> u64 {
        self.running.with_model(|model| model.ledger().arrivals_total())
    }
}

fn refused(reply: &Reply) -> &CallError {
    let error = reply.outcome.as_ref().expect_err("not let in");
    assert_eq!(error.disposition, Disposition::Unauthorised, "{error:?}");
    error
}

#[tokio::test]
async fn signed_calls_are_let_in() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    assert!(bed.submit().await.outcome.is_ok());
    assert!(bed.many(20).await.iter().all(|reply| reply.outcome.is_ok()));
    let find = Call::FindJobs {
        target: bed.target.clone(),
        within: TimeSpan::at(bed.clock.times().wall),
        offset: 1,
    };
    assert!(
        bed.cloud.perform(find, Box::new(|| Ok(()))).await.outcome.is_ok(),
        "a query with escapes"
    );
    let seen = bed.running.admissions();
    assert_eq!((seen.signed, seen.signed_refused), (22, 0));
}

#[tokio::test]
async fn what_is_signed_is_what_the_vendors_clients_sign() {
    let (endpoint, mut asked) = server(ServerReaction::Silence).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [access_key, secret_key] = [("ak", AK), ("sk", SK)]
        .map(|(name, text)| SecretSource::File(write(dir.path(), name, text)));
    let lane = lane_as(
        &endpoint,
        Credentials::AccessKey { access_key, secret_key, security_token: None },
        SHORT,
    );
    let call = Call::Instances { lane: lane.name.clone(), offset: 0 };
    let cloud = HttpCloud::new(&[lane], &crate::cloud::http::tests::clock()).expect("a client");
    let _reply = cloud.perform(call, Box::new(|| Ok(()))).await;
    let request = asked.recv().await.expect("it came whole");
    // Theirs has their user agent besides.
    assert!(
        request.contains("SignedHeaders=content-type;host;x-language;x-project-id;x-sdk-date,"),
        "{request}"
    );
}

#[tokio::test]
async fn a_temporary_key_carries_its_security_token() {
    let temporary = AccountKey { security_token: Some(SECURITY_TOKEN.into()), ..key(AK, SK) };
    let bed = bed(accounts(vec![temporary], vec![]), |dir, _| {
        let [access_key, secret_key, security_token] =
            [("ak", AK), ("sk", SK), ("st", SECURITY_TOKEN)]
                .map(|(name, text)| SecretSource::File(write(dir, name, text)));
        Credentials::AccessKey { access_key, secret_key, security_token: Some(security_token) }
    });
    assert!(bed.submit().await.outcome.is_ok());
    bed.write("st", "another");
    assert!(refused(&bed.inspect().await).message.contains("security token"));
}

#[tokio::test]
async fn what_the_gateway_refuses_is_reported() {
    for (access_key, secret_key, said) in
        [("UNKNOWN", SK, "ak UNKNOWN not exist"), (AK, "other", "verify aksk signature fail")]
    {
        let bed = signing(accounts(vec![key(AK, SK)], vec![]), access_key, secret_key);
        let reply = bed.inspect().await;
        let error = refused(&reply);
        assert_eq!(
            (error.status, error.code.as_deref(), error.retry_after),
            (Some(401), Some("APIGW.0301"), None),
            "{said}"
        );
        assert!(error.message.contains(said) && reply.request_id.is_some(), "{error:?}");
    }
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    bed.step(14);
    assert!(bed.inspect().await.outcome.is_ok(), "the cloud bears a quarter of an hour");
}

#[tokio::test]
async fn a_wrong_key_is_tried_by_one_call_at_a_time_and_never_locked() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, "wrong");
    let replies = bed.many(50).await;
    assert!(replies.iter().all(|reply| reply.outcome.is_err()));
    assert_eq!(
        replies.iter().filter(|reply| reply.sent).count(),
        3,
        "the others were answered here"
    );
    let held = replies.iter().find(|reply| !reply.sent).expect("most");
    assert!(
        refused(held).message.contains("3 times in a row; not tried for 5 minutes"),
        "{held:?}"
    );
    assert!(refused(held).message.contains("verify aksk signature fail"), "{held:?}");
    // As an engine would, minute after minute, with many calls each time: for more than an hour
    // nothing locks the key.
    for _ in 0..69 {
        bed.pass(MINUTE);
        bed.many(10).await;
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.longest_row, seen.locks, seen.signed_refused), (5, 0, 5), "{seen:?}");
    // The right half is taken up at once.
    bed.write("sk", SK);
    assert!(bed.many(10).await.iter().all(|reply| reply.outcome.is_ok()));
}

#[tokio::test]
async fn waits_after_refusals_grow() {
    let mut refusals = super::refusals::Refusals::default();
    let waits: Vec<Duration> = (0..7)
        .map(|_| {
            refusals.add(MINUTE);
            refusals.held(MINUTE).map_or(Duration::ZERO, |(_, left)| left)
        })
        .collect();
    assert_eq!(
        waits,
        [Duration::ZERO, Duration::ZERO, HOLD, HOLD, HOLD_LONG, HOLD_LONG, HOLD_LONG]
    );
    assert!(refusals.held(MINUTE + HOLD_LONG).is_none());
    refusals.lift();
    assert!(refusals.held(MINUTE).is_none());
}

#[tokio::test]
async fn a_rotation_half_way_costs_a_call_and_no_more() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    assert!(bed.inspect().await.outcome.is_ok());
    bed.running.set_accounts(accounts(vec![key(AK, SK), key("NEW", "new-secret")], vec![]));
    bed.write("ak", "NEW");
    assert_eq!(
        refused(&bed.inspect().await).retry_after,
        Some(SOON),
        "the other half may just be on its way"
    );
    bed.write("sk", "new-secret");
    assert!(bed.many(10).await.iter().all(|reply| reply.outcome.is_ok()));
    assert_eq!(bed.running.admissions().signed_refused, 1);

    // A half that stays alone is no rotation: after the second refusal the engine's own pause
    // counts.
    bed.write("ak", AK);
    assert_eq!(refused(&bed.inspect().await).retry_after, Some(SOON));
    assert_eq!(refused(&bed.inspect().await).retry_after, None);
}

#[tokio::test]
async fn a_call_that_was_out_when_the_key_was_replaced_is_to_be_repeated() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    assert!(bed.inspect().await.outcome.is_ok());
    // At its wire instant everything changes under the call.
    bed.running.set_accounts(accounts(vec![key("NEW", "new-secret")], vec![]));
    let dir = bed.dir.path().to_owned();
    let check: LastCheck = Box::new(move || {
        write(&dir, "ak", "NEW");
        write(&dir, "sk", "new-secret");
        Ok(())
    });
    let reply = bed.inspect_after(check).await;
    assert_eq!((refused(&reply).retry_after, reply.sent), (Some(SOON), true));
    assert_eq!(bed.arrivals(), 2, "not repeated by the client");
    bed.pass(Duration::from_secs(u64::from(SOON)));
    assert!(bed.inspect().await.outcome.is_ok());
}

#[tokio::test]
async fn a_stepped_clock_costs_nothing_while_the_clouds_time_is_known() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    for minutes in [0, 60, 0, -180] {
        bed.step(minutes);
        assert!(bed.many(50).await.iter().all(|reply| reply.outcome.is_ok()), "{minutes}");
    }
    assert_eq!(bed.running.admissions().signed_refused, 0);
}

#[tokio::test]
async fn a_date_that_the_cloud_does_not_bear_is_no_refusal_of_the_key() {
    for minutes in [16, -16, 180, -180] {
        let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
        bed.step(minutes);
        let reply = bed.inspect().await;
        let error = reply.outcome.as_ref().expect_err("misdated");
        assert_eq!(
            (error.disposition, error.status),
            (Disposition::Misdated, Some(401)),
            "{error:?}"
        );
        assert!(
            error.message.contains("signed anew by the cloud's time") && reply.cloud_time.is_some(),
            "{reply:?}"
        );
        assert!(bed.many(50).await.iter().all(|reply| reply.outcome.is_ok()), "{minutes}");
        let seen = bed.running.admissions();
        assert_eq!((seen.signed_refused, seen.locks), (1, 0), "{seen:?}");
    }
    // Dated right, a refusal is one of the key.
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, "wrong");
    bed.step(60);
    assert_eq!(
        bed.inspect().await.outcome.expect_err("misdated").disposition,
        Disposition::Misdated
    );
    assert!(refused(&bed.inspect().await).message.contains("verify aksk signature fail"));
}

#[tokio::test]
async fn a_trial_without_an_answer_leaves_the_next_one_to_try() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    let drop_all =
        Faults { drop_before: Rate::always(1.0).expect("in range"), ..Faults::default() };
    bed.running.with_model(|model| model.set_faults(drop_all));
    let replies = bed.many(5).await;
    assert!(
        replies.iter().all(|reply| reply
            .outcome
            .as_ref()
            .is_err_and(|error| error.disposition == Disposition::Unknown)),
        "{replies:?}"
    );
    bed.running.with_model(|model| model.set_faults(Faults::default()));
    assert!(bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()));
}

#[tokio::test]
async fn a_withheld_switch_is_no_refusal_and_no_verdict() {
    let bed = signing(accounts(vec![key(AK, SK)], vec![]), AK, SK);
    for _ in 0..10 {
        let call = Call::Submit { target: bed.target.clone(), ssl_option: true };
        let reply =
            bed.cloud.perform(call, Box::new(|| Err(Withheld("the window has shut".into())))).await;
        assert_eq!(reply.outcome.expect_err("withheld").disposition, Disposition::Withheld);
    }
    assert!(bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()));
    let seen = bed.running.admissions();
    assert_eq!((seen.signed, seen.signed_refused), (5, 0));
}

#[tokio::test]
async fn a_login_that_takes_too_long_costs_no_attempt_and_is_not_begun_again() {
    let (iam, mut asked) = server(ServerReaction::Silence).await;
    let bed =
        bed_within(SHORT, accounts(vec![], vec![user(PASSWORD)]), password(PASSWORD, Some(&iam)));
    for _ in 0..2 {
        for reply in bed.many(20).await {
            assert!(
                !reply.sent && refused(&reply).message.contains("have passed over a login"),
                "{reply:?}"
            );
        }
    }
    assert!(asked.recv().await.is_some() && asked.try_recv().is_err(), "one login for all");
}

#[tokio::test]
async fn one_login_is_shared_and_renewed_before_its_end() {
    let bed = logging_in(accounts(vec![], vec![user(PASSWORD)]), PASSWORD, None);
    assert!(bed.many(30).await.iter().all(|reply| reply.outcome.is_ok()));
    assert_eq!(bed.running.admissions().logins, 1);
    assert_eq!(bed.arrivals(), 30, "a login is no call of the lane");
    // Renewed at four fifths of a day, while the old one still lets calls in.
    bed.pass(Duration::from_secs(19 * 3600));
    bed.many(5).await;
    assert_eq!(bed.running.admissions().logins, 1);
    bed.pass(Duration::from_secs(3600));
    assert!(bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()));
    // After its end only the new one can be meant: whoever comes waits for it, if need be.
    bed.pass(Duration::from_secs(5 * 3600));
    assert!(bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()));
    assert_eq!(bed.running.admissions().logins, 2);
    // A day without any call.
    bed.pass(Duration::from_secs(48 * 3600));
    assert!(bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()));
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.tokens_refused), (3, 0));
}

#[tokio::test]
async fn a_token_that_dies_early_is_replaced_once() {
    let bed = logging_in(accounts(vec![], vec![user(PASSWORD)]), PASSWORD, None);
    assert!(bed.inspect().await.outcome.is_ok());
    bed.pass(MINUTE);
    // Another account file with another password ends the token; then it is as it was.
    bed.running.set_accounts(accounts(vec![], vec![user("other")]));
    bed.running.set_accounts(accounts(vec![], vec![user(PASSWORD)]));
    let replies = bed.many(10).await;
    assert!(replies.iter().all(|reply| refused(reply).retry_after == Some(SOON)), "{replies:?}");
    assert!(bed.many(10).await.iter().all(|reply| reply.outcome.is_ok()));
    assert_eq!(bed.running.admissions().logins, 2);
}

#[tokio::test]
async fn fresh_tokens_that_are_refused_make_no_loop() {
    let bed = logging_in(accounts(vec![], vec![user(PASSWORD)]), PASSWORD, None);
    let faults =
        Faults { token_expired: Rate::always(1.0).expect("in range"), ..Faults::default() };
    bed.running.with_model(|model| model.set_faults(faults));
    for _ in 0..30 {
        let replies = bed.many(5).await;
        assert!(replies.iter().all(|reply| reply.outcome.is_err()));
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert!(seen.logins <= 5, "half an hour, {seen:?}");
    bed.running.with_model(|model| model.set_faults(Faults::default()));
    bed.pass(HOLD_LONG);
    assert!(bed.inspect().await.outcome.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_asked_for_once() {
    let bed = logging_in(accounts(vec![], vec![user(PASSWORD)]), "wrong-password", None);
    for _ in 0..50 {
        for reply in bed.many(5).await {
            let message = &refused(&reply).message;
            assert!(
                !reply.sent
                    && message.contains("username or password is wrong")
                    && !message.contains("wrong-password"),
                "{message}"
            );
        }
        bed.pass(MINUTE);
    }
    assert_eq!((bed.running.admissions().logins_refused, bed.arrivals()), (1, 0));
    bed.write("password", PASSWORD);
    assert!(
        bed.many(5).await.iter().all(|reply| reply.outcome.is_ok()),
        "a new one is tried at once"
    );
    assert_eq!(bed.running.admissions().logins_refused, 1);
}

#[tokio::test]
async fn an_iam_that_is_out_of_order_is_asked_ever_more_seldom() {
    for act in [
        ServerReaction::Send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        ServerReaction::Send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
        ServerReaction::SendAndClose("nonsense"),
    ] {
        let (iam, mut asked) = server(act).await;
        let bed = logging_in(accounts(vec![], vec![user(PASSWORD)]), PASSWORD, Some(&iam));
        let mut count = 0;
        for _ in 0..60 {
            for reply in bed.many(5).await {
                let error = refused(&reply);
                assert!(
                    !reply.sent
                        && error.message.contains("IAM at 127.0.0.1")
                        && error.retry_after.is_some(),
                    "{error:?}"
                );
            }
            while let Ok(request) = asked.try_recv() {
                count += 1;
                assert!(
                    request.starts_with("POST /v3/auth/tokens?nocatalog=true HTTP/1.1\r\n"),
                    "{request}"
                );
            }
            bed.pass(Duration::from_secs(10));
        }
        // 0 s, 10 s, 30 s, 70 s, 150 s, 310 s of 600 s, then every five minutes.
        assert_eq!(count, 6);
        // A new password is tried at once, and then waits as the old one did.
        bed.write("password", "another");
        for _ in 0..5 {
            bed.many(5).await;
        }
        assert!(asked.try_recv().is_ok() && asked.try_recv().is_err());
        assert_eq!(bed.arrivals(), 0);
    }
}

#[tokio::test]
async fn a_fixed_token_that_was_replaced_is_to_be_repeated() {
    let bed = bed(accounts(vec![key("x", "x")], vec![]), |dir, _| {
        Credentials::Token(SecretSource::File(write(dir, "token", "old-token")))
    });
    assert_eq!(refused(&bed.inspect().await).retry_after, None);
    let dir = bed.dir.path().to_owned();
    let check: LastCheck = Box::new(move || {
        write(&dir, "token", "new-token");
        Ok(())
    });
    assert_eq!(refused(&bed.inspect_after(check).await).retry_after, Some(SOON));
}
