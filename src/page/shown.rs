//! Which changes of a rollout a view shows, as its address says it.
//!
//! Invariant: an address made here is read as the same again, so a view can be kept and sent to
//! somebody else.

use super::request::ViewQuery;
use crate::api::{ApiError, ChangesAsked};
use crate::domain::change::State;
use crate::domain::plan::Plan;
use crate::store::ChangeFilter;

/// The word for changes in any state.
const ALL: &str = "all";

/// Which changes are shown; what is empty does not narrow them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangesShown {
    /// `all`, or words of the change table; empty: what moves or is wrong, and what is next.
    pub state: String,
    /// A wave's name or number.
    pub wave: String,
    pub lane: String,
    /// How the id of a proxy or an instance begins.
    pub id: String,
}

impl ChangesShown {
    /// As an address asks for it. Whoever seeks an id seeks it in any state.
    pub fn of(query: &ViewQuery) -> Self {
        let text = |asked: &Option<String>| asked.as_deref().unwrap_or_default().trim().to_owned();
        let id = text(&query.id);
        let state = match text(&query.state) {
            state if state.is_empty() && !id.is_empty() => ALL.to_owned(),
            state => state,
        };
        Self { state, wave: text(&query.wave), lane: text(&query.lane), id }
    }

    /// The same in these states.
    pub fn in_state(&self, state: &str) -> Self {
        Self { state: state.to_owned(), ..self.clone() }
    }

    /// The same whatever wave, lane and id.
    pub fn anywhere(&self) -> Self {
        Self { state: self.state.clone(), ..Self::default() }
    }

    /// Whether wave, lane or id narrow it.
    pub fn is_narrow(&self) -> bool {
        !(self.wave.is_empty() && self.lane.is_empty() && self.id.is_empty())
    }

    /// What the store is asked for.
    pub fn filter(&self, plan: &Plan) -> Result<ChangeFilter, ApiError> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let state = given(&self.state).filter(|state| state != ALL);
        let (wave, lane, id) = (given(&self.wave), given(&self.lane), given(&self.id));
        ChangesAsked { state, wave, lane, id }.filter(plan)
    }

    /// The address of `path` with these, and with the place of a page where there is one.
    pub fn address(&self, path: &str, after: Option<&str>) -> String {
        let mut asked = url::form_urlencoded::Serializer::new(String::new());
        let parts = [
            ("state", self.state.as_str()),
            ("wave", &self.wave),
            ("lane", &self.lane),
            ("id", &self.id),
            ("after", after.unwrap_or_default()),
        ];
        for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
            asked.append_pair(name, value);
        }
        let asked = asked.finish();
        if asked.is_empty() { path.to_owned() } else { format!("{path}?{asked}") }
    }

    /// The states of a file: what no view has groups for.
    pub fn for_file(&self) -> Self {
        if !self.state.is_empty() {
            return self.clone();
        }
        let words = State::ACTIVE.into_iter().chain(["failed", "in_doubt", "skipped"]);
        self.in_state(&words.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_what_it_was_made_of() {
        let shown = ChangesShown {
            state: "failed,in_doubt".into(),
            wave: "2".into(),
            lane: "prod-sg".into(),
            id: "7d3c&x=1".into(),
        };
        let address = shown.address("/rollouts/R", Some("41"));
        assert_eq!(
            address,
            "/rollouts/R?state=failed%2Cin_doubt&wave=2&lane=prod-sg&id=7d3c%26x%3D1&after=41"
        );
        let (_, asked) = address.split_once('?').expect("a query");
        let query: ViewQuery = serde_html_form(asked);
        assert_eq!(ChangesShown::of(&query), shown);
        assert_eq!(ChangesShown::default().address("/rollouts/R", None), "/rollouts/R");
    }

    fn serde_html_form(asked: &str) -> ViewQuery {
        let uri = format!("/?{asked}").parse().expect("an address");
        axum::extract::Query::try_from_uri(&uri).expect("a query").0
    }

    #[test]
    fn whoever_seeks_an_id_finds_it_in_any_state() {
        let query = ViewQuery { id: Some(" 7d3c ".into()), ..ViewQuery::default() };
        let shown = ChangesShown::of(&query);
        assert_eq!((shown.state.as_str(), shown.id.as_str()), ("all", "7d3c"));
    }
}
