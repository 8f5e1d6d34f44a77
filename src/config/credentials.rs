//! `credentials` and `iam_endpoint` of a lane: one complete way to authenticate to the cloud.
//!
//! Invariant: the result is exactly one way, with all that it needs; a mixture or an incomplete one
//! is reported with what to write, and no text of the file that may be a secret is shown.
//!
//! Deliberately not here: reading the secrets (`cloud::secret`).

use std::path::Path;

use super::formats;
use super::raw;
use super::setting::{Settings, ShownValue};
use crate::domain::id::Name;
use crate::domain::lane::{Credentials, NameSource, SecretSource};
use crate::yaml::{Diagnostic, Document, Mistakes, plain};

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

/// Reads one lane's credentials.
pub struct CredentialsReader<'r, 'd> {
    /// Path of the lane in the file.
    pub lane: &'r str,
    pub name: &'r Name,
    /// What relative paths begin at.
    pub base: &'r Path,
    pub document: &'r Document<'d>,
}

impl CredentialsReader<'_, '_> {
    /// `None` after a mistake. `endpoint` is the lane's, from which a proposal for `iam_endpoint`
    /// is made.
    pub fn read(
        &self,
        written: raw::RawCredentials,
        iam_endpoint: Option<String>,
        endpoint: &str,
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Credentials> {
        let before = mistakes.count();
        let given = [
            ("token", written.token.is_some()),
            ("access_key", written.access_key.is_some()),
            ("secret_key", written.secret_key.is_some()),
            ("security_token", written.security_token.is_some()),
            ("user", written.user.is_some()),
            ("password", written.password.is_some()),
            ("domain", written.domain.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
        let mixed = self.complete(&given, mistakes);
        let iam_endpoint = iam_endpoint.and_then(|text| match formats::endpoint(&text) {
            Ok(base) => Some(settings.push_at(
                format!("lanes.{}.iam_endpoint", self.name),
                &format!("{}.iam_endpoint", self.lane),
                base,
                None,
            )),
            // The tree check has seen it already; were it wrong, the mistake is told here.
            Err(complaint) => {
                let at = self.document.place(&format!("{}.iam_endpoint", self.lane));
                mistakes.push(Diagnostic::error("value", plain(&complaint.message)).at(at));
                None
            }
        });
        if given.contains(&"user") && iam_endpoint.is_none() && !mixed {
            mistakes.push(self.without_iam(endpoint));
        }
        let token = self.secret("token", written.token, settings, mistakes);
        let access_key = self.secret("access_key", written.access_key, settings, mistakes);
        let secret_key = self.secret("secret_key", written.secret_key, settings, mistakes);
        let security_token =
            self.secret("security_token", written.security_token, settings, mistakes);
        let user = self.naming("user", written.user, settings, mistakes);
        let password = self.secret("password", written.password, settings, mistakes);
        let domain = self.naming("domain", written.domain, settings, mistakes);
        if mistakes.count() > before {
            return None;
        }
        match (token, access_key, secret_key, user, password, domain, iam_endpoint) {
            (Some(token), ..) => Some(Credentials::Token(token)),
            (None, Some(access_key), Some(secret_key), ..) => {
                Some(Credentials::AccessKey { access_key, secret_key, security_token })
            }
            (None, _, _, Some(user), Some(password), Some(domain), Some(iam_endpoint)) => {
                Some(Credentials::Password { iam_endpoint, user, password, domain })
            }
            _ => None,
        }
    }

    /// Tells a mixture of ways, a way that is not whole, or none; whether it is a mixture.
    fn complete(&self, given: &[&str], mistakes: &mut Mistakes) -> bool {
        let begun: Vec<&CredentialsWay> = WAYS
            .iter()
            .filter(|way| way.needed.iter().chain(way.optional).any(|key| given.contains(key)))
            .collect();
        let place = |key: &str| self.document.place(&format!("{}.credentials.{key}", self.lane));
        match begun.as_slice() {
            [] => {
                let none =
                    Diagnostic::error("missing-key", "`credentials` does not say who we are");
                let none = none.at(self.document.place(&format!("{}.credentials", self.lane)));
                mistakes.push(none.help("write `token:`, or `access_key:` and `secret_key:`, or `user:`, `password:` and `domain:`"));
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
                    mistakes.push(half.at(place(there)).help(format!("add `{add}`")));
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
                let mixed = mixed.at(place(of(second))).also(place(of(first)), "the other way");
                let each = begun
                    .iter()
                    .map(|way| keys(way.needed, " and "))
                    .collect::<Vec<_>>()
                    .join(", or ");
                mistakes.push(mixed.help(format!("keep {each}")));
            }
        }
        begun.len() > 1
    }

    fn without_iam(&self, endpoint: &str) -> Diagnostic {
        let place = self.document.place(&format!("{}.credentials.user", self.lane));
        let missing = Diagnostic::error(
            "missing-key",
            "a user with a password needs the lane's `iam_endpoint`, which gives the tokens",
        );
        // `https://SERVICE.REGION.DOMAIN`: IAM of the same region stands beside the service.
        let beside = endpoint
            .strip_prefix("https://")
            .and_then(|host| host.split_once('.'))
            .map(|(_, region)| region);
        match beside.filter(|region| region.ends_with(".myhuaweicloud.com")) {
            Some(region) => missing
                .at(place)
                .help(format!("add `iam_endpoint: https://iam.{region}` beside `endpoint`")),
            None => missing
                .at(place)
                .help("add `iam_endpoint: https://iam.REGION.myhuaweicloud.com` beside `endpoint`"),
        }
    }

    fn noted<T: ShownValue>(&self, key: &str, value: T, settings: &mut Settings<'_>) -> T {
        settings.push_at(
            format!("lanes.{}.credentials.{key}", self.name),
            &format!("{}.credentials.{key}", self.lane),
            value,
            None,
        )
    }

    fn secret(
        &self,
        key: &str,
        written: Option<raw::RawSecret>,
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<SecretSource> {
        let source = self.source(key, written?, mistakes)?;
        Some(self.noted(key, source, settings))
    }

    fn naming(
        &self,
        key: &str,
        written: Option<raw::RawName>,
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<NameSource> {
        let naming = match written? {
            raw::RawName::Plain(name) => NameSource::Plain(name),
            raw::RawName::Found(secret) => NameSource::Found(self.source(key, secret, mistakes)?),
        };
        Some(self.noted(key, naming, settings))
    }

    fn source(
        &self,
        key: &str,
        written: raw::RawSecret,
        mistakes: &mut Mistakes,
    ) -> Option<SecretSource> {
        match (written.file, written.env, written.credential) {
            (Some(file), None, None) => Some(SecretSource::File(self.base.join(file))),
            (None, Some(name), None) => Some(SecretSource::Env(name)),
            (None, None, Some(name)) => Some(SecretSource::Credential(name)),
            _ => {
                let wrong = Diagnostic::error("secret", "a secret is found in exactly one place");
                let at = self.document.place(&format!("{}.credentials.{key}", self.lane));
                mistakes.push(
                    wrong.at(at).help(
                        "write one of `{file: PATH}`, `{credential: NAME}` and `{env: NAME}`",
                    ),
                );
                None
            }
        }
    }
}

fn keys(keys: &[&str], between: &str) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(between)
}
