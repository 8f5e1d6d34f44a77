//! One identity behind many lanes: the cloud counts for the key and the user, so do we.

use super::*;
use crate::domain::id::Name;

pub(super) const LANES: usize = 20;

pub(super) struct Many {
    pub(super) running: RunningEmulator,
    cloud: HttpCloud,
    clock: Arc<OurClock>,
    targets: Vec<Target>,
    pub(super) dir: tempfile::TempDir,
}

pub(super) fn project(place: usize) -> ProjectId {
    format!("{place:032x}").parse().expect("an id")
}

/// So many lanes, each to a project of its own; the credentials of each are made of its place.
pub(super) fn many(
    accounts: Accounts,
    credentials: impl Fn(&Path, &str, usize) -> Credentials,
) -> Many {
    many_of(accounts, None, credentials)
}

/// The same, of a cloud that has only one project.
fn many_of(
    accounts: Accounts,
    project_id: Option<ProjectId>,
    credentials: impl Fn(&Path, &str, usize) -> Credentials,
) -> Many {
    let (running, clock, proxy) = emulator(accounts, project_id);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lanes: Vec<_> = (0..LANES)
        .map(|place| {
            let mut lane = lane_as(
                &running.endpoint(),
                credentials(dir.path(), &running.endpoint(), place),
                PATIENT,
            );
            lane.name = Name::parse(&format!("lane-{place}"), "lane").expect("a name");
            lane.access.project_id = project(place);
            lane
        })
        .collect();
    let targets = lanes.iter().map(|lane| proxy.target(&lane.name)).collect();
    let cloud = HttpCloud::new(&lanes, &(clock.clone() as Arc<dyn Clock>)).expect("clients");
    Many { running, cloud, clock, targets, dir }
}

fn key_files(dir: &Path, place: usize, access_key: &str, secret_key: &str) -> Credentials {
    let [access_key, secret_key] = [("ak", access_key), ("sk", secret_key)]
        .map(|(name, text)| SecretSource::File(write(dir, &format!("{name}-{place}"), text)));
    Credentials::AccessKey { access_key, secret_key, security_token: None }
}

fn password_file(dir: &Path, endpoint: &str, place: usize, text: &str) -> Credentials {
    Credentials::Password {
        iam_endpoint: endpoint.to_owned(),
        user: NameSource::Plain("sealift".into()),
        password: SecretSource::File(write(dir, &format!("password-{place}"), text)),
        domain: NameSource::Plain("acme".into()),
        agency: None,
    }
}

impl Many {
    pub(super) fn pass(&self, time: Duration) {
        self.clock.cloud.pass(time);
    }

    fn write_all(&self, name: &str, text: &str) {
        (0..LANES).for_each(|place| drop(write(self.dir.path(), &format!("{name}-{place}"), text)));
        self.pass(LOOK_EVERY);
    }

    async fn inspect(&self, place: usize) -> Reply {
        self.cloud
            .perform(Call::Inspect { target: self.targets[place].clone() }, Box::new(|| Ok(())))
            .await
    }

    /// Calls of every lane, all at once.
    pub(super) async fn all(&self, calls_each: usize) -> Vec<Reply> {
        futures_util::future::join_all(
            (0..LANES * calls_each).map(|call| self.inspect(call % LANES)),
        )
        .await
    }
}

#[tokio::test]
async fn one_wrong_secret_behind_many_lanes_never_locks_the_key() {
    let bed = many(accounts(vec![key(AK, SK)], vec![]), |dir, _, place| {
        key_files(dir, place, AK, "wrong")
    });
    let replies = bed.all(5).await;
    assert_eq!(
        replies.iter().filter(|reply| reply.sent).count(),
        3,
        "the others were answered here"
    );
    for reply in replies.iter().filter(|reply| !reply.sent) {
        assert!(
            refused(reply).message.contains("3 times in a row; not tried for 5 minutes"),
            "{reply:?}"
        );
    }
    for _ in 0..69 {
        bed.pass(MINUTE);
        bed.all(2).await;
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.longest_row, seen.locks, seen.signed_refused), (5, 0, 5), "{seen:?}");
    bed.write_all("sk", SK);
    assert!(
        bed.all(2).await.iter().all(|reply| reply.outcome.is_ok()),
        "the right one is taken up at once, by all of them"
    );
}

#[tokio::test]
async fn as_many_wrong_secrets_as_lanes_never_lock_the_key() {
    let bed = many(accounts(vec![key(AK, SK)], vec![]), |dir, _, place| {
        key_files(dir, place, AK, &format!("wrong-{place}"))
    });
    for _ in 0..69 {
        bed.all(2).await;
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert!(seen.locks == 0 && seen.longest_row <= 5, "{seen:?}");
}

#[tokio::test]
async fn a_wrong_secret_beside_a_right_one_holds_only_its_own_lane() {
    let secret = |place| if place == 0 { "wrong" } else { SK };
    let bed = many(accounts(vec![key(AK, SK)], vec![]), |dir, _, place| {
        key_files(dir, place, AK, secret(place))
    });
    for _ in 0..30 {
        let replies = bed.all(2).await;
        let right = replies.iter().enumerate().filter(|(call, _)| call % LANES != 0);
        assert!(right.clone().all(|(_, reply)| reply.outcome.is_ok()), "{replies:?}");
        assert!(replies.iter().step_by(LANES).all(|reply| reply.outcome.is_err()));
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert!(
        seen.locks == 0 && seen.signed_refused <= 6,
        "the wrong one is tried ever more seldom: {seen:?}"
    );
}

#[tokio::test]
async fn the_first_use_of_a_key_goes_alone() {
    let (endpoint, mut asked) = server(ServerReaction::Silence).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lanes: Vec<_> = (0..LANES)
        .map(|place| {
            let mut lane = lane_as(
                &endpoint,
                key_files(dir.path(), place, AK, SK),
                if place == 0 { 2 * SHORT } else { SHORT },
            );
            lane.name = Name::parse(&format!("lane-{place}"), "lane").expect("a name");
            lane.access.project_id = project(place);
            lane
        })
        .collect();
    let cloud = HttpCloud::new(&lanes, &crate::cloud::http::tests::clock()).expect("clients");
    let calls = lanes.iter().map(|lane| {
        cloud.perform(Call::Instances { lane: lane.name.clone(), offset: 0 }, Box::new(|| Ok(())))
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.sent).count(), 1, "{replies:?}");
    assert!(
        asked.recv().await.is_some() && asked.try_recv().is_err(),
        "the others wait for its answer"
    );
}

#[tokio::test]
async fn one_wrong_password_is_one_wrong_login_however_many_lanes_have_it() {
    let bed = many(accounts(vec![], vec![user(PASSWORD)]), |dir, endpoint, place| {
        password_file(dir, endpoint, place, "wrong-password")
    });
    for _ in 0..50 {
        for reply in bed.all(3).await {
            assert!(
                !reply.sent && refused(&reply).message.contains("username or password is wrong"),
                "{reply:?}"
            );
        }
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins_refused, seen.account_locks), (1, 0), "{seen:?}");
    bed.write_all("password", PASSWORD);
    assert!(
        bed.all(3).await.iter().all(|reply| reply.outcome.is_ok()),
        "a new one is tried at once"
    );
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.logins_refused), (LANES as u64, 1), "a token for each project");
}

#[tokio::test]
async fn as_many_wrong_passwords_as_lanes_never_lock_the_account() {
    let text = |place| format!("wrong-{place}");
    let bed = many(accounts(vec![], vec![user(PASSWORD)]), |dir, endpoint, place| {
        password_file(dir, endpoint, place, &text(place))
    });
    for _ in 0..59 {
        bed.all(2).await;
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins_refused, seen.account_locks), (3, 0), "{seen:?}");
}

#[tokio::test]
async fn a_password_that_was_changed_at_iam_costs_few_logins() {
    let bed = many(accounts(vec![], vec![user(PASSWORD)]), |dir, endpoint, place| {
        password_file(dir, endpoint, place, PASSWORD)
    });
    assert!(bed.all(2).await.iter().all(|reply| reply.outcome.is_ok()));
    bed.pass(MINUTE);
    // Every token dies with it.
    bed.running.set_accounts(accounts(vec![], vec![user("changed")]));
    for _ in 0..30 {
        bed.all(2).await;
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins_refused, seen.account_locks), (1, 0), "{seen:?}");
}

#[tokio::test]
async fn a_missing_role_stays_the_lanes_own() {
    let projects = Some((1..LANES).map(|place| project(place).to_string()).collect());
    let known = Known { projects, ..user(PASSWORD) };
    let bed = many(accounts(vec![], vec![known]), |dir, endpoint, place| {
        password_file(dir, endpoint, place, PASSWORD)
    });
    for _ in 0..5 {
        let replies = bed.all(2).await;
        for (call, reply) in replies.iter().enumerate() {
            if call % LANES == 0 {
                assert!(refused(reply).message.contains("not authorized to perform"), "{reply:?}");
            } else {
                assert!(reply.outcome.is_ok(), "lane {}: {reply:?}", call % LANES);
            }
        }
        bed.pass(MINUTE);
    }
    assert_eq!(bed.running.admissions().logins_refused, 1);
}

#[tokio::test]
async fn an_unknown_project_stays_the_lanes_own() {
    // The project's id in the path is refused with 403, which tells nothing of the key.
    let bed = many_of(accounts(vec![key(AK, SK)], vec![]), Some(project(1)), |dir, _, place| {
        key_files(dir, place, AK, SK)
    });
    for _ in 0..3 {
        for (call, reply) in bed.all(2).await.iter().enumerate() {
            let status =
                reply.outcome.as_ref().err().map(|error| (error.disposition, error.status));
            let expected = (call % LANES != 1).then_some((Disposition::Fatal, Some(403)));
            assert_eq!(status, expected, "lane {}: {reply:?}", call % LANES);
        }
        bed.pass(MINUTE);
    }
    assert_eq!(bed.running.admissions().signed_refused, 0);
}
