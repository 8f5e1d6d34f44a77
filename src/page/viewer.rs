//! Who looks at a view, and what their forms must carry.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
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

impl Viewer {
    /// Whoever the door put beside the request.
    pub fn of(extensions: &Extensions) -> Self {
        let form = extensions.get::<Session>().map(|session| session.form_token().to_owned());
        Self { caller: extensions.get::<Caller>().cloned(), form: form.unwrap_or_default() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
