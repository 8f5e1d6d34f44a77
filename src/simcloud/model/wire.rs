//! What a proxy's port shows: the wire beside the API.
//!
//! Invariant: without a fault the wire shows what is in force, whatever the API says of it; looking
//! changes nothing but the dice of the faults.
//!
//! Deliberately not here: certificates that a strict client objects to; the probe's own tests have
//! real servers for that.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::Model;
use crate::domain::id::Digest;
use crate::domain::proof::{
    Anchors, Certificate, Endpoint, Greeting, Handshake, Login, Proof, TlsVersion, Trouble,
    TroubleWord,
};
use crate::simcloud::addresses::Addresses;
use crate::simcloud::faults::{CallSubject, Fault};

/// How long a certificate of the simulated proxies is valid.
const VALID: Duration = Duration::from_secs(365 * 24 * 3600);

/// Capabilities without CLIENT_SSL (0x800), as a MySQL 8.0 greets.
const CAPABILITIES: u32 = 0xdfff_f7ff;

/// What a port does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simcloud) enum PortBehaviour {
    /// It greets, with or without TLS.
    Shows(bool),
    /// It takes the connection and says nothing.
    Silent,
}

impl Model {
    /// What a probe of this endpoint sees that begins now.
    pub fn probe(&mut self, now: Timestamp, endpoint: &Endpoint) -> Proof {
        self.advance(now);
        let blank = Proof {
            endpoint: endpoint.clone(),
            at: now,
            took_ms: 1,
            greeting: None,
            tls: None,
            login: None,
            trouble: None,
        };
        let on = match self.addresses.number_at(endpoint).and_then(|number| self.shown_by(number)) {
            Some(PortBehaviour::Shows(on)) => on,
            Some(PortBehaviour::Silent) => {
                let silent = Trouble {
                    word: TroubleWord::TimedOut,
                    message: "connected, and no greeting came".into(),
                };
                return Proof { trouble: Some(silent), ..blank };
            }
            None => {
                let nobody = Trouble {
                    word: TroubleWord::Unreachable,
                    message: "no connection: nobody listens there".into(),
                };
                return Proof { trouble: Some(nobody), ..blank };
            }
        };
        let greeting = Greeting {
            version: "8.0.22".into(),
            tls: on,
            capabilities: CAPABILITIES | u32::from(on) << 11,
        };
        let login = Login::Refused { code: 1045, message: "Access denied".into(), insecure: false };
        Proof {
            greeting: Some(greeting),
            tls: on.then(|| self.handshake(endpoint)),
            login: Some(login),
            ..blank
        }
    }

    /// What the proxy at this address of our own network shows now; `None`: none is there.
    pub(in crate::simcloud) fn wire_at(
        &mut self,
        now: Timestamp,
        address: Ipv4Addr,
    ) -> Option<PortBehaviour> {
        self.advance(now);
        self.addresses.number_of(address).and_then(|number| self.shown_by(number))
    }

    /// The proxies live on this machine from now on, all on this port, or on the usual one where
    /// none is open.
    pub(in crate::simcloud) fn live_here(&mut self, port: Option<u16>) {
        self.addresses = Addresses::loopback(port.unwrap_or(Addresses::USUAL_PORT));
    }

    fn shown_by(&mut self, number: u32) -> Option<PortBehaviour> {
        let index = number as usize;
        let on = self.proxies.get(index)?.ssl_option;
        if self.wire_fires(Fault::WireSilent, index) {
            return Some(PortBehaviour::Silent);
        }
        Some(PortBehaviour::Shows(on != self.wire_fires(Fault::WireWrong, index)))
    }

    fn handshake(&self, endpoint: &Endpoint) -> Handshake {
        let leaf = Certificate {
            subject: format!("CN={}", endpoint.host),
            issuer: "CN=simulated authority".into(),
            names: vec![endpoint.host.clone()],
            not_before: Some(self.start),
            not_after: Some(self.start + VALID),
            sha256: Digest::of(endpoint.host.as_bytes()),
        };
        Handshake {
            version: TlsVersion::V13,
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            chain: vec![leaf],
            anchors: Anchors::CaFile,
            objections: Vec::new(),
        }
    }

    fn wire_fires(&mut self, fault: Fault, index: usize) -> bool {
        let rate = if fault == Fault::WireSilent {
            &self.faults.wire_silent
        } else {
            &self.faults.wire_wrong
        };
        if rate.is_never() {
            return false;
        }
        let subject = CallSubject { operation: None, proxies: &self.proxy_ids[index..=index] };
        let fires = rate.fires(&mut self.rng, Duration::from_nanos(self.now), &subject);
        self.fired[fault as usize] += u64::from(fires);
        fires
    }
}
