//! The charts: the durable path beside others as bars, and the cost of a change over the size of
//! the fleet.

use crate::growth::{GrowthTable, SizeFigures};
use crate::medians::{percent, plain};
use crate::path::{PathRun, Paths};
use crate::peers::{self, BenchPeer};
use crate::server::ServerKind;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 840.0;

/// Of the bars: where they begin, their height and distance, and the room of the figure beside
/// each.
const NAMES: f64 = 236.0;
const BAR: f64 = 18.0;
const STEP: f64 = 27.0;
const FIGURE: f64 = 112.0;
const GAP: f64 = 16.0;

/// Changes a second against nginx, on a host that does nothing else.
pub fn path(paths: &Paths) -> Option<String> {
    let runs: Vec<&PathRun> = paths
        .runs
        .iter()
        .filter(|run| run.server == ServerKind::Nginx && !run.busy && run.wrk_rate().is_some())
        .collect();
    let bars: Vec<Vec<(&str, f64, bool)>> =
        runs.iter().map(|run| bars(run, paths.changes)).collect();
    let most = bars.iter().flatten().map(|(_, rate, _)| *rate).fold(f64::NAN, f64::max);
    let names: Vec<&str> = bars.first()?.iter().map(|(name, _, _)| *name).collect();
    let panel = (WIDTH - NAMES) / runs.len() as f64;
    let scale = (panel - FIGURE - GAP) / most;
    let height = 84.0 + STEP * names.len() as f64;
    let mut svg = Svg::new(WIDTH, height, "Changes a second of Sealift beside others");
    svg.text(
        0.0,
        18.0,
        Anchor::Start,
        "title",
        "Changes a second, four calls each, against stock nginx",
    );
    for (row, name) in names.iter().enumerate() {
        let class =
            if bars.iter().any(|bars| bars.iter().any(|(known, _, ours)| known == name && *ours)) {
                "strong"
            } else {
                ""
            };
        svg.text(NAMES - 12.0, top(row) + BAR - 4.5, Anchor::End, class, name);
    }
    for (place, (run, bars)) in runs.iter().zip(&bars).enumerate() {
        let x = NAMES + panel * place as f64;
        svg.text(
            x,
            48.0,
            Anchor::Start,
            "dim",
            &format!("{} in flight, and the share of wrk", run.in_flight),
        );
        svg.rule((x, 58.0), (x, top(names.len()) - 4.0));
        let wrk = run.wrk_rate()?;
        for (name, rate, ours) in bars {
            let Some(row) = names.iter().position(|known| known == name) else { continue };
            svg.bar(
                x,
                top(row),
                (rate * scale).max(1.0),
                BAR,
                if *ours { "ours" } else { "other" },
            );
            let (class, share) = (if *ours { "strong" } else { "" }, percent(rate / wrk));
            svg.figure(
                x + rate * scale + 8.0,
                top(row) + BAR - 4.5,
                class,
                &plain(rate.round()),
                &share,
            );
        }
    }
    svg.text(
        0.0,
        height - 6.0,
        Anchor::Start,
        "dim",
        "Sealift, the log and apalis sync to disk; the others keep nothing. Medians of interleaved rounds.",
    );
    Some(svg.finish())
}

fn top(row: usize) -> f64 {
    62.0 + STEP * row as f64
}

/// Name, changes a second, and whether it is Sealift; the fastest first.
fn bars(run: &PathRun, changes: u32) -> Vec<(&'static str, f64, bool)> {
    let peers = BenchPeer::ALL.into_iter().filter_map(|peer| {
        Some((peer.word(), run.of_peer(peer, peers::PeersReport::rate)?, false))
    });
    let ours = run
        .of_sealift(|told| f64::from(changes) / told.seconds)
        .map(|rate| ("Sealift", rate, true));
    let wrk = run.wrk_rate().map(|rate| ("wrk", rate, false));
    let mut bars: Vec<_> = wrk.into_iter().chain(peers).chain(ours).collect();
    bars.sort_by(|(_, one, _), (_, other, _)| other.total_cmp(one));
    bars
}

/// Of the curves: room for the numbers at the left, and a panel's height.
const AXIS: f64 = 44.0;
const PANEL: f64 = 170.0;

/// One panel: what it shows, and its lines.
struct Panel {
    title: &'static str,
    lines: Vec<ChartLine>,
}

/// Its name, whether it is the main one, and its value at each size.
struct ChartLine {
    name: &'static str,
    main: bool,
    value: fn(&SizeFigures) -> f64,
}

/// The cost of a change over the number of changes.
pub fn growth(growth: &GrowthTable) -> Option<String> {
    let [first, .., last] = growth.sizes.as_slice() else { return None };
    let line = |name, main, value| ChartLine { name, main, value };
    let panels = [
        Panel {
            title: "Carrying, µs a change",
            lines: vec![
                line("by the clock", true, SizeFigures::carry_each),
                line("processors", false, SizeFigures::carry_cpu_each),
            ],
        },
        Panel {
            title: "Submission, µs a change",
            lines: vec![
                line("by the clock", true, SizeFigures::apply_each),
                line("processors", false, SizeFigures::apply_cpu_each),
            ],
        },
        Panel {
            title: "Memory at most, MiB",
            lines: vec![
                line("carrying", true, |size| size.carried.memory_peak_mib),
                line("submission", false, |size| size.apply_daemon_memory_peak_mib),
            ],
        },
    ];
    let mut svg = Svg::new(WIDTH, 304.0, "The cost of a change over the number of changes");
    svg.text(0.0, 18.0, Anchor::Start, "title", "What a change costs, by the size of the rollout");
    let width = (WIDTH - GAP * 2.0) / panels.len() as f64;
    let (low, high) = (f64::from(first.changes).log10(), f64::from(last.changes).log10());
    for (place, panel) in panels.iter().enumerate() {
        let (left, bottom) = ((width + GAP) * place as f64 + AXIS, 74.0 + PANEL);
        let inner = width - AXIS - 14.0;
        let values = panel.lines.iter().flat_map(|line| growth.sizes.iter().map(line.value));
        let step = step(values.fold(0.0, f64::max));
        let y = |value: f64| bottom - value / (step * 4.0) * PANEL;
        svg.text(left - AXIS, 48.0, Anchor::Start, "strong", panel.title);
        for tick in 0..=4 {
            let value = step * f64::from(tick);
            svg.rule((left, y(value)), (left + inner, y(value)));
            svg.text(left - 7.0, y(value) + 4.0, Anchor::End, "dim", &plain(value));
        }
        let x = |changes: u32| left + (f64::from(changes).log10() - low) / (high - low) * inner;
        for size in &growth.sizes {
            svg.text(x(size.changes), bottom + 19.0, Anchor::Middle, "dim", &short(size.changes));
        }
        for (row, line) in panel.lines.iter().enumerate() {
            let points: Vec<(f64, f64)> =
                growth.sizes.iter().map(|size| (x(size.changes), y((line.value)(size)))).collect();
            let (curve, dot) =
                if line.main { ("oursline", "ours") } else { ("otherline", "otherdot") };
            svg.curve(&points, curve, dot);
            let at = left + 104.0 * row as f64;
            svg.bar(at, bottom + 34.0, 12.0, 4.0, dot);
            svg.text(at + 17.0, bottom + 40.0, Anchor::Start, "dim", line.name);
        }
    }
    svg.text(WIDTH, 18.0, Anchor::End, "dim", "changes of the rollout, logarithmic");
    Some(svg.finish())
}

/// A round step of which four reach beyond `most`.
fn step(most: f64) -> f64 {
    let size = 10_f64.powf((most / 4.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * size);
    steps.into_iter().find(|step| step * 4.0 >= most).unwrap_or(size * 10.0)
}

fn short(changes: u32) -> String {
    match changes {
        changes if changes.is_multiple_of(1_000_000) => format!("{}M", changes / 1_000_000),
        changes if changes.is_multiple_of(1_000) => format!("{}k", changes / 1_000),
        changes => plain(f64::from(changes)),
    }
}
