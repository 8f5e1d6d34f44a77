//! Proof on the wire: the probe against real MariaDB servers, and against ports that behave as
//! badly as they can.

mod authority;
mod impostor;
mod mariadb;
mod matrix;
mod politeness;
mod rude;
mod verb;

use std::sync::Arc;

use sealift::clock::SystemClock;
use sealift::domain::proof::{Demand, ObjectionWord, Proof, TlsVersion, judge};
use sealift::probe::{Prober, Roots};

/// Any TLS from 1.2 on.
const LAX: Demand = Demand { min_tls: TlsVersion::V12, trusted: false };

/// The chain must lead to the file of authorities.
const TRUSTED: Demand = Demand { min_tls: TlsVersion::V12, trusted: true };

fn prober() -> Prober {
    Prober::new(Arc::new(SystemClock))
}

/// One probe from here.
async fn look(port: u16, roots: &Roots) -> Proof {
    look_at("127.0.0.1", port, roots).await
}

async fn look_at(host: &str, port: u16, roots: &Roots) -> Proof {
    let endpoint = format!("{host}:{port}").parse().expect("an endpoint");
    prober().look(&endpoint, roots).await
}

fn verdict(proof: &Proof, wanted: bool, demand: &Demand) -> &'static str {
    judge(proof, wanted, demand).as_str()
}

fn objections(proof: &Proof) -> Vec<ObjectionWord> {
    proof.tls.iter().flat_map(|tls| &tls.objections).map(|objection| objection.word).collect()
}
