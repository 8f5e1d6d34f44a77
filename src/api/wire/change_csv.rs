//! A change in CSV: the same fields on the command line and on the page.

use super::{AnswerDoc, ChangeRow, HoldView};

impl ChangeRow {
    /// The names of the fields.
    pub const CSV: &'static [&'static str] = &[
        "ordinal",
        "lane",
        "instance_id",
        "proxy_id",
        "wave",
        "state",
        "how",
        "attempts",
        "before",
        "undo",
        "job_id",
        "jobs",
        "reason_word",
        "reason",
        "endpoint",
        "tls",
        "cipher",
        "certificate_expires",
        "certificate_sha256",
        "plaintext",
        "proven_at",
        "moved_at",
        "hold",
        "hold_until",
        "hold_since",
        "instance_name",
        "first_answer_to",
        "first_attempt",
        "first_status",
        "first_code",
        "first_request_id",
        "first_message",
        "last_answer_to",
        "last_attempt",
        "last_status",
        "last_code",
        "last_request_id",
        "last_message",
    ];

    /// The fields, in the order of their names.
    pub fn csv(&self) -> Vec<String> {
        let mut fields = vec![
            self.ordinal.to_string(),
            self.lane.clone(),
            self.instance_id.clone(),
            self.proxy_id.clone(),
            self.wave.clone(),
            self.state.clone(),
            text(&self.how),
            self.attempts.to_string(),
            text(&self.before),
            self.undo.to_string(),
            text(&self.job_id),
            self.jobs.join(" "),
            text(&self.reason_word),
            text(&self.reason),
            text(&self.endpoint),
            text(&self.proof.as_ref().and_then(|proof| proof.tls.as_ref())),
            text(&self.proof.as_ref().and_then(|proof| proof.cipher.as_ref())),
            text(&self.proof.as_ref().and_then(|proof| proof.expires)),
            text(&self.proof.as_ref().and_then(|proof| proof.sha256.as_ref())),
            text(&self.proof.as_ref().map(|proof| &proof.plaintext)),
            text(&self.proof.as_ref().map(|proof| proof.at)),
            text(&self.moved_at),
            self.hold.as_ref().map(HoldView::line).unwrap_or_default(),
            text(&self.hold.as_ref().and_then(|hold| hold.until)),
            text(&self.hold.as_ref().and_then(|hold| hold.since)),
            text(&self.instance_name),
        ];
        fields.extend([&self.first_answer, &self.last_answer].into_iter().flat_map(answered));
        fields
    }
}

fn text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// An answer of the cloud, field by field.
fn answered(answer: &Option<AnswerDoc>) -> [String; 6] {
    let Some(AnswerDoc { to, attempt, status, code, request_id, message }) = answer else {
        return Default::default();
    };
    [to.clone(), attempt.to_string(), text(status), text(code), text(request_id), message.clone()]
}
