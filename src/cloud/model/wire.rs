//! What a proxy's port shows: the wire beside the API.
//!
//! Invariant: without a fault the wire shows what is in force, whatever the API says of it; looking changes nothing but the
//! dice of the faults.
//!
//! Deliberately not here: certificates that a strict client objects to; the probe's own tests have real servers for that.

use std::time::Duration;

use jiff::Timestamp;

use super::Model;
use crate::cloud::faults::{Fault, Subject};
use crate::cloud::vendor_json;
use crate::domain::id::Digest;
use crate::domain::proof::{Anchors, Certificate, Endpoint, Greeting, Login, Proof, Tls, TlsVersion, Trouble, TroubleWord};

/// How long a certificate of the simulated proxies is valid.
const VALID: Duration = Duration::from_secs(365 * 24 * 3600);

/// Capabilities without CLIENT_SSL (0x800), as a MySQL 8.0 greets.
const CAPABILITIES: u32 = 0xdfff_f7ff;

impl Model {
    /// What a probe of this endpoint sees that begins now.
    pub fn probe(&mut self, now: Timestamp, endpoint: &Endpoint) -> Proof {
        self.advance(now);
        let blank = Proof { endpoint: endpoint.clone(), at: now, took_ms: 1, greeting: None, tls: None, login: None, trouble: None };
        let index = vendor_json::number_at(endpoint).filter(|number| (*number as usize) < self.proxies.len());
        let Some(index) = index.map(|number| number as usize) else {
            let nobody = Trouble { word: TroubleWord::Unreachable, message: "no connection: nobody listens there".into() };
            return Proof { trouble: Some(nobody), ..blank };
        };
        if self.wire_fires(Fault::WireSilent, index) {
            let silent = Trouble { word: TroubleWord::TimedOut, message: "connected, and no greeting came".into() };
            return Proof { trouble: Some(silent), ..blank };
        }
        let wrong = self.wire_fires(Fault::WireWrong, index);
        let on = self.proxies[index].ssl_option != wrong;
        let greeting = Greeting { version: "8.0.22".into(), tls: on, capabilities: CAPABILITIES | u32::from(on) << 11 };
        let login = Login::Refused { code: 1045, message: "Access denied".into(), insecure: false };
        Proof { greeting: Some(greeting), tls: on.then(|| self.handshake(endpoint)), login: Some(login), ..blank }
    }

    fn handshake(&self, endpoint: &Endpoint) -> Tls {
        let leaf = Certificate {
            subject: format!("CN={}", endpoint.host),
            issuer: "CN=simulated authority".into(),
            names: vec![endpoint.host.clone()],
            not_before: Some(self.start),
            not_after: Some(self.start + VALID),
            sha256: Digest::of(endpoint.host.as_bytes()),
        };
        Tls {
            version: TlsVersion::V13,
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            chain: vec![leaf],
            anchors: Anchors::CaFile,
            objections: Vec::new(),
        }
    }

    fn wire_fires(&mut self, fault: Fault, index: usize) -> bool {
        let rate = if fault == Fault::WireSilent { &self.faults.wire_silent } else { &self.faults.wire_wrong };
        if rate.is_never() {
            return false;
        }
        let subject = Subject { operation: None, proxies: &self.proxy_ids[index..=index] };
        let fires = rate.fires(&mut self.rng, Duration::from_nanos(self.now), &subject);
        self.fired[fault as usize] += u64::from(fires);
        fires
    }
}
