//! The words in which page, JSON and CLI say the same thing.
//!
//! Job: turn what was decided into sentences, once: why something waits and what lifts it, what a verb would do, how a change
//! came out.
//!
//! Invariant: pure functions of their arguments; instants are left to whoever knows the reader's zone.
//!
//! Deliberately not here: any decision (`domain`), colours and columns (`cli`).

pub mod hold;
pub mod verbs;
