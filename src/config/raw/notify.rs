//! `notify` as it is written.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::RawSecret;
use crate::domain::id::Name;
use crate::domain::notify::{MessageShape, NoticeWord};

/// Somebody who is told what happens: a webhook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Receiver", deny_unknown_fields)]
pub struct RawReceiver {
    /// Its name, in listings and in `sealift notify test`: 1 to 63 of the characters a-z, 0-9 and
    /// `-`.
    #[schemars(schema_with = "receiver_name")]
    pub name: Name,
    /// Where its URL is found, which is a secret. `https://`; on this machine `http://` too.
    pub url: Option<RawSecret>,
    /// Where the key of the signatures is found: `whsec_` and base64 of 24 to 64 bytes. Of
    /// `pagerduty` the routing key.
    pub secret: Option<RawSecret>,
    /// Where the key before is found: both sign while receivers change over.
    pub old_secret: Option<RawSecret>,
    /// What it is told.
    #[schemars(schema_with = "words")]
    pub on: Vec<String>,
    /// What a message looks like: `json`, `slack`, `teams`, `pagerduty`, or a map that is sent with
    /// `${summary}` and the like filled in. Default: `json`.
    #[serde(default)]
    pub shape: Option<RawShape>,
}

/// A word, or a map of any form.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct RawShape(pub Value);

impl JsonSchema for RawShape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MessageShape".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let any = generator.subschema_for::<AnyValue>();
        let words = MessageShape::NAMED.map(|shape| shape.as_str());
        json_schema!({ "anyOf": [
            { "type": "string", "format": "message-shape", "enum": words },
            { "type": "object", "minProperties": 1, "additionalProperties": any },
        ] })
    }
}

/// Whatever JSON can say.
struct AnyValue;

impl JsonSchema for AnyValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let any = generator.subschema_for::<Self>();
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "boolean" },
            { "type": "number" },
            { "type": "object", "additionalProperties": any },
            { "type": "array", "items": any },
        ] })
    }
}

fn receiver_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "receiver-name", "pattern": "^[a-z0-9-]{1,63}$" })
}

fn words(_: &mut SchemaGenerator) -> Schema {
    let words = NoticeWord::ALL.map(NoticeWord::as_str);
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": words.len(),
        "items": { "type": "string", "enum": words },
    })
}
