//! Who looks at a view, and what their forms must carry.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::api::Caller;
use crate::api::door::Session;

/// Who looks at a view.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// `None`: nobody is signed in.
    pub caller: Option<Caller>,
    /// What a form of this session carries; empty without a session.
    pub form: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let form = parts.extensions.get::<Session>().map(|session| session.form_token().to_owned());
        Ok(Self { caller: parts.extensions.get::<Caller>().cloned(), form: form.unwrap_or_default() })
    }
}
