//! Target files as they are written here: the columns that the plan reader knows, and one for each
//! tag.
//!
//! Invariant: what is written is read back by `planfile` as it was; a value that is not known is
//! `unknown`.

use std::io::Write;

use anyhow::Result;

/// The columns, with one for each of these tags.
pub fn header(tags: &[String]) -> Vec<String> {
    let fixed = ["lane", "instance_id", "proxy_id", "ssl_option", "instance_name"]
        .map(str::to_owned)
        .into_iter();
    fixed.chain(tags.iter().map(|name| format!("tag:{name}"))).collect()
}

/// Writes one target: lane, instance and proxy, what the proxy shows, the instance's name (empty
/// where it is not known), and the tags' values in the header's order.
pub fn row<'a>(
    csv: &mut csv::Writer<impl Write>,
    ids: [&'a str; 3],
    shown: Option<bool>,
    instance_name: &'a str,
    tags: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let shown = shown.map_or("unknown", |value| if value { "true" } else { "false" });
    Ok(csv.write_record(ids.into_iter().chain([shown, instance_name]).chain(tags))?)
}
