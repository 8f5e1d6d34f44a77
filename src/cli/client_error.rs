//! Why a request to the daemon has no answer, and whether it may be sent again.
//!
//! Invariant: a request that may have been carried out is repeated only if a repetition changes
//! nothing.

use std::path::PathBuf;

use super::exit::{Exit, ExitFailure};
use super::place::DaemonPlace;
use super::wire::Problem;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no daemon answers on {daemon}: {why}; {}", daemon.remedy())]
    Unreachable {
        daemon: DaemonPlace,
        /// What the system said.
        why: String,
    },
    /// The socket is there, and not for this user.
    #[error(
        "no access to the daemon's socket {daemon}: {why}; act as its user or a member of its group, as by `sudo -u sealift`"
    )]
    Denied {
        daemon: DaemonPlace,
        /// What the system said.
        why: String,
    },
    /// The daemon is there, and cannot take the request now.
    #[error("the daemon on {daemon} is busy: {why}")]
    Busy {
        daemon: DaemonPlace,
        /// What it is busy with, and what to do.
        why: String,
    },
    /// The daemon was there, and went away before its answer.
    #[error(
        "the daemon on {daemon} closed the connection without an answer ({why}): it is ending, or has too many clients; its log says which, and \
         `sealift status` whether anything was carried out"
    )]
    Cut {
        daemon: DaemonPlace,
        /// What the system said.
        why: String,
    },
    /// Its certificate is not vouched for.
    #[error(
        "the certificate of {daemon} is not one that this machine trusts: {why}; name its authority with SEALIFT_CA_FILE=FILE, and the daemon by a \
         name that stands in the certificate"
    )]
    Untrusted {
        daemon: DaemonPlace,
        /// What is wrong with it.
        why: String,
    },
    /// The daemon does not know who asks.
    #[error("{daemon} does not know who asks: {}", daemon.credentials())]
    SignedOut { daemon: DaemonPlace },
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// A file to send cannot be read.
    #[error("{} cannot be read: {why}", file.display())]
    File {
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The answer was none that we understand.
    #[error("the daemon's answer cannot be read: {0}; are client and daemon of the same version?")]
    Broken(String),
}

impl ClientError {
    /// Whether the same question may well be answered a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Cut { .. })
    }

    /// Whether nobody answers, and the request may be sent again.
    pub fn is_away(&self, repeat: Repeat) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Cut { .. } => repeat == Repeat::Harmless,
            Self::Denied { .. }
            | Self::Busy { .. }
            | Self::Untrusted { .. }
            | Self::SignedOut { .. } => false,
            Self::Refused(_) | Self::File { .. } | Self::Broken(_) => false,
        }
    }

    /// Since when there is no answer, and why.
    pub fn absence(&self, since: &str) -> String {
        match self {
            Self::Unreachable { daemon, why } => {
                format!("the daemon on {daemon} is away since {since} ({why})")
            }
            Self::Cut { daemon, .. } => format!("the daemon on {daemon} is away since {since}"),
            Self::Busy { daemon, why } => {
                format!("the daemon on {daemon} is busy since {since}: {why}")
            }
            Self::Denied { .. } | Self::Untrusted { .. } | Self::SignedOut { .. } => {
                self.to_string()
            }
            Self::Refused(_) | Self::File { .. } | Self::Broken(_) => self.to_string(),
        }
    }

    /// The same failure, of a daemon that was waited for in vain.
    pub fn since(mut self, since: &str) -> Self {
        match &mut self {
            Self::Unreachable { why, .. } | Self::Cut { why, .. } => {
                why.push_str(&format!(", away since {since}"))
            }
            Self::Denied { .. }
            | Self::Busy { .. }
            | Self::Untrusted { .. }
            | Self::SignedOut { .. } => {}
            Self::Refused(_) | Self::File { .. } | Self::Broken(_) => {}
        }
        self
    }
}

/// Which requests are sent again after the connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// To repeat it changes nothing: a read, or a submission, whose digest makes it the same
    /// rollout.
    Harmless,
    /// It changes something: it is sent again only if nobody was there to take it.
    Untaken,
}

impl From<ClientError> for ExitFailure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable { .. }
            | ClientError::Denied { .. }
            | ClientError::Cut { .. } => Exit::Unreachable,
            ClientError::Busy { .. } => Exit::Busy,
            ClientError::Untrusted { .. } | ClientError::SignedOut { .. } => Exit::Unreachable,
            ClientError::Refused(_) | ClientError::File { .. } | ClientError::Broken(_) => {
                Exit::Error
            }
        };
        let mut message = error.to_string();
        if let ClientError::Refused(refusal) = &error {
            for row in &refusal.candidates {
                message
                    .push_str(&format!("\n  {}  {} revision {}", row.id, row.name, row.revision));
            }
            if let Some(rendered) = &refusal.rendered {
                message.push_str(&format!("\n{rendered}"));
            }
        }
        Self::new(exit, message)
    }
}
