//! A number with its noun: `1 proxy`, `24 proxies`.

/// `1 proxy`, `24 proxies`.
pub fn count(n: impl Into<u64>, one: &str, many: &str) -> String {
    match n.into() {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}
