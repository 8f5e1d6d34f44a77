//! A tap in the line between our client and the emulated cloud: passes everything on as it is and
//! keeps it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;

use super::definition::Exchange;

/// Longest body of either side.
const BODY_MAX: usize = 4 << 20;

pub struct Tap {
    pub endpoint: String,
    line: Arc<TappedLine>,
}

struct TappedLine {
    to: String,
    client: reqwest::Client,
    kept: Mutex<Vec<Exchange>>,
}

impl Tap {
    /// Listens, and passes on to `to`, until the test is over.
    pub async fn new(to: String) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let line = Arc::new(TappedLine { to, client, kept: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(pass_on).with_state(line.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, line }
    }

    /// All that went through so far, in the order of the answers.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.line.kept.lock().expect("nothing panics under it"))
    }
}

async fn pass_on(State(line): State<Arc<TappedLine>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.expect("a whole body");
    let url = format!("{}{}", line.to, parts.uri);
    let mut onward = line.client.request(parts.method.clone(), url).body(body.clone());
    // The host too: it is signed.
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        onward = onward.header(name, value);
    }
    let answer = onward.send().await.expect("the emulated cloud answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let answer_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = answer.bytes().await.expect("a whole answer");
    let text =
        |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    line.kept.lock().expect("nothing panics under it").push(Exchange {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.to_vec(),
        status: status.as_u16(),
        answer_type,
        answer: bytes.to_vec(),
    });
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        response.headers_mut().append(name, value.clone());
    }
    response
}
