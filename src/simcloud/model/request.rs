//! Requests and responses of the model: the API's operations, stripped of HTTP.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::id::{InstanceId, ProxyId};
use crate::simcloud::vendor_json::{self, RequestRefusal};

/// A request as the API's operations are, stripped of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `PUT …/instances/{instance_id}/proxy/{proxy_id}/ssl`.
    Switch {
        /// The instance of the path.
        instance_id: InstanceId,
        /// The proxy of the path.
        proxy_id: ProxyId,
        ssl_option: bool,
    },
    /// `GET …/instances`.
    Instances {
        offset: usize,
        /// Records wanted, 1 to 100.
        limit: usize,
    },
    /// `GET …/instances/{instance_id}/proxies`.
    Proxies {
        /// The instance of the path.
        instance_id: InstanceId,
        offset: usize,
        /// Records wanted, 1 to 100.
        limit: usize,
    },
    /// `GET …/jobs?id=`.
    Job {
        /// The text asked for.
        id: &'a str,
    },
    /// `GET …/immediate-jobs`.
    Jobs {
        /// Only jobs with this status word.
        status: Option<&'a str>,
        /// Created at this instant or later.
        start: Option<Timestamp>,
        /// Created at this instant or earlier.
        end: Option<Timestamp>,
        /// Which page; the model's faults say whether it counts pages or records.
        offset: u32,
        /// Rows of a page: 10, 20 or 50.
        limit: u32,
    },
    /// A request that is refused before any operation is reached.
    Refused(RequestRefusal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// From arrival to answer, or to the end of the connection.
    pub delay: Duration,
    pub content: Content,
    /// Whether the request was a switch that was executed, at its arrival.
    pub executed: bool,
    /// What the cloud's clock showed at the arrival.
    pub date: Timestamp,
}

/// An answer, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Answer {
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u32>,
        /// `X-Request-Id`.
        request_id: [u8; 32],
        /// Whether the body is HTML instead of JSON.
        html: bool,
        body: String,
    },
    /// The connection is closed without a byte.
    Dropped,
}

impl Content {
    /// Tells people in Chinese what it tells them.
    pub fn in_chinese(&mut self) {
        if let Self::Answer { body, .. } = self {
            *body = vendor_json::in_chinese(body);
        }
    }

    /// Lets a refusal of the gateway say what it refuses, with the request's id as gateways write
    /// it.
    pub fn say(&mut self, detail: &str) {
        if let Self::Answer { body, request_id, .. } = self {
            *body = vendor_json::unauthorised(detail, request_id);
        }
    }
}
