//! The shapes beside words: no state is told by its colour alone.
//!
//! Invariant: each is drawn in the colour of its text on a square of 16, and is hidden from readers
//! of the screen, for its word stands beside it.

/// An icon with a tone of the style sheet (`green`, `red`, … or empty).
///
/// # Panics
/// When there is none of that name: a template has misspelt it.
pub fn icon(name: &str, tone: &str) -> String {
    let body = SHAPES.iter().find(|(known, _)| *known == name).expect("a known icon").1;
    format!(
        r#"<svg class="icon {tone}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">{body}</svg>"#
    )
}

const SHAPES: &[(&str, &str)] = &[
    (
        "ship",
        r#"<path d="M2 9.5h12l-1.6 3.2H3.6zM4 9V6h8v3M6.5 6V3.5h3V6M1.5 14.5c1 .7 2 .7 3 0 1.2.7 2.3 .7 3.5 0 1.2 .7 2.3 .7 3.5 0 1 .7 2 .7 3 0" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round" stroke-linecap="round"/>"#,
    ),
    (
        "done",
        r#"<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="M4.8 8.2l2.2 2.2 4.2-4.5" fill="none" stroke="var(--card)" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>"#,
    ),
    (
        "failed",
        r#"<path d="M8 1.3 15.2 14H.8z" fill="currentColor"/><path d="M8 6v3.8M8 11.7v.3" stroke="var(--card)" stroke-width="1.6" stroke-linecap="round"/>"#,
    ),
    (
        "doubt",
        r#"<path d="M8 .8 15.2 8 8 15.2.8 8z" fill="currentColor"/><path d="M6.5 6.5c0-2.2 3-2 3 0 0 1.1-1.5 1.2-1.5 2.5M8 11v.3" fill="none" stroke="var(--card)" stroke-width="1.4" stroke-linecap="round"/>"#,
    ),
    (
        "skipped",
        r#"<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M5 8h6" stroke="currentColor" stroke-width="1.6"/>"#,
    ),
    (
        "queued",
        r#"<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5"/>"#,
    ),
    (
        "moving",
        r#"<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" opacity=".35"/><path d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="currentColor" stroke-width="2"/>"#,
    ),
    (
        "back",
        r#"<path d="M6 3 2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 8H6" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/>"#,
    ),
    (
        "pause",
        r#"<rect x="1" y="1" width="14" height="14" rx="4" fill="currentColor"/><path d="M6 5v6M10 5v6" stroke="var(--card)" stroke-width="1.8"/>"#,
    ),
    (
        "hold",
        r#"<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M6.5 5.5v5M9.5 5.5v5" stroke="currentColor" stroke-width="1.5"/>"#,
    ),
    ("longer", r#"<path d="M5 3v10M11 3v10" stroke="currentColor" stroke-width="2"/>"#),
    ("resume", r#"<path d="M4 2.5v11l9-5.5z" fill="currentColor"/>"#),
    (
        "up",
        r#"<path d="M8 13.5v-11M3.5 7 8 2.5 12.5 7" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>"#,
    ),
    (
        "retry",
        r#"<path d="M13 5A5.8 5.8 0 1 0 13.8 8M13.3 1.8V5H10" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>"#,
    ),
    (
        "abort",
        r#"<rect x="2.5" y="2.5" width="11" height="11" rx="2" fill="none" stroke="currentColor" stroke-width="1.7"/>"#,
    ),
    (
        "person",
        r#"<circle cx="8" cy="5" r="3" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M2.5 14.5c.6-6 10.4-6 11 0" fill="none" stroke="currentColor" stroke-width="1.5"/>"#,
    ),
    (
        "warning",
        r#"<path d="M8 1.8 14.7 13.7H1.3z" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round"/><path d="M8 6.2v3.5M8 11.5v.3" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>"#,
    ),
    (
        "stop",
        r#"<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor"/><path d="M5 8h6" stroke="var(--card)" stroke-width="2"/>"#,
    ),
    (
        "shield",
        r#"<path d="M8 1.2 14 3.5c0 5-1.5 9-6 11.3C3.5 12.5 2 8.5 2 3.5z" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="m5.3 7.8 2 2 3.5-3.8" fill="none" stroke="currentColor" stroke-width="1.4"/>"#,
    ),
    (
        "wait",
        r#"<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M8 4v4l2.5 2" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round"/>"#,
    ),
    (
        "tick",
        r#"<path d="m3 8.5 3.3 3.3L13 4.5" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/>"#,
    ),
    (
        "copy",
        r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.5" fill="none" stroke="currentColor" stroke-width="1.3"/><path d="M3.5 10.5H3A1 1 0 0 1 2 9.5V3a1 1 0 0 1 1-1h6.5a1 1 0 0 1 1 1v.5" fill="none" stroke="currentColor" stroke-width="1.3"/>"#,
    ),
    (
        "search",
        r#"<circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="m10.8 10.8 3.7 3.7" stroke="currentColor" stroke-width="1.5"/>"#,
    ),
    ("dot", r#"<circle cx="8" cy="8" r="3.5" fill="currentColor"/>"#),
    (
        "arrow",
        r#"<path d="M1 8h13M10 4l4 4-4 4" fill="none" stroke="currentColor" stroke-width="1.2"/>"#,
    ),
    (
        "sheet",
        r#"<path d="M4 1.5h5.5L13 5v9.5H4zM9.5 1.5V5H13" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round"/>"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_icon_is_hidden_from_readers_and_has_its_tone() {
        let drawn = icon("failed", "red");
        assert!(
            drawn.starts_with(r#"<svg class="icon red""#) && drawn.contains("aria-hidden"),
            "{drawn}"
        );
    }
}
