//! Where the vendor's definitions and what its cloud, its SDK or its own examples show are not the
//! same: each difference by name, with its source. A test shows that none of them is superfluous.

use serde_json::json;

use super::definition::Definition;

pub struct Exception {
    /// What is otherwise, and who says so.
    pub why: &'static str,
    pub amend: fn(&mut Definition),
}

/// The object that all definitions of the service give their errors.
const ERROR: &str = "MysqlErrorResponse";

/// Everything that the published definitions do not tell and that is right all the same.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        why: "newer models of the vendor's SDK (3.1.219, MysqlProxyV3) have `type`",
        amend: |definition| {
            definition.property("MysqlProxyV3", "type", json!({ "type": "string" }))
        },
    },
    Exception {
        why: "newer models of the vendor's SDK (3.1.219, MysqlShowProxyResponseV3) have `htap_nodes`",
        amend: |definition| {
            let nodes =
                json!({ "type": "array", "items": { "$ref": "#/definitions/MysqlProxyNodeV3" } });
            definition.property("MysqlShowProxyResponseV3", "htap_nodes", nodes);
        },
    },
    Exception {
        why: "the definition's own example shows `readonly_nodes` as one object",
        amend: |definition| {
            let node = json!({ "$ref": "#/definitions/MysqlProxyNodeV3" });
            let either = json!({ "anyOf": [{ "type": "array", "items": node }, node] });
            definition.property("MysqlShowProxyResponseV3", "readonly_nodes", either);
        },
    },
    Exception {
        why: "`ssl_option` is a text here and a boolean in the switch; the vendor's SDK takes both, and so must a reader",
        amend: |definition| {
            let either = json!({ "anyOf": [{ "type": "string", "enum": ["true", "false"] }, { "type": "boolean" }] });
            definition.property("MysqlProxyV3", "ssl_option", either);
        },
    },
    Exception {
        why: "`job_id` is optional in every SDK of the vendor, and the sibling call for the port leaves it out when nothing changes",
        amend: |definition| definition.optional("MysqlJobId", "job_id"),
    },
    Exception {
        why: "409 is not published; the vendor's error tables have it for an instance on which another operation runs",
        amend: |definition| definition.status(409, Some(ERROR)),
    },
    Exception {
        why: "401 is not published; the gateway in front refuses who it does not know",
        amend: |definition| {
            if !definition.is_login() {
                definition.status(401, Some(ERROR));
            }
        },
    },
    Exception {
        why: "403 is not published; the gateway in front refuses another's project",
        amend: |definition| definition.status(403, Some(ERROR)),
    },
    Exception {
        why: "429 is not published; the gateway in front throttles",
        amend: |definition| definition.status(429, Some(ERROR)),
    },
    Exception {
        why: "502 is not published; the gateway's own page has no schema",
        amend: |definition| definition.status(502, None),
    },
    Exception {
        why: "the gateway's refusals of who asks carry the request's id in their body too, as live samples show",
        amend: |definition| definition.property(ERROR, "request_id", json!({ "type": "string" })),
    },
    Exception {
        why: "IAM's errors are published as examples, without a schema: `error` with a number as code, message and title",
        amend: |definition| {
            if definition.is_login() {
                let error = json!({
                    "type": "object",
                    "properties": { "code": { "type": "integer" }, "message": { "type": "string" }, "title": { "type": "string" } },
                    "required": ["code", "message", "title"],
                });
                definition.object(
                    "Refusal",
                    &json!({ "properties": { "error": error }, "required": ["error"] }),
                );
                definition.status(401, Some("Refusal"));
            }
        },
    },
    Exception {
        why: "a signature stands in place of a token",
        amend: |definition| definition.instead_of("x-auth-token", "authorization"),
    },
    Exception {
        why: "a signature has a date of its own, which the vendor's signer calls X-Sdk-Date",
        amend: |definition| definition.header("x-sdk-date"),
    },
    Exception {
        why: "the vendor's signer adds X-Project-Id",
        amend: |definition| definition.header("x-project-id"),
    },
    Exception {
        why: "IAM's guide writes this type, its definition that of the other services",
        amend: |definition| {
            if definition.is_login() {
                definition.body_type("application/json;charset=utf8");
            }
        },
    },
];

impl Definition {
    fn is_login(&self) -> bool {
        self.name == "KeystoneCreateUserTokenByPassword"
    }
}
