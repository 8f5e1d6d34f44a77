//! The form's token of an upload: a file is not read whole to find it, so it is the first part.
//!
//! Invariant: at most [`FIRST_PART_MAX`] bytes are looked through, whatever comes; the route gets
//! every byte.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::{StreamExt as _, stream};

use super::session::Session;
use super::{FORM_FIELD, media_type};

/// Bytes in which the first part must end.
const FIRST_PART_MAX: usize = 4096;

/// Whether the body is an upload.
pub(super) fn is_upload(headers: &HeaderMap) -> bool {
    media_type(headers) == "multipart/form-data"
}

/// The request again, and whether its first part is the token of this session's forms.
pub(super) async fn with_form_token(request: Request, session: &Session) -> (Request, bool) {
    let boundary = boundary(request.headers()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let mut rest = body.into_data_stream();
    let mut read: Vec<u8> = Vec::new();
    let right = loop {
        match first_part(&read, &boundary) {
            FirstPart::Token(token) => break session.is_form_token(token),
            FirstPart::Other => break false,
            FirstPart::Short if read.len() > FIRST_PART_MAX => break false,
            FirstPart::Short => {}
        }
        match rest.next().await {
            Some(Ok(bytes)) => read.extend_from_slice(&bytes),
            Some(Err(_)) | None => break false,
        }
    };
    let begin = stream::once(std::future::ready(Ok(Bytes::from(read))));
    (Request::from_parts(parts, Body::from_stream(begin.chain(rest))), right)
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut fields = kind.split(';').map(str::trim);
    let boundary = fields.find_map(|field| field.strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"').to_owned())
}

/// What the beginning of an upload holds.
#[derive(Debug, PartialEq, Eq)]
enum FirstPart<'a> {
    Token(&'a str),
    /// A part with another name, or none at all.
    Other,
    /// More must be read.
    Short,
}

fn first_part<'a>(read: &'a [u8], boundary: &str) -> FirstPart<'a> {
    let opening = format!("--{boundary}\r\n");
    if boundary.is_empty()
        || !read.starts_with(&opening.as_bytes()[..read.len().min(opening.len())])
    {
        return FirstPart::Other;
    }
    let Some(part) = read.get(opening.len()..) else { return FirstPart::Short };
    let Some(head) = find(part, b"\r\n\r\n") else { return FirstPart::Short };
    let (head, value) = (&part[..head], &part[head + 4..]);
    let Some(end) = find(value, format!("\r\n--{boundary}").as_bytes()) else {
        return FirstPart::Short;
    };
    let named = format!("name=\"{FORM_FIELD}\"");
    match (std::str::from_utf8(head), std::str::from_utf8(&value[..end])) {
        (Ok(head), Ok(value)) if head.contains(&named) => FirstPart::Token(value),
        _ => FirstPart::Other,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_first_part_or_there_is_none() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"form\"\r\n\r\ntoken\r\n--b\r\n";
        assert_eq!(first_part(form.as_bytes(), "b"), FirstPart::Token("token"));
        for cut in 0..form.len() - 4 {
            assert_eq!(first_part(&form.as_bytes()[..cut], "b"), FirstPart::Short, "{cut}");
        }
        let plan = form.replace("\"form\"", "\"plan\"");
        for (text, boundary) in [(plan.as_str(), "b"), (form, "c"), (form, ""), ("junk", "b")] {
            assert_eq!(first_part(text.as_bytes(), boundary), FirstPart::Other, "{text}");
        }
    }
}
