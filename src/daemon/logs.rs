//! Logs, to standard error: for people, or one JSON document a line; or to systemd's journal, where
//! standard error leads there.
//!
//! Invariant: nothing but logs is written here, and no secret ever stands in a span or an event
//! (the types that hold one print stars).

use std::io::{IsTerminal as _, stderr};

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::journald::JournaldLayer;
use crate::cli::args::LogFormat;

/// Starts logging. `filter` is a level or a list as `info,sealift::engine=debug`.
pub fn start(format: LogFormat, filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("SEALIFT_LOG is {filter:?}; write a level (error, warn, info, debug, trace) or target=level with commas between")
    })?;
    let failed = |error| anyhow::anyhow!("logging cannot be started: {error}");
    let stream = std::env::var_os("JOURNAL_STREAM");
    if format == LogFormat::Human
        && let Some(journal) = JournaldLayer::connect(stream.as_deref())
    {
        let started = tracing_subscriber::registry().with(filter).with(journal).try_init();
        return started.map_err(|error| failed(error.into()));
    }
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_target(true).try_init(),
        // The journal of systemd puts its own time before every line.
        LogFormat::Human if stream.is_some() => builder.without_time().with_ansi(false).try_init(),
        LogFormat::Human => builder.with_ansi(coloured()).try_init(),
    };
    started.map_err(failed)
}

fn coloured() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
