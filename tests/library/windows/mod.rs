//! Windows against an independent oracle, Python's `croniter` over `zoneinfo`; and what `sealift
//! windows` prints.
//!
//! ```text
//! SEALIFT_WINDOW_CASES=100000 SEALIFT_SEED_BASE=1 cargo nextest run --test library --no-capture windows::agree
//! ```

mod agree;
mod cases;
mod oracle;
mod verb;
