//! The operator's page: views in HTML that the daemon makes from the API's documents.
//!
//! Invariants: a view shows what the same document says over JSON, in the same words; every text
//! passes `escape`; a view works without script, and a script only asks for the same views again;
//! nothing here decides.
//!
//! Deliberately not here: who calls and whether a browser may act (`api`), and what a verb does
//! (`engine`).

mod acts;
mod assets;
mod calendar;
mod choices;
mod csv;
mod draw;
mod escape;
mod help;
mod icon;
pub(crate) mod moment;
mod night;
mod plans;
mod report;
mod request;
mod routes;
mod shell;
mod shown;
mod sign_in;
pub(crate) mod state;
mod story;
mod tonight;
pub(crate) mod view;
mod viewer;
pub(crate) mod wants;

pub use routes::router;

use crate::api::door::PageAnswers;

/// What a browser sees of what the doors refuse.
pub fn answers() -> PageAnswers {
    PageAnswers { signed_out: sign_in::first, refused: request::refused }
}
