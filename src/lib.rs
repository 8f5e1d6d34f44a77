//! Sealift switches SSL on or off across a fleet of GaussDB(for MySQL) proxies, durably, and proves it.
//!
//! The modules below stand in the order in which they may import: each one only what stands under it. `tests/tidy.rs`
//! keeps that order by reading the `use crate::` lines.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod api;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod daemon;
pub mod document;
pub mod domain;
pub mod engine;
pub mod planfile;
pub mod store;
