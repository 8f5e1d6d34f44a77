//! Writes families of metrics: name, help, type, and one line for each set of labels.
//!
//! Invariant: a name, a help text and the key of a label are words of ours; values of labels are
//! escaped by the library.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::domain::histogram::{BUCKETS, Histogram};

/// The values of one series' labels, in the order of its family's keys.
pub type Labels<const N: usize> = [String; N];

/// The keys of labels that each series of a family has.
pub type LabelKeys<const N: usize> = [&'static str; N];

/// No labels of an exemplar.
type NoExemplar = [(&'static str, &'static str); 0];

/// Takes one family after the other.
pub struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
    keys: BTreeMap<String, Vec<&'static str>>,
}

impl<'a> Families<'a> {
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder, keys: BTreeMap::new() }
    }

    /// The keys of every family that was taken, by its name in text; one without series has them
    /// too.
    pub fn into_keys(self) -> BTreeMap<String, Vec<&'static str>> {
        self.keys
    }

    /// Values that go up and down.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        keys: LabelKeys<N>,
        series: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        self.keys.insert(name.to_owned(), keys.to_vec());
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (values, value) in series {
            family.encode_family(&labels(keys, &values))?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One value that goes up and down; a value that is not known has no series.
    pub fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        self.gauges(name, help, [], value.map(|value| ([], value)))
    }

    /// Counts that only grow; `_total` is put behind the name.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        keys: LabelKeys<N>,
        series: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        self.keys.insert(format!("{name}_total"), keys.to_vec());
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (values, count) in series {
            let labels = labels(keys, &values);
            family.encode_family(&labels)?.encode_counter::<NoExemplar, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// One count that only grows.
    pub fn counter(&mut self, name: &str, help: &str, count: f64) -> fmt::Result {
        self.counters(name, help, [], [([], count)])
    }

    /// Counted durations, in seconds.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        keys: LabelKeys<N>,
        series: impl IntoIterator<Item = (Labels<N>, Histogram)>,
    ) -> fmt::Result {
        self.keys.insert(name.to_owned(), keys.to_vec());
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (values, histogram) in series {
            let mut buckets = Vec::with_capacity(BUCKETS + 1);
            buckets.extend(histogram.buckets().map(|(bound, count)| (bound.as_secs_f64(), count)));
            buckets.push((f64::INFINITY, histogram.above()));
            let (sum, count) = (histogram.sum().as_secs_f64(), histogram.count());
            family
                .encode_family(&labels(keys, &values))?
                .encode_histogram::<NoExemplar>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn labels<const N: usize>(keys: LabelKeys<N>, values: &Labels<N>) -> [(&'static str, &str); N] {
    std::array::from_fn(|at| (keys[at], values[at].as_str()))
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
