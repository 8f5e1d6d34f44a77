//! The words in which page, JSON and CLI say the same thing.
//!
//! Job: turn what was decided into sentences, once: why something waits and what lifts it, what a
//! verb would do, how a change came out.
//!
//! Invariant: pure functions of their arguments; an instant is said in the zone of a
//! [`text::Style`].
//!
//! Deliberately not here: any decision (`domain`), colours and columns (`cli`).

pub mod attention;
pub mod change;
pub mod hold;
pub mod meaning;
pub mod moment;
pub mod report;
pub mod rollout;
pub mod text;
pub mod verbs;
