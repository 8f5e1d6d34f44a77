//! A duration drawn from a range.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::texts::Time;

/// A duration drawn evenly from a range: `{min: 5ms, max: 30ms}`, or one duration for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Between {
    /// Shortest.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub min: Duration,
    /// Longest.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub max: Duration,
}

impl Between {
    /// Always the same.
    pub const fn exactly(duration: Duration) -> Self {
        Self { min: duration, max: duration }
    }

    pub(in crate::simcloud) fn draw(&self, rng: &mut Rng) -> Duration {
        if self.max <= self.min {
            return self.min;
        }
        let span = u64::try_from((self.max - self.min).as_nanos()).unwrap_or(u64::MAX);
        self.min + Duration::from_nanos(rng.u64(0..=span))
    }
}

impl<'de> Deserialize<'de> for Between {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
            min: Duration,
            #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
            max: Duration,
        }
        struct BetweenVisitor;
        impl<'de> Visitor<'de> for BetweenVisitor {
            type Value = Between;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `20ms` or a range `{min: 5ms, max: 30ms}`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Between, E> {
                let signed: jiff::SignedDuration = text.parse().map_err(E::custom)?;
                Duration::try_from(signed).map(Between::exactly).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Between, A::Error> {
                let Raw { min, max } =
                    Raw::deserialize(de::value::MapAccessDeserializer::new(map))?;
                if min > max {
                    return Err(de::Error::custom("`min` is longer than `max`"));
                }
                Ok(Between { min, max })
            }
        }
        deserializer.deserialize_any(BetweenVisitor)
    }
}

impl JsonSchema for Between {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Between".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<Time>();
        json_schema!({
            "description": "One length of time such as `20ms`, or a range such as `{min: 5ms, max: 30ms}`.",
            "anyOf": [
                time,
                {
                    "type": "object",
                    "properties": { "min": time, "max": time },
                    "required": ["min", "max"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
