//! One user behind many lanes of other accounts, by agencies: one login for all, a token for each
//! lane, and what IAM says against an agency concerns its lane alone.

use super::many_lanes::{LANES, Many, many, project};
use super::*;
use crate::cloud::authenticator::turns::Turns;
use crate::domain::lane::Agency;
use crate::simcloud::emulator::accounts::AccountAgency;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn member(projects: Option<Vec<String>>) -> AccountAgency {
    AccountAgency {
        domain: "member".into(),
        name: "ops-agency".into(),
        trusts: "acme".into(),
        projects,
    }
}

fn trusting(user: Known, agencies: Vec<AccountAgency>) -> Accounts {
    Accounts { agencies, ..accounts(vec![], vec![user]) }
}

/// Lanes that say the same of their user, as those of one table do.
fn acting(accounts: Accounts, text: &str) -> Many {
    many(accounts, |dir, endpoint, _| Credentials::Password {
        iam_endpoint: endpoint.to_owned(),
        user: NameSource::Plain("sealift".into()),
        password: SecretSource::File(write(dir, "password", text)),
        domain: NameSource::Plain("acme".into()),
        agency: Some(Agency { name: "ops-agency".into(), domain: "member".into() }),
    })
}

fn others() -> Option<Vec<String>> {
    Some((1..LANES).map(|place| project(place).to_string()).collect())
}

#[tokio::test]
async fn one_user_logs_in_once_and_each_lane_has_one_token() {
    let bed = acting(trusting(user(PASSWORD), vec![member(None)]), PASSWORD);
    for reply in bed.all(3).await {
        assert!(reply.outcome.is_ok(), "{reply:?}");
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.agency_tokens), (1, LANES as u64), "{seen:?}");
    assert_eq!((seen.tokens_refused, seen.agency_tokens_refused), (0, 0), "{seen:?}");
}

#[tokio::test]
async fn a_refused_agency_is_named_with_the_remedy_and_holds_its_own_lane() {
    let bed = acting(trusting(user(PASSWORD), vec![member(others())]), PASSWORD);
    for _ in 0..4 {
        for (call, reply) in bed.all(2).await.iter().enumerate() {
            if call % LANES > 0 {
                assert!(reply.outcome.is_ok(), "lane {}: {reply:?}", call % LANES);
                continue;
            }
            let told = &refused(reply).message;
            let remedy = "let account member have an agency ops-agency for account acme";
            assert!(told.contains(remedy) && told.contains(project(0).as_str()), "{told}");
            assert!(told.contains("no token of agency ops-agency of account member"), "{told}");
            assert!(told.contains("Agent Operator") && !reply.sent, "{told}");
        }
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.agency_tokens_refused), (1, 1), "{seen:?}");
    // The same user: what is mended in the other account is noticed without a restart.
    bed.running.set_accounts(trusting(user(PASSWORD), vec![member(None)]));
    bed.pass(2 * MINUTE);
    // To the emulator it is another agency: tokens of the one before are asked for anew.
    bed.all(2).await;
    bed.pass(MINUTE);
    assert!(bed.all(2).await.iter().all(|reply| reply.outcome.is_ok()));
    assert_eq!(bed.running.admissions().logins, 1);
}

#[tokio::test]
async fn a_user_who_may_not_act_by_agencies_does_not_log_in_again_for_it() {
    let known = Known { agent_operator: false, ..user(PASSWORD) };
    let bed = acting(trusting(known, vec![member(None)]), PASSWORD);
    for _ in 0..3 {
        for reply in bed.all(2).await {
            assert!(refused(&reply).message.contains("the policy Agent Operator"), "{reply:?}");
        }
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.agency_tokens_refused), (1, LANES as u64), "{seen:?}");
}

#[tokio::test]
async fn a_wrong_password_is_one_login_however_many_lanes_act_by_it() {
    let bed = acting(trusting(user(PASSWORD), vec![member(None)]), "wrong-password");
    for _ in 0..10 {
        for reply in bed.all(2).await {
            let told = &refused(&reply).message;
            assert!(told.contains("username or password is wrong"), "{told}");
        }
        bed.pass(MINUTE);
    }
    let seen = bed.running.admissions();
    assert_eq!((seen.logins_refused, seen.account_locks), (1, 0), "{seen:?}");
    write(bed.dir.path(), "password", PASSWORD);
    bed.pass(LOOK_EVERY);
    assert!(bed.all(2).await.iter().all(|reply| reply.outcome.is_ok()), "tried at once");
}

#[tokio::test]
async fn tokens_that_died_before_their_time_are_replaced_by_one_more_login() {
    let bed = acting(trusting(user(PASSWORD), vec![member(None)]), PASSWORD);
    assert!(bed.all(1).await.iter().all(|reply| reply.outcome.is_ok()));
    bed.pass(MINUTE);
    // Another role is another user to the emulator: all tokens die, the password stays.
    let all = (0..LANES).map(|place| project(place).to_string()).collect();
    let changed = Known { projects: Some(all), ..user(PASSWORD) };
    bed.running.set_accounts(trusting(changed, vec![member(None)]));
    for _ in 0..4 {
        bed.all(1).await;
        bed.pass(MINUTE);
    }
    assert!(bed.all(1).await.iter().all(|reply| reply.outcome.is_ok()));
    let seen = bed.running.admissions();
    assert_eq!((seen.logins, seen.logins_refused), (2, 0), "{seen:?}");
    assert_eq!(seen.agency_tokens, 2 * LANES as u64, "{seen:?}");
}

#[tokio::test]
async fn tokens_that_came_together_are_not_renewed_together() {
    let bed = acting(trusting(user(PASSWORD), vec![member(None)]), PASSWORD);
    let mut renewed = Vec::new();
    for hundredth in 0..=80 {
        assert!(bed.all(1).await.iter().all(|reply| reply.outcome.is_ok()));
        renewed.push((hundredth, bed.running.admissions().agency_tokens));
        bed.pass(DAY / 100);
    }
    let at = |hundredth: usize| renewed[hundredth].1;
    assert_eq!(at(69), LANES as u64, "none before its time: {renewed:?}");
    let steps = (70..80).filter(|hundredth| at(hundredth + 1) > at(*hundredth)).count();
    assert!(steps >= 4, "they are spread: {renewed:?}");
}

#[test]
fn turns_are_apart_and_nobody_waits_for_long() {
    let turns = Turns::default();
    let now = Duration::from_secs(100);
    let waits: Vec<_> = (0..500).map(|_| turns.take(now)).collect();
    assert_eq!(waits[0], Ok(Duration::ZERO));
    assert_eq!(waits[20], Ok(Duration::from_secs(1)), "twenty a second");
    assert_eq!(waits[200], Ok(Duration::from_secs(10)));
    assert_eq!(waits[201], Err(Duration::from_millis(10_050)));
    assert_eq!(waits[499], waits[201], "who was turned away takes no turn");
    assert_eq!(turns.take(now + DAY), Ok(Duration::ZERO));
}
