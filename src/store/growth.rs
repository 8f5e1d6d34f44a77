//! How fast the store grows: what the journal's latest segments hold, and what was written beside
//! it, over the time since the oldest of these segments was begun.
//!
//! Deliberately not here: sled's own file, which is bounded by what is open and the largest rollout
//! so far.

use jiff::{SignedDuration, Timestamp};

use super::shared::SyncedUpTo;
use super::{Growth, Unavailable};

/// The stretch that is looked back over: nights of work and days without any.
const STRETCH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A younger journal is no basis for an estimate.
const STRETCH_MIN: SignedDuration = SignedDuration::from_hours(1);

/// Segments that are looked at, at most: 64 GiB of the shipped size.
const SEGMENTS_MAX: usize = 1_000;

/// Days beyond which nobody counts.
const DAYS_MAX: u64 = 36_500;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The growth of a store, on a disk with so much room of which `floor` is not used; `beside`: the
/// bytes that were written beside the journal since then.
pub(super) fn growth(
    synced: &SyncedUpTo,
    now: Timestamp,
    (free, floor): (u64, u64),
    beside: impl FnOnce(Timestamp) -> Result<u64, Unavailable>,
) -> Result<Option<Growth>, Unavailable> {
    let reader = &synced.reader;
    let closed: Vec<u64> = reader
        .firsts()
        .iter()
        .rev()
        .skip(1)
        .map(|first| reader.bytes_of(*first))
        .collect::<Result<_, _>>()?;
    let last = synced.journal_bytes.saturating_sub(closed.iter().sum());
    let (mut bytes, mut since) = (0, None);
    for (first, length) in
        reader.firsts().iter().rev().zip(std::iter::once(last).chain(closed)).take(SEGMENTS_MAX)
    {
        let Some(began) = reader.began(*first)? else { continue };
        bytes += length;
        since = Some(began);
        if now.duration_since(began) >= STRETCH {
            break;
        }
    }
    let Some(since) = since else { return Ok(None) };
    let took = now.duration_since(since);
    if took < STRETCH_MIN {
        return Ok(None);
    }
    let share = u128::from(bytes + beside(since)?) * DAY.as_millis().unsigned_abs()
        / took.as_millis().unsigned_abs();
    let bytes_per_day = u64::try_from(share).unwrap_or(u64::MAX);
    let days_left =
        free.saturating_sub(floor).checked_div(bytes_per_day).unwrap_or(DAYS_MAX).min(DAYS_MAX);
    Ok(Some(Growth { since, bytes_per_day, free_bytes: free, days_left }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RolloutId;
    use crate::domain::journal::{Entry, JournalEvent};
    use crate::domain::rollout::Record;
    use crate::store::failpoint::Failpoint;
    use crate::store::journal::Journal;
    use crate::store::record::JournalRecord;
    use crate::store::writer::synced;

    const SEGMENT: u64 = 16 * 1024;

    fn after(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    /// A journal to which a line is added in each of these hours.
    fn journal(dir: &std::path::Path, hours: impl Iterator<Item = i64>) -> Journal {
        let (mut journal, _) =
            Journal::open(dir, SEGMENT, Failpoint::default()).expect("a new journal");
        for (seq, hour) in (1..).zip(hours) {
            let word = "advancing";
            let what = JournalEvent::Rollout {
                from: word.into(),
                to: word.into(),
                why: "x".repeat(400),
                by: None,
                via: None,
                record: Record::submitted(),
            };
            let entry =
                Entry { seq, at: after(hour), rollout: RolloutId::from_bytes([1; 16]), what };
            journal
                .append(std::iter::once(&JournalRecord { entry, due: None, more: 0 }))
                .expect("room on disk");
        }
        journal.sync().expect("room on disk");
        journal
    }

    #[test]
    fn the_last_week_counts_and_what_was_before_does_not() {
        const GIB: u64 = 1 << 30;
        let dir = tempfile::tempdir().expect("a directory");
        // Ten lines an hour once, a line an hour now.
        let hours = (0..1_000).map(|n| n / 10).chain(100..1_000);
        let journal = journal(dir.path(), hours);
        let estimate = growth(&synced(&journal), after(1_000), (10 * GIB, GIB), |_| Ok(0))
            .expect("readable")
            .expect("old enough");
        let line = journal.total_bytes() / 1_900;
        // The segment in which the week begins counts as a whole, with its own begin.
        assert!(
            (after(1_000 - 7 * 24 - 40)..=after(1_000 - 7 * 24)).contains(&estimate.since),
            "{estimate:?}"
        );
        assert!(
            (line * 22..=line * 26).contains(&estimate.bytes_per_day),
            "{estimate:?}, and a line has {line} bytes"
        );
        assert_eq!(estimate.days_left, (9 * GIB / estimate.bytes_per_day).min(DAYS_MAX));
        let full = growth(&synced(&journal), after(1_000), (GIB, GIB), |_| Ok(0))
            .expect("readable")
            .expect("old enough");
        assert_eq!(full.days_left, 0);
        // A MiB for each day of the stretch, beside it.
        let days = |since: Timestamp| after(1_000).duration_since(since).as_hours().unsigned_abs();
        let more = growth(&synced(&journal), after(1_000), (10 * GIB, GIB), |since| {
            Ok((days(since) << 20) / 24)
        });
        let more = more.expect("readable").expect("old enough");
        assert_eq!(more.since, estimate.since);
        assert!(
            (estimate.bytes_per_day + (1 << 20)).abs_diff(more.bytes_per_day) <= 1,
            "{estimate:?}, {more:?}"
        );
        assert_eq!(more.days_left, 9 * GIB / more.bytes_per_day);
    }

    #[test]
    fn a_young_journal_and_one_of_the_future_give_no_estimate() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = journal(dir.path(), std::iter::once(10));
        let estimate =
            |now| growth(&synced(&journal), now, (1 << 30, 0), |_| Ok(0)).expect("readable");
        assert_eq!(estimate(after(10)), None);
        assert_eq!(estimate(after(2)), None, "a clock that was set back");
        assert!(estimate(after(11)).is_some());
        let empty = tempfile::tempdir().expect("a directory");
        let (none, _) =
            Journal::open(empty.path(), SEGMENT, Failpoint::default()).expect("a new journal");
        assert_eq!(
            growth(&synced(&none), after(11), (1 << 30, 0), |_| Ok(0)).expect("readable"),
            None
        );
    }
}
