//! What holds of every cron expression, whatever it is made of: for the fuzzer in `fuzz/`, and for
//! the tests, which replay its corpus.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Expression;

/// Zones with and without summer time, one of half an hour.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Singapore"];

/// Starts that are looked at.
const STARTS: usize = 6;

/// It is refused, and a proposal is one that is taken; or it reads the same when it is written, and
/// both directions walk the same starts.
pub fn cron(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let expression: Expression = match text.parse() {
        Ok(expression) => expression,
        Err(error) => {
            if let Some(proposal) = error.proposal() {
                proposal.parse::<Expression>().unwrap_or_else(|wrong| {
                    panic!("{proposal:?} is proposed for {text:?}: {wrong}")
                });
            }
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(expression.to_string().parse::<Expression>().as_ref(), Ok(&expression));
    for warning in expression.warnings() {
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
    let zone = TimeZone::get(ZONES[text.len() % ZONES.len()]).expect("the tables are built in");
    // A few days before clocks change in Berlin.
    let mut at: Timestamp = "2027-03-26T12:00:00Z".parse().expect("an instant");
    for _ in 0..STARTS {
        let Some(next) = expression.next(at, &zone) else { break };
        assert!(next > at, "{next} is not after {at}");
        assert_eq!(expression.previous_or_at(next, &zone), Some(next));
        let before = expression.previous_or_at(next - jiff::SignedDuration::from_nanos(1), &zone);
        assert!(
            before.is_none_or(|before| before <= at),
            "{before:?} lies between {at} and {next}"
        );
        at = next;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_holds() {
        crate::tests::corpus::replay("cron", super::cron);
    }
}
