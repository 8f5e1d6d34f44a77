//! The receivers of notifications that a plan names.

use super::{Diagnostic, Diagnostics};
use crate::domain::id::Name;
use crate::domain::plan::Plan;
use crate::yaml::{Mistakes, quote, suggest};

/// Checks that each is one of the daemon's: a name that nobody has would tell nobody.
///
/// # Errors
/// One mistake for each that is not.
pub fn check_receivers(plan: &Plan, known: &[Name]) -> Result<(), Diagnostics> {
    let mut mistakes = Mistakes::default();
    for name in plan.notify.iter().filter(|name| !known.contains(name)) {
        let message = format!("`notify`: the daemon has no receiver {}", quote(name.as_str()));
        let unknown = Diagnostic::error("unknown-receiver", message);
        mistakes.push(match suggest::nearest(name.as_str(), known.iter().map(Name::as_str)) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => unknown
                .help("add it to `notify` of the daemon's configuration, or leave the key out"),
            None => {
                let known: Vec<&str> = known.iter().map(Name::as_str).collect();
                unknown.help(format!("it has {}", known.join(", ")))
            }
        });
    }
    mistakes.finish("").map(drop)
}
