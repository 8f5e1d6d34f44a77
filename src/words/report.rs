//! The sentences of a morning's report.

use crate::domain::count::{count, grouped};

/// The first sentence: how many of the `whole` came out well. `wire`: each was proven on its port;
/// `begun`: the whole is what began, not what was planned.
pub fn done(well: u32, whole: u32, wire: bool, begun: bool) -> String {
    if whole == 0 {
        return "Nothing was begun.".to_owned();
    }
    let how = match (wire, well) {
        (_, 0) => "",
        (true, 1) => ", proven on the wire",
        (true, _) => ", each proven on the wire",
        (false, 1) => ", as the API shows",
        (false, _) => ", each as the API shows",
    };
    let begun = if begun { " that began" } else { "" };
    let are = if well == 1 { "is" } else { "are" };
    let changes =
        count(whole, "change", "changes").replacen(&whole.to_string(), &grouped(whole.into()), 1);
    format!("{} of {changes}{begun} {are} done{how}.", grouped(well.into()))
}

/// What a report leaves out whose stretch of the journal was not read to its end, and how to get
/// it. `counted`: what settled was counted all the same, by bins of five minutes.
pub fn left_out(entry: u64, at: &str, since: &str, name: &str, counted: bool) -> String {
    let counts = if counted {
        "What settled is from the counters of five minutes, where a change that settled twice counts twice; \
         decisions, proofs and repeated switches are"
    } else {
        "What it says is"
    };
    format!(
        "The journal of this stretch is longer than a report reads. {counts} told up to entry {}, {at}. \
         The rest: `sealift journal {name} --since {since}`.",
        grouped(entry)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_with_the_way_to_it() {
        assert_eq!(
            left_out(61_000, "02:10", "2026-11-28T02:10:00Z", "night", false),
            "The journal of this stretch is longer than a report reads. What it says is told up to \
             entry 61,000, 02:10. The rest: `sealift journal night --since 2026-11-28T02:10:00Z`."
        );
        assert!(left_out(1, "", "", "night", true).contains("counts twice"));
    }

    #[test]
    fn one_change_is_no_changes() {
        assert_eq!(done(0, 0, true, true), "Nothing was begun.");
        assert_eq!(done(1, 1, true, false), "1 of 1 change is done, proven on the wire.");
        let many = "1,999 of 2,000 changes that began are done, each as the API shows.";
        assert_eq!(done(1_999, 2_000, false, true), many);
    }
}
