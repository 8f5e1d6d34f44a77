//! *Now*: does it move, if not why and until when, what wants a person.

use askama::Template;

use super::lanes::{LaneLine, lane_lines};
use super::rollouts::{RolloutLine, open_line};
use crate::api::wire::{AttentionDoc, JournalRow, ReceiverDoc, TonightDoc};
use crate::api::{ApiError, OpenRollout};
use crate::domain::count::count;
use crate::domain::people::Role;
use crate::page::draw;
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{grouped, spoken, upper};
use crate::page::wants::Want;
use crate::store::bins::BinCounts;

/// Entries of the journal that stand beside the rest.
pub const ENTRIES: usize = 9;

#[derive(Template)]
#[template(path = "now.html")]
pub struct NowView {
    shell: Shell,
    headline: String,
    summary: String,
    wants: Vec<Want>,
    /// How notifications go, in one small line; empty where nobody is told.
    notify: String,
    rollouts: Vec<RolloutLine>,
    lanes: Vec<LaneLine>,
    entries: Vec<EntryLine>,
    /// Why the journal could not be read.
    unread: Option<String>,
    calendar: String,
    tonight: Option<TonightPart>,
    may_operate: bool,
}

/// What was done tonight.
struct TonightPart {
    since: String,
    /// Numbers, or a dash where they are not known; what each counts, and its tone.
    figures: Vec<(String, &'static str, &'static str)>,
    drawing: String,
}

/// An entry in one short line.
pub struct EntryLine {
    pub at: Moment,
    pub what: String,
    /// The change that it is about: the beginning of its proxy's id, and the address of its story.
    pub change: Option<(String, String)>,
    pub text: String,
}

impl NowView {
    /// `calendar`: the windows of the next days, drawn; empty where there are none.
    /// `tonight`: `None` where it could not be read. `entries`: else why they could not be.
    pub fn new(
        around: &ViewSource,
        entries: Result<Vec<JournalRow>, ApiError>,
        calendar: String,
        tonight: Option<&TonightDoc>,
        clock: ViewClock,
    ) -> Self {
        let wants = around.wants(&clock);
        let rollouts = around.open.iter().map(|open| open_line(&open.document, &clock)).collect();
        let (entries, unread) = match entries {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(error.problem().detail.clone())),
        };
        Self {
            unread,
            may_operate: around.caller.may.has(Role::Operate),
            headline: headline(around, &clock),
            summary: summary(&around.open),
            notify: notifications(&around.daemon.notify),
            rollouts,
            lanes: lane_lines(&around.daemon, &clock),
            entries: entries.iter().map(|entry| entry_line(entry, &clock)).collect(),
            calendar,
            tonight: tonight_part(tonight, &clock),
            wants,
            shell: Shell::new(around, "Now", "Now".into(), clock),
        }
    }
}

/// The first sentence, with its instant.
fn headline(around: &ViewSource, clock: &ViewClock) -> String {
    let AttentionDoc { headline, until, .. } = &around.attention;
    until.map_or_else(
        || upper(headline),
        |until| format!("{} until {}", upper(headline), clock.short(until).shown),
    )
}

/// Receivers in trouble, else that all is well.
fn notifications(receivers: &[ReceiverDoc]) -> String {
    let trouble: Vec<String> = receivers.iter().filter_map(ReceiverDoc::trouble).collect();
    if trouble.is_empty() {
        return ReceiverDoc::all_well(receivers).map_or_else(String::new, |line| upper(&line));
    }
    upper(&trouble.join(". "))
}

/// How the open rollouts stand, each counted once.
fn summary(open: &[OpenRollout]) -> String {
    let mut words: Vec<(String, u32)> = Vec::new();
    for OpenRollout { document, .. } in open.iter().filter(|open| !open.document.is_final) {
        let word = document
            .holds
            .first()
            .map_or_else(|| "moves".to_owned(), |hold| format!("is held ({})", spoken(&hold.word)));
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, times)) => *times += 1,
            None => words.push((word, 1)),
        }
    }
    if words.is_empty() {
        return "A plan begins with `sealift apply`.".into();
    }
    let total: u32 = words.iter().map(|(_, times)| times).sum();
    let parts: Vec<String> =
        words.into_iter().map(|(word, times)| format!("{times} {word}")).collect();
    format!("Of {}: {}.", count(total, "open rollout", "open rollouts"), parts.join(", "))
}

/// Nothing where nothing has begun; dashes where it is not known what was done.
fn tonight_part(tonight: Option<&TonightDoc>, clock: &ViewClock) -> Option<TonightPart> {
    let Some(doc) = tonight else {
        let dash = |word, tone| ("–".to_owned(), word, tone);
        return Some(TonightPart {
            since: "not known".into(),
            figures: vec![
                dash("settled", ""),
                dash("wrong", ""),
                dash("calls", ""),
                dash("refused", ""),
            ],
            drawing: String::new(),
        });
    };
    let begun = doc.since?;
    let sum = doc.sum();
    let wrong = sum.failed + sum.in_doubt;
    let figure =
        |number: u32, word, tone| (grouped(&number), word, if number > 0 { tone } else { "" });
    let well =
        |counts: &BinCounts| counts.succeeded + counts.reverted + counts.skipped + counts.cancelled;
    let drawn = draw::Bars {
        from: begun,
        to: clock.now,
        seconds: doc.bin_seconds.into(),
        bars: doc
            .bins
            .iter()
            .map(|bin| (bin.at, bin.counts()))
            .map(|(at, counts)| (at, [well(&counts), counts.failed, counts.in_doubt]))
            .collect(),
        ends: [clock.minute(begun), clock.minute(clock.now)],
    };
    let since = clock.short(begun).shown;
    let says = format!(
        "{} since {since}, in stretches of five minutes",
        count(sum.settled(), "change settled", "changes settled")
    );
    let partly = if doc.partly { "; before it, it was not counted" } else { "" };
    Some(TonightPart {
        since: format!("since {since}{partly}"),
        figures: vec![
            figure(sum.settled(), "settled", ""),
            figure(wrong, "wrong", "red"),
            figure(sum.calls, "calls", ""),
            figure(sum.refused, "refused", "amber"),
        ],
        drawing: draw::bars(&drawn, &says),
    })
}

/// An entry in one short line.
pub fn entry_line(entry: &JournalRow, clock: &ViewClock) -> EntryLine {
    let change = entry.ordinal.zip(entry.proxy_id.as_ref());
    let change = change.map(|(ordinal, proxy)| {
        (crate::page::shell::head(proxy), format!("/rollouts/{}/changes/{ordinal}", entry.rollout))
    });
    let by = entry.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    EntryLine {
        at: clock.second(entry.at),
        what: spoken(&entry.to),
        change,
        text: format!("{}{by}", entry.why),
    }
}

/// The windows of the next days.
pub fn calendar(rows: Vec<draw::CalendarRow>, clock: &ViewClock) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let days: Vec<_> =
        clock.days(clock.now, 8).into_iter().map(|day| (day, clock.day(day))).collect();
    let windows: usize = rows.iter().map(|row| row.spans.len()).sum();
    let says = format!(
        "Windows of the next seven days: {windows} of {}",
        count(u32::try_from(rows.len()).unwrap_or(u32::MAX), "rollout", "rollouts")
    );
    draw::calendar(&days, &rows, clock.now, &says)
}
