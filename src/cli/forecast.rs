//! How a forecast looks: a table of the waves in `plan`, a line in `status`.
//!
//! Invariant: pure functions from the document; its warnings are told by whoever shows it, among
//! the others.

use super::output::aligned;
use super::text::count;
use super::wire::{ForecastDoc, ForecastWaveDoc};
use crate::words::text::{Style, clean};

/// The table of the waves, and what it rests on.
pub fn text(forecast: &ForecastDoc, style: &Style) -> String {
    let runs = count(u32::try_from(forecast.runs).unwrap_or(u32::MAX), "run", "runs");
    let mut text = format!("forecast, by {runs} of the engine in virtual time:\n");
    let cells: Vec<Vec<String>> = forecast.waves.iter().map(|wave| row(wave, style)).collect();
    let after: &[&str] =
        if forecast.waves.iter().any(|wave| wave.after.is_some()) { &["AFTER"] } else { &[] };
    let columns = [&["  WAVE", "BEGINS", "ENDS (P50)", "ENDS (P90)", "WINDOW"], after].concat();
    let cells: Vec<Vec<String>> =
        cells.into_iter().map(|row| row.into_iter().take(columns.len()).collect()).collect();
    text.push_str(&aligned(&columns, true, &cells, &mut Vec::new()));
    for basis in &forecast.basis {
        text.push_str(&format!("  {}\n", clean(basis)));
    }
    text
}

fn row(wave: &ForecastWaveDoc, style: &Style) -> Vec<String> {
    let at =
        |at: Option<jiff::Timestamp>| at.map_or("not in sight".to_owned(), |at| style.time(at));
    let after = wave
        .after
        .as_ref()
        .map(|after| format!("{}, given at once", clean(after)))
        .unwrap_or_default();
    vec![
        format!("  {}", clean(&wave.name)),
        at(wave.begins),
        at(wave.p50),
        at(wave.p90),
        windows(wave),
        after,
    ]
}

/// `3`, or `3 to 5` (by the ninetieth percentile).
fn windows(wave: &ForecastWaveDoc) -> String {
    match (wave.begins_in, wave.p90_in) {
        (Some(first), Some(last)) if last != first => format!("{first} to {last}"),
        (Some(first), Some(_)) => first.to_string(),
        (Some(first), None) => format!("{first} to ?"),
        (None, _) => "-".into(),
    }
}

/// One line for each wave that is not done.
pub fn lines(forecast: &ForecastDoc, style: &Style, most: usize) -> Vec<String> {
    let line = |wave: &ForecastWaveDoc| {
        let hangs = wave
            .after
            .as_ref()
            .map(|after| format!("after {}; given at once, ", clean(after)))
            .unwrap_or_default();
        let end = match (wave.p50, wave.p90) {
            (Some(p50), Some(p90)) if style.time(p50) != style.time(p90) => {
                format!("ends {hangs}{} (p50), {} (p90)", style.until(p50), style.time(p90))
            }
            (Some(p50), Some(_)) => format!("ends {hangs}{}", style.until(p50)),
            (Some(p50), None) => {
                format!("ends {hangs}{} (p50), not in sight (p90)", style.until(p50))
            }
            (None, _) => "no end in sight".to_owned(),
        };
        // Counted from now on, a window's number says nothing here; how many it takes does.
        let over = match (wave.begins_in, wave.p90_in) {
            (Some(first), Some(last)) if last > first => {
                format!(", over {} windows", last - first + 1)
            }
            _ => String::new(),
        };
        format!("forecast  wave {} {end}{over}", clean(&wave.name))
    };
    forecast.waves.iter().take(most).map(line).collect()
}
