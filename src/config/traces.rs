//! `traces`: from as written to [`TracesConfig`].

use super::formats;
use super::raw::RawTraces;
use super::setting::{Origin, Settings};
use crate::yaml::share::CountOrShare;

/// `traces.share` when nothing says otherwise.
const SHARE_DEFAULT: CountOrShare = CountOrShare::Hundredths(500);

/// Where traces are sent, and of how many changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracesConfig {
    /// The receiver of OTLP over HTTP.
    pub url: String,
    /// Of how many changes, in hundredths of a percent; those that failed or are in doubt apart.
    pub share: u32,
}

/// Reads it; `None` after a mistake, of which the check of the tree has told.
pub fn read(written: RawTraces, settings: &mut Settings<'_>) -> Option<TracesConfig> {
    let url = formats::receiver(&written.url).ok()?;
    let origin = written.share.is_none().then_some(Origin::Default);
    let share = written.share.unwrap_or(SHARE_DEFAULT);
    let share = formats::trace_share(&share.to_string()).ok()?;
    let url = settings.push("traces.url", url, None);
    settings.push("traces.share", CountOrShare::Hundredths(share), origin);
    Some(TracesConfig { url, share })
}
