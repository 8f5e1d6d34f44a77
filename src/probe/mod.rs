//! The probe: one look at a proxy's port, over the wire, to see whether TLS is really there.
//!
//! Job: connect, read the MySQL greeting, and where it announces TLS, shake hands; write down all
//! that shows itself; end with a login that the server refuses.
//! [`domain::proof`](crate::domain::proof) says what that proves.
//!
//! Invariants: one connection per probe; one deadline over all of it and a bound on the bytes read,
//! so nobody on the other side can hold or fill us; it never fails, for whatever goes wrong is part
//! of the [`Proof`]; nobody's password is known here, so none can leak.
//!
//! Why the login: a server counts connections that break off before one, and blocks our host after
//! `max_connect_errors` of them. A refused login is not counted.
//!
//! Deliberately not here: when to probe and how often (`engine`), what the outcome means for a
//! change (`domain`), and accounts. Whether plain text is still accepted would take a second
//! connection and shows only in the greeting.

mod bounded;
mod chain;
mod greeting;
mod login;
mod packet;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod roots;
mod text;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::domain::plan::WireRules;
use crate::domain::proof::{Endpoint, Greeting, Handshake, Login, Proof, Trouble, TroubleWord};
use bounded::Bounded;
use greeting::ServerOpening;
use login::Channel;
use roots::KeptRoots;

pub use roots::Roots;

/// Looks at the wire for the engine; the simulation has its own.
pub trait Probe: Send + Sync {
    /// Looks once. What the plan's `verify.wire` names as authorities is what the chain is held
    /// against; without any, those that this machine trusts.
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        wire: Option<&'a WireRules>,
    ) -> BoxFuture<'a, Proof>;
}

/// How long one probe may take in all, from the name's resolution to the refused login: five round
/// trips and a handshake take less than a second between continents, and a server that is slower
/// than this serves nobody.
pub const PROBE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes read from the other side at most. A greeting has about a hundred, a handshake with a long
/// chain about ten thousand.
pub const BYTES_MAX: usize = 256 * 1024;

#[derive(Clone)]
pub struct Prober {
    clock: Arc<dyn Clock>,
    within: Duration,
    roots: Arc<KeptRoots>,
}

impl Probe for Prober {
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        wire: Option<&'a WireRules>,
    ) -> BoxFuture<'a, Proof> {
        async move {
            let roots = self.roots.of(wire.and_then(|wire| wire.ca.as_deref()));
            self.look(endpoint, &roots).await
        }
        .boxed()
    }
}

/// What has been seen so far; it outlives the deadline.
#[derive(Default)]
struct ProbeSight {
    greeting: Option<Greeting>,
    tls: Option<Handshake>,
    login: Option<Login>,
    stage: ProbeStage,
}

/// How far a probe came, for the words of a deadline that passed.
#[derive(Default, Clone, Copy)]
enum ProbeStage {
    #[default]
    Connecting,
    Greeting,
    Handshake,
    Login,
}

impl Prober {
    /// A prober with the usual deadline, [`PROBE_WITHIN`].
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, within: PROBE_WITHIN, roots: Arc::default() }
    }

    /// The same with another deadline over the whole probe.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Looks once. The chain is held against `roots`.
    pub async fn look(&self, endpoint: &Endpoint, roots: &Roots) -> Proof {
        let began = self.clock.times();
        let mut sight = ProbeSight::default();
        let ended = timeout(self.within, self.see(endpoint, roots, &mut sight)).await;
        let trouble = match ended {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => self.too_late(&mut sight),
        };
        let took = self.clock.times().boot.saturating_sub(began.boot);
        Proof {
            endpoint: endpoint.clone(),
            at: began.wall,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            greeting: sight.greeting,
            tls: sight.tls,
            login: sight.login,
            trouble,
        }
    }

    async fn see(
        &self,
        endpoint: &Endpoint,
        roots: &Roots,
        sight: &mut ProbeSight,
    ) -> Result<(), Trouble> {
        let socket =
            TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.map_err(|error| {
                Trouble {
                    word: TroubleWord::Unreachable,
                    message: format!("no connection: {}", text::line(&error.to_string())),
                }
            })?;
        // Five small packets back and forth: none shall wait for another.
        let _ = socket.set_nodelay(true);
        let peer = socket.peer_addr().ok().map(|address| address.ip());
        let mut socket = Bounded::new(socket, BYTES_MAX);

        sight.stage = ProbeStage::Greeting;
        let ServerOpening { greeting, plugins, sequence } = greeting::read(&mut socket).await?;
        let tls = greeting.tls;
        sight.greeting = Some(greeting);
        if !tls {
            sight.stage = ProbeStage::Login;
            let channel = Channel { tls: false, plugins, sequence: sequence.wrapping_add(1) };
            sight.login = Some(login::be_refused(&mut socket, channel).await);
            // The other side has closed already, as a rule.
            let _ = socket.shutdown().await;
            return Ok(());
        }

        sight.stage = ProbeStage::Handshake;
        login::ask_for_tls(&mut socket, plugins, sequence.wrapping_add(1)).await?;
        let name = tls::server_name(endpoint, peer);
        let (mut stream, seen) =
            tls::shake_hands(socket, &name, roots, self.clock.times().wall).await?;
        sight.tls = Some(seen);
        sight.stage = ProbeStage::Login;
        let channel = Channel { tls: true, plugins, sequence: sequence.wrapping_add(2) };
        sight.login = Some(login::be_refused(&mut stream, channel).await);
        let _ = stream.shutdown().await;
        Ok(())
    }

    /// The deadline passed. What was seen before stands; only a probe that saw too little has
    /// trouble.
    fn too_late(&self, sight: &mut ProbeSight) -> Option<Trouble> {
        let within = format!("within {} s", self.within.as_secs_f32());
        let what = match sight.stage {
            ProbeStage::Connecting => "no connection",
            ProbeStage::Greeting => "connected, and no greeting came",
            ProbeStage::Handshake => "TLS is announced, and the handshake did not end",
            ProbeStage::Login => {
                sight.login.get_or_insert(Login::Unanswered {
                    message: format!("no answer to the login {within}"),
                });
                return None;
            }
        };
        Some(Trouble { word: TroubleWord::TimedOut, message: format!("{what} {within}") })
    }
}
