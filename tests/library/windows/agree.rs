//! Starts, and open or closed, are what the oracle says, whatever the expression, the zone and the
//! night.
//!
//! Where croniter *by itself* says something else than the published rule, the difference belongs
//! to one of the kinds below, each with its reason; one that belongs to none fails the test, and so
//! does a kind that is never met.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use sealift::domain::cron::Expression;
use sealift::domain::window::{Calendar, Freeze, Opening, ShutBy, Window};
use serde::Serialize;
use serde_json::Value;

use crate::windows::cases::{self, Quirk, WindowCase};
use crate::windows::oracle::ask;

/// Cases of one test run.
const CASES: u64 = 3_000;

/// A known difference between croniter by itself and the published rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The clock shows a fixed time twice: croniter starts twice. We start once, at the first pass,
    /// as cron(8) does: a window that is meant once a night must not open twice.
    FixedTimeComesTwice,
    /// A time of an interval expression falls into the gap: croniter moves it to the first instant
    /// after. We leave it out, as cron(8) does: an interval has its next start soon, and a moved
    /// one would be one too many.
    IntervalInGap,
    /// The second pass of a repeated hour that does not begin with an hour of the clock (Chatham
    /// repeats from 02:45): an interval expression goes on in it. croniter leaves starts of it out;
    /// we take each, as the clock shows them.
    SecondPassWithinHour,
    /// A spelling that croniter reads otherwise; see [`Quirk`].
    Spelling(Quirk),
}

/// What must be met, so that the list above stays honest.
const MUST_MEET: [Difference; 5] = [
    Difference::SecondPassWithinHour,
    Difference::FixedTimeComesTwice,
    Difference::IntervalInGap,
    Difference::Spelling(Quirk::RangeOfOne),
    Difference::Spelling(Quirk::StepOfOne),
];

#[derive(Default)]
struct Agreement {
    cases: BTreeMap<String, u64>,
    differences: BTreeMap<Difference, u64>,
    wrong: Vec<String>,
}

impl Agreement {
    fn count(&mut self, word: &str, n: usize) {
        *self.cases.entry(word.to_owned()).or_default() += n as u64;
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn starts_and_openings_agree_with_the_oracle() {
    let mut rng = Rng::with_seed(number("SEALIFT_SEED_BASE", 20_260_329));
    let mut met = Agreement::default();
    let mut drawn = Vec::new();
    while drawn.len() < number("SEALIFT_WINDOW_CASES", CASES) as usize {
        let case = WindowCase::draw(&mut rng);
        match case
            .windows
            .iter()
            .map(|window| window.cron.parse::<Expression>())
            .find_map(Result::err)
        {
            None => drawn.push(case),
            // A step beside another restricted day field, or a day that never comes: asked in the
            // test below.
            Some(_) => met.count("refused", 1),
        }
    }
    let answers = ask(&drawn);
    for (case, answer) in drawn.iter().zip(&answers) {
        compare(case, answer, &mut met);
    }
    println!("{:#?}\n{:#?}", met.cases, met.differences);
    assert!(
        met.wrong.is_empty(),
        "{} differences that nothing explains, the first of them:\n{}",
        met.wrong.len(),
        met.wrong[0]
    );
    for word in [
        "forward",
        "back",
        "no change",
        "starts",
        "open",
        "window",
        "cutoff",
        "freeze",
        "two windows",
        "until",
        "past midnight",
    ] {
        assert!(
            met.cases.get(word).is_some_and(|n| *n > 20),
            "{word} is hardly ever met: {:?}",
            met.cases
        );
    }
    for difference in MUST_MEET {
        assert!(
            met.differences.contains_key(&difference),
            "{difference:?} is never met: take it off the list, or draw it"
        );
    }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).expect("an instant")
}

fn numbers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(|n| n.as_i64().expect("a second")).collect()
}

fn compare(case: &WindowCase, answer: &Value, met: &mut Agreement) {
    met.count(
        match case.change {
            Some((before, after)) if after > before => "forward",
            Some(_) => "back",
            None => "no change",
        },
        1,
    );
    met.count("two windows", usize::from(case.windows.len() > 1));
    for (place, window) in case.windows.iter().enumerate() {
        let expression: Expression = window.cron.parse().expect("read before");
        let zone = cases::zone(window.zone);
        let (begin, expected) = (case.begin - window.duration, numbers(&answer["starts"][place]));
        let found = starts(&expression, &zone, begin, case.end);
        met.count("starts", found.len());
        if found != expected {
            met.wrong.push(told(case, window, &found, &expected));
            return;
        }
        before_and_after(&expression, &zone, &expected, case, met);
        if let Some(quirk) = window.quirk
            && numbers(&answer["raw"][place]) != expected
        {
            *met.differences.entry(Difference::Spelling(quirk)).or_default() += 1;
        }
        if place == 0 {
            let ours: Vec<i64> = expected.into_iter().filter(|at| *at >= case.begin).collect();
            explain(case, window, &ours, &numbers(&answer["direct"]), met);
        }
    }
    openings(case, &answer["said"], met);
}

fn told(case: &WindowCase, window: &cases::WindowSpec, found: &[i64], expected: &[i64]) -> String {
    let (ours, theirs): (BTreeSet<i64>, BTreeSet<i64>) =
        (found.iter().copied().collect(), expected.iter().copied().collect());
    let named = |set: Vec<&i64>| {
        set.into_iter().take(5).map(|at| second(*at).to_string()).collect::<Vec<_>>().join(" ")
    };
    format!(
        "`{}` in {} around {}: only we say [{}], only the oracle says [{}]",
        window.cron,
        window.zone,
        second((case.begin + case.end) / 2),
        named(ours.difference(&theirs).collect()),
        named(theirs.difference(&ours).collect()),
    )
}

fn starts(expression: &Expression, zone: &TimeZone, begin: i64, end: i64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut after = second(begin - 1);
    while let Some(next) = expression.next(after, zone).filter(|next| *next < second(end)) {
        found.push(next.as_second());
        after = next;
    }
    found
}

/// Both directions, from instants that are no starts.
fn before_and_after(
    expression: &Expression,
    zone: &TimeZone,
    expected: &[i64],
    case: &WindowCase,
    met: &mut Agreement,
) {
    for at in &case.asked {
        let place = expected.partition_point(|start| start <= at);
        if let Some(last) = place.checked_sub(1).map(|place| expected[place])
            && expression.previous_or_at(second(*at), zone) != Some(second(last))
        {
            met.wrong.push(format!(
                "{case:?}: the last start at {} is {}",
                second(*at),
                second(last)
            ));
        }
        if let Some(next) = expected.get(place)
            && expression.next(second(*at), zone) != Some(second(*next))
        {
            met.wrong.push(format!(
                "{case:?}: the next start after {} is {}",
                second(*at),
                second(*next)
            ));
        }
    }
}

/// Every difference between croniter by itself and us has its kind.
fn explain(
    case: &WindowCase,
    window: &cases::WindowSpec,
    ours: &[i64],
    direct: &[i64],
    met: &mut Agreement,
) {
    let zone = cases::zone(window.zone);
    let mut fields = window.cron.split(' ');
    let interval = fields.by_ref().take(2).any(|field| field.starts_with('*'));
    let (us, them): (BTreeSet<i64>, BTreeSet<i64>) =
        (ours.iter().copied().collect(), direct.iter().copied().collect());
    for at in them.symmetric_difference(&us) {
        let more = them.contains(at);
        let kind = if more && !interval && second_pass(second(*at), &zone) {
            Difference::FixedTimeComesTwice
        } else if more && interval && after_gap(second(*at), &zone) {
            Difference::IntervalInGap
        } else if !more && interval && second_pass(second(*at), &zone) {
            Difference::SecondPassWithinHour
        } else {
            met.wrong.push(format!(
                "croniter by itself, unexplained: {}",
                told(case, window, ours, direct)
            ));
            return;
        };
        *met.differences.entry(kind).or_default() += 1;
    }
}

fn second_pass(at: Timestamp, zone: &TimeZone) -> bool {
    match zone.to_ambiguous_timestamp(zone.to_datetime(at)).offset() {
        AmbiguousOffset::Fold { after, .. } => zone.to_offset(at) == after,
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Unambiguous { .. } => false,
    }
}

fn after_gap(at: Timestamp, zone: &TimeZone) -> bool {
    let before = at - jiff::SignedDuration::from_nanos(1);
    zone.to_offset(at) > zone.to_offset(before)
}

fn calendar(case: &WindowCase) -> Calendar {
    let windows = case.windows.iter().map(|window| {
        let seconds = |n: i64| Duration::from_secs(u64::try_from(n).expect("not negative"));
        let cron = window.cron.parse().expect("read before");
        Window::new(
            cron,
            seconds(window.duration),
            window.zone.parse().expect("a zone"),
            seconds(window.cutoff),
        )
        .expect("a window")
    });
    let freezes = case.freezes.iter().map(|freeze| {
        let zone = freeze.zone.parse().expect("a zone");
        Freeze::new(freeze.from, freeze.to, zone, String::new()).expect("a freeze")
    });
    Calendar::new(windows.collect(), freezes.collect(), None)
}

fn openings(case: &WindowCase, said: &Value, met: &mut Agreement) {
    let calendar = calendar(case);
    for (at, said) in case.asked.iter().zip(said.as_array().expect("a list")) {
        let (word, until) = match calendar.at(second(*at)) {
            Opening::Open { until } => ("open", until),
            Opening::Shut { by: ShutBy::Window, .. } => ("window", None),
            Opening::Shut { by: ShutBy::Cutoff, .. } => ("cutoff", None),
            Opening::Shut { by: ShutBy::Freeze(_), .. } => ("freeze", None),
            Opening::Shut { by: ShutBy::NotBefore, .. } => ("not_before", None),
        };
        met.count(word, 1);
        if said[0] != word {
            met.wrong.push(format!(
                "{case:?}: at {} we say {word}, the oracle {}",
                second(*at),
                said[0]
            ));
            continue;
        }
        if let (Some(until), Some(expected)) = (until, said[1].as_i64()) {
            met.count("until", 1);
            // What is asked lies within the stretch that the oracle has looked at; an end may lie
            // beyond it.
            if until != second(expected) && expected < case.end {
                met.wrong.push(format!(
                    "{case:?}: open at {} until {until}, the oracle says {}",
                    second(*at),
                    second(expected)
                ));
            }
            let zone = cases::zone(case.windows[0].zone);
            met.count(
                "past midnight",
                usize::from(zone.to_datetime(until).date() > zone.to_datetime(second(*at)).date()),
            );
        }
    }
}

/// What croniter takes and we refuse, each by name and with its reason.
#[test]
fn what_the_oracle_takes_and_we_refuse() {
    let table = [
        ("5/15 * * * *", "a step without a range: crons read it differently, some refuse it"),
        ("0 2 * * FRI-MON", "a range that runs backwards: most crons refuse it"),
        ("0 22-2 * * *", "a range that runs backwards"),
        ("0 2 L * *", "the last day: not part of standard cron"),
        (
            "0 2 * * 1#2",
            "the second Monday: not part of standard cron, and read as a comment by some",
        ),
        ("*/90 * * * *", "a step beyond the field: every hour, which nobody means"),
        (
            "0 2 */2 * 1",
            "a step beside another restricted day field: Vixie's cron reads AND, others OR",
        ),
        ("0 2 * * * 30", "a sixth field: seconds for some, a year or the command for others"),
    ];
    #[derive(Serialize)]
    struct Accepts {
        accepts: &'static str,
    }
    let questions: Vec<Accepts> = table.iter().map(|(text, _)| Accepts { accepts: text }).collect();
    for ((text, why), answer) in table.iter().zip(ask(&questions)) {
        assert_eq!(
            answer["accepted"], true,
            "croniter refuses `{text}` as well ({why}): take it off the list"
        );
        assert!(text.parse::<Expression>().is_err(), "`{text}` is to be refused: {why}");
    }
}
