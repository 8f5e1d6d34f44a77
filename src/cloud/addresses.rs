//! Where the simulated proxies listen, as the cloud's lists tell it.
//!
//! Invariants: every proxy of a fleet has an address of its own, and the address leads back to the proxy; all of them are on
//! this machine, so that whoever goes where the emulated cloud says never knocks in a network of somebody else.

use std::net::Ipv4Addr;

use crate::domain::proof::Endpoint;

/// A plan of addresses: the proxies' numbers, counted on from a first address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    port: u16,
}

/// This machine's own network, and the place in it of the first proxy.
const NETWORK: u8 = 127;
const FIRST: u32 = 1 << 8;

impl Addresses {
    /// The port of proxies that nobody opened: MySQL's.
    pub(super) const USUAL_PORT: u16 = 3306;

    /// Each proxy has its own address of 127.0.0.0/8, beyond those that other programs use.
    pub(super) const fn loopback(port: u16) -> Self {
        Self { port }
    }

    /// The address of the proxy of this number; the network has sixteen million.
    pub(super) fn of(&self, number: u32) -> Ipv4Addr {
        let [_, a, b, c] = (FIRST + number).to_be_bytes();
        Ipv4Addr::new(NETWORK, a, b, c)
    }

    /// The port of all of them.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The number of the proxy at this address.
    pub(super) fn number_of(&self, address: Ipv4Addr) -> Option<u32> {
        let [network, a, b, c] = address.octets();
        let place = u32::from_be_bytes([0, a, b, c]);
        place.checked_sub(FIRST).filter(|_| network == NETWORK)
    }

    /// The number of the proxy that listens there.
    pub(super) fn number_at(&self, endpoint: &Endpoint) -> Option<u32> {
        let address = endpoint.host.parse().ok()?;
        self.number_of(address).filter(|_| endpoint.port == self.port)
    }
}
