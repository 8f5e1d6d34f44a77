//! Whether whoever was let in once may still read: asked anew while an answer without an end goes
//! on.
//!
//! Invariant: what let them in is looked at, never what it gave then; so a stream ends with its
//! token, its session or its role, as the next request would.

use super::session::{Evidence, Session};
use super::{Caller, Doors};
use crate::domain::people::Role;

/// What let somebody in.
#[derive(Clone)]
pub struct Admission {
    doors: Doors,
    by: LetInBy,
}

#[derive(Clone)]
enum LetInBy {
    Connection(Evidence),
    Session(Session),
}

impl Admission {
    /// Let in by what the connection or a token told.
    pub(super) fn of_evidence(doors: &Doors, evidence: Evidence) -> Self {
        Self { doors: doors.clone(), by: LetInBy::Connection(evidence) }
    }

    /// Let in by a session.
    pub(super) fn of_session(doors: &Doors, session: Session) -> Self {
        Self { doors: doors.clone(), by: LetInBy::Session(session) }
    }

    /// Whether they may read now.
    pub async fn reads(&self) -> bool {
        let caller: Option<Caller> = match &self.by {
            LetInBy::Connection(evidence) => self.doors.caller(evidence).await,
            LetInBy::Session(session) => self.doors.of_session(session).await,
        };
        caller.is_some_and(|caller| caller.may.has(Role::Read))
    }
}
