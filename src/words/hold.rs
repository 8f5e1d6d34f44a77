//! A hold in words: what lifts it, and all of it in one line.
//!
//! Invariant: a command is one that can be typed as it stands, apart from words in capitals.

use jiff::Timestamp;

use super::text::Style;
use crate::domain::hold::{Hold, Lift};
use crate::domain::person::Person;
use crate::domain::plan::Plan;

/// What a person may do about a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The verb, as it is typed and as the API's route ends.
    pub verb: &'static str,
    /// The whole command.
    pub command: String,
    /// The command in backticks with what it does; the other one too, where there are two.
    pub help: String,
}

/// What this person may do about it, of a rollout of this plan.
pub fn remedy(lift: &Lift, plan: &Plan, submitter: &Person) -> Remedy {
    let name = &plan.name;
    let said = |verb: &'static str, command: String, gain: &str| Remedy {
        verb,
        help: format!("`{command}`{gain}"),
        command,
    };
    match lift {
        Lift::Start => said("start", "sealift start".into(), ""),
        Lift::Resume => said("resume", format!("sealift resume {name}"), ""),
        Lift::ResumeLane(lane) => said("resume", format!("sealift resume --lane {lane}"), ""),
        Lift::Promote => said("promote", format!("sealift promote {name}"), ""),
        Lift::PromoteEarly => said("promote", format!("sealift promote {name}"), " cuts it short"),
        Lift::Retry => said("retry", format!("sealift retry {name}"), " goes on"),
        Lift::RetryOrPromote => {
            let gain = format!(
                " tries them again, `sealift promote {name} --reason TEXT` goes on without them"
            );
            said("retry", format!("sealift retry {name}"), &gain)
        }
        Lift::Abort => said(
            "abort",
            format!("sealift abort {name}"),
            ", then apply a new revision with other windows",
        ),
        Lift::Approve => {
            let command = format!("sealift approve {name} --digest {}", plan.approval.digest);
            let help = format!("somebody else than {submitter} approves it with `{command}`");
            Remedy { verb: "approve", command, help }
        }
    }
}

/// All of a hold but its instants.
pub fn line(hold: &Hold, plan: &Plan, submitter: &Person) -> String {
    let mark = hold.mark.as_ref();
    let help = hold.lift.as_ref().map(|lift| remedy(lift, plan, submitter).help);
    joined(
        &hold.text,
        mark.map(|mark| mark.by.as_str()),
        mark.map_or("", |mark| &mark.reason),
        help.as_deref(),
    )
}

/// `paused by ada: lunch; `sealift resume night``: the parts of a hold in one line.
pub fn joined(text: &str, by: Option<&str>, why: &str, help: Option<&str>) -> String {
    let mut line = text.to_owned();
    if let Some(by) = by {
        line.push_str(&format!(" by {by}"));
    }
    if !why.is_empty() {
        line.push_str(&format!(": {why}"));
    }
    if let Some(help) = help {
        line.push_str(&format!("; {help}"));
    }
    line
}

/// The line with the end of the hold, where that is known.
pub fn until(line: String, end: Option<Timestamp>, style: &Style) -> String {
    match end {
        Some(end) => format!("{line}, until {}", style.until(end)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_there_is_and_no_more() {
        let rows = [
            (joined("no window is open", None, "", None), "no window is open"),
            (joined("paused", Some("ada"), "", None), "paused by ada"),
            (
                joined("paused", Some("ada"), "lunch", Some("`sealift resume x`")),
                "paused by ada: lunch; `sealift resume x`",
            ),
        ];
        for (line, wanted) in rows {
            assert_eq!(line, wanted);
        }
    }
}
