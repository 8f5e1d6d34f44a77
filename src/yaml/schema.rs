//! JSON Schema (draft 7, the newest that YAML editors read) of a shape that serde reads.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of `T`.
pub fn of<T: JsonSchema>(title: &str) -> Value {
    let mut schema =
        SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), title.into());
    }
    schema
}

/// An `Option` in Rust is a key that may be left out, not one that may be written as `null`; so
/// every alternative `null` goes, and an alternative that is left alone takes the place of the
/// choice.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if types.len() == 1 {
                    let only = types.remove(0);
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
                if choices.len() == 1 {
                    let only = choices.remove(0);
                    object.remove("anyOf");
                    // In draft 7 whatever stands beside a `$ref` is ignored, hence `allOf`.
                    object.insert("allOf".into(), Value::Array(vec![only]));
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        _ => {}
    }
}
