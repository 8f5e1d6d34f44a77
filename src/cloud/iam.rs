//! IAM: a token for a user and a password, and by that one a token for an agency.
//!
//! Invariants: one request, never repeated here; the password goes into the body and nowhere else;
//! the token's life is returned as a duration, so that it does not depend on whose clock is right.
//!
//! Deliberately not here: when to ask (`cloud::authenticator`).

use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Client, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::ERROR_BODY_MAX;
use super::envelope::Envelope;
use super::safe_text::causes;
use super::secret::Secret;
use super::wire_format::below;
use super::{retry_after, safe_text};
use crate::domain::id::ProjectId;
use crate::domain::lane::Agency;

/// Where tokens are made. Without the catalogue, which nobody here reads, the answer is short.
const PATH: &str = "/v3/auth/tokens";
const QUERY: &str = "nocatalog=true";

/// `Content-Type` of a login, as the vendor documents it.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf8");

/// The request's header that holds the token of whoever is to act by an agency.
const AUTH_HEADER: HeaderName = HeaderName::from_static("x-auth-token");

/// The answer's header that holds the token.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-subject-token");

/// Longest login, all in all.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// Life of a token whose answer does not tell it; the documented life is 24 hours.
const LIFE_UNTOLD: Duration = Duration::from_secs(60 * 60);

/// Longest life that is believed.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One way to IAM.
pub(super) struct Iam {
    client: Client,
    endpoint: String,
    url: Url,
    host: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoginIdentity {
    /// Name of the user.
    pub user: String,
    /// Name of the account.
    pub domain: String,
    pub password: std::sync::Arc<Secret>,
}

/// Why there is no token. The messages are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoginError {
    /// IAM does not take the name with the password: asking again with the same would lock the
    /// account.
    WrongPassword(String),
    /// IAM gives none for this project, whoever is right about the password: asking again changes
    /// nothing.
    Refused(String),
    /// Nobody knows: IAM is out of order or out of reach. Not before this long, if it said so.
    Failed(String, Option<Duration>),
}

#[derive(Deserialize)]
struct LoginBody {
    token: Lifetime,
}

#[derive(Deserialize)]
struct Lifetime {
    expires_at: Timestamp,
    issued_at: Timestamp,
}

impl Iam {
    /// `host` is that of the endpoint.
    pub(super) fn new(client: Client, endpoint: Url, host: String) -> Self {
        let url = below(&endpoint, PATH, Some(QUERY));
        Self { client, url, endpoint: endpoint.into(), host }
    }

    /// Where it is: a base of URLs.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks for a token of a project, or, without one, for what a user may do in the whole account.
    /// Gives it with its life from the answer on.
    pub(super) async fn login(
        &self,
        who: &LoginIdentity,
        project: Option<&ProjectId>,
    ) -> Result<(Secret, Duration), LoginError> {
        let scope = match project {
            Some(project) => json!({ "project": { "id": project.as_str() } }),
            None => json!({ "domain": { "name": who.domain } }),
        };
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": who.user, "password": who.password.expose(), "domain": { "name": who.domain },
            } } },
            "scope": scope,
        } });
        let about = About {
            host: &self.host,
            user: &who.user,
            secret: who.password.expose(),
            agency: None,
        };
        self.ask(Request::new(Method::POST, self.url.clone()), &body, &about).await
    }

    /// Asks for a token of the account that made the agency, by the user's own.
    pub(super) async fn assume(
        &self,
        who: &LoginIdentity,
        by: &Secret,
        agency: &Agency,
        project: &ProjectId,
    ) -> Result<(Secret, Duration), LoginError> {
        let body = json!({ "auth": {
            "identity": { "methods": ["assume_role"], "assume_role": {
                "agency_name": agency.name, "domain_name": agency.domain,
            } },
            "scope": { "project": { "id": project.as_str() } },
        } });
        let mut request = Request::new(Method::POST, self.url.clone());
        request.headers_mut().insert(AUTH_HEADER, by.header());
        let (host, user) = (&self.host, &who.user);
        let about = About { host, user, secret: by.expose(), agency: Some(agency) };
        self.ask(request, &body, &about).await
    }

    async fn ask(
        &self,
        mut request: Request,
        body: &Value,
        about: &About<'_>,
    ) -> Result<(Secret, Duration), LoginError> {
        let failed = |what: String| LoginError::Failed(about.message(&what), None);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(body.to_string().into());
        let exchange = async {
            let response =
                self.client.execute(request).await.map_err(|error| failed(causes(&error)))?;
            read(response, about).await
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(read) => read,
            Err(_elapsed) => Err(failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }
}

async fn read(mut response: Response, about: &About<'_>) -> Result<(Secret, Duration), LoginError> {
    let status = response.status().as_u16();
    let header = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (token, retry_after, date) = (header(TOKEN_HEADER), header(RETRY_AFTER), header(DATE));
    let mut body = Vec::new();
    // An answer that breaks off tells what it told so far: the token is in the head.
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < ERROR_BODY_MAX
    {
        body.extend_from_slice(&chunk);
    }
    let (token, retry_after, date) = (token.as_deref(), retry_after.as_deref(), date.as_deref());
    understand(about, &TokenAnswer { status, token, retry_after, date, body: &body })
}

/// Of whom a message speaks, and what must not stand in it.
pub(super) struct About<'a> {
    pub host: &'a str,
    /// Name of the user.
    pub user: &'a str,
    pub secret: &'a str,
    /// By which the user is to act.
    pub agency: Option<&'a Agency>,
}

impl About<'_> {
    fn message(&self, what: &str) -> String {
        let of = self.agency.map(|agency| format!(" of {agency}")).unwrap_or_default();
        let message = format!("IAM at {} gives user {} no token{of}: {what}", self.host, self.user);
        safe_text::message(&message, Some(self.secret))
    }
}

/// An answer as it came, before anything is understood.
pub(super) struct TokenAnswer<'a> {
    pub status: u16,
    /// Header `X-Subject-Token`.
    pub token: Option<&'a str>,
    /// Header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Header `Date`.
    pub date: Option<&'a str>,
    /// The body as far as it was read.
    pub body: &'a [u8],
}

/// Understands an answer: the token with its life, or why there is none.
pub(super) fn understand(
    about: &About<'_>,
    answer: &TokenAnswer<'_>,
) -> Result<(Secret, Duration), LoginError> {
    let TokenAnswer { status, token, retry_after, date, body } = *answer;
    if status == 201 || status == 200 {
        let token = token.ok_or("without a token").and_then(Secret::new);
        let token = token.map_err(|wrong| {
            LoginError::Failed(about.message(&format!("answer {status}: {wrong}")), None)
        })?;
        return Ok((token, life(body)));
    }
    let said = Envelope::find(body).message.unwrap_or_default();
    let message = about.message(&format!("answer {status}: {said}"));
    match status {
        // Too early or too often is no judgement of the password.
        408 | 425 | 429 => {}
        401 => return Err(LoginError::WrongPassword(message)),
        400..500 => return Err(LoginError::Refused(message)),
        _ => {}
    }
    let wait = retry_after.and_then(|value| retry_after::read(value, date));
    Err(LoginError::Failed(message, wait.map(|seconds| Duration::from_secs(u64::from(seconds)))))
}

fn life(body: &[u8]) -> Duration {
    let lifetime = serde_json::from_slice::<LoginBody>(body)
        .ok()
        .map(|body| body.token.issued_at.duration_until(body.token.expires_at));
    lifetime
        .and_then(|life| Duration::try_from(life).ok())
        .filter(|life| !life.is_zero())
        .unwrap_or(LIFE_UNTOLD)
        .min(LIFE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_the_time_between_two_instants_of_the_same_clock() {
        let body = |issued: &str, expires: &str| {
            format!(
                r#"{{"token":{{"issued_at":"{issued}","expires_at":"{expires}","methods":["password"]}}}}"#
            )
        };
        let day = body("2020-01-04T09:05:22.701000Z", "2020-01-05T09:05:22.701000Z");
        assert_eq!(life(day.as_bytes()), Duration::from_secs(86_400));
        assert_eq!(
            life(body("2020-01-04T09:05:22Z", "2020-01-04T09:05:32Z").as_bytes()),
            Duration::from_secs(10)
        );
        assert_eq!(life(body("2020-01-04T09:05:22Z", "2030-01-04T09:05:22Z").as_bytes()), LIFE_MAX);
        for odd in
            ["", "{}", &body("2020-01-04T09:05:22Z", "2020-01-03T09:05:22Z"), &body("x", "y")]
        {
            assert_eq!(life(odd.as_bytes()), LIFE_UNTOLD, "{odd}");
        }
    }
}
