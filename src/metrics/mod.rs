//! Metrics: what the daemon does and how it stands, for Prometheus.
//!
//! Job: count what nobody else counts (calls to the cloud, requests), and answer `/metrics` in text
//! 0.0.4 or in OpenMetrics, as the client prefers.
//!
//! Invariants: a scrape reads state that others hold and decides nothing; one is made at a time,
//! and in bounded time; there are at most some 30,000 series, however many lanes and rollouts there
//! are. Whoever scrapes must be allowed to read.
//!
//! Deliberately not here: traces, and what alerts follow (`packaging/prometheus`).

mod accept;
mod calls;
mod families;
mod process;
mod requests;
mod scrape;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

pub use self::accept::Format;
pub use self::calls::{CallTallies, CountedCloud};
use self::families::Families;
use self::requests::RequestTallies;
use self::scrape::Scrape;
pub use self::scrape::{LANES_MAX, ROLLOUTS_MAX};
use crate::api::{Api, ApiError, Caller};
use crate::domain::people::Role;

/// The address of the metrics.
pub const PATH: &str = "/metrics";

/// A scrape takes at most this long; Prometheus gives up after ten seconds unless it is told
/// otherwise.
const SCRAPE_WITHIN: Duration = Duration::from_secs(8);

/// What `/metrics` needs.
pub struct Metrics {
    api: Arc<Api>,
    calls: Arc<CallTallies>,
    requests: Arc<RequestTallies>,
    /// One scrape at a time: a second one would ask the same.
    scraping: Mutex<()>,
}

impl Metrics {
    /// Shows what `api` tells, and the calls that were counted.
    pub fn new(api: Arc<Api>, calls: Arc<CallTallies>) -> Self {
        Self { api, calls, requests: Arc::default(), scraping: Mutex::default() }
    }

    /// These routes with `/metrics` beside them, all of whose requests are counted.
    pub fn beside(self, routes: Router) -> Router {
        let requests = self.requests.clone();
        let own = Router::new().route(PATH, get(metrics)).with_state(Arc::new(self));
        routes.merge(own).layer(axum::middleware::from_fn_with_state(requests, requests::count))
    }

    /// Everything, in this format.
    async fn write(&self, format: Format) -> Result<String, ApiError> {
        let _one = self.scraping.lock().await;
        let scrape = Scrape::take(&self.api, &self.calls, &self.requests).await?;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(scrape));
        let mut text = String::new();
        format.encode(&mut text, &registry).expect("a text takes every line");
        Ok(text)
    }
}

/// What the daemon does and how it stands.
async fn metrics(
    State(metrics): State<Arc<Metrics>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.must(Role::Read, "reading metrics")?;
    let format =
        Format::preferred(headers.get_all(ACCEPT).iter().filter_map(|one| one.to_str().ok()));
    match tokio::time::timeout(SCRAPE_WITHIN, metrics.write(format)).await {
        Ok(text) => Ok(([(CONTENT_TYPE, format.content_type())], text?).into_response()),
        Err(_) => {
            let why = format!("the metrics were not read within {} s", SCRAPE_WITHIN.as_secs());
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why))
        }
    }
}

/// The keys of the labels of each family, by its name in text: also of those that have no series
/// before something happens, which no scrape shows.
pub fn label_keys() -> BTreeMap<String, Vec<&'static str>> {
    let listed = KeyList::default();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(listed.clone()));
    let mut nowhere = String::new();
    Format::Text.encode(&mut nowhere, &registry).expect("a text takes every line");
    let mut keys = listed.0.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *keys)
}

/// Writes what a daemon shows at first, and keeps the keys.
#[derive(Debug, Clone, Default)]
struct KeyList(Arc<std::sync::Mutex<BTreeMap<String, Vec<&'static str>>>>);

impl Collector for KeyList {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        Scrape::default().write(&mut families)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = families.into_keys();
        Ok(())
    }
}
