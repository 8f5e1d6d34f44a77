//! How one change came out, or why it waits, in the words of its last column.

use jiff::Timestamp;

/// What is known of a change, apart from its ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangeFacts<'a> {
    /// The word of its state.
    pub state: &'a str,
    /// How it came to succeed.
    pub how: Option<&'a str>,
    /// What it showed before.
    pub before: Option<bool>,
    /// It is put back.
    pub undo: bool,
    /// Why it failed, stays in doubt or was skipped.
    pub reason: Option<&'a str>,
    /// The cloud's request id of the last answer that was no success.
    pub request_id: Option<&'a str>,
    /// What the wire showed that proved it.
    pub proof: Option<ProofFacts<'a>>,
    /// Why it waits, in one line with its end.
    pub hold: Option<&'a str>,
}

/// What the wire showed.
#[derive(Debug, Clone, Copy)]
pub struct ProofFacts<'a> {
    /// The version of TLS; `None`: there was none.
    pub tls: Option<&'a str>,
    /// When its certificate ends.
    pub expires: Option<Timestamp>,
}

/// Why it failed, how it came out, or why it waits; empty where there is nothing to say.
pub fn explain(change: &ChangeFacts<'_>) -> String {
    if let Some(reason) = change.reason {
        let failed = matches!(change.state, "failed" | "in_doubt");
        let request = change.request_id.filter(|_| failed);
        return request.map_or_else(|| reason.to_owned(), |id| format!("{reason} [request {id}]"));
    }
    let mut parts = vec![outcome(change)];
    parts.extend(change.proof.as_ref().map(shown));
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn shown(proof: &ProofFacts<'_>) -> String {
    match (proof.tls, proof.expires) {
        (Some(tls), Some(end)) => {
            format!("TLS {tls}, certificate until {}", end.strftime("%Y-%m-%d"))
        }
        (Some(tls), None) => format!("TLS {tls}"),
        (None, _) => "no TLS on the wire".into(),
    }
}

fn outcome(change: &ChangeFacts<'_>) -> String {
    match (change.how, change.hold) {
        (Some(how), _) if change.state == "reverted" => {
            let value = if change.before == Some(true) { "on" } else { "off" };
            let job = if how == "switched" { "" } else { "; job id not recovered" };
            format!("put back to {value}{job}")
        }
        (None, None) if change.undo => "is put back".into(),
        (Some("already_right"), _) => "was right already".into(),
        (Some("switched_job_unknown"), _) => "switched; job id not recovered".into(),
        (_, Some(hold)) => hold.to_owned(),
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_matters_of_it() {
        let end = "2027-03-01T00:00:00Z".parse().expect("an instant");
        let proof = ProofFacts { tls: Some("1.3"), expires: Some(end) };
        let rows = [
            (
                ChangeFacts { state: "succeeded", how: Some("switched"), ..ChangeFacts::default() },
                "",
            ),
            (
                ChangeFacts {
                    state: "succeeded",
                    how: Some("already_right"),
                    proof: Some(proof),
                    ..ChangeFacts::default()
                },
                "was right already; TLS 1.3, certificate until 2027-03-01",
            ),
            (
                ChangeFacts {
                    state: "failed",
                    reason: Some("refused"),
                    request_id: Some("req-1"),
                    ..ChangeFacts::default()
                },
                "refused [request req-1]",
            ),
            (
                ChangeFacts {
                    state: "skipped",
                    reason: Some("changed since"),
                    request_id: Some("req-1"),
                    ..ChangeFacts::default()
                },
                "changed since",
            ),
            (ChangeFacts { state: "queued", undo: true, ..ChangeFacts::default() }, "is put back"),
            (
                ChangeFacts {
                    state: "reverted",
                    how: Some("switched_job_unknown"),
                    before: Some(true),
                    ..ChangeFacts::default()
                },
                "put back to on; job id not recovered",
            ),
            (
                ChangeFacts {
                    state: "queued",
                    hold: Some("no window is open"),
                    ..ChangeFacts::default()
                },
                "no window is open",
            ),
        ];
        for (facts, wanted) in rows {
            assert_eq!(explain(&facts), wanted, "{facts:?}");
        }
    }
}
