//! Writes families of metrics: name, help, type, and one line for each set of labels.
//!
//! Invariant: a name, a help text and the key of a label are words of ours; values of labels are
//! escaped by the library.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::domain::histogram::{BUCKETS, Histogram};

/// The labels of one series; the keys of a family are the same in each.
pub type Labels<const N: usize> = [(&'static str, String); N];

/// Without labels.
pub const ALONE: Labels<0> = [];

/// No labels of an exemplar.
type NoExemplar = [(&'static str, &'static str); 0];

/// Takes one family after the other.
pub struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Values that go up and down.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One value that goes up and down; a value that is not known has no series.
    pub fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        self.gauges(name, help, value.map(|value| (ALONE, value)))
    }

    /// Counts that only grow; `_total` is put behind the name.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            family.encode_family(&labels)?.encode_counter::<NoExemplar, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// One count that only grows.
    pub fn counter(&mut self, name: &str, help: &str, count: f64) -> fmt::Result {
        self.counters(name, help, [(ALONE, count)])
    }

    /// Counted durations, in seconds.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<N>, Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in series {
            let mut buckets = Vec::with_capacity(BUCKETS + 1);
            buckets.extend(histogram.buckets().map(|(bound, count)| (bound.as_secs_f64(), count)));
            buckets.push((f64::INFINITY, histogram.above()));
            let (sum, count) = (histogram.sum().as_secs_f64(), histogram.count());
            family
                .encode_family(&labels)?
                .encode_histogram::<NoExemplar>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// An instant, as Prometheus writes instants.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A length, in seconds.
pub fn length(length: Duration) -> f64 {
    length.as_secs_f64()
}

/// Yes is 1.
pub fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
