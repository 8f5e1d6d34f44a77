//! `POST /v3/auth/tokens`: IAM's password login, with IAM's own envelopes.
//!
//! Invariant: it is another service with a quota of its own, so it does not count as a request of
//! the API.

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::EmulatorState;
use super::gatekeeper::NoLogin;

/// Where tokens are asked for.
pub(super) const PATH: &str = "/v3/auth/tokens";

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
    password: Password,
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

pub(super) fn answer(shared: &EmulatorState, body: &Bytes) -> Response {
    let Ok(LoginRequest { auth }) = serde_json::from_slice(body) else {
        return refused(StatusCode::BAD_REQUEST, "Bad Request", "The request body is invalid.");
    };
    if auth.identity.methods != ["password"] {
        return refused(
            StatusCode::BAD_REQUEST,
            "Bad Request",
            "The authentication method is not supported.",
        );
    }
    let LoginUser { name, password, domain } = auth.identity.password.user;
    let project = auth.scope.project.and_then(|project| project.id);
    let now = shared.clock();
    let issued =
        shared.gatekeeper().login(now, [&domain.name, &name, &password], project.as_deref());
    let (token, ends) = match issued {
        Ok(issued) => issued,
        Err(NoLogin::WrongPassword) => {
            return refused(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "The username or password is wrong.",
            );
        }
        Err(NoLogin::Locked) => {
            return refused(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "The account is locked. Try again later.",
            );
        }
        Err(NoLogin::NoRole) => {
            return refused(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "You are not authorized to perform the requested action.",
            );
        }
    };
    let known = match (&project, &shared.project) {
        (Some(wanted), Some(only)) => wanted == only.as_str(),
        _ => true,
    };
    if !known {
        return refused(StatusCode::NOT_FOUND, "Not Found", "Could not find project.");
    }
    let domain = json!({ "name": domain.name, "id": "d78cbac186b744899480f25bd022f468" });
    let mut body = json!({ "token": {
        "expires_at": instant(ends),
        "issued_at": instant(now),
        "methods": ["password"],
        "user": { "name": name, "id": "7116d09f88fa41908676fdd4b039e95b", "domain": domain, "password_expires_at": "" },
        "roles": [{ "name": "gaussdb_adm", "id": "0" }],
        "catalog": [],
    } });
    if let Some(id) = project {
        body["token"]["project"] = json!({ "id": id, "name": "emulated", "domain": domain });
    }
    let mut response = respond(StatusCode::CREATED, &body);
    let token = HeaderValue::from_str(&token).expect("a token is made of letters and digits");
    response.headers_mut().insert("x-subject-token", token);
    response
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
