//! Who a lane is: what each of its calls carries so that the cloud lets it in, and what follows
//! when it is not let in.
//!
//! Invariants: a call goes out once, with what was valid when it left; a refused call is never
//! repeated here, because every request needs a last check and a permit of the quota of its own;
//! the engine only learns how soon to repeat it. Access keys are held before they are refused so
//! often in a row that the cloud locks them, a password that IAM refused is not tried again, and
//! the number of logins is bounded. What the cloud counts for an access key or a user is kept for
//! it once ([`Identities`]), however many lanes use it.
//!
//! Deliberately not here: pacing (`engine`), HTTP of the calls (`cloud::http`).

mod access_key;
mod agency;
mod refusals;
mod token;
mod turns;
mod user;

use std::sync::{Arc, Mutex, PoisonError};

use http::header::HeaderName;
use jiff::Timestamp;
use reqwest::Request;

use self::access_key::{AccessKey, Keys, SignedPass};
use self::agency::AgencyLane;
use self::token::Issued;
use self::user::{IamUser, Users};
use super::iam::Iam;
use super::secret::{Secret, SecretReader};
use crate::clock::Clock;
use crate::domain::call::{Disposition, Reply};
use crate::domain::lane::{Access, Credentials, LaneTls, SecretSource};

const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-auth-token");

/// How soon the engine comes again, in seconds, when what was refused has been replaced: the
/// shortest wait there is.
const SOON: u32 = 1;

/// What was learnt of access keys and users, over all lanes.
#[derive(Default)]
pub(super) struct Identities {
    keys: Arc<Keys>,
    users: Arc<Users>,
    /// Users that act by agencies, each shared by all lanes that say the same of them.
    acting: Mutex<Vec<ActingUser>>,
}

/// A user that acts by agencies, as the configuration says who it is.
struct ActingUser {
    who: Credentials,
    tls: LaneTls,
    user: Arc<IamUser>,
}

impl Identities {
    /// The user that acts for this lane, made if no lane before says the same of it.
    fn acting<E>(
        &self,
        access: &Access,
        make: impl FnOnce() -> Result<IamUser, E>,
    ) -> Result<Arc<IamUser>, E> {
        let mut who = access.credentials.clone();
        if let Credentials::Password { agency, .. } = &mut who {
            *agency = None;
        }
        let mut acting = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = acting.iter().find(|known| known.who == who && known.tls == access.tls);
        if let Some(known) = known {
            return Ok(known.user.clone());
        }
        let user = Arc::new(make()?);
        acting.push(ActingUser { who, tls: access.tls.clone(), user: user.clone() });
        Ok(user)
    }
}

/// Lets the calls of one lane in.
pub(super) struct Authenticator(AuthKind);

enum AuthKind {
    Token(Arc<SecretReader>, Arc<dyn Clock>),
    AccessKey(Arc<AccessKey>),
    User(Arc<IamUser>),
    Agency(Arc<AgencyLane>),
}

/// What one call goes out with. It must be given back with the answer, by [`Self::judge`]; when it
/// is dropped, nothing was learnt.
pub(super) enum Pass {
    Token { token: Arc<Secret>, reader: Arc<SecretReader> },
    Signed(SignedPass),
    Issued { token: Arc<Issued>, user: Arc<IamUser> },
    Assumed { token: Arc<Issued>, lane: Arc<AgencyLane> },
}

/// No call may go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denied {
    /// Why not, and what to do.
    pub message: String,
    /// When it is worth coming again, in seconds, if that is known.
    pub retry_after: Option<u32>,
    /// What to do where the message, which is cut where it is long, has no room for it.
    pub remedy: Option<String>,
}

impl Denied {
    fn new(message: impl Into<String>) -> Self {
        Self::again(message, None)
    }

    /// Worth coming again then, if that is known.
    fn again(message: impl Into<String>, retry_after: Option<u32>) -> Self {
        Self { message: message.into(), retry_after, remedy: None }
    }
}

impl Authenticator {
    /// For one lane; nothing is read or sent yet. `iam` makes the way to IAM for a lane that needs
    /// it.
    pub fn new<E>(
        access: &Access,
        clock: Arc<dyn Clock>,
        identities: &Identities,
        iam: impl FnOnce(&str) -> Result<Iam, E>,
    ) -> Result<Self, E> {
        let reader = |what, source: &SecretSource| SecretReader::new(what, source.clone());
        Ok(Self(match &access.credentials {
            Credentials::Token(source) => AuthKind::Token(Arc::new(reader("token", source)), clock),
            Credentials::AccessKey { access_key, secret_key, security_token } => {
                AuthKind::AccessKey(Arc::new(AccessKey::new(
                    [reader("access key", access_key), reader("secret key", secret_key)],
                    security_token.as_ref().map(|source| reader("security token", source)),
                    &access.endpoint,
                    &access.project_id,
                    clock,
                    identities.keys.clone(),
                )))
            }
            Credentials::Password { iam_endpoint, user, password, domain, agency } => {
                let known_as = |iam, project| {
                    let password = reader("password", password);
                    let (names, users) = ([user, domain], identities.users.clone());
                    IamUser::new(iam, project, names, password, clock.clone(), users)
                };
                let project = access.project_id.clone();
                match agency {
                    None => AuthKind::User(Arc::new(known_as(iam(iam_endpoint)?, Some(project)))),
                    Some(agency) => {
                        let user = identities
                            .acting(access, || Ok::<_, E>(known_as(iam(iam_endpoint)?, None)))?;
                        let lane = AgencyLane::new(user, agency.clone(), project, clock.clone());
                        AuthKind::Agency(Arc::new(lane))
                    }
                }
            }
        }))
    }

    /// What the next call goes out with. It may wait for a login, or for the first answer to a new
    /// access key; whoever stops waiting disturbs nobody.
    pub async fn admit(&self) -> Result<Pass, Denied> {
        match &self.0 {
            AuthKind::Token(reader, clock) => {
                let token = reader
                    .lately(clock.times().boot)
                    .map_err(|error| Denied::new(error.to_string()))?;
                Ok(Pass::Token { token, reader: reader.clone() })
            }
            AuthKind::AccessKey(key) => key.admit().await.map(Pass::Signed),
            AuthKind::Agency(lane) => {
                lane.admit().await.map(|token| Pass::Assumed { token, lane: lane.clone() })
            }
            AuthKind::User(user) => {
                user.admit().await.map(|token| Pass::Issued { token, user: user.clone() })
            }
        }
    }
}

impl Pass {
    /// Puts it on a request that is complete but for it. `body` is what the body will be, `date`
    /// when it is signed.
    pub fn put_on(&self, request: &mut Request, body: &[u8], date: Timestamp) {
        match self {
            Self::Token { token, .. } => {
                drop(request.headers_mut().insert(TOKEN_HEADER, token.header()))
            }
            Self::Signed(pass) => pass.sign(request, body, date),
            Self::Issued { token, .. } | Self::Assumed { token, .. } => {
                drop(request.headers_mut().insert(TOKEN_HEADER, token.token.header()))
            }
        }
    }

    /// Whether the request carries the date of its signature.
    pub fn is_dated(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// What must not come back in a message.
    pub fn secret(&self) -> &str {
        match self {
            Self::Token { token, .. } => token.expose(),
            Self::Signed(pass) => pass.secret(),
            Self::Issued { token, .. } | Self::Assumed { token, .. } => token.token.expose(),
        }
    }

    /// Learns from the answer; an answer that says "not you" is told to come again soon if
    /// something has changed.
    pub fn judge(self, mut reply: Reply) -> Reply {
        match IdentityEvidence::by(&reply) {
            IdentityEvidence::LetIn => match self {
                Self::Token { .. } => {}
                Self::Signed(pass) => pass.let_in(),
                Self::Issued { token, user } => user.let_in(&token),
                Self::Assumed { token, lane } => lane.let_in(&token),
            },
            IdentityEvidence::Refused => {
                let said =
                    reply.outcome.as_ref().map_or_else(|error| error.message.as_str(), |_| "");
                let soon = match self {
                    Self::Token { token, reader } => reader.current().is_ok_and(|now| now != token),
                    Self::Signed(pass) => pass.refused(said),
                    Self::Issued { token, user } => user.refused(&token),
                    Self::Assumed { token, lane } => lane.refused(&token),
                };
                if let Err(error) = &mut reply.outcome
                    && soon
                {
                    error.retry_after.get_or_insert(SOON);
                }
            }
            IdentityEvidence::Nothing => {}
        }
        reply
    }
}

/// What an answer tells of who we are.
enum IdentityEvidence {
    /// We were known, whatever came of the call.
    LetIn,
    Refused,
    /// The answer may come from before the check, or none came.
    Nothing,
}

impl IdentityEvidence {
    fn by(reply: &Reply) -> Self {
        match &reply.outcome {
            _ if !reply.sent => Self::Nothing,
            Ok(_) => Self::LetIn,
            Err(error) => match (error.disposition, error.status) {
                (Disposition::Unauthorised, Some(_)) => Self::Refused,
                (
                    Disposition::Busy | Disposition::NotFound | Disposition::Fatal,
                    Some(400..=499),
                ) => Self::LetIn,
                _ => Self::Nothing,
            },
        }
    }
}

#[cfg(test)]
mod tests;
