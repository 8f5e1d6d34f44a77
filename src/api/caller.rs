//! Who calls, and what they may: one name a person, whatever the door.
//!
//! Invariants: every request carries the [`Caller`] of its connection, and nothing that a client
//! sends can change it; a request without one is answered 401 by every route that says whom it is
//! for. Which role a route asks for is written in its signature, by one of the extractors here.
//!
//! Deliberately not here: how a door finds out (`door`). On the unix socket the kernel tells who is
//! at the other end, and the socket's file mode decides who may connect at all. Without
//! `api.people` that is enough for everything.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http;

use super::fault::ApiError;
use super::users;
use crate::domain::people::{ListedPerson, People, Role, Roles};
use crate::domain::person::Person;

/// The door that somebody came through, and what told there who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The unix socket; the kernel told.
    Socket,
    /// A token, in its owner's words where it is used.
    Token { label: Arc<str> },
    /// The certificate that the client showed.
    Certificate,
    /// A browser that somebody signed in with.
    Session,
}

impl Via {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Token { .. } => "token",
            Self::Certificate => "certificate",
            Self::Session => "session",
        }
    }
}

/// The word, and of a token its label.
impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { label } => write!(f, "token {label}"),
            Self::Socket | Self::Certificate | Self::Session => f.write_str(self.as_str()),
        }
    }
}

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The one name: of `api.people`, else the user's, or `uid N` where the system has none.
    pub name: Arc<str>,
    /// The user's number on the daemon's host, where the door tells it.
    pub uid: Option<u32>,
    pub may: Roles,
    pub via: Via,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Caller {
    /// As rollouts and approvals keep them.
    pub fn person(&self) -> Person {
        Person {
            name: self.name.to_string(),
            uid: self.uid,
            via: Some(self.via.to_string().into()),
        }
    }

    /// Refuses whoever lacks the role.
    pub fn must(&self, role: Role, what: &str) -> Result<(), ApiError> {
        self.lacks(role, what).map_or(Ok(()), |why| Err(ApiError::forbidden(why)))
    }

    /// Why they may not, if they lack the role.
    pub(super) fn lacks(&self, role: Role, what: &str) -> Option<String> {
        let (name, may, role_word) = (&self.name, &self.may, role.as_str());
        let why = || {
            format!(
                "{name} may {may}; {what} takes the role `{role_word}`, which `api.people` gives"
            )
        };
        (!self.may.has(role)).then(why)
    }
}

/// Tells callers by what their door knows of them.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    people: Option<Arc<People>>,
}

impl Callers {
    /// Those of the configuration; `None`: whoever is let in may do all.
    pub fn new(people: Option<People>) -> Self {
        Self { people: people.map(Arc::new) }
    }

    /// The listed person of this name.
    pub(super) fn named(&self, name: &str) -> Option<&ListedPerson> {
        self.people.as_ref()?.of_name(name)
    }

    /// Whoever showed a verified certificate with this subject; one that nobody is listed with may
    /// nothing.
    pub(super) fn certificate(&self, subject: &str) -> Caller {
        let person = self.people.as_ref().and_then(|people| people.of_certificate(subject));
        let (name, may) =
            person.map_or((subject, Roles::default()), |person| (&person.name, person.may.clone()));
        Caller { name: name.into(), uid: None, may, via: Via::Certificate }
    }

    /// A user of this host, who acts in the group `gid`.
    pub async fn user(&self, uid: u32, gid: Option<u32>) -> Caller {
        let user = users::name_of(uid).await;
        let Some(people) = &self.people else {
            let name = Person::user(uid, user.as_deref()).name.into();
            return Caller { name, uid: Some(uid), may: Roles::all(), via: Via::Socket };
        };
        let person = user.as_deref().and_then(|user| people.of_user(user));
        let mut member_of = BTreeSet::new();
        for listed in &people.groups {
            if users::is_member(&listed.group, user.as_deref(), gid).await {
                member_of.insert(listed.group.as_str());
            }
        }
        let may = people.roles(person, &member_of);
        let name = person
            .map_or_else(|| Person::user(uid, user.as_deref()).name, |person| person.name.clone());
        Caller { name: name.into(), uid: Some(uid), may, via: Via::Socket }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::signed_out)
    }
}

/// A route for whoever may read.
#[derive(Debug, Clone)]
pub(super) struct Reads(pub Caller);

/// A route for whoever may operate.
#[derive(Debug, Clone)]
pub(super) struct Operates(pub Caller);

/// A route for whoever may approve.
#[derive(Debug, Clone)]
pub(super) struct Approves(pub Caller);

/// A route for whoever may operate, and that may lead to SSL being switched off: [`Self::to`] must
/// be asked first.
#[derive(Debug, Clone)]
pub(super) struct SwitchesOff(Caller);

impl SwitchesOff {
    /// Whoever it is.
    pub(super) fn person(&self) -> Person {
        self.0.person()
    }

    /// The caller, if they may bring proxies to this value.
    pub(super) fn to(self, ssl_option: bool) -> Result<Caller, ApiError> {
        if !ssl_option {
            self.0.must(Role::Off, "what switches SSL off")?;
        }
        Ok(self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reads {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Role::Read, "reading")?;
        Ok(Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operates {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Role::Operate, "this")?;
        Ok(Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Approves {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Role::Approve, "an approval")?;
        Ok(Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SwitchesOff {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, ApiError> {
        let Operates(caller) = Operates::from_request_parts(parts, state).await?;
        Ok(Self(caller))
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::domain::people::ListedGroup;

    #[tokio::test]
    async fn a_number_without_a_name_is_said_as_a_number() {
        let nobody = Callers::default().user(4_000_000_000, None).await;
        assert_eq!(&*nobody.name, "uid 4000000000");
        assert!(!nobody.person().is_named());
        assert_eq!(nobody.may, Roles::all(), "nobody is listed: whoever is let in may do all");
    }

    #[tokio::test]
    async fn who_is_not_listed_may_nothing() {
        let listed = ListedGroup { group: "sealift-no-such-group".into(), may: Roles::all() };
        let callers = Callers::new(Some(People { persons: Vec::new(), groups: vec![listed] }));
        assert!(callers.user(4_000_000_000, None).await.may.is_empty());
    }

    /// The status of the answer to a caller with these roles; 200 where the extractor lets them in.
    async fn status<E: FromRequestParts<(), Rejection = ApiError>>(may: Option<&[Role]>) -> u16 {
        let mut request = http::Request::new(());
        if let Some(may) = may {
            let may = may.iter().copied().collect();
            request.extensions_mut().insert(Caller {
                name: "ada".into(),
                uid: None,
                may,
                via: Via::Socket,
            });
        }
        match E::from_request_parts(&mut request.into_parts().0, &()).await {
            Ok(_) => 200,
            Err(refused) => refused.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn each_extractor_asks_for_its_role() {
        use Role::{Approve, Off, Operate, Read};
        let rows: [(Option<&[Role]>, [u16; 4]); 6] = [
            (None, [401, 401, 401, 401]),
            (Some(&[]), [403, 403, 403, 403]),
            (Some(&[Read]), [200, 403, 403, 403]),
            (Some(&[Operate]), [403, 200, 403, 200]),
            (Some(&[Approve]), [403, 403, 200, 403]),
            (Some(&[Off]), [403, 403, 403, 403]),
        ];
        for (may, wanted) in rows {
            let found = [
                status::<Reads>(may).await,
                status::<Operates>(may).await,
                status::<Approves>(may).await,
                status::<SwitchesOff>(may).await,
            ];
            assert_eq!(found, wanted, "{may:?}");
        }
    }

    #[test]
    fn off_is_asked_for_what_switches_off_alone() {
        let with = |roles: &[Role]| {
            SwitchesOff(Caller {
                name: "ada".into(),
                uid: None,
                may: roles.iter().copied().collect(),
                via: Via::Socket,
            })
        };
        assert!(with(&[Role::Operate]).to(true).is_ok());
        assert!(with(&[Role::Operate]).to(false).is_err());
        assert!(with(&[Role::Operate, Role::Off]).to(false).is_ok());
    }
}
