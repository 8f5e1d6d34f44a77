//! `api.listen` and what belongs to it: from as written to [`DoorConfig`].
//!
//! Invariant: what comes out can be opened without telling a secret to the network and without
//! letting somebody in who is not known: plain HTTP on this machine alone, and on the network TLS
//! with a way of knowing who calls.
//!
//! Deliberately not here: reading the files that it names (`api::door`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::formats;
use super::raw::{RawApi, RawTls};
use super::setting::Settings;
use crate::yaml::{Diagnostic, Document, Mistakes, quote};

/// How the API is reached beside its socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorConfig {
    /// `None`: on the socket alone.
    pub listen: Option<SocketAddr>,
    /// How browsers and clients elsewhere name the daemon: scheme, host and perhaps a port.
    pub origin: Option<String>,
    pub tls: Option<DoorFiles>,
    /// Hashes of the tokens that clients show.
    pub tokens_file: Option<PathBuf>,
    /// The key of sessions; `None`: that of the state directory.
    pub session_key: Option<PathBuf>,
}

/// The files of the door's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorFiles {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// Authorities of clients' certificates; `None`: none is asked for.
    pub client_ca_file: Option<PathBuf>,
}

/// Reads it; `None` after any mistake in it.
pub fn read(
    written: RawApi,
    document: &Document<'_>,
    base: &Path,
    settings: &mut Settings<'_>,
    mistakes: &mut Mistakes,
) -> Option<DoorConfig> {
    let before = mistakes.count();
    // The tree check has told of what cannot be read.
    let listen = written.listen.and_then(|text| formats::listen(&text).ok());
    let origin = written.origin.and_then(|text| formats::origin(&text).ok());
    listen.iter().for_each(|listen| drop(settings.push("api.listen", listen.to_string(), None)));
    origin.iter().for_each(|origin| drop(settings.push("api.origin", origin.clone(), None)));
    let mut file = |key: &str, written: Option<String>| {
        written.map(|path| settings.push(&format!("api.{key}"), base.join(path), None))
    };
    let tls = written.tls.map(|RawTls { cert_file, key_file, client_ca_file }| DoorFiles {
        cert_file: file("tls.cert_file", Some(cert_file)).unwrap_or_default(),
        key_file: file("tls.key_file", Some(key_file)).unwrap_or_default(),
        client_ca_file: file("tls.client_ca_file", client_ca_file),
    });
    let tokens_file = file("tokens_file", written.tokens_file);
    let session_key = file("session_key.file", written.session_key.map(|key| key.file));
    let door = DoorConfig { listen, origin, tls, tokens_file, session_key };
    check(&door, document, mistakes);
    (mistakes.count() == before).then_some(door)
}

fn check(door: &DoorConfig, document: &Document<'_>, mistakes: &mut Mistakes) {
    let mut wrong = |key: &str, message: String, help: String| {
        mistakes.push(
            Diagnostic::error("door", message).at(document.place(&format!("api.{key}"))).help(help),
        );
    };
    let client_ca = door.tls.as_ref().and_then(|tls| tls.client_ca_file.as_ref());
    if document.exact("api.people").is_none() {
        let help =
            "name them beside it, such as `people: [{name: ada, unix: ada, may: [read, operate]}]`";
        if door.tokens_file.is_some() {
            wrong(
                "tokens_file",
                "a token is somebody's, and no `people` are named".into(),
                help.into(),
            );
        }
        if client_ca.is_some() {
            let help = "name them in `api`, such as `people: [{name: ada, certificate: \"CN=ada\", may: [read, operate]}]`";
            wrong(
                "tls.client_ca_file",
                "a certificate is somebody's, and no `people` are named".into(),
                help.into(),
            );
        }
    }
    if door.tls.is_some() && door.tokens_file.is_none() && client_ca.is_none() {
        let help = "write `tokens_file: /var/lib/sealift/tokens.yaml` beside `tls`, or `client_ca_file: clients.pem` in it";
        wrong(
            "tls",
            "nothing would tell who calls: there are neither tokens nor certificates of clients"
                .into(),
            help.into(),
        );
    }
    let Some(listen) = door.listen else {
        // An address that cannot be read has been told of.
        if door.tls.is_some() && document.exact("api.listen").is_none() {
            wrong(
                "tls",
                "`tls` is that of `listen`, which is not set".into(),
                "write `listen: 0.0.0.0:7633` beside it".into(),
            );
        }
        return;
    };
    let shown = quote(&listen.to_string());
    if door.tls.is_none() && !listen.ip().is_loopback() {
        let message = format!(
            "{shown} can be reached from elsewhere, and without `tls` all would pass in plain text, tokens too"
        );
        let here = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), listen.port());
        let help = format!(
            "write `tls: {{cert_file: api.crt, key_file: api.key}}` beside it, or `listen: {here}` for this machine alone"
        );
        wrong("listen", message, help);
    }
    let port = listen.port();
    match &door.origin {
        None if listen.ip().is_unspecified() && document.exact("api.origin").is_none() => {
            let message = format!(
                "{shown} does not tell by which name clients and browsers reach the daemon"
            );
            wrong(
                "listen",
                message,
                format!(
                    "write `origin: https://HOST:{port}` beside it, with the name of its certificate"
                ),
            );
        }
        Some(origin) if door.tls.is_some() && !origin.starts_with("https://") => {
            let help = format!("write `origin: {}`", origin.replacen("http://", "https://", 1));
            wrong("origin", "behind `tls` an origin begins with `https://`".into(), help);
        }
        _ => {}
    }
}
