//! No core dump of a process that holds secrets, wherever the kernel would send it.
//!
//! Invariant: called before anything secret is read. A limit of zero on the size of cores would not
//! do: the kernel passes it over when cores go to a program.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Forbids them for this process. A kernel that refuses is told about and lived with: the unit
/// forbids them too.
pub fn forbid() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps of this process cannot be forbidden; set `LimitCORE=0` in the unit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_made_from_then_on() {
        forbid();
        assert_eq!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
