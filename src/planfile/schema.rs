//! The JSON Schema of a plan, for editors and for our own tree check.

use std::sync::LazyLock;

use serde_json::Value;

use super::formats::FORMATS;
use super::raw;
use crate::yaml::Shape;
use crate::yaml::shape::Later;

/// Keys and values of the contract that come with later versions. Refused by name: to ignore one would run another
/// plan than the one that was written.
const LATER: &[Later] = &[Later { path: "notify", instead: "leave it out; `sealift watch` and `sealift status` tell what happens" }];

/// The shape of a plan.
pub(super) static PLAN: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "plan",
    may_be_empty: false,
    schema: crate::yaml::schema::of::<raw::RawPlan>("Sealift plan"),
    formats: FORMATS,
    later: LATER,
});

/// The shape of a YAML file of targets.
pub(super) static TARGET_FILE: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "target file",
    may_be_empty: false,
    schema: crate::yaml::schema::of::<Vec<raw::RawTarget>>("Sealift targets"),
    formats: FORMATS,
    later: &[],
});

/// The JSON Schema (draft 7) of a plan.
pub fn schema() -> Value {
    PLAN.schema.clone()
}
