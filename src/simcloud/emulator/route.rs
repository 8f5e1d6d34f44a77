//! From method and URI to a request of the model.
//!
//! Invariant: only the documented paths exist; everything else is what the gateway answers for an
//! unknown API.

use axum::http::{Method, Uri};
use jiff::Timestamp;
use jiff::fmt::strtime;

use crate::domain::id::{InstanceId, ProjectId, ProxyId};
use crate::simcloud::model::Request;
use crate::simcloud::vendor_json::RequestRefusal;

/// A request whose path and query were understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// The switch; its body comes later.
    Switch {
        instance_id: InstanceId,
        proxy_id: ProxyId,
        ssl_option: bool,
    },
    Instances {
        offset: usize,
        limit: usize,
    },
    Proxies {
        instance_id: InstanceId,
        offset: usize,
        limit: usize,
    },
    Job {
        id: String,
    },
    Jobs {
        status: Option<String>,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        offset: u32,
        limit: u32,
    },
}

impl Route {
    pub(super) fn request(&self) -> Request<'_> {
        match self {
            Self::Switch { instance_id, proxy_id, ssl_option } => Request::Switch {
                instance_id: *instance_id,
                proxy_id: *proxy_id,
                ssl_option: *ssl_option,
            },
            Self::Instances { offset, limit } => {
                Request::Instances { offset: *offset, limit: *limit }
            }
            Self::Proxies { instance_id, offset, limit } => {
                Request::Proxies { instance_id: *instance_id, offset: *offset, limit: *limit }
            }
            Self::Job { id } => Request::Job { id },
            Self::Jobs { status, start, end, offset, limit } => Request::Jobs {
                status: status.as_deref(),
                start: *start,
                end: *end,
                offset: *offset,
                limit: *limit,
            },
        }
    }
}

/// `project`: the only project there is, if only one is.
pub(super) fn route(
    method: &Method,
    uri: &Uri,
    project: Option<&ProjectId>,
) -> Result<Route, RequestRefusal> {
    let mut segments = uri.path().split('/');
    if segments.next() != Some("") || segments.next() != Some("v3") {
        return Err(RequestRefusal::UnknownPath);
    }
    let given = segments.next().ok_or(RequestRefusal::UnknownPath)?;
    let mut rest = [""; 5];
    let mut count = 0;
    for segment in segments {
        *rest.get_mut(count).ok_or(RequestRefusal::UnknownPath)? = segment;
        count += 1;
    }
    let query = uri.query().unwrap_or("");
    let routed = match (method, &rest[..count]) {
        (&Method::PUT, ["instances", instance, "proxy", proxy, "ssl"]) => {
            Route::Switch { instance_id: id(instance)?, proxy_id: id(proxy)?, ssl_option: false }
        }
        (&Method::GET, ["instances"]) => {
            let limit = number(query, "limit", 100)?;
            if !(1..=100).contains(&limit) {
                return Err(RequestRefusal::BadPage);
            }
            Route::Instances { offset: number(query, "offset", 0)? as usize, limit: limit as usize }
        }
        (&Method::GET, ["instances", instance, "proxies"]) => {
            let limit = number(query, "limit", 10)?;
            if !(1..=100).contains(&limit) {
                return Err(RequestRefusal::BadPage);
            }
            Route::Proxies {
                instance_id: id(instance)?,
                offset: number(query, "offset", 0)? as usize,
                limit: limit as usize,
            }
        }
        (&Method::GET, ["jobs"]) => Route::Job { id: value(query, "id").unwrap_or_default() },
        (&Method::GET, ["immediate-jobs"]) => {
            let limit = number(query, "limit", 10)?;
            if ![10, 20, 50].contains(&limit) {
                return Err(RequestRefusal::BadPage);
            }
            Route::Jobs {
                status: value(query, "status"),
                start: time(query, "start_time")?,
                end: time(query, "end_time")?,
                offset: number(query, "offset", 1)?,
                limit,
            }
        }
        _ => return Err(RequestRefusal::UnknownPath),
    };
    match project {
        Some(project) if project.as_str() != given => Err(RequestRefusal::WrongProject),
        _ => Ok(routed),
    }
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, RequestRefusal> {
    text.parse().map_err(|_| RequestRefusal::BadId)
}

/// A query value with its `%XX` and `+` undone; a broken escape stays as it is.
fn value(query: &str, name: &str) -> Option<String> {
    let raw =
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    if !raw.contains(['%', '+']) {
        return Some(raw.to_owned());
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let mut decoded = [0];
        rest = match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex::decode_to_slice([*a, *b], &mut decoded).is_ok() => {
                bytes.push(decoded[0]);
                after
            }
            (b'+', after) => {
                bytes.push(b' ');
                after
            }
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn number(query: &str, name: &str, default: u32) -> Result<u32, RequestRefusal> {
    value(query, name).map_or(Ok(default), |text| text.parse().map_err(|_| RequestRefusal::BadPage))
}

/// `2018-08-06T10:41:14+0800`.
fn time(query: &str, name: &str) -> Result<Option<Timestamp>, RequestRefusal> {
    let Some(text) = value(query, name) else { return Ok(None) };
    let parsed = strtime::parse("%Y-%m-%dT%H:%M:%S%z", &text)
        .and_then(|broken_down| broken_down.to_timestamp());
    parsed.map(Some).map_err(|_| RequestRefusal::BadBody)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: &str = "056538411200d4cd2f79c003c7606412";
    const I: &str = "096c0fc43e804757b59946b80dc27f8bin07";
    const X: &str = "2ec617ba62da4eafb921b69438beed3cpo01";

    fn routed(method: Method, uri: &str) -> Result<Route, RequestRefusal> {
        let project = P.parse().expect("an id");
        route(&method, &uri.parse().expect("a URI"), Some(&project))
    }

    #[test]
    fn only_the_documented_paths_exist() {
        let (instance_id, proxy_id) = (I.parse().expect("an id"), X.parse().expect("an id"));
        let at = |text: &str| Some(text.parse().expect("an instant"));
        for (method, uri, expected) in [
            (
                Method::PUT,
                format!("/v3/{P}/instances/{I}/proxy/{X}/ssl"),
                Ok(Route::Switch { instance_id, proxy_id, ssl_option: false }),
            ),
            (
                Method::PUT,
                format!("/v3/{P}/instances/{I}/proxyId/{X}/ssl"),
                Err(RequestRefusal::UnknownPath),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances/{I}/proxy/{X}/ssl"),
                Err(RequestRefusal::UnknownPath),
            ),
            (
                Method::PUT,
                format!("/v3/{P}/instances/{X}/proxy/{I}/ssl"),
                Err(RequestRefusal::BadId),
            ),
            (
                Method::PUT,
                format!("/v3/{I}/instances/{I}/proxy/{X}/ssl"),
                Err(RequestRefusal::WrongProject),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances/{I}/proxies"),
                Ok(Route::Proxies { instance_id, offset: 0, limit: 10 }),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances/{I}/proxies?limit=100&offset=2"),
                Ok(Route::Proxies { instance_id, offset: 2, limit: 100 }),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances/{I}/proxies?limit=101"),
                Err(RequestRefusal::BadPage),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances"),
                Ok(Route::Instances { offset: 0, limit: 100 }),
            ),
            (
                Method::GET,
                format!("/v3/{P}/instances?offset=200&limit=50"),
                Ok(Route::Instances { offset: 200, limit: 50 }),
            ),
            (Method::GET, format!("/v3/{P}/instances?limit=0"), Err(RequestRefusal::BadPage)),
            (Method::GET, format!("/v3/{P}/jobs?id=a-b"), Ok(Route::Job { id: "a-b".into() })),
            (
                Method::GET,
                format!(
                    "/v3/{P}/immediate-jobs?limit=50&offset=2&start_time=2026-11-24T08%3A00%3A00%2B0800"
                ),
                Ok(Route::Jobs {
                    status: None,
                    start: at("2026-11-24T00:00:00Z"),
                    end: None,
                    offset: 2,
                    limit: 50,
                }),
            ),
            (
                Method::GET,
                format!("/v3/{P}/immediate-jobs?status=Running"),
                Ok(Route::Jobs {
                    status: Some("Running".into()),
                    start: None,
                    end: None,
                    offset: 1,
                    limit: 10,
                }),
            ),
            (Method::GET, format!("/v3/{P}/immediate-jobs?limit=30"), Err(RequestRefusal::BadPage)),
            (
                Method::GET,
                format!("/v3/{P}/immediate-jobs?start_time=today"),
                Err(RequestRefusal::BadBody),
            ),
            (Method::GET, "/".into(), Err(RequestRefusal::UnknownPath)),
            (Method::GET, format!("/v3/{P}/a/b/c/d/e/f/g"), Err(RequestRefusal::UnknownPath)),
        ] {
            assert_eq!(routed(method.clone(), &uri), expected, "{method} {uri}");
        }
    }
}
