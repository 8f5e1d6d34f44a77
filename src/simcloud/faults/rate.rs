//! How often a fault fires.
//!
//! Invariant: a probability lies within 0 and 1 from the moment it is read, and a rate without an
//! applying rule takes nothing from the generator, so that adding a fault for one proxy does not
//! change what happens to the others before.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Operation;
use super::texts::{ProbabilityText, SecondsText, Suffix, probability, seconds};
use crate::domain::id::ProxyId;

/// How often a fault fires: a probability for every call, or rules of which the first that applies
/// decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Rate(Vec<Rule>);

/// One rule of a [`Rate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// How often: a share such as `3%`, or a probability from 0 to 1.
    #[schemars(with = "ProbabilityText")]
    on: Probability,
    /// Applies from this many seconds after the start; left out: from the start.
    #[schemars(with = "Option<SecondsText>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Seconds>,
    /// Applies before this many seconds after the start; left out: for ever.
    #[schemars(with = "Option<SecondsText>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Seconds>,
    /// Applies to proxies whose id ends so; calls that concern no such proxy are left alone.
    #[schemars(with = "Option<Suffix>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#match: Option<String>,
    /// Applies to this call only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Operation>,
}

/// What a call is about, for the rules.
pub(in crate::simcloud) struct CallSubject<'a> {
    pub operation: Option<Operation>,
    pub proxies: &'a [ProxyId],
}

impl Rate {
    /// Never fires.
    pub const NEVER: Self = Self(Vec::new());

    /// Fires with this probability at every call.
    ///
    /// # Errors
    /// When it is not within 0 and 1.
    pub fn always(probability: f64) -> Result<Self, String> {
        Ok(Self(vec![Rule {
            on: Probability::try_from(probability)?,
            from: None,
            to: None,
            r#match: None,
            call: None,
        }]))
    }

    /// Draws. Costs nothing and takes nothing from the generator while no rule applies.
    pub(in crate::simcloud) fn fires(
        &self,
        rng: &mut Rng,
        at: Duration,
        subject: &CallSubject<'_>,
    ) -> bool {
        let applies = |rule: &&Rule| {
            rule.from.is_none_or(|from| at >= from.0)
                && rule.to.is_none_or(|to| at < to.0)
                && rule.call.is_none_or(|call| subject.operation == Some(call))
                && rule.r#match.as_ref().is_none_or(|suffix| {
                    subject.proxies.iter().any(|id| id.as_str().ends_with(suffix.as_str()))
                })
        };
        // Most rates are empty: the lookup below then ends at once.
        self.0.iter().find(applies).is_some_and(|rule| rule.on.0 > 0.0 && rng.f64() < rule.on.0)
    }

    /// Whether there is no rule at all.
    pub(in crate::simcloud) fn is_never(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;
        impl<'de> Visitor<'de> for RateVisitor {
            type Value = Rate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a probability from 0 to 1 or a list of rules `{on, from, to, match, call}`",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                let found = probability(text).map_err(|complaint| E::custom(complaint.message))?;
                Rate::always(found).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Rate, E> {
                Rate::always(value).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Rate, E> {
                self.visit_f64(value as f64)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Rate, E> {
                self.visit_f64(value as f64)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rate, A::Error> {
                let mut rules = Vec::new();
                while let Some(rule) = seq.next_element()? {
                    rules.push(rule);
                }
                Ok(Rate(rules))
            }
        }
        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How often: a share such as `3%`, a probability from 0 to 1, or a list of rules of which the first that applies decides.",
            "anyOf": [generator.subschema_for::<ProbabilityText>(), { "type": "array", "items": generator.subschema_for::<Rule>() }],
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "f64")]
struct Probability(f64);

/// A number, or the text of one in another spelling.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl TryFrom<Written> for Probability {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Self::try_from(number),
            Written::Text(text) => {
                probability(&text).map(Self).map_err(|complaint| complaint.message)
            }
        }
    }
}

impl TryFrom<f64> for Probability {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("a probability lies within 0 and 1, this is {value}"))
        }
    }
}
impl From<Probability> for f64 {
    fn from(probability: Probability) -> f64 {
        probability.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "f64")]
struct Seconds(Duration);

impl TryFrom<Written> for Seconds {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Duration::try_from_secs_f64(number)
                .map(Self)
                .map_err(|error| format!("{number} is no time since the start: {error}")),
            Written::Text(text) => seconds(&text).map(Self).map_err(|complaint| complaint.message),
        }
    }
}
impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> f64 {
        seconds.0.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_by_time_call_and_proxy_and_the_first_decides() {
        let rate: Rate = serde_yaml::from_str(
            "[{on: 0, to: 5}, {on: 1, from: 2, to: 10, match: 7po01, call: switch}]",
        )
        .expect("rules");
        let mut rng = Rng::with_seed(1);
        let id: ProxyId = "2ec617ba62da4eafb921b69438beed37po01".parse().expect("an id");
        let mut fires = |at, operation, ids: &[ProxyId]| {
            rate.fires(
                &mut rng,
                Duration::from_secs(at),
                &CallSubject { operation: Some(operation), proxies: ids },
            )
        };
        assert!(!fires(4, Operation::Switch, &[id]), "the first rule decides");
        assert!(fires(5, Operation::Switch, &[id]));
        assert!(!fires(10, Operation::Switch, &[id]), "`to` is exclusive");
        assert!(!fires(5, Operation::Proxies, &[id]));
        assert!(!fires(5, Operation::Switch, &[]));
    }
}
