//! Lets requests in as the vendor's gateway does: signatures with clock skew and lock, issued
//! tokens with their end, a fixed token.
//!
//! Invariants: with no accounts and no fixed token any token will do, which is what most tests and
//! the benchmarks want; an access key is locked after more than five failures in a row, and every
//! request with it is refused for five minutes; an account is locked by five wrong passwords, the
//! right one included.
//!
//! Deliberately not here: HTTP (`super`), how a token is asked for (`super::login`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use axum::http::request::Parts;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::accounts::{AccountAgency, AccountUser, Accounts};
use crate::cloud::sign::{ALGORITHM, Claim, DATE_FORMAT, DATE_HEADER, Signable, Unverified};
use crate::simcloud::mix::mix;
use crate::simcloud::vendor_json::RequestRefusal;

/// Most that the date of a signature may differ from the cloud's clock. Source: gateway
/// documentation of the vendor.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

/// More failures in a row than this lock an access key. Source: gateway FAQ of the vendor.
const LOCK_AFTER: u32 = 5;

/// For how long. Source: as before.
const LOCK: Duration = Duration::from_secs(5 * 60);

/// So many wrong passwords in a row within [`WRONG_WITHIN`] lock an account. Source: IAM's default
/// account policy.
const WRONG_MAX: u32 = 5;

/// Wrong passwords further apart than this are no row. Source: as before.
const WRONG_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// For how long an account is locked. Source: as before.
const ACCOUNT_LOCK: Duration = Duration::from_secs(15 * 60);

/// Issued tokens that are remembered; the oldest is forgotten first.
const TOKENS_MAX: usize = 10_000;

/// What came of signatures and logins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Admissions {
    /// Logins that gave a token.
    pub logins: u64,
    /// Logins that were refused.
    pub logins_refused: u64,
    /// Tokens that were had by an agency.
    pub agency_tokens: u64,
    /// Requests for such a token that were refused.
    pub agency_tokens_refused: u64,
    /// How often a user was locked for wrong passwords.
    pub account_locks: u64,
    /// Requests with a good signature.
    pub signed: u64,
    /// Requests whose signature was refused, those of unknown keys too.
    pub signed_refused: u64,
    /// Most failures in a row of one known key.
    pub longest_row: u32,
    /// How often a key was locked.
    pub locks: u64,
    /// Requests whose token was refused.
    pub tokens_refused: u64,
}

/// A request that is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotAdmitted {
    pub refusal: RequestRefusal,
    /// What the gateway says after its own words.
    pub detail: String,
}

/// Why a login gives no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoLogin {
    WrongPassword,
    Locked,
    /// The token that asks for another one is none, or has ended.
    NotKnown,
    /// The user, or the agency, has no role in the project, or the user may not act by the agency.
    NoRole,
    /// The account has no such agency.
    NoAgency,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenHolder {
    User(AccountUser),
    /// By an agency: which, and who acts by it.
    Agency(AccountAgency, AccountUser),
}

/// A token that IAM gave.
#[derive(Debug, Clone)]
pub(super) struct IssuedToken {
    pub text: String,
    pub ends: Timestamp,
    pub of: TokenHolder,
    /// The one project that it is good for; `None`: for no project's services.
    project: Option<String>,
}

/// Wrong passwords of one user.
#[derive(Debug)]
struct WrongPasswords {
    in_row: u32,
    first: Timestamp,
    locked_until: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct AdmissionRow {
    failures: u32,
    locked_until: Option<Timestamp>,
}

/// Who is known and what was seen of them.
pub(super) struct Gatekeeper {
    fixed: Option<SecretString>,
    accounts: Accounts,
    seed: u64,
    issued: VecDeque<IssuedToken>,
    rows: BTreeMap<String, AdmissionRow>,
    /// By domain and name.
    wrong: BTreeMap<(String, String), WrongPasswords>,
    seen: Admissions,
}

impl Gatekeeper {
    pub(super) fn new(fixed: Option<SecretString>, accounts: Accounts, seed: u64) -> Self {
        let (rows, wrong) = (BTreeMap::new(), BTreeMap::new());
        Self {
            fixed,
            accounts,
            seed,
            issued: VecDeque::new(),
            rows,
            wrong,
            seen: Admissions::default(),
        }
    }

    /// Lets a request in or not.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        request: &Parts,
        body: &[u8],
    ) -> Result<(), NotAdmitted> {
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        if let Some(authorization) =
            header("authorization").filter(|value| value.starts_with(ALGORITHM))
        {
            let verdict = self.signature(now, request, &authorization, body);
            *(if verdict.is_ok() {
                &mut self.seen.signed
            } else {
                &mut self.seen.signed_refused
            }) += 1;
            return verdict
                .map_err(|detail| NotAdmitted { refusal: RequestRefusal::SignatureWrong, detail });
        }
        let Some(given) = header("x-auth-token") else {
            return Err(NotAdmitted {
                refusal: RequestRefusal::TokenMissing,
                detail: "x-auth-token not found".into(),
            });
        };
        let verdict = self.token(now, &given, request.uri.path());
        self.seen.tokens_refused += u64::from(verdict.is_err());
        verdict
    }

    fn token(&self, now: Timestamp, given: &str, path: &str) -> Result<(), NotAdmitted> {
        let nobody_known = self.accounts.keys.is_empty() && self.accounts.users.is_empty();
        match &self.fixed {
            None if nobody_known => return Ok(()),
            Some(fixed) if fixed.expose_secret() == given => return Ok(()),
            None | Some(_) => {}
        }
        match self.issued.iter().find(|token| token.text == given) {
            Some(token) if now < token.ends => {
                let scope = path.strip_prefix("/v3/").and_then(|path| path.split('/').next());
                if token.project.as_deref() == scope {
                    return Ok(());
                }
                let detail = "the token is of another project".to_owned();
                Err(NotAdmitted { refusal: RequestRefusal::WrongProject, detail })
            }
            Some(_) => {
                Err(NotAdmitted { refusal: RequestRefusal::TokenExpired, detail: String::new() })
            }
            None => Err(NotAdmitted {
                refusal: RequestRefusal::TokenWrong,
                detail: "decrypt token fail".into(),
            }),
        }
    }

    fn signature(
        &mut self,
        now: Timestamp,
        request: &Parts,
        authorization: &str,
        body: &[u8],
    ) -> Result<(), String> {
        let claim = Claim::read(authorization).map_err(|error| error.to_string())?;
        let name = claim.access_key;
        if let Some(row) = self.rows.get_mut(name) {
            if row.locked_until.is_some_and(|until| now < until) {
                return Err(format!("AK access failed to reach the limit,forbidden,ak:{name}"));
            }
            row.locked_until = None;
        }
        let Some(key) = self.accounts.keys.iter().find(|key| key.access_key == name) else {
            // There is no such key to lock.
            return Err(format!("ak {name} not exist"));
        };
        let headers: Vec<(&str, &[u8])> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or(""));
        let signable =
            Signable { method: request.method.as_str(), path, query, headers: &headers, body };
        let late = || {
            let date =
                header(DATE_HEADER).and_then(|text| DateTime::strptime(DATE_FORMAT, text).ok());
            let date = date.and_then(|date| TimeZone::UTC.to_timestamp(date).ok());
            date.is_none_or(|date| date.duration_until(now).abs() > SKEW_MAX)
        };
        let verdict = if key.security_token.as_ref().map(|token| token.expose())
            != header("x-security-token")
        {
            Err("the security token is wrong".to_owned())
        } else if late() {
            Err("the request time differs by more than 15 minutes".to_owned())
        } else {
            claim.verify(&signable, key.secret_key.expose()).map_err(|error| match error {
                Unverified::Unreadable => error.to_string(),
                Unverified::Other { ref canonical } => {
                    format!("{error}, canonicalRequest:{canonical}")
                }
            })
        };
        let row = self.rows.entry(name.to_owned()).or_default();
        if verdict.is_ok() {
            row.failures = 0;
        } else {
            row.failures += 1;
            self.seen.longest_row = self.seen.longest_row.max(row.failures);
            if row.failures > LOCK_AFTER {
                *row = AdmissionRow { failures: 0, locked_until: now.checked_add(LOCK).ok() };
                self.seen.locks += 1;
            }
        }
        verdict
    }

    /// A token, if somebody has this name and password and a role in the project.
    pub(super) fn login(
        &mut self,
        now: Timestamp,
        [domain, user, password]: [&str; 3],
        project: Option<&str>,
    ) -> Result<IssuedToken, NoLogin> {
        let login = self.known_user(now, [domain, user, password]).and_then(|of| {
            let covered = covers(of.projects.as_deref(), project);
            if covered { Ok(of) } else { Err(NoLogin::NoRole) }
        });
        let of = login.inspect_err(|_| self.seen.logins_refused += 1)?;
        self.seen.logins += 1;
        Ok(self.issue(now, TokenHolder::User(of), project))
    }

    /// A token of the account that made an agency, for a user whom it trusts: whose token asks.
    pub(super) fn assume(
        &mut self,
        now: Timestamp,
        token: Option<&str>,
        [domain, name]: [&str; 2],
        project: Option<&str>,
    ) -> Result<IssuedToken, NoLogin> {
        let assumed = self.trusted(now, token, [domain, name], project);
        let of = assumed.inspect_err(|_| self.seen.agency_tokens_refused += 1)?;
        self.seen.agency_tokens += 1;
        Ok(self.issue(now, of, project))
    }

    fn trusted(
        &self,
        now: Timestamp,
        token: Option<&str>,
        [domain, name]: [&str; 2],
        project: Option<&str>,
    ) -> Result<TokenHolder, NoLogin> {
        let by = self.issued.iter().find(|known| token == Some(&known.text) && now < known.ends);
        let user = match by.map(|by| &by.of) {
            None => return Err(NoLogin::NotKnown),
            // By an agency nobody comes to another one.
            Some(TokenHolder::Agency(..)) => return Err(NoLogin::NoRole),
            Some(TokenHolder::User(user)) => user,
        };
        let mut agencies = self.accounts.agencies.iter();
        let agency = agencies.find(|agency| agency.domain == domain && agency.name == name);
        let agency = agency.ok_or(NoLogin::NoAgency)?;
        let trusted = user.agent_operator && agency.trusts == user.domain;
        if !trusted || !covers(agency.projects.as_deref(), project) {
            return Err(NoLogin::NoRole);
        }
        Ok(TokenHolder::Agency(agency.clone(), user.clone()))
    }

    fn issue(&mut self, now: Timestamp, of: TokenHolder, project: Option<&str>) -> IssuedToken {
        let text = token_text(self.seed, self.seen.logins + (self.seen.agency_tokens << 32));
        let ends = now.checked_add(self.accounts.token_life).unwrap_or(Timestamp::MAX);
        if self.issued.len() == TOKENS_MAX {
            self.issued.pop_front();
        }
        let issued = IssuedToken { text, ends, of, project: project.map(str::to_owned) };
        self.issued.push_back(issued.clone());
        issued
    }

    fn known_user(
        &mut self,
        now: Timestamp,
        [domain, user, password]: [&str; 3],
    ) -> Result<AccountUser, NoLogin> {
        // There is no such user to lock.
        let known =
            self.accounts.users.iter().find(|known| known.domain == domain && known.user == user);
        let known = known.ok_or(NoLogin::WrongPassword)?;
        let name = (domain.to_owned(), user.to_owned());
        let before = self.wrong.get(&name);
        if before.is_some_and(|wrong| wrong.locked_until.is_some_and(|until| now < until)) {
            return Err(NoLogin::Locked);
        }
        if known.password.expose() == password {
            self.wrong.remove(&name);
            return Ok(known.clone());
        }
        let row = before.filter(|wrong| {
            wrong.locked_until.is_none() && wrong.first.duration_until(now) < WRONG_WITHIN
        });
        let (in_row, first) = row.map_or((1, now), |row| (row.in_row + 1, row.first));
        let locked_until =
            (in_row >= WRONG_MAX).then(|| now.checked_add(ACCOUNT_LOCK).unwrap_or(Timestamp::MAX));
        self.seen.account_locks += u64::from(locked_until.is_some());
        self.wrong.insert(name, WrongPasswords { in_row, first, locked_until });
        Err(NoLogin::WrongPassword)
    }

    /// Other accounts from now on. Tokens of users who are gone, or have another password, are
    /// worth nothing any more.
    pub(super) fn replace(&mut self, accounts: Accounts) {
        self.issued.retain(|token| match &token.of {
            TokenHolder::User(user) => accounts.users.contains(user),
            TokenHolder::Agency(agency, by) => {
                accounts.agencies.contains(agency) && accounts.users.contains(by)
            }
        });
        self.accounts = accounts;
    }

    /// All issued tokens are worth nothing any more.
    pub(super) fn revoke(&mut self) {
        self.issued.clear();
    }

    pub(super) fn seen(&self) -> &Admissions {
        &self.seen
    }
}

/// Whether somebody with a role in these projects (`None`: in all) has one in this project.
fn covers(projects: Option<&[String]>, project: Option<&str>) -> bool {
    match (projects, project) {
        (Some(projects), Some(project)) => projects.iter().any(|known| known == project),
        (None, _) | (_, None) => true,
    }
}

/// Looks like IAM's: long, of base64's letters, and another each time.
fn token_text(seed: u64, count: u64) -> String {
    let mut text = String::from("MIIE");
    for part in 0..16 {
        text.push_str(&format!("{:016x}", mix(seed ^ 0x70c3, count << 8 | part)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_passwords_in_a_row_lock_the_account() {
        let known = AccountUser {
            domain: "acme".into(),
            user: "sealift".into(),
            password: "right".into(),
            projects: None,
            agent_operator: true,
        };
        let accounts = Accounts { users: vec![known], ..Accounts::default() };
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().expect("an instant");
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        let login = |keeper: &mut Gatekeeper, minutes, password: &str| {
            keeper.login(at(minutes), ["acme", "sealift", password], None).map(drop)
        };
        let wrong = Err(NoLogin::WrongPassword);
        let mut keeper = Gatekeeper::new(None, accounts.clone(), 1);
        for minutes in 0..4 {
            assert_eq!(login(&mut keeper, minutes, "wrong"), wrong);
        }
        assert_eq!(
            login(&mut keeper, 4, "right"),
            Ok(()),
            "four are borne, and the row begins anew"
        );
        for minutes in 5..10 {
            assert_eq!(login(&mut keeper, minutes, "wrong"), wrong);
        }
        assert_eq!(login(&mut keeper, 10, "right"), Err(NoLogin::Locked));
        assert_eq!(login(&mut keeper, 23, "right"), Err(NoLogin::Locked));
        assert_eq!(login(&mut keeper, 24, "right"), Ok(()));
        assert_eq!(keeper.seen().account_locks, 1);
        // Far apart they are no row.
        let mut keeper = Gatekeeper::new(None, accounts, 1);
        for place in 0..9 {
            assert_eq!(login(&mut keeper, place * 5, "wrong"), wrong);
        }
        assert_eq!(keeper.seen().account_locks, 0);
    }
}
