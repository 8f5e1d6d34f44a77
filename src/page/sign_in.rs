//! Where somebody signs in: by the link that `sealift open` prints, by a token, or as whoever the
//! connection tells.
//!
//! Deliberately not here: whether a code or a token is right, and the session (`api::door`).

use askama::Template;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Redirect, Response};

use super::assets;
use super::viewer::Viewer;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInView {
    /// Who may go on without more: the connection tells.
    known: Option<String>,
    next: String,
}

impl SignInView {
    fn asset(name: &str) -> String {
        assets::address(name)
    }
}

/// `GET /sign-in`.
pub async fn sign_in(viewer: Viewer, uri: Uri) -> Response {
    let next = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "next");
    let next = next.map_or_else(|| "/".to_owned(), |(_, path)| path.into_owned());
    let view = SignInView { known: viewer.caller.map(|caller| caller.name.to_string()), next };
    match view.render() {
        Ok(html) => ([(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Sends a browser that nobody knows to the view where it signs in, and back afterwards.
pub fn first(request: &Request) -> Option<Response> {
    let path = request.uri().path_and_query()?.as_str();
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    Some(Redirect::to(&format!("/sign-in?next={next}")).into_response())
}
