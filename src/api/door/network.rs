//! The door on the network: its address, and TLS where it has one.
//!
//! Invariant: it is bound, and its files are right, before the daemon says that it is ready.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::tls::DoorTls;
use super::{Door, DoorError, DoorKind, Doors, Names};
use crate::config::DoorConfig;

/// A bound address.
pub struct NetworkDoor {
    pub(in crate::api) listener: TcpListener,
    pub(in crate::api) tls: Option<Arc<DoorTls>>,
    pub(in crate::api) door: Door,
    /// As it is, where the configuration leaves the port to the system.
    pub address: SocketAddr,
}

impl NetworkDoor {
    /// Binds what the configuration names; `None` where it names nothing.
    pub fn open(config: &DoorConfig, doors: &Doors) -> Result<Option<Self>, DoorError> {
        let Some(address) = config.listen else { return Ok(None) };
        let tls = config.tls.clone().map(DoorTls::open).transpose()?.map(Arc::new);
        if let Some(tls) = &tls {
            doors.0.tls.get_or_init(|| tls.clone());
        }
        let failed = |source| DoorError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let kind = if tls.is_some() { DoorKind::Tls } else { DoorKind::Plain };
        let names = Names::of_network(kind.as_str(), address, config.origin.as_deref());
        let url = config
            .origin
            .clone()
            .unwrap_or_else(|| format!("{}://sealift.localhost:{}", kind.as_str(), address.port()));
        doors.0.url.get_or_init(|| url);
        let door = Door { kind, names: Arc::new(names), doors: doors.clone() };
        Ok(Some(Self { listener, tls, door, address }))
    }
}

impl NetworkDoor {
    /// Scheme, address and port.
    pub fn url(&self) -> String {
        format!("{}://{}", self.door.kind.as_str(), self.address)
    }
}

impl std::fmt::Debug for NetworkDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NetworkDoor({})", self.url())
    }
}
