//! The file of a discovery: what was found for a plan's `targets.discover`, when and by which
//! selectors.
//!
//! Form: JSON Lines. The first line holds the selectors and the instant, each further line one
//! proxy with the instance that it belongs to, and the last line how many there are.
//!
//! Invariant: a file without its last line, or with another number of lines than it states, is no
//! discovery: a file that was cut off must not pass for a smaller fleet.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::domain::id::{InstanceId, Name, ProxyId};

/// Version of the form.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscoveryHeader {
    /// Version of the form.
    pub discovery: u32,
    /// When the discovery began.
    pub at: Timestamp,
    /// What was looked for.
    pub selectors: Vec<Selector>,
}

/// One proxy that was found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundProxy {
    pub lane: Name,
    pub instance_id: InstanceId,
    pub instance_name: String,
    /// Its status, in the cloud's word.
    pub instance_state: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    pub proxy_id: ProxyId,
    /// What it showed; absent where the cloud did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_option: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscoveryEnd {
    /// Number of proxies before it.
    pub found: u64,
}

/// Writes such a file.
pub struct DiscoveryWriter<W> {
    out: W,
    found: u64,
}

impl<W: Write> DiscoveryWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W, at: Timestamp, selectors: &[Selector]) -> io::Result<Self> {
        line(&mut out, &DiscoveryHeader { discovery: VERSION, at, selectors: selectors.to_vec() })?;
        Ok(Self { out, found: 0 })
    }

    /// Adds one proxy.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, found: &FoundProxy) -> io::Result<()> {
        self.found += 1;
        line(&mut self.out, found)
    }

    /// Ends the file; without this it is not read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> io::Result<W> {
        line(&mut self.out, &DiscoveryEnd { found: self.found })?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn line(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    out.write_all(&line)
}
