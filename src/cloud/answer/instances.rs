//! The list of instances, as the vendor really sends it.
//!
//! Invariant: a page is read whole or not at all; leaving out an instance that could not be read
//! would show a smaller fleet.

use serde::Deserialize;

use super::parse;
use crate::cloud::lenient::{LenientList, Scalar};
use crate::cloud::safe_text;
use crate::domain::call::{Answer, InstanceSeen};

#[derive(Deserialize)]
struct InstanceListBody<'a> {
    #[serde(default, borrow)]
    instances: LenientList<InstanceAnswer<'a>>,
    #[serde(default, borrow)]
    total_count: Scalar<'a>,
}

#[derive(Deserialize)]
struct InstanceAnswer<'a> {
    #[serde(default, borrow)]
    id: Scalar<'a>,
    #[serde(default, borrow)]
    name: Scalar<'a>,
    #[serde(default, borrow)]
    status: Scalar<'a>,
    #[serde(default)]
    proxy_ips: LenientList<Any>,
    #[serde(default, borrow)]
    tags: LenientList<Tag<'a>>,
}

/// An address, of which only the number counts.
#[derive(Deserialize)]
struct Any {}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(default, borrow)]
    key: Scalar<'a>,
    #[serde(default, borrow)]
    value: Scalar<'a>,
}

pub(super) fn read(body: &[u8], secret: Option<&str>) -> Result<Answer, String> {
    let body: InstanceListBody<'_> = parse(body)?;
    let rows = body.instances.rows.ok_or("there is no list of instances")?;
    let total = body
        .total_count
        .text()
        .and_then(|text| text.parse().ok())
        .ok_or("there is no total_count")?;
    let instances: Option<Vec<InstanceSeen>> =
        rows.iter().map(|row| seen(row.as_ref()?, secret)).collect();
    let instances = instances.ok_or("an instance without a readable id")?;
    Ok(Answer::Instances { instances, total })
}

fn seen(row: &InstanceAnswer<'_>, secret: Option<&str>) -> Option<InstanceSeen> {
    let safe = |text: &Scalar<'_>| safe_text::message(text.text().unwrap_or_default(), secret);
    let tag = |tag: &Tag<'_>| (safe(&tag.key), safe(&tag.value));
    Some(InstanceSeen {
        instance_id: row.id.text()?.parse().ok()?,
        name: safe(&row.name),
        status: safe(&row.status),
        tags: row.tags.rows.iter().flatten().flatten().map(tag).collect(),
        proxied: row.proxy_ips.rows.as_ref().map(|addresses| !addresses.is_empty()),
    })
}
