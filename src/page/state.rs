//! States of changes and phases of rollouts: the shape and the tone beside their word.

/// Icon and tone of a change's state.
pub fn of_change(state: &str) -> (&'static str, &'static str) {
    match state {
        "succeeded" => ("done", "green"),
        "failed" => ("failed", "red"),
        "in_doubt" => ("doubt", "violet"),
        "reverted" => ("back", "green"),
        "skipped" | "cancelled" => ("skipped", "soft"),
        "queued" => ("queued", "soft"),
        _ => ("moving", "blue"),
    }
}

/// Tone of a rollout's phase.
pub fn of_phase(phase: &str, paused: bool, wrong: bool) -> &'static str {
    match phase {
        "halted" | "aborted" => "red",
        _ if paused => "amber",
        "completed" if wrong => "amber",
        "completed" => "green",
        "reverting" | "reverted" | "awaiting" => "amber",
        "scheduled" => "",
        _ => "blue",
    }
}

/// A word of the change table as people read it.
pub fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

/// What stands, who did it and why, in their words.
pub fn said(text: &str, by: Option<&str>, why: &str) -> String {
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    if why.is_empty() { format!("{text}{by}") } else { format!("{text}{by}: “{why}”") }
}

/// A sentence with its first letter in upper case.
pub fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A number with commas between thousands.
pub fn grouped<N: Copy + Into<u64>>(number: &N) -> String {
    crate::domain::count::grouped((*number).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::State;

    #[test]
    fn every_state_has_a_shape_and_those_that_want_a_person_have_their_own() {
        for word in State::WORDS {
            let (icon, tone) = of_change(word);
            assert!(super::super::icon::icon(icon, tone).contains("<svg"), "{word}");
        }
        let shapes = ["succeeded", "failed", "in_doubt", "queued", "following"]
            .map(|word| of_change(word).0);
        assert_eq!(
            shapes.iter().collect::<std::collections::BTreeSet<_>>().len(),
            shapes.len(),
            "no two are told by colour alone"
        );
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0u64, 999, 1000, 18_992, 1_000_000].map(|number| grouped(&number)),
            ["0", "999", "1,000", "18,992", "1,000,000"]
        );
    }
}
