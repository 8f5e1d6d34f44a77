//! The table.

use comfy_table::{CellAlignment, Table, presets};

use crate::rounds::{Measured, PathMeasured};

/// Calls of one change: the list before, the switch, the job, the list after.
pub const CALLS: f64 = 4.0;

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(f64::midpoint(values[middle], values[values.len() / 2]))
}

/// Prints all.
pub fn print(measured: &Measured) {
    println!("\n{}\n", measured.machine);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["what", "figure", "of wrk", "cpu s / 1,000", "aim"]);
    for path in &measured.paths {
        rows(&mut table, path, f64::from(measured.changes));
    }
    submission_rows(&mut table, measured);
    if let Some(quota) = &measured.quota {
        let of = format!("{} s at {} calls/s", quota.seconds, quota.limit);
        row(
            &mut table,
            [format!("{of}: used"), format!("{:.1} %", quota.utilisation * 100.0), String::new(), String::new(), "98 %".into()],
        );
        let most = format!("at most {}", quota.limit);
        row(&mut table, [format!("{of}: most in any second"), quota.worst_second.to_string(), String::new(), String::new(), most]);
    }
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
}

fn row(table: &mut Table, cells: [String; 5]) {
    table.add_row(cells);
}

fn rows(table: &mut Table, path: &PathMeasured, changes: f64) {
    let at = path.in_flight;
    let wrk = median(path.wrk_calls_per_second.iter().map(|calls| calls / CALLS));
    let of_wrk = |rate: f64| wrk.map_or(String::new(), |wrk| format!("{:.0} %", rate / wrk * 100.0));
    if let Some(wrk) = wrk {
        row(table, [format!("wrk, {at} connections"), format!("{wrk:.0} changes/s"), "100 %".into(), String::new(), String::new()]);
    }
    if let Some(rate) = median(path.plain.iter().map(|told| told.changes_per_second)) {
        let cpu = median(path.plain.iter().map(|told| told.cpu_per_thousand)).unwrap_or(f64::NAN);
        let figure = format!("{rate:.0} changes/s");
        row(table, [format!("reqwest, no store, {at} in flight"), figure, of_wrk(rate), format!("{cpu:.2}"), String::new()]);
    }
    let of = |value: &dyn Fn(&crate::carry::Told) -> f64| median(path.carried.iter().map(value)).unwrap_or(f64::NAN);
    let rate = of(&|told| changes / told.seconds);
    let cpu = of(&|told| told.cpu_seconds / changes * 1e3);
    row(table, [format!("sealift, {at} in flight"), format!("{rate:.0} changes/s"), of_wrk(rate), format!("{cpu:.2}"), "25 %".into()]);
    let plain = |table: &mut Table, what: &str, figure: String| {
        row(table, [format!("  {what}"), figure, String::new(), String::new(), String::new()])
    };
    plain(table, "calls a change", format!("{:.2}", of(&|told| told.calls as f64 / changes)));
    plain(table, "syncs a change", format!("{:.3}", of(&|told| told.syncs as f64 / changes)));
    plain(table, "entries a change", format!("{:.2}", of(&|told| told.entries as f64 / changes)));
    plain(table, "journal bytes a change", format!("{:.0}", of(&|told| told.journal_bytes as f64 / changes)));
    let memory = [0, 1, 2].map(|place| of(&|told| told.memory_mib[place]));
    plain(table, "memory at 1/4, 1/2, end", format!("{:.0}, {:.0}, {:.0} MiB", memory[0], memory[1], memory[2]));
    plain(table, "memory at most", format!("{:.0} MiB", of(&|told| told.memory_peak_mib)));
}

fn submission_rows(table: &mut Table, measured: &Measured) {
    let of = |value: &dyn Fn(&crate::submit::Told) -> f64| median(measured.submissions.iter().map(value));
    let (Some(load), Some(submit), Some(memory)) =
        (of(&|told| told.load_seconds), of(&|told| told.submit_seconds), of(&|told| told.memory_peak_mib))
    else {
        return;
    };
    let figure = format!("{:.2} s ({load:.2} s read, {submit:.2} s stored)", load + submit);
    row(table, [format!("{} targets submitted", measured.targets), figure, String::new(), String::new(), "3 s".into()]);
    row(table, ["  memory at most".into(), format!("{memory:.0} MiB"), String::new(), String::new(), "60 MiB".into()]);
}
