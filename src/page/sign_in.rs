//! Where somebody signs in: by the link that `sealift open` prints, by a token, or as whoever the
//! connection tells.
//!
//! Deliberately not here: whether a code or a token is right, and the session (`api::door`).

use askama::Template;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Redirect, Response};

use super::assets;
use super::viewer::Viewer;

/// Part of the view's address that says that a form was not taken.
const UNDONE: &str = "undone";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInView {
    /// Who may go on without more: the connection tells.
    known: Option<String>,
    next: String,
    /// Somebody was signed out when their form arrived.
    undone: bool,
}

impl SignInView {
    fn asset(name: &str) -> String {
        assets::address(name)
    }
}

/// `GET /sign-in`.
pub async fn sign_in(viewer: Viewer, uri: Uri) -> Response {
    let asked = |wanted: &str| {
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .find(|(name, _)| name == wanted)
    };
    let next = asked("next").map_or_else(|| "/".to_owned(), |(_, path)| path.into_owned());
    let known = viewer.caller.map(|caller| caller.name.to_string());
    let view = SignInView { known, next, undone: asked(UNDONE).is_some() };
    match view.render() {
        Ok(html) => ([(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Sends a browser that nobody knows to the view where it signs in, and back afterwards; whoever sent
/// a form is told that nothing came of it.
pub fn first(request: &Request) -> Option<Response> {
    let path = request.uri().path_and_query()?.as_str();
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    let (path, undone) = match path {
        path if asks => (path, ""),
        path if path.starts_with("/v1/") => return None,
        "/sign-out" => ("/", ""),
        "/plans/submit" => ("/plans/new", UNDONE),
        // The question of a verb stands where its form goes.
        path => (path, UNDONE),
    };
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    let undone = if undone.is_empty() { String::new() } else { format!("&{undone}=1") };
    Some(Redirect::to(&format!("/sign-in?next={next}{undone}")).into_response())
}
