//! `credentials` and `iam_endpoint` of a lane: one complete way to authenticate to the cloud, for a
//! user perhaps by an agency.
//!
//! Invariant: the result is exactly one way, with all that it needs; a mixture or an incomplete one
//! is reported with what to write, and no text of the file that may be a secret is shown.
//!
//! Deliberately not here: reading the secrets (`cloud::secret`).

use std::path::Path;

use super::layer::{LaneNotes, Layer, WrittenValue};
use super::raw;
use super::secret::source;
use super::setting::{Origin, ShownValue};
use crate::domain::lane::{Agency, Credentials, NameSource, SecretSource};
use crate::yaml::Diagnostic;

/// The keys that stand for one way, the optional ones last.
struct CredentialsWay {
    what: &'static str,
    needed: &'static [&'static str],
    optional: &'static [&'static str],
}

const WAYS: [CredentialsWay; 3] = [
    CredentialsWay { what: "a token", needed: &["token"], optional: &[] },
    CredentialsWay {
        what: "an access key",
        needed: &["access_key", "secret_key"],
        optional: &["security_token"],
    },
    CredentialsWay {
        what: "a user with a password",
        needed: &["user", "password", "domain"],
        optional: &[],
    },
];

const HOW_TO_SAY_WHO: &str =
    "write `token:`, or `access_key:` and `secret_key:`, or `user:`, `password:` and `domain:`";

/// Who a lane is, as it is written.
struct LayeredCredentials<'l> {
    /// Without `agency`.
    written: raw::RawCredentials,
    at: Layer<'l>,
    /// Of the agency.
    name: Option<WrittenValue<'l, String>>,
    /// That made the agency.
    account: Option<WrittenValue<'l, String>>,
}

/// Where a lane's tokens come from.
pub struct IamPlace<'l, 'e> {
    /// The base of IAM's URLs, where it is written.
    pub written: Option<WrittenValue<'l, String>>,
    /// That of the lane's region.
    pub by_region: Option<String>,
    /// The lane's `endpoint`, from which a proposal is made.
    pub beside: &'e str,
}

/// Reads one lane's credentials.
pub struct CredentialsReader<'r, 'n, 'l, 'd> {
    /// What relative paths begin at.
    pub base: &'r Path,
    pub notes: &'r mut LaneNotes<'n, 'l, 'd>,
}

impl<'l> CredentialsReader<'_, '_, 'l, '_> {
    /// `None` after a mistake.
    pub fn read(
        &mut self,
        own: Option<raw::RawCredentials>,
        defaults: Option<raw::RawCredentials>,
        iam: IamPlace<'l, '_>,
    ) -> Option<Credentials> {
        let Some(LayeredCredentials { written, at, name, account }) = self.layered(own, defaults)
        else {
            let none = Diagnostic::error("missing-key", "the lane has no `credentials`");
            let own = self.notes.own;
            self.notes.report(own, "", none.help(HOW_TO_SAY_WHO));
            return None;
        };
        let before = std::mem::take(&mut self.notes.failed);
        let given = given(&written);
        let mixed = self.complete(at, &given);
        let mut iam_endpoint = iam.written.map(|base| self.notes.note("iam_endpoint", base));
        let by_password = given.contains(&"user");
        if let (None, true, Some(base)) = (&iam_endpoint, by_password, iam.by_region) {
            let beside = Origin::Beside("region");
            iam_endpoint = Some(self.notes.note_from("iam_endpoint", base, beside));
        }
        if by_password && iam_endpoint.is_none() && !mixed {
            self.notes.report(at, "credentials.user", without_iam(iam.beside));
        }
        let token = self.secret(at, "token", written.token);
        let access_key = self.secret(at, "access_key", written.access_key);
        let secret_key = self.secret(at, "secret_key", written.secret_key);
        let security_token = self.secret(at, "security_token", written.security_token);
        let user = self.naming(at, "user", written.user);
        let password = self.secret(at, "password", written.password);
        let domain = self.naming(at, "domain", written.domain);
        let agency = self.agency(given.contains(&"user"), name, account);
        let failed = std::mem::replace(&mut self.notes.failed, before);
        self.notes.failed |= failed;
        if failed {
            return None;
        }
        match (token, access_key, secret_key, user, password, domain, iam_endpoint) {
            (Some(token), ..) => Some(Credentials::Token(token)),
            (None, Some(access_key), Some(secret_key), ..) => {
                Some(Credentials::AccessKey { access_key, secret_key, security_token })
            }
            (None, _, _, Some(user), Some(password), Some(domain), Some(iam_endpoint)) => {
                Some(Credentials::Password { iam_endpoint, user, password, domain, agency })
            }
            _ => None,
        }
    }

    /// The lane's own credentials, else those of `lane_defaults`. One that only adds an agency is
    /// known as these say.
    fn layered(
        &self,
        own: Option<raw::RawCredentials>,
        defaults: Option<raw::RawCredentials>,
    ) -> Option<LayeredCredentials<'l>> {
        match (own, defaults, self.notes.defaults) {
            (Some(own), Some(mut written), Some(at)) if given(&own).is_empty() => {
                let own = own.agency.unwrap_or_default();
                let default = written.agency.take().unwrap_or_default();
                let name = self.notes.pick(own.name, default.name);
                let account = self.notes.pick(own.domain, default.domain);
                Some(LayeredCredentials { written, at, name, account })
            }
            (own, defaults, _) => {
                let WrittenValue { value: mut written, at } = self.notes.pick(own, defaults)?;
                let agency = written.agency.take().unwrap_or_default();
                let here = |value: Option<String>| value.map(|value| WrittenValue { value, at });
                let (name, account) = (here(agency.name), here(agency.domain));
                Some(LayeredCredentials { written, at, name, account })
            }
        }
    }

    /// `None` where there is none, and after a mistake.
    fn agency(
        &mut self,
        by_password: bool,
        name: Option<WrittenValue<'l, String>>,
        account: Option<WrittenValue<'l, String>>,
    ) -> Option<Agency> {
        let at = name.as_ref().or(account.as_ref())?.at;
        let wrong = match (name, account) {
            (Some(name), Some(account)) if by_password => {
                let name = self.notes.note("credentials.agency.name", name);
                let domain = self.notes.note("credentials.agency.domain", account);
                return Some(Agency { name, domain });
            }
            (Some(_), Some(_)) => {
                let wrong =
                    "an agency is for a user with a password, who logs in for all its lanes";
                let wrong = Diagnostic::error("credentials", wrong);
                wrong.help("write `user:`, `password:` and `domain:`, or take `agency` out")
            }
            (name, _) => {
                let missing = if name.is_some() { "domain" } else { "name" };
                let half = Diagnostic::error("missing-key", format!("`agency` has no `{missing}`"));
                half.help("write `agency: {name: NAME, domain: ACCOUNT}`: ACCOUNT made it, and the project is its own")
            }
        };
        self.notes.report(at, "credentials.agency", wrong);
        None
    }

    /// Tells a mixture of ways, a way that is not whole, or none; whether it is a mixture.
    fn complete(&mut self, at: Layer<'_>, given: &[&str]) -> bool {
        let begun: Vec<&CredentialsWay> = WAYS
            .iter()
            .filter(|way| way.needed.iter().chain(way.optional).any(|key| given.contains(key)))
            .collect();
        let within = |key: &str| format!("credentials.{key}");
        match begun.as_slice() {
            [] => {
                let none =
                    Diagnostic::error("missing-key", "`credentials` does not say who we are");
                self.notes.report(at, "credentials", none.help(HOW_TO_SAY_WHO));
            }
            [way] => {
                let missing: Vec<&str> =
                    way.needed.iter().copied().filter(|key| !given.contains(key)).collect();
                if !missing.is_empty() {
                    let half = Diagnostic::error(
                        "missing-key",
                        format!("{} also needs {}", way.what, keys(&missing, " and ")),
                    );
                    let there = way
                        .needed
                        .iter()
                        .chain(way.optional)
                        .find(|key| given.contains(key))
                        .copied()
                        .unwrap_or("");
                    let add = missing
                        .iter()
                        .map(|key| {
                            format!(
                                "{key}: {}",
                                if matches!(*key, "user" | "domain") {
                                    "NAME"
                                } else {
                                    "{file: PATH}"
                                }
                            )
                        })
                        .collect::<Vec<_>>()
                        .join(", ");
                    self.notes.report(at, &within(there), half.help(format!("add `{add}`")));
                }
            }
            [first, second, ..] => {
                let of = |way: &CredentialsWay| {
                    way.needed
                        .iter()
                        .chain(way.optional)
                        .find(|key| given.contains(key))
                        .copied()
                        .unwrap_or("")
                };
                let names = begun.iter().map(|way| way.what).collect::<Vec<_>>().join(" and ");
                let mixed = Diagnostic::error(
                    "credentials",
                    format!("`credentials` mixes {names}; a lane is known in one way"),
                );
                let mixed = mixed.also(at.place(&within(of(first))), "the other way");
                let each = begun
                    .iter()
                    .map(|way| keys(way.needed, " and "))
                    .collect::<Vec<_>>()
                    .join(", or ");
                let mixed = mixed.help(format!("keep {each}"));
                self.notes.report(at, &within(of(second)), mixed);
            }
        }
        begun.len() > 1
    }

    fn secret(
        &mut self,
        at: Layer<'l>,
        key: &str,
        written: Option<raw::RawSecret>,
    ) -> Option<SecretSource> {
        let source = self.source(at, key, written?)?;
        Some(self.noted(at, key, source))
    }

    fn naming(
        &mut self,
        at: Layer<'l>,
        key: &str,
        written: Option<raw::RawName>,
    ) -> Option<NameSource> {
        let naming = match written? {
            raw::RawName::Plain(name) => NameSource::Plain(name),
            raw::RawName::Found(secret) => NameSource::Found(self.source(at, key, secret)?),
        };
        Some(self.noted(at, key, naming))
    }

    fn noted<T: ShownValue>(&mut self, at: Layer<'l>, key: &str, value: T) -> T {
        self.notes.note(&format!("credentials.{key}"), WrittenValue { value, at })
    }

    fn source(
        &mut self,
        at: Layer<'l>,
        key: &str,
        written: raw::RawSecret,
    ) -> Option<SecretSource> {
        let found = source(written, self.base);
        found.map_err(|wrong| self.notes.report(at, &format!("credentials.{key}"), *wrong)).ok()
    }
}

/// The keys that say who we are, as far as they are written.
fn given(written: &raw::RawCredentials) -> Vec<&'static str> {
    let given = [
        ("token", written.token.is_some()),
        ("access_key", written.access_key.is_some()),
        ("secret_key", written.secret_key.is_some()),
        ("security_token", written.security_token.is_some()),
        ("user", written.user.is_some()),
        ("password", written.password.is_some()),
        ("domain", written.domain.is_some()),
    ];
    given.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect()
}

fn without_iam(endpoint: &str) -> Diagnostic {
    let missing = Diagnostic::error(
        "missing-key",
        "a user with a password needs the lane's `iam_endpoint`, which gives the tokens",
    );
    // `https://SERVICE.REGION.DOMAIN`: IAM of the same region stands beside the service.
    let beside = endpoint
        .strip_prefix("https://")
        .and_then(|host| host.split_once('.'))
        .map(|(_, region)| region)
        .filter(|region| region.ends_with(".myhuaweicloud.com"))
        .unwrap_or("REGION.myhuaweicloud.com");
    missing.help(format!("add `iam_endpoint: https://iam.{beside}` beside `endpoint`"))
}

fn keys(keys: &[&str], between: &str) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(between)
}
