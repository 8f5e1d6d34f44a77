//! The headers of whatever a browser may show.
//!
//! Invariant: every answer that a request got past its head has them, those of refusals too; what a
//! route set itself stays only where it may be stricter or longer kept (`Cache-Control`).

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

/// What a page of ours may load and do: nothing but its own files, and no script that makes markup
/// of text.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                          base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sealift";

/// A year: whoever was here by TLS once never asks in plain text again.
const BY_TLS_ALONE: &str = "max-age=31536000";

/// Adds them to an answer; `tls` where the door speaks it.
pub fn add(headers: &mut HeaderMap, tls: bool) {
    let always: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(BY_TLS_ALONE));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_may_be_kept_and_nothing_else_may() {
        let mut asset = HeaderMap::new();
        asset
            .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        add(&mut asset, false);
        assert!(asset[CACHE_CONTROL].to_str().is_ok_and(|value| value.contains("immutable")));
        assert!(!asset.contains_key(STRICT_TRANSPORT_SECURITY), "plain HTTP promises no TLS");
        let mut view = HeaderMap::new();
        add(&mut view, true);
        assert_eq!(view[CACHE_CONTROL], "no-store");
        assert!(view.contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(
            view[CONTENT_SECURITY_POLICY].to_str().is_ok_and(|policy| !policy.contains("unsafe"))
        );
    }
}
