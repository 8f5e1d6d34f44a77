//! A count or a share of the targets: `20`, `5%`, and for a wave also `rest`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::format::Complaint;
use super::quote;

/// A count or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountOrShare {
    /// So many.
    Count(u32),
    /// So many hundredths of a percent, 0 to 10,000.
    Hundredths(u32),
}

/// A wave's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveSize {
    /// A count or a share.
    Share(CountOrShare),
    /// Whatever the waves before left.
    Rest,
}

impl CountOrShare {
    /// Of `total`, a share rounded up: a wave is never smaller than it was meant.
    pub fn up(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Hundredths(part) => narrow((u64::from(total) * u64::from(part)).div_ceil(10_000)),
        }
    }

    /// Of `total`, a share rounded down: a budget is never larger than it was meant.
    pub fn down(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Hundredths(part) => narrow(u64::from(total) * u64::from(part) / 10_000),
        }
    }
}

fn narrow(part: u64) -> u32 {
    u32::try_from(part).expect("a share of a count is not more than the count")
}

impl fmt::Display for CountOrShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Hundredths(part) if part % 100 == 0 => write!(f, "{}%", part / 100),
            Self::Hundredths(part) => write!(f, "{}.{:02}%", part / 100, part % 100),
        }
    }
}

impl FromStr for CountOrShare {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let wrong = || {
            Complaint::new(format!("{} is neither a count nor a share", quote(text)))
                .help("write a count such as `20` or a share such as `5%`")
        };
        let Some(percent) = text.strip_suffix('%') else {
            return match text.parse() {
                Ok(count) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self::Count(count)),
                _ => Err(wrong()),
            };
        };
        let (whole, hundredths) =
            percent.trim_end().split_once('.').unwrap_or((percent.trim_end(), "0"));
        let digits = |part: &str, max: usize| {
            (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(hundredths, 2) {
            return Err(wrong());
        }
        let number = |part: &str| part.parse::<u32>().expect("a few digits");
        let scale = if hundredths.len() == 1 { 10 } else { 1 };
        match number(whole) * 100 + number(hundredths) * scale {
            part @ 0..=10_000 => Ok(Self::Hundredths(part)),
            _ => Err(Complaint::new("a share is at most `100%`")),
        }
    }
}

impl FromStr for WaveSize {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let examples = "write a count such as `5`, a share such as `5%`, or `rest`";
        match text {
            "rest" => Ok(Self::Rest),
            _ => {
                match text.parse() {
                    Ok(CountOrShare::Count(0) | CountOrShare::Hundredths(0)) => {
                        Err(Complaint::new("a wave cannot be empty").help(examples))
                    }
                    Ok(share) => Ok(Self::Share(share)),
                    Err(_) => Err(Complaint::new(format!("{} is no size of a wave", quote(text)))
                        .help(examples)),
                }
            }
        }
    }
}

/// Reads what may stand as a number or as a text.
struct NumberOrText<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = Complaint>> Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count or a share")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        value.parse().map_err(|complaint: Complaint| E::custom(complaint.message))
    }
}

impl<'de> Deserialize<'de> for CountOrShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for WaveSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText(std::marker::PhantomData))
    }
}

impl JsonSchema for CountOrShare {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "A count such as `20` or a share such as `5%`.",
            "minimum": 0,
            "pattern": r"^[0-9]+(\.[0-9]{1,2})?%?$",
            "format": "share",
        })
    }
}

impl JsonSchema for WaveSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "A count such as `5`, a share such as `5%`, or `rest`.",
            "minimum": 1,
            "pattern": r"^([0-9]+(\.[0-9]{1,2})?%?|rest)$",
            "format": "size",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waves_round_up_and_budgets_down() {
        let share: CountOrShare = "5%".parse().expect("a share");
        assert_eq!((share.up(30), share.down(30)), (2, 1));
        assert_eq!((share.up(19), share.down(19)), (1, 0));
        let fine: CountOrShare = "0.25%".parse().expect("a share");
        assert_eq!((fine.up(1000), fine.down(1000)), (3, 2));
        assert_eq!("2.5%".parse(), Ok(CountOrShare::Hundredths(250)));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "%",
            "5 percent",
            "101%",
            "-1",
            "1.234%",
            "1e3",
            ".5%",
            "0x10",
            "99999999999",
            "five",
        ] {
            assert!(text.parse::<CountOrShare>().is_err(), "{text:?} was read");
        }
        for text in ["0", "0%", "all", "Rest"] {
            assert!(text.parse::<WaveSize>().is_err(), "{text:?} was read");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_never_more_than_all(total: u32, part in 0u32..=10_000) {
            let share = CountOrShare::Hundredths(part);
            prop_assert!(share.down(total) <= share.up(total) && share.up(total) <= total);
            prop_assert!(share.up(total) - share.down(total) <= 1);
            prop_assert_eq!(share.to_string().parse(), Ok(share));
        }
    }
}
