//! A walk over the fleet: the instances of the lanes, and the proxies of those that are wanted.
//!
//! Invariants: every page of every lane is read to its end, and whatever is missing ends in an
//! error (a throttled list is not a small fleet); an instance is handed over whole or not at all;
//! one page is in memory, and one id an instance. Nothing is changed, and the reads wait behind all
//! work of their lanes; the daemon repeats those that fail.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::look::LookProgress;
use super::text::count;
use super::wire::{InstanceRow, LookInstance, LookProxy, LookRequest};
use crate::words::text::clean;

/// Who the walk is for.
pub trait Visitor {
    /// Whether the proxies of this instance are asked for.
    fn wants(&mut self, lane: &str, instance: &InstanceRow) -> bool;

    fn take(&mut self, lane: &str, instance: &InstanceRow, proxies: Vec<LookProxy>) -> Result<()>;
}

/// Walks over all instances of the lanes. `again` says how to go on after an instance that could
/// not be read.
///
/// # Errors
/// When anything is missing, and when the visitor fails; an interrupt (Ctrl-C) is
/// [`Exit::Interrupted`], said as `given_up`.
pub async fn walk(
    client: &Client,
    lanes: &[String],
    visitor: &mut dyn Visitor,
    given_up: &str,
    again: &str,
) -> Result<()> {
    let mut walk = FleetWalk { client, visitor, failed: BTreeMap::new() };
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Err(ExitFailure::new(Exit::Interrupted, given_up).into());
        }
        walked = walk.lanes(lanes) => walked?,
    }
    let Some((instance, why)) = walk.failed.first_key_value() else { return Ok(()) };
    let message = format!(
        "the discovery is not complete: {} could not be read ({} of lane {}: {}); {again}",
        count(u32::try_from(walk.failed.len()).unwrap_or(u32::MAX), "instance", "instances"),
        instance.instance_id,
        instance.lane,
        clean(why)
    );
    Err(ExitFailure::new(Exit::Error, message).into())
}

struct FleetWalk<'a> {
    client: &'a Client,
    visitor: &'a mut dyn Visitor,
    failed: BTreeMap<LookInstance, String>,
}

impl FleetWalk<'_> {
    async fn lanes(&mut self, lanes: &[String]) -> Result<()> {
        for lane in lanes {
            self.lane(lane).await?;
        }
        Ok(())
    }

    /// Every instance of one lane, page by page.
    async fn lane(&mut self, lane: &str) -> Result<()> {
        let mut seen = BTreeSet::new();
        let (mut offset, mut progress) = (0u32, LookProgress::new(0));
        loop {
            let page = self.client.instances(lane, offset).await?;
            let total = page.total as usize;
            progress.of(total);
            let length = u32::try_from(page.instances.len()).unwrap_or(u32::MAX);
            // While pages are read instances come and go, and one may stand on two pages.
            let fresh: Vec<InstanceRow> = page
                .instances
                .into_iter()
                .filter(|row| seen.insert(row.instance_id.clone()))
                .collect();
            let wanted = fresh.into_iter().filter(|row| self.visitor.wants(lane, row)).collect();
            self.chunk(lane, wanted).await?;
            progress.tick(seen.len());
            offset = offset.saturating_add(length);
            if offset as usize >= total {
                progress.clear();
                return Ok(());
            }
            if length == 0 {
                progress.clear();
                let message = format!(
                    "the discovery is not complete: lane {lane} has {total} instances, and its list ended after {offset}"
                );
                return Err(ExitFailure::new(Exit::Error, message).into());
            }
        }
    }

    /// The proxies of these instances.
    async fn chunk(&mut self, lane: &str, instances: Vec<InstanceRow>) -> Result<()> {
        let of = |row: &InstanceRow| LookInstance {
            lane: lane.to_owned(),
            instance_id: row.instance_id.clone(),
        };
        if instances.is_empty() {
            return Ok(());
        }
        let mut by_instance: BTreeMap<LookInstance, Vec<LookProxy>> = BTreeMap::new();
        let asked = LookRequest { instances: instances.iter().map(of).collect() };
        let failed = &mut self.failed;
        self.client
            .look(&asked, &mut |row| {
                let instance = LookInstance { lane: row.lane, instance_id: row.instance_id };
                match row.proxies {
                    Some(proxies) => drop(by_instance.insert(instance, proxies)),
                    None => drop(failed.insert(
                        instance,
                        row.error.unwrap_or_else(|| "no reason was given".into()),
                    )),
                }
            })
            .await?;
        for row in &instances {
            if let Some(proxies) = by_instance.remove(&of(row)) {
                self.visitor.take(lane, row, proxies)?;
            }
        }
        Ok(())
    }
}
