//! The proxies' own port: a MySQL greeting that announces TLS while the emulated proxy has it on,
//! the handshake, and a refused login; so that a proof on the wire proves something here too.
//!
//! Invariants: the address that a client connects to selects the proxy, so one port serves a whole
//! fleet; a connection from any other than this machine's own addresses is refused; every
//! connection is bounded in time and bytes, and there are at most [`CONNECTIONS_MAX`].
//!
//! Deliberately not here: MySQL. Nobody is let in.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::EmulatorState;
use crate::simcloud::model::PortBehaviour;

/// Connections served at once; more wait their turn.
const CONNECTIONS_MAX: usize = 256;

/// How long one connection may take.
const WITHIN: Duration = Duration::from_secs(15);

/// How long the proxies' certificate is valid, in days.
const VALID_DAYS: u32 = 365;

/// Longest packet that is read: a login has less than a hundred bytes.
const PACKET_MAX: usize = 4096;

/// CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0008_8201;

const CLIENT_SSL: u32 = 0x0800;

/// Length of the packet with which a client asks for TLS.
const SSL_REQUEST: usize = 32;

pub(super) struct OpenPort {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    /// The authority that signed the proxies' certificate, in PEM.
    pub(super) ca: String,
}

impl OpenPort {
    /// Opens a free port on every address of this machine; who comes to another than the proxies'
    /// is turned away. The certificate is valid for [`VALID_DAYS`] from now.
    pub(super) fn open(now: Timestamp) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (config, ca) = identity(now).map_err(io::Error::other)?;
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), ca })
    }

    pub(super) fn number(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    pub(super) async fn serve(self, shared: Arc<EmulatorState>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place =
                Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            // A connection that broke off before it was taken is nobody's.
            let Ok((socket, _)) = self.listener.accept().await else { continue };
            let (shared, acceptor) = (Arc::clone(&shared), self.acceptor.clone());
            tokio::spawn(async move {
                // Whatever becomes of it, the next one is served.
                let _ = timeout(WITHIN, greet(socket, &shared, &acceptor)).await;
                drop(place);
            });
        }
    }
}

/// An authority and a proxies' certificate that it signed, made anew at every start.
fn identity(
    now: Timestamp,
) -> Result<(ServerConfig, String), Box<dyn std::error::Error + Send + Sync>> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "emulated authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let mut proxy = CertificateParams::new(vec!["proxy.emulated".to_owned()])?;
    proxy.distinguished_name.push(DnType::CommonName, "emulated proxy");
    let day = |instant: Timestamp| {
        let date = instant.to_zoned_datetime(TimeZone::UTC).date();
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (proxy.not_before, proxy.not_after) =
        (day(now), day(now + VALID_DAYS * 24 * Duration::from_secs(3600)));
    let proxy_key = KeyPair::generate()?;
    let certificate = proxy.signed_by(&proxy_key, &Issuer::new(authority, authority_key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.into()],
            PrivateKeyDer::try_from(proxy_key.serialize_der())?,
        )?;
    Ok((config, ca))
}

async fn greet(
    mut socket: TcpStream,
    shared: &EmulatorState,
    acceptor: &TlsAcceptor,
) -> io::Result<()> {
    let IpAddr::V4(address) = socket.local_addr()?.ip() else { return Ok(()) };
    let Some(shown) = shared.with_model(|model, now| model.wire_at(now, address)) else {
        return Ok(());
    };
    let PortBehaviour::Shows(on) = shown else {
        // The client gives up first.
        tokio::time::sleep(WITHIN).await;
        return Ok(());
    };
    socket
        .write_all(&packet(0, &greeting(if on { CAPABILITIES | CLIENT_SSL } else { CAPABILITIES })))
        .await?;
    let (sequence, first) = read(&mut socket).await?;
    if on && first.len() == SSL_REQUEST {
        let mut stream = acceptor.accept(socket).await?;
        let (sequence, _) = read(&mut stream).await?;
        return refuse(&mut stream, sequence).await;
    }
    refuse(&mut socket, sequence).await
}

/// A greeting of protocol 10.
fn greeting(capabilities: u32) -> Vec<u8> {
    let [low, lower, up, upper] = capabilities.to_le_bytes();
    let mut body = b"\x0a8.0.22-emulated\0".to_vec();
    body.extend([1, 0, 0, 0]);
    body.extend(b"saltsalt\0");
    body.extend([low, lower, 0x21, 2, 0, up, upper, 21]);
    body.extend([0; 10]);
    body.extend(b"saltsaltsalt\0mysql_native_password\0");
    body
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = u32::try_from(body.len()).expect("a few dozen bytes").to_le_bytes();
    [&[a, b, c, sequence], body].concat()
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    from.read_exact(&mut head).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
    if length > PACKET_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet that long is no login"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok((head[3], body))
}

async fn refuse(to: &mut (impl AsyncWrite + Unpin), sequence: u8) -> io::Result<()> {
    to.write_all(&packet(sequence.wrapping_add(1), b"\xff\x15\x04#28000Access denied")).await?;
    to.shutdown().await
}
