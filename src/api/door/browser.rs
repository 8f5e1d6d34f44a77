//! What a browser may do: a browser acts for whoever opened it, and every page that it shows can
//! make it ask.
//!
//! Invariants: a browser is known by what it cannot leave out (`Origin`, `Sec-Fetch-*`, our
//! cookie), and not by what it says of itself; it acts from a page of ours alone, and from
//! elsewhere it may only navigate. Which pages are ours is told by the whole origin: cookies are
//! shared by all ports of a host, and requests between them count as of one site.
//!
//! `Host` is compared for programs too: a page whose name was bound anew to our address asks
//! without any of those marks where HTTP is plain.
//!
//! Deliberately not here: sessions, and the form's token (`door`).

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};
use url::Url;

/// Names of this machine that no name server can give to somebody else.
const LOCAL: [&str; 4] = ["sealift.localhost", "localhost", "127.0.0.1", "[::1]"];

/// The host that our own client names on the socket.
const ON_SOCKET: &str = "sealift";

/// By which names a door is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Of this machine, with any port: only the client knows which one leads to the socket.
    Socket,
    /// These origins, as browsers write them.
    Network(Vec<String>),
}

impl Names {
    /// Those of a door on the network: of this machine, its own address and the configured origin.
    pub fn of_network(scheme: &str, address: std::net::SocketAddr, origin: Option<&str>) -> Self {
        let own = (!address.ip().is_unspecified()).then(|| address.to_string());
        let local = LOCAL.iter().map(|name| format!("{name}:{}", address.port())).chain(own);
        let mut origins: Vec<String> =
            local.filter_map(|authority| spelled(scheme, &authority)).collect();
        origins.extend(origin.map(str::to_owned));
        Self::Network(origins)
    }

    /// The origins of pages that this host shows; `None`: it is not ours.
    fn of_host(&self, host: &str) -> Option<Vec<String>> {
        let spellings = ["http", "https"].into_iter().filter_map(|scheme| spelled(scheme, host));
        match self {
            Self::Socket => {
                let name = Url::parse(&format!("http://{host}")).ok()?;
                let ours =
                    name.host_str().is_some_and(|name| LOCAL.contains(&name) || name == ON_SOCKET);
                ours.then(|| spellings.take(1).collect())
            }
            Self::Network(origins) => {
                let ours: Vec<String> =
                    spellings.filter(|spelling| origins.contains(spelling)).collect();
                (!ours.is_empty()).then_some(ours)
            }
        }
    }
}

/// An origin as browsers write it; `None` for what is more or less than host and port.
fn spelled(scheme: &str, authority: &str) -> Option<String> {
    if authority.contains(['@', '/', '?', '#', '\\']) {
        return None;
    }
    Some(Url::parse(&format!("{scheme}://{authority}")).ok()?.origin().ascii_serialization())
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A program, which asks what its user wants.
    Program,
    /// A browser that shows something.
    Reading,
    /// A browser on a page of ours, that wants something done.
    Acting,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It was meant for another host.
    #[error(
        "this host is not known here by that name; set `api.origin` to the name that clients use"
    )]
    Host,
    /// A page of somebody else made the browser ask.
    #[error("another page made the browser ask; open the page of this daemon and act there")]
    Foreign,
    /// It does not carry the token of the form that it was sent by.
    #[error("the form is not one of this session; load the page again")]
    Form,
}

/// Whether anything of the request says that a browser sent it.
fn is_browser(headers: &HeaderMap) -> bool {
    let marked =
        headers.keys().any(|name| *name == ORIGIN || name.as_str().starts_with("sec-fetch-"));
    marked || super::session::cookies(headers).next().is_some()
}

/// Tells who asks, and whether they may ask that from where they are.
///
/// # Errors
/// [`NotOurs`] for whatever must be refused without a look at its session.
pub fn judge(
    names: &Names,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Asker, NotOurs> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (uri.authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return Err(NotOurs::Host),
        (Some(authority), None, _) => Some(authority.as_str()),
        (Some(authority), Some(host), _) if host.as_bytes() != authority.as_str().as_bytes() => {
            return Err(NotOurs::Host);
        }
        (_, Some(host), _) => Some(host.to_str().map_err(|_| NotOurs::Host)?),
        (None, None, _) => None,
    };
    let ours = match host {
        Some(host) => names.of_host(host).ok_or(NotOurs::Host)?,
        // Of an old program on the socket; every browser names a host.
        None if *names == Names::Socket && !is_browser(headers) => Vec::new(),
        None => return Err(NotOurs::Host),
    };
    if !is_browser(headers) {
        return Ok(Asker::Program);
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut origins = headers.get_all(ORIGIN).iter();
    let ours = |origin: &axum::http::HeaderValue| {
        ours.iter().any(|ours| ours.as_bytes() == origin.as_bytes())
    };
    let origin = match (origins.next(), origins.next()) {
        (None, _) => None,
        (Some(origin), None) => Some(ours(origin)),
        (Some(_), Some(_)) => Some(false),
    };
    let site = text("sec-fetch-site");
    if !matches!(*method, Method::GET | Method::HEAD) {
        let from_here = origin == Some(true) && site.is_none_or(|site| site == "same-origin");
        return if from_here { Ok(Asker::Acting) } else { Err(NotOurs::Foreign) };
    }
    let from_here =
        origin != Some(false) && site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    // A link that somebody follows shows the page to them alone; what embeds it could lay something
    // else over it.
    let navigates = text("sec-fetch-mode") == Some("navigate")
        && text("sec-fetch-dest").is_none_or(|to| to == "document");
    if from_here || navigates { Ok(Asker::Reading) } else { Err(NotOurs::Foreign) }
}

/// Whether somebody follows a link, types an address or sends a form, and sees whatever the answer
/// is.
pub fn is_navigation(headers: &HeaderMap) -> bool {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text("sec-fetch-mode") == "navigate"
        || text("accept").split(',').any(|kind| kind.trim().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(names: &Names, method: Method, lines: &[(&str, &str)]) -> Result<Asker, NotOurs> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: axum::http::HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        judge(names, &method, &Uri::from_static("/v1/stop"), &headers)
    }

    fn door() -> Names {
        Names::of_network(
            "http",
            "127.0.0.1:7633".parse().expect("an address"),
            Some("https://sealift.example.net"),
        )
    }

    #[test]
    fn a_host_is_ours_by_its_name_and_its_port() {
        let host = |names: &Names, host: &str| asked(names, Method::GET, &[("host", host)]);
        for ours in [
            "sealift.localhost:7633",
            "localhost:7633",
            "127.0.0.1:7633",
            "[::1]:7633",
            "LOCALHOST:7633",
            "sealift.example.net",
        ] {
            assert_eq!(host(&door(), ours), Ok(Asker::Program), "{ours}");
        }
        for other in [
            "evil.example:7633",
            "localhost",
            "localhost:7634",
            "sealift.example.net:7633",
            "localhost:7633@evil.example",
            "",
            "localhost.:7633",
        ] {
            assert_eq!(host(&door(), other), Err(NotOurs::Host), "{other}");
        }
        for ours in [
            "sealift",
            "localhost",
            "localhost:9999",
            "127.0.0.1:1",
            "[::1]:2",
            "sealift.localhost:3",
        ] {
            assert_eq!(host(&Names::Socket, ours), Ok(Asker::Program), "{ours}");
        }
        assert_eq!(host(&Names::Socket, "evil.example:7633"), Err(NotOurs::Host));
        assert_eq!(asked(&door(), Method::GET, &[]), Err(NotOurs::Host));
        assert_eq!(asked(&Names::Socket, Method::GET, &[]), Ok(Asker::Program));
        assert_eq!(
            asked(&door(), Method::GET, &[("host", "localhost:7633"), ("host", "evil.example")]),
            Err(NotOurs::Host)
        );
    }

    #[test]
    fn a_browser_acts_from_a_page_of_ours_alone() {
        const HOST: (&str, &str) = ("host", "localhost:7633");
        const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
        let act = |lines: &[(&str, &str)]| asked(&door(), Method::POST, lines);
        let own = ("origin", "http://localhost:7633");
        assert_eq!(act(&[HOST, own, SAME]), Ok(Asker::Acting));
        assert_eq!(act(&[HOST, own]), Ok(Asker::Acting), "an old browser sends no site");
        let foreign: &[&[(&str, &str)]] = &[
            &[HOST, ("origin", "http://localhost:7634"), ("sec-fetch-site", "same-site")],
            &[HOST, ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            &[HOST, ("origin", "null")],
            // Ours by another of our names is another page.
            &[HOST, ("origin", "http://127.0.0.1:7633")],
            &[HOST, ("origin", "https://localhost:7633")],
            &[HOST, own, ("sec-fetch-site", "same-site")],
            &[HOST, own, ("sec-fetch-site", "none")],
            &[HOST, SAME],
            &[HOST, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[HOST, own, ("origin", "https://evil.example"), SAME],
            // Our cookie alone is a browser's too.
            &[HOST, ("cookie", "__Host-sealift=x")],
        ];
        for lines in foreign {
            assert_eq!(act(lines), Err(NotOurs::Foreign), "{lines:?}");
        }
        assert_eq!(act(&[HOST, ("cookie", "theme=dark")]), Ok(Asker::Program));
    }

    #[test]
    fn from_elsewhere_a_browser_may_only_navigate() {
        const HOST: (&str, &str) = ("host", "localhost:7633");
        const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
        let get = |lines: &[(&str, &str)]| asked(&door(), Method::GET, lines);
        assert_eq!(
            get(&[HOST, CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
            Ok(Asker::Reading)
        );
        assert_eq!(
            get(&[HOST, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]),
            Ok(Asker::Reading)
        );
        assert_eq!(
            get(&[HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]),
            Ok(Asker::Reading)
        );
        for lines in [
            [HOST, CROSS, ("sec-fetch-mode", "no-cors")],
            [HOST, CROSS, ("sec-fetch-mode", "cors")],
            [HOST, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
            [HOST, ("origin", "http://localhost:7634"), ("sec-fetch-mode", "cors")],
        ] {
            assert_eq!(get(&lines), Err(NotOurs::Foreign), "{lines:?}");
        }
        for frame in ["iframe", "frame", "object", "embed"] {
            let lines = [HOST, CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", frame)];
            assert_eq!(get(&lines), Err(NotOurs::Foreign), "{frame}");
        }
    }
}
