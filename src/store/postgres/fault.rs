//! What went wrong between us and the database: whether it passes, and what a person does about it.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::store::Unavailable;

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseFault {
    /// It cannot be reached, or takes nothing for now.
    Away(String),
    /// Nobody is at fault, and asking again at once is right.
    Again(String),
    /// It will say the same for ever.
    Final(String),
}

/// An error of the client with its causes, as one sentence.
pub(super) fn message(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{}{hint}", error.message());
    }
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        message = format!("{message}: {source}");
        cause = source.source();
    }
    message
}

impl From<tokio_postgres::Error> for DatabaseFault {
    fn from(error: tokio_postgres::Error) -> Self {
        let message = message(&error);
        let Some(code) = error.code() else { return Self::Away(message) };
        match code {
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED => Self::Again(message),
            &SqlState::READ_ONLY_SQL_TRANSACTION
            | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::Away(message),
            // Connections, resources, an operator's word, and the system under the server.
            code if ["08", "53", "57", "58"].iter().any(|class| code.code().starts_with(class)) => {
                Self::Away(message)
            }
            code => Self::Final(format!("{message} (SQLSTATE {})", code.code())),
        }
    }
}

impl From<DatabaseFault> for Unavailable {
    fn from(fault: DatabaseFault) -> Self {
        let (DatabaseFault::Away(what) | DatabaseFault::Again(what) | DatabaseFault::Final(what)) =
            fault;
        Self(format!("the database: {what}"))
    }
}
