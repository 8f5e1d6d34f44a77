//! `metrics`: what Prometheus would read, for a collector of text files.

use std::io::Write as _;

use anyhow::Result;

use super::client::Client;
use super::exit::Exit;
use super::term;

/// Prints the daemon's metrics in Prometheus' text format.
pub async fn metrics(client: &Client) -> Result<Exit> {
    let text = client.text(crate::metrics::PATH).await?;
    let mut out = term::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}
