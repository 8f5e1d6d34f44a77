//! Every answer that is not a success (RFC 9457).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RolloutRow;

/// Why an answer is no success: what programs branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request is not well formed.
    BadRequest,
    /// Nobody is known to ask.
    SignedOut,
    /// Who asks may not, or did not say what they must to go on.
    Forbidden,
    NotFound,
    /// A reference fits several rollouts; `candidates` names them.
    Ambiguous,
    /// It means nothing in the present state.
    Conflict,
    /// The record is no longer the one of the tag that was sent; `now` has it as it stands. Nothing
    /// was done.
    Moved,
    /// A plan has mistakes: `diagnostics`, and `rendered` for people.
    PlanMistakes,
    TooLarge,
    /// The body is of another type than the route reads.
    WrongType,
    TooMany,
    /// It cannot be done now, whoever asks; with a `Retry-After` the daemon is only busy.
    Unavailable,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::SignedOut,
        Self::Forbidden,
        Self::NotFound,
        Self::Ambiguous,
        Self::Conflict,
        Self::Moved,
        Self::PlanMistakes,
        Self::TooLarge,
        Self::WrongType,
        Self::TooMany,
        Self::Unavailable,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::SignedOut => "signed_out",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::Conflict => "conflict",
            Self::Moved => "moved",
            Self::PlanMistakes => "plan_mistakes",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }

    /// The same for people, of whatever request.
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "the request is not well formed",
            Self::SignedOut => "nobody is signed in",
            Self::Forbidden => "not allowed",
            Self::NotFound => "not there",
            Self::Ambiguous => "more than one fits",
            Self::Conflict => "not in this state",
            Self::Moved => "it moved meanwhile",
            Self::PlanMistakes => "the plan has mistakes",
            Self::TooLarge => "too large",
            Self::WrongType => "not of a type that is read here",
            Self::TooMany => "too many requests",
            Self::Unavailable => "not possible now",
        }
    }
}

/// What went wrong and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words.
    pub title: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// What, where and the next step, in one line.
    pub detail: String,
    pub code: ProblemCode,
    /// The field of the body that is missing or wrong, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Every mistake of a plan with its place, as the plan reader gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<serde_json::Value>,
    /// The same mistakes drawn for people, without colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
    /// The rollouts that an ambiguous reference may mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<RolloutRow>,
    /// Since when the store is away, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// How the rollout stands that moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Box<RolloutRow>>,
}

impl Problem {
    /// A problem with these words.
    pub fn new(status: u16, code: ProblemCode, detail: impl Into<String>) -> Self {
        let (kind, title) = (format!("/problems/{}", code.as_str()), code.title().to_owned());
        let detail = detail.into();
        Self {
            kind,
            title,
            status,
            detail,
            code,
            field: None,
            diagnostics: None,
            rendered: None,
            candidates: Vec::new(),
            since: None,
            now: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_word_on_the_wire_and_in_its_type() {
        for code in ProblemCode::ALL {
            let problem = serde_json::to_value(Problem::new(400, code, "why")).expect("JSON");
            assert_eq!(problem["code"], code.as_str());
            assert_eq!(problem["type"], format!("/problems/{}", code.as_str()));
            assert_eq!(serde_json::from_value::<Problem>(problem).expect("read again").code, code);
        }
    }
}
