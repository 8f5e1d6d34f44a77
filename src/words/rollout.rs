//! What a rollout is about, in words: what it is to reach, and which of its counts say so.

/// Which changes have reached what the rollout is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Those that succeeded.
    Succeeded,
    /// Those that were put back.
    Reverted,
}

/// What counts as done of a rollout in this phase, and the words for it. Outcomes of other kinds
/// stand beside it and never in it.
pub fn goal(phase: &str, reverting: bool, ssl_option: bool) -> (Reached, &'static str) {
    match phase {
        _ if reverting => (Reached::Reverted, "put back"),
        "reverted" => (Reached::Reverted, "put back"),
        _ if ssl_option => (Reached::Succeeded, "show SSL on"),
        _ => (Reached::Succeeded, "show SSL off"),
    }
}

/// The phase as people read it.
pub fn phase(word: &str, paused: bool) -> String {
    if paused { format!("{word}, paused") } else { word.to_owned() }
}

/// What a proxy shows that reached the plan's value.
pub fn ssl(ssl_option: bool) -> &'static str {
    if ssl_option { "SSL on" } else { "SSL off" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_what_a_revert_is_about() {
        assert_eq!(goal("advancing", false, true), (Reached::Succeeded, "show SSL on"));
        assert_eq!(goal("advancing", false, false), (Reached::Succeeded, "show SSL off"));
        assert_eq!(goal("halted", true, true), (Reached::Reverted, "put back"));
        assert_eq!(goal("reverted", false, true), (Reached::Reverted, "put back"));
    }
}
