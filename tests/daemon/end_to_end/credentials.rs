//! Credentials that change, end or are wrong while a rollout runs: nothing is lost, repeated,
//! locked or told.

use serde_json::Value;

use super::field::FieldDay;

const FAULTS: &str = "latency: {min: 1ms, max: 5ms}\njob_time: {min: 50ms, max: 200ms}\n";
const STRATEGY: &str = "strategy: {max_in_flight: 10, max_failures: 0}\n";
const PROXIES: usize = 200;

const KEYS: &str = "access_key: {file: ak}, secret_key: {file: sk}";
const USER: &str = "user: sealift, password: {file: password}, domain: acme";

/// Exactly one effective call for each proxy, every change succeeded, and no key was locked on the
/// way.
fn nothing_lost_or_repeated(field: &FieldDay) -> Value {
    field.wait_until("the end", |status| status["phase"] == "completed");
    let tally = field.status()["tally"].clone();
    assert_eq!(tally["succeeded"], PROXIES, "{tally}");
    for proxy in field.ledger()["proxies"].as_array().expect("a list") {
        assert_eq!(
            (&proxy["ssl_option"], &proxy["effective"]),
            (&true.into(), &1.into()),
            "{proxy}"
        );
    }
    let seen = field.admissions();
    assert_eq!(seen["locks"], 0, "{seen}");
    seen
}

fn nothing_tells(field: &FieldDay, secrets: &[&str]) {
    for (place, bytes) in field.all_that_is_told() {
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {place}");
        }
    }
}

fn third_done(status: &Value) -> bool {
    status["tally"]["succeeded"].as_u64() >= Some(PROXIES as u64 / 3)
}

fn keys(keys: &[(&str, &str)]) -> String {
    let rows: Vec<String> =
        keys.iter().map(|(ak, sk)| format!("{{access_key: {ak}, secret_key: {sk}}}")).collect();
    format!("keys: [{}]\n", rows.join(", "))
}

/// A new key is made, its halves come into their files one after the other, the old key is deleted:
/// the rollout goes on.
#[test]
fn a_key_is_rotated_while_a_signed_rollout_runs() {
    let (old, new) = (("AKOLD", "old-secret-7f3a"), ("AKNEW", "new-secret-91bc"));
    let secrets = [("ak", old.0), ("sk", old.1)];
    let mut field =
        FieldDay::known_as("rotation", PROXIES, PROXIES, FAULTS, KEYS, &secrets, &keys(&[old]), "");
    field.serve();
    field.submit(STRATEGY);
    field.wait_until("a third of it", third_done);
    field.set_accounts(&keys(&[old, new]));
    field.replace("ak", new.0);
    field.replace("sk", new.1);
    field.set_accounts(&keys(&[new]));
    let seen = nothing_lost_or_repeated(&field);
    assert!(
        seen["signed"].as_u64() > Some(PROXIES as u64) && seen["longest_row"].as_u64() <= Some(3),
        "{seen}"
    );
    nothing_tells(&field, &[old.1, new.1]);
}

/// Tokens end every three seconds, and once all at once before their time.
#[test]
fn tokens_end_while_a_rollout_runs() {
    let accounts =
        "token_life: 3s\nusers: [{domain: acme, user: sealift, password: pass-word-55d1}]\n";
    let secrets = [("password", "pass-word-55d1\n")];
    // Slow enough for several lives of a token.
    let lane = "quota: {requests: 150, per: 1s, headroom: 0%}";
    let mut field =
        FieldDay::known_as("tokens", PROXIES, PROXIES, FAULTS, USER, &secrets, accounts, lane);
    field.serve();
    field.submit(STRATEGY);
    field.wait_until("a third of it", third_done);
    field.revoke();
    let seen = nothing_lost_or_repeated(&field);
    assert!(seen["logins"].as_u64() >= Some(2) && seen["logins_refused"] == 0, "{seen}");
    nothing_tells(&field, &["pass-word-55d1", "MIIE"]);
}

/// The lane says why it stands still; IAM is asked once, also by a daemon with much to do, and no
/// call is sent.
#[test]
fn a_wrong_password_is_asked_for_once() {
    let accounts = "users: [{domain: acme, user: sealift, password: right-7c22}]\n";
    let secrets = [("password", "wrong-88e0")];
    let mut field =
        FieldDay::known_as("password", PROXIES, PROXIES, FAULTS, USER, &secrets, accounts, "");
    field.serve();
    field.submit(STRATEGY);
    field.wait_until("the hold to be told", |status| {
        status["holds"].to_string().contains("username or password is wrong")
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(field.admissions()["logins_refused"], 1);
    assert_eq!(field.ledger()["arrivals_total"], 0, "nothing is sent without a token");
    nothing_tells(&field, &["wrong-88e0", "right-7c22"]);
}

/// A key that is wrong from the beginning is refused a few times, never locked, and the lane says
/// why.
#[test]
fn a_wrong_key_is_never_locked() {
    let secrets = [("ak", "AK"), ("sk", "wrong-3e9d")];
    let mut field = FieldDay::known_as(
        "key",
        PROXIES,
        PROXIES,
        FAULTS,
        KEYS,
        &secrets,
        &keys(&[("AK", "right-aa51")]),
        "",
    );
    field.serve();
    field.submit(STRATEGY);
    field.wait_until("the hold to be told", |status| {
        status["holds"].to_string().contains("verify aksk signature fail")
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    let seen = field.admissions();
    assert!(seen["locks"] == 0 && seen["longest_row"].as_u64() <= Some(3), "{seen}");
    nothing_tells(&field, &["wrong-3e9d", "right-aa51"]);
}
