//! Which format of metrics a client prefers.

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, 0.0.4: what a person sees, and node_exporter reads.
    Text,
    /// OpenMetrics 1.0: what Prometheus asks for.
    OpenMetrics,
}

impl Format {
    /// What these values of `Accept` prefer; OpenMetrics only where it is named.
    pub fn preferred<'a>(accepts: impl Iterator<Item = &'a str>) -> Self {
        let (mut text, mut open) = (0.0, 0.0);
        for range in accepts.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, quality);
            match kind.as_str() {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" | "text/*" | "*/*" => text = quality.max(text),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes everything in `registry`.
    pub fn encode(self, out: &mut String, registry: &Registry) -> fmt::Result {
        match self {
            Self::Text => prometheus_text::encode(out, registry),
            Self::OpenMetrics => text::encode(out, registry),
        }
    }
}

/// A weight that cannot be read is none.
fn quality(text: &str) -> f32 {
    text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_that_it_prefers() {
        use Format::{OpenMetrics, Text};
        // As Prometheus 2.42 and 3 ask.
        let old = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let new = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let table: [(&[&str], Format); 9] = [
            (&[], Text),
            (&["*/*"], Text),
            (&[old], OpenMetrics),
            (&[new], OpenMetrics),
            (&["text/plain, application/openmetrics-text"], OpenMetrics),
            (&["text/plain", "Application/OpenMetrics-Text; q=0.9"], Text),
            (&["application/openmetrics-text;q=0"], Text),
            (&["application/openmetrics-text;q=high"], Text),
            (&["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"], Text),
        ];
        for (accepts, wanted) in table {
            assert_eq!(Format::preferred(accepts.iter().copied()), wanted, "{accepts:?}");
        }
    }
}
