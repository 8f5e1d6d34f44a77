//! Where the simulated proxies listen, as the cloud's lists say.
//!
//! Invariants: every proxy of a fleet has an address of its own, and the address leads back to the
//! proxy; every address served over HTTP is on this machine, so that a client of the emulated cloud
//! never connects to somebody else's network.

use std::net::Ipv4Addr;

use crate::domain::proof::Endpoint;

/// A plan of addresses: the proxies' numbers, counted on from a first address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    network: u8,
    first: u32,
    port: u16,
}

impl Addresses {
    /// The port of proxies that nobody opened: MySQL's.
    pub(super) const USUAL_PORT: u16 = 3306;

    /// In the private network of a project: for runs without a network, where nobody goes there.
    pub(super) const PRIVATE: Self = Self { network: 10, first: 0, port: Self::USUAL_PORT };

    /// On this machine alone: each proxy has its own address of 127.0.0.0/8, beyond those that
    /// other programs use.
    pub(super) fn loopback(port: u16) -> Self {
        Self { network: 127, first: 1 << 8, port }
    }

    /// The address of the proxy of this number; the network has sixteen million.
    pub(super) fn of(&self, number: u32) -> Ipv4Addr {
        let [_, a, b, c] = (self.first + number).to_be_bytes();
        Ipv4Addr::new(self.network, a, b, c)
    }

    /// The port of all of them.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The number of the proxy at this address.
    pub(super) fn number_of(&self, address: Ipv4Addr) -> Option<u32> {
        let [network, a, b, c] = address.octets();
        let place = u32::from_be_bytes([0, a, b, c]);
        place.checked_sub(self.first).filter(|_| network == self.network)
    }

    /// The number of the proxy that listens there.
    pub(super) fn number_at(&self, endpoint: &Endpoint) -> Option<u32> {
        let address = endpoint.host.parse().ok()?;
        self.number_of(address).filter(|_| endpoint.port == self.port)
    }
}
