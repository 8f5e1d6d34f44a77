//! The error envelopes: the service's, the gateway's, IAM's, and bodies that are none.
//!
//! Invariant: reading one never fails; what is not there is nothing. Nothing in here is safe to
//! print yet (`cloud::safe_text`).

/// How much of a body that is no JSON is looked at for a message.
const RAW_MAX: usize = 4096;

/// What an error body says, wherever it says it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub code: Option<String>,
    pub message: Option<String>,
    pub request_id: Option<String>,
}

impl Envelope {
    /// The order of the vendor's SDK: the three pairs of names, then the same inside each nested
    /// object, then raw text.
    pub(super) fn find(body: &[u8]) -> Self {
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(serde_json::Value::Object(outer)) => {
                let mut found = Self::pair(&outer)
                    .or_else(|| outer.values().find_map(|inner| Self::pair(inner.as_object()?)));
                if let Some(found) = &mut found {
                    found.request_id =
                        outer.get("request_id").and_then(|id| id.as_str()).map(str::to_owned);
                }
                found.unwrap_or_default()
            }
            Ok(_) => Self::default(),
            Err(_) => Self { message: raw_text(body), ..Self::default() },
        }
    }

    fn pair(object: &serde_json::Map<String, serde_json::Value>) -> Option<Self> {
        let text = |name| match object.get(name) {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        [("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")]
            .into_iter()
            .find_map(|(code, message)| {
                let (code, message) = (text(code), text(message));
                (code.is_some() || message.is_some()).then_some(Self {
                    code,
                    message,
                    request_id: None,
                })
            })
    }
}

/// A body that is no JSON: its text without HTML tags.
fn raw_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(RAW_MAX)]);
    let mut plain = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => {
                in_tag = true;
                plain.push(' ');
            }
            '>' if in_tag => in_tag = false,
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}
