//! Drawings, as SVG made of numbers.
//!
//! Invariants: a drawing is a function of its figures and nothing else, so each is held by a golden
//! file; it carries a sentence that says the same; it has no style of its own, only classes, for
//! the policy of the page refuses the rest.

mod bars;
mod calendar;
mod meter;
mod timeline;

pub use bars::{Bars, bars};
pub use calendar::{CalendarRow, CalendarSpan, calendar};
pub use meter::{Share, meter};
pub use timeline::{Timeline, TimelineRow, TimelineSpan, timeline};
