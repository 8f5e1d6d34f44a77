//! The proxies of an instance that a preflight names: what the cloud shows of them, and whether
//! their ports answer.

use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, Shared};

use super::{PORTS, ask, go, no_go, note, refused, row};
use crate::api::Api;
use crate::api::wire::{CheckRow, PORTS_WITHIN, PreflightInstance};
use crate::domain::call::{Answer, Call, ProxySeen, ProxyStatus, Reply};
use crate::domain::id::{InstanceId, Name};
use crate::domain::proof::{Endpoint, Proof, TroubleWord};

/// The targets of one instance.
pub(super) struct InstanceTargets {
    pub(super) lane: Name,
    pub(super) instance: InstanceId,
    pub(super) asked: PreflightInstance,
    pub(super) ssl_option: bool,
    /// Where ports are gathered, if they are to be looked at.
    pub(super) ports: Option<Arc<Mutex<Vec<TargetPort>>>>,
}

impl InstanceTargets {
    pub(super) async fn look(self, api: &Api) -> Vec<CheckRow> {
        let listed =
            ask(api, Call::Proxies { lane: self.lane.clone(), instance_id: self.instance }).await;
        let proxies = match listed {
            Ok(Reply { outcome: Ok(Answer::Proxies(proxies)), .. }) => proxies,
            Ok(_) => {
                return self.all(|name| {
                    no_go(
                        "proxy",
                        name,
                        "unreadable",
                        "the cloud answered something else than its instance's proxies",
                    )
                });
            }
            Err(error) => {
                return self.all(|name| {
                    refused(
                        "proxy",
                        name,
                        &format!("the proxies of instance {}", self.instance),
                        &error,
                    )
                });
            }
        };
        let mut rows = Vec::new();
        for name in &self.asked.proxies {
            let Some(seen) = proxies.iter().find(|seen| seen.proxy_id.to_string() == *name) else {
                rows.push(no_go(
                    "proxy",
                    name,
                    "not_listed",
                    format!("instance {} has no such proxy", self.instance),
                ));
                continue;
            };
            rows.push(self.proxy(name, seen));
            if seen.view.ssl_option.is_none() {
                let text = "the list does not tell its ssl_option: the account may not have the open beta of this API, which is asked for by ticket";
                rows.push(note("beta", name, "no_ssl_option", text));
            }
            if let Some(ports) = &self.ports {
                let port = TargetPort { name: name.clone(), endpoint: seen.view.endpoint.clone() };
                ports.lock().expect("nobody panics while it is locked").push(port);
            }
        }
        rows
    }

    fn all(&self, row: impl Fn(&str) -> CheckRow) -> Vec<CheckRow> {
        self.asked.proxies.iter().map(|name| row(name)).collect()
    }

    fn proxy(&self, name: &str, seen: &ProxySeen) -> CheckRow {
        let word = &seen.view.word;
        match (seen.view.status, seen.view.ssl_option) {
            (ProxyStatus::Faulty, _) => {
                no_go("proxy", name, "faulty", format!("it is {word}, and takes no change"))
            }
            (ProxyStatus::Busy, _) => {
                note("proxy", name, "busy", format!("it is {word}; its change would wait"))
            }
            (ProxyStatus::Idle, Some(value)) if value == self.ssl_option => {
                row(CheckRow::GO, "proxy", name, "right", "it shows the wanted value already")
            }
            (ProxyStatus::Idle, _) => row(CheckRow::GO, "proxy", name, "to_switch", "it is ACTIVE"),
        }
    }
}

/// Ends when the time of all ports is over.
pub(super) type PortsDeadline = Shared<BoxFuture<'static, ()>>;

pub(super) struct TargetPort {
    name: String,
    endpoint: Option<Endpoint>,
}

impl TargetPort {
    /// Whether it can be seen from here. What it shows is the switch's business.
    pub(super) async fn look(self, api: Arc<Api>, wire: bool, over: PortsDeadline) -> CheckRow {
        let name = self.name.as_str();
        let missing = |word: &str, text: String| {
            if wire {
                no_go("port", name, word, text)
            } else {
                note("port", name, word, format!("{text} (only a proof on the wire needs it)"))
            }
        };
        let Some(endpoint) = &self.endpoint else {
            return missing("no_address", "the cloud tells no address and port of it".into());
        };
        let seen = async {
            let _place = PORTS.acquire().await.expect("the semaphore is never closed");
            api.probe.probe(endpoint, None).await
        };
        let seen = tokio::select! {
            biased;
            seen = seen => seen,
            () = over => {
                let limit = PORTS_WITHIN.as_secs();
                let text = format!("{endpoint}: not seen, because all ports together have {limit} s; open the way to those that are silent");
                return missing("not_seen", text);
            }
        };
        let Proof { greeting, took_ms, trouble, .. } = seen;
        match (greeting, trouble) {
            (Some(greeting), _) => {
                let shows = if greeting.tls { "announces TLS" } else { "announces no TLS" };
                go("port", name, format!("{endpoint} answers within {took_ms} ms and {shows}"))
            }
            (None, Some(trouble)) => {
                let next = match trouble.word {
                    TroubleWord::HostBlocked => "; let its keeper run FLUSH HOSTS",
                    TroubleWord::Unreachable | TroubleWord::TimedOut => {
                        "; open the way from this host to the proxy"
                    }
                    _ => "",
                };
                missing(trouble.word.as_str(), format!("{endpoint}: {}{next}", trouble.message))
            }
            (None, None) => missing("closed", format!("{endpoint}: nothing was seen")),
        }
    }
}
