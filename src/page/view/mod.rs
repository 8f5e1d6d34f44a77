//! The views: each a template and what it shows, made from the API's documents.
//!
//! Invariant: a view is a function of documents and of the clock's instant; nothing here reads,
//! waits or decides.

pub mod change;
pub mod enforcement;
pub mod error;
pub mod found;
pub mod help;
pub mod journal;
pub mod lanes;
pub mod now;
pub mod plan;
pub mod question;
pub mod report;
pub mod rollout;
pub mod rollouts;
pub mod windows;
