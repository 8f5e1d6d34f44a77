//! `POST /v3/auth/tokens`: IAM's logins by password and by agency, with IAM's own envelopes.
//!
//! Invariant: it is another service with a quota of its own, so it does not count as a request of
//! the API.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::EmulatorState;
use super::gatekeeper::{IssuedToken, NoLogin, TokenHolder};

/// Where tokens are asked for.
pub(super) const PATH: &str = "/v3/auth/tokens";

/// The id of every account, by its name: made up, as the ids of users and agencies are.
const ACCOUNT_ID: &str = "d78cbac186b744899480f25bd022f468";

#[derive(Deserialize)]
struct LoginRequest {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: LoginMethods,
    #[serde(default)]
    scope: Scope,
}

#[derive(Deserialize)]
struct LoginMethods {
    methods: Vec<String>,
    #[serde(default)]
    password: Option<Password>,
    #[serde(default)]
    assume_role: Option<AssumeRole>,
}

#[derive(Deserialize)]
struct Password {
    user: LoginUser,
}

#[derive(Deserialize)]
struct LoginUser {
    name: String,
    password: String,
    domain: Named,
}

#[derive(Deserialize)]
struct AssumeRole {
    agency_name: String,
    domain_name: String,
}

#[derive(Deserialize, Default)]
struct Scope {
    #[serde(default)]
    project: Option<Project>,
}

#[derive(Deserialize)]
struct Project {
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

pub(super) fn answer(shared: &EmulatorState, parts: &Parts, body: &Bytes) -> Response {
    let Ok(LoginRequest { auth }) = serde_json::from_slice(body) else {
        return refused(StatusCode::BAD_REQUEST, "Bad Request", "The request body is invalid.");
    };
    let project = auth.scope.project.and_then(|project| project.id);
    let (now, scope) = (shared.clock(), project.as_deref());
    let LoginMethods { methods, password, assume_role } = auth.identity;
    let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
    let issued = match (methods.as_slice(), password, assume_role) {
        (["password"], Some(Password { user }), _) => {
            let LoginUser { name, password, domain } = user;
            shared.gatekeeper().login(now, [&domain.name, &name, &password], scope)
        }
        (["assume_role"], _, Some(AssumeRole { agency_name, domain_name })) => {
            let token = parts.headers.get("x-auth-token").and_then(|value| value.to_str().ok());
            let agency = [domain_name.as_str(), agency_name.as_str()];
            shared.gatekeeper().assume(now, token, agency, scope)
        }
        _ => {
            let message = "The authentication method is not supported.";
            return refused(StatusCode::BAD_REQUEST, "Bad Request", message);
        }
    };
    let issued = match issued {
        Ok(issued) => issued,
        Err(why) => return no_token(why),
    };
    let known = match (&project, &shared.project) {
        (Some(wanted), Some(only)) => wanted == only.as_str(),
        _ => true,
    };
    if !known {
        return refused(StatusCode::NOT_FOUND, "Not Found", "Could not find project.");
    }
    let mut response = respond(StatusCode::CREATED, &token(&issued, now, project.as_deref()));
    let text = HeaderValue::from_str(&issued.text).expect("a token is made of letters and digits");
    response.headers_mut().insert("x-subject-token", text);
    response
}

fn token(issued: &IssuedToken, now: Timestamp, project: Option<&str>) -> Value {
    let user = |name: &str, domain: &Value| {
        let id = "7116d09f88fa41908676fdd4b039e95b";
        json!({ "name": name, "id": id, "domain": domain, "password_expires_at": "" })
    };
    let domain_of = |name: &str| json!({ "name": name, "id": ACCOUNT_ID });
    let mut token = json!({
        "expires_at": instant(issued.ends),
        "issued_at": instant(now),
        "roles": [{ "name": "gaussdb_adm", "id": "0" }],
        "catalog": [],
    });
    let account = match &issued.of {
        TokenHolder::User(of) => {
            let domain = domain_of(&of.domain);
            token["methods"] = json!(["password"]);
            token["user"] = user(&of.user, &domain);
            domain
        }
        TokenHolder::Agency(agency, by) => {
            let domain = domain_of(&agency.domain);
            token["methods"] = json!(["assume_role"]);
            let id = "0760a9e2a60026664f1fc0031f9f205e";
            let name = format!("{}/{}", agency.domain, agency.name);
            token["user"] = json!({ "name": name, "id": id, "domain": domain });
            token["assumed_by"] = json!({ "user": user(&by.user, &domain_of(&by.domain)) });
            domain
        }
    };
    match project {
        Some(id) => {
            token["project"] = json!({ "id": id, "name": "emulated", "domain": account });
        }
        None => token["domain"] = account,
    }
    json!({ "token": token })
}

fn no_token(why: NoLogin) -> Response {
    let (status, title, message) = match why {
        NoLogin::WrongPassword => {
            (StatusCode::UNAUTHORIZED, "Unauthorized", "The username or password is wrong.")
        }
        NoLogin::Locked => {
            (StatusCode::UNAUTHORIZED, "Unauthorized", "The account is locked. Try again later.")
        }
        NoLogin::NotKnown => (
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "The request you have made requires authentication.",
        ),
        NoLogin::NoRole => (
            StatusCode::FORBIDDEN,
            "Forbidden",
            "You are not authorized to perform the requested action.",
        ),
        NoLogin::NoAgency => (StatusCode::NOT_FOUND, "Not Found", "Could not find agency."),
    };
    refused(status, title, message)
}

/// `2020-01-04T09:05:22.701000Z`.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn refused(status: StatusCode, title: &str, message: &str) -> Response {
    respond(
        status,
        &json!({ "error": { "code": status.as_u16(), "message": message, "title": title } }),
    )
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(axum::body::Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}
