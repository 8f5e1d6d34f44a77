//! One journal line on its way from the books to journal and queue.
//!
//! Invariant: it carries all that the queue needs, as it was at this line; the books themselves may be ahead.

use crate::domain::target::InstanceKey;

use super::book::Opening;
use super::line::Line;

/// A line with what stands behind it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The line.
    pub line: Line,
    /// The instance, when the line brings a job id that was not known before.
    pub learnt: Option<InstanceKey>,
    /// The rollout, when the line takes one over.
    pub opening: Option<Box<Opening>>,
}
