//! Medians of rounds, and how figures are written.

/// The median; `None` of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(f64::midpoint(values[middle], values[values.len() / 2]))
}

/// The value below which `share` of the sorted values lie.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get((sorted.len().checked_sub(1)? as f64 * share) as usize).copied()
}

/// What figures of several rounds come to.
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        Some(Self { median: median(sorted)?, low, high })
    }
}

/// A number with three significant digits at least, and thousands set apart.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        _ if value == 0.0 => 0,
        size if size >= 99.5 => 0,
        size if size >= 9.95 => 1,
        size if size >= 0.995 => 2,
        _ => 3,
    };
    grouped(&format!("{value:.decimals$}"))
}

/// A number without decimals unless it has some.
pub fn plain(value: f64) -> String {
    grouped(&value.to_string())
}

fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// A share of a whole.
pub fn percent(share: f64) -> String {
    let share = share * 100.0;
    if share >= 9.95 { format!("{share:.0} %") } else { format!("{share:.1} %") }
}

/// How many times as much.
pub fn times(ratio: f64) -> String {
    format!("{} x", number(ratio))
}

/// A length of time in its natural unit.
pub fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 1.0 => format!("{} s", number(seconds)),
        seconds if seconds >= 1e-3 => format!("{} ms", number(seconds * 1e3)),
        seconds => format!("{} µs", number(seconds * 1e6)),
    }
}
