//! How a call is spelt in HTTP: method, path, query, body.
//!
//! Invariant: the paths are those of the vendor's specification, and nothing in them needs
//! escaping, because ids are letters, digits and hyphens by their types. (The vendor's example URL
//! with `proxyId` is a slip that no SDK follows.)

use std::fmt::Write as _;

use http::{HeaderValue, Method};
use url::Url;

use crate::domain::call::Call;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::ProjectId;
use crate::domain::target::Target;

/// Rows asked for of a proxy list: the longest page allowed. An instance has at most four proxies,
/// so a full page is an answer we do not understand.
pub const PROXIES_PAGE: usize = 100;

/// Rows asked for of the list of instances: the longest page allowed.
pub const INSTANCES_PAGE: usize = 100;

/// Rows of a page of the job list: 10, 20 or 50 are allowed.
pub const JOBS_PAGE: u32 = 50;

/// The status that the list of running jobs is asked for, in the vendor's word.
pub const RUNNING: &str = "Running";

/// Method of a call.
pub fn method(call: &Call) -> Method {
    if call.is_write() { Method::PUT } else { Method::GET }
}

/// `Content-Type` of a call, as the vendor's clients send it: with every request, whether or not it
/// has a body.
pub fn content_type(call: &Call) -> HeaderValue {
    HeaderValue::from_static(if call.is_write() {
        "application/json;charset=utf-8"
    } else {
        "application/json"
    })
}

/// Where a call goes.
pub fn url(endpoint: &Url, project: &ProjectId, call: &Call) -> Url {
    let path = path(project, call);
    let (path, query) =
        path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
    below(endpoint, path, query)
}

/// Below an endpoint, which may have a path of its own.
pub fn below(endpoint: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = endpoint.clone();
    match endpoint.path().trim_end_matches('/') {
        "" => url.set_path(path),
        prefix => url.set_path(&format!("{prefix}{path}")),
    }
    url.set_query(query);
    url
}

/// Path and query of a call.
fn path(project: &ProjectId, call: &Call) -> String {
    let project = project.as_str();
    match call {
        Call::Inspect { target: Target { instance_id, .. } }
        | Call::Proxies { instance_id, .. } => {
            format!(
                "/v3/{project}/instances/{}/proxies?offset=0&limit={PROXIES_PAGE}",
                instance_id.as_str()
            )
        }
        Call::Instances { offset, .. } => {
            format!("/v3/{project}/instances?offset={offset}&limit={INSTANCES_PAGE}")
        }
        Call::Submit { target, .. } => {
            format!(
                "/v3/{project}/instances/{}/proxy/{}/ssl",
                target.instance_id.as_str(),
                target.proxy_id.as_str()
            )
        }
        Call::Follow { job, .. } | Call::ShowJob { job, .. } => {
            format!("/v3/{project}/jobs?id={}", job.as_str())
        }
        Call::FindJobs { within, offset, .. } | Call::Jobs { within, offset, .. } => {
            let TimeSpan { from: start, to: end } = within.whole_seconds();
            let mut path = format!("/v3/{project}/immediate-jobs?start_time=");
            for (instant, next) in [(start, "&end_time="), (end, "")] {
                // `:` and `+` as the vendor's SDK escapes them.
                let _infallible =
                    write!(path, "{}{next}", instant.strftime("%Y-%m-%dT%H%%3A%M%%3A%S%%2B0000"));
            }
            let _infallible = write!(path, "&offset={offset}&limit={JOBS_PAGE}");
            path
        }
        Call::Running { offset, .. } => format!(
            "/v3/{project}/immediate-jobs?status={RUNNING}&offset={offset}&limit={JOBS_PAGE}"
        ),
    }
}

/// Body of the switch.
pub fn body(ssl_option: bool) -> &'static [u8] {
    if ssl_option { br#"{"ssl_option":true}"# } else { br#"{"ssl_option":false}"# }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Name;

    #[test]
    fn paths_are_those_of_the_specification() {
        let project: ProjectId = "056538411200d4cd2f79c003c7606412".parse().expect("an id");
        let target = Target {
            lane: Name::parse("a", "lane").expect("a name"),
            instance_id: "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id"),
            proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("an id"),
            tags: None,
            seen: None,
            instance_name: None,
        };
        let base = "/v3/056538411200d4cd2f79c003c7606412";
        let instance = "/instances/096c0fc43e804757b59946b80dc27f8bin07";
        let job = "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7".parse().expect("an id");
        let instant = |text: &str| text.parse().expect("an instant");
        let within = TimeSpan {
            from: instant("2026-11-24T08:09:10.9Z"),
            to: instant("2026-11-24T10:09:09.1Z"),
        };
        for (call, expected) in [
            (
                Call::Submit { target: target.clone(), ssl_option: true },
                format!("{base}{instance}/proxy/2ec617ba62da4eafb921b69438beed3cpo01/ssl"),
            ),
            (
                Call::Inspect { target: target.clone() },
                format!("{base}{instance}/proxies?offset=0&limit=100"),
            ),
            (
                Call::Follow { target: target.clone(), job },
                format!("{base}/jobs?id=e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"),
            ),
            (
                Call::Running { lane: target.lane.clone(), offset: 2 },
                format!("{base}/immediate-jobs?status=Running&offset=2&limit=50"),
            ),
            (
                Call::FindJobs { target, within, offset: 3 },
                format!(
                    "{base}/immediate-jobs?start_time=2026-11-24T08%3A09%3A10%2B0000&end_time=2026-11-24T10%3A09%3A10%2B0000&offset=3&limit=50"
                ),
            ),
        ] {
            assert_eq!(path(&project, &call), expected);
            for base in ["https://cloud.example.com", "http://[::1]:8080/gate/way"] {
                for endpoint in [base.to_owned(), format!("{base}/")] {
                    let endpoint = endpoint.parse().expect("a URL");
                    assert_eq!(
                        url(&endpoint, &project, &call).as_str(),
                        format!("{base}{expected}")
                    );
                }
            }
        }
    }
}
