//! `Retry-After`: seconds or a date, from a few words to nonsense.
//!
//! Invariant: what comes out lies within one second and ten minutes; a date is read against the
//! answer's own `Date`, so that no clock of ours takes part.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Shortest pause we keep.
pub const MIN: u32 = 1;

/// Longest pause we believe: a gateway's throttling interval is seconds to minutes, and a typo must
/// not stop a lane for a night.
pub const MAX: u32 = 600;

/// Reads the header. `date` is the `Date` header of the same answer; without it a date means
/// nothing to us.
pub fn read(value: &str, date: Option<&str>) -> Option<u32> {
    read_up_to(value, date, MAX)
}

/// The same where another pause is the longest that is believed.
pub fn read_up_to(value: &str, date: Option<&str>, max: u32) -> Option<u32> {
    let clamp = |seconds| u32::try_from(seconds).unwrap_or(max).clamp(MIN, max);
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // A number too large for 64 bits is still a number: the longest pause.
        return Some(value.parse::<u64>().map_or(max, clamp));
    }
    let until = http_date(value)?;
    let from = http_date(date?)?;
    Some(clamp(u64::try_from(until.as_second() - from.as_second()).unwrap_or(0)))
}

/// The header `Date`.
pub fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new();
    PARSER.parse_timestamp(text.trim()).ok()
}

/// An instant as that header has it; `None` before the year 0.
pub fn to_http_date(instant: Timestamp) -> Option<String> {
    static PRINTER: rfc2822::DateTimePrinter = rfc2822::DateTimePrinter::new();
    PRINTER.timestamp_to_rfc9110_string(&instant).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn every_form_is_read_and_clamped() {
        for (value, date, expected) in [
            ("2", None, Some(2)),
            (" 30 ", None, Some(30)),
            ("0", None, Some(1)),
            ("86400", None, Some(600)),
            ("99999999999999999999999", None, Some(600)),
            ("-5", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", None, None),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(DATE), Some(20)),
            ("Sun, 06 Nov 1994 07:00:00 GMT", Some(DATE), Some(1)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(DATE), Some(600)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", None, None),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some("yesterday"), None),
        ] {
            assert_eq!(read(value, date), expected, "{value:?} {date:?}");
        }
    }
}
