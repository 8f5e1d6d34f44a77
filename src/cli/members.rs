//! `plan --members`: every target with its wave, in the order in which they run.
//!
//! Invariant: the order is the plan's own (its list, then its files as they are named, row by row)
//! and the waves are cut from it, so the same files give the same rows on every machine. Rows are
//! made and printed a page at a time.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::args::OutputFormat;
use super::output::{ListingPrinter, ListingRow};
use super::term;
use crate::domain::plan::Strategy;
use crate::domain::target::Target;
use crate::planfile::LoadedPlan;
use crate::words::text::Style;

/// Rows made at once.
const PAGE: usize = 1_000;

/// One target in its wave.
#[derive(Debug, Serialize)]
pub struct MemberRow {
    /// Its place in the order, from 0.
    pub ordinal: u32,
    /// Name of its wave.
    pub wave: String,
    pub lane: String,
    pub instance_id: String,
    pub proxy_id: String,
    /// What it showed when it was looked at, or when its list was made, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_option: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl MemberRow {
    /// The target at this place.
    pub fn new(ordinal: u32, target: &Target, strategy: &Strategy) -> Self {
        let tags = target.tags.iter().flat_map(|tags| tags.iter());
        Self {
            ordinal,
            wave: strategy.waves[usize::from(strategy.wave_of(ordinal))].name.to_string(),
            lane: target.lane.to_string(),
            instance_id: target.instance_id.to_string(),
            proxy_id: target.proxy_id.to_string(),
            ssl_option: target.seen,
            tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    fn labels(&self) -> String {
        self.tags
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl ListingRow for MemberRow {
    const COLUMNS: &'static [&'static str] =
        &["##", "WAVE", "PROXY", "SSL", "LANE", "INSTANCE", "TAGS"];
    const FIELDS: &'static [&'static str] =
        &["ordinal", "wave", "lane", "instance_id", "proxy_id", "ssl_option", "tags"];

    fn cells(&self, _: &Style) -> Vec<String> {
        let (place, lane, instance) =
            (self.ordinal.to_string(), self.lane.clone(), self.instance_id.clone());
        let shown = self.ssl_option.map_or("?", |value| if value { "on" } else { "off" });
        vec![
            place,
            self.wave.clone(),
            self.proxy_id.clone(),
            shown.into(),
            lane,
            instance,
            self.labels(),
        ]
    }

    fn record(&self) -> Vec<String> {
        let (place, lane, instance) =
            (self.ordinal.to_string(), self.lane.clone(), self.instance_id.clone());
        let shown = self.ssl_option.map(|value| value.to_string()).unwrap_or_default();
        vec![place, self.wave.clone(), lane, instance, self.proxy_id.clone(), shown, self.labels()]
    }
}

pub fn list(loaded: &LoadedPlan, format: OutputFormat, style: &Style) -> Result<()> {
    let mut out = term::stdout();
    let mut listing = ListingPrinter::new(&mut out, format, style.clone());
    for (first, page) in (0..).step_by(PAGE).zip(loaded.targets.chunks(PAGE)) {
        let rows: Vec<MemberRow> = page
            .iter()
            .zip(first..)
            .map(|(target, ordinal)| MemberRow::new(ordinal, target, &loaded.plan.strategy))
            .collect();
        listing.page(&rows)?;
    }
    listing.end::<MemberRow>()?;
    Ok(())
}
