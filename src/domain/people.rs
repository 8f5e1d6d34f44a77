//! Who may do what: the roles, and the people that a configuration gives them to.
//!
//! Invariant: two people have two names, and whatever tells one of them at a door (a user of the
//! daemon's host, a certificate) tells one alone; the configuration is refused otherwise.
//!
//! Deliberately not here: how a door learns who is there (`api::caller`), and whether two people
//! are one (`person`).

use std::collections::BTreeSet;
use std::fmt;

/// One thing that somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whatever is shown.
    Read,
    /// Verbs and submissions, and what spends a lane's quota: looks and preflight.
    Operate,
    /// The approval of a rollout.
    Approve,
    /// In addition, what switches SSL off.
    Off,
}

impl Role {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Approve, Self::Off];

    /// The role of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Off => "off",
        }
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Every role.
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What both have.
    #[must_use]
    pub fn both(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).copied().collect())
    }

    /// These and those.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self(self.0.union(&others.0).copied().collect())
    }

    /// Their words, in the order of [`Role::ALL`].
    pub fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|role| role.as_str()).collect()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

/// `nothing`, or the words with commas between them.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { f.write_str("nothing") } else { f.write_str(&self.words().join(", ")) }
    }
}

/// One person of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPerson {
    /// The one name, whatever the door.
    pub name: String,
    /// The user of the daemon's host.
    pub unix: Option<String>,
    /// The subject of the client's certificate.
    pub certificate: Option<String>,
    pub may: Roles,
}

/// All members of a group of the daemon's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: String,
    pub may: Roles,
}

/// The people of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    pub persons: Vec<ListedPerson>,
    pub groups: Vec<ListedGroup>,
}

impl People {
    /// The person who is this user of the daemon's host.
    pub fn of_user(&self, user: &str) -> Option<&ListedPerson> {
        self.persons.iter().find(|person| person.unix.as_deref() == Some(user))
    }

    /// The person of this name, as a token names them.
    pub fn of_name(&self, name: &str) -> Option<&ListedPerson> {
        self.persons.iter().find(|person| person.name == name)
    }

    /// The person whose certificate has this subject. Spaces about its signs mean nothing: every
    /// program writes them differently.
    pub fn of_certificate(&self, subject: &str) -> Option<&ListedPerson> {
        let parts = |text: &str| -> Vec<String> {
            text.split([',', '=']).map(|part| part.trim().to_owned()).collect()
        };
        let shown = parts(subject);
        self.persons.iter().find(|person| {
            person.certificate.as_deref().is_some_and(|listed| parts(listed) == shown)
        })
    }

    /// What a user may who is this person, if listed, and a member of these groups.
    pub fn roles(&self, person: Option<&ListedPerson>, member_of: &BTreeSet<&str>) -> Roles {
        let own = person.map(|person| person.may.clone()).unwrap_or_default();
        let groups = self.groups.iter().filter(|group| member_of.contains(group.group.as_str()));
        groups.fold(own, |roles, group| roles.and(&group.may))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_one_persons_however_its_subject_is_spaced() {
        let of = |certificate: &str| ListedPerson {
            name: certificate.into(),
            unix: None,
            certificate: Some(certificate.into()),
            may: Roles::all(),
        };
        let people = People { persons: vec![of("CN=ada"), of("O=ops,CN=bob")], groups: Vec::new() };
        let found =
            |subject: &str| people.of_certificate(subject).map(|person| person.name.clone());
        assert_eq!(found("CN = ada").as_deref(), Some("CN=ada"));
        assert_eq!(found("O=ops, CN=bob").as_deref(), Some("O=ops,CN=bob"));
        for other in ["CN=bob", "CN=Ada", "O=ops, CN=ada", "CN=ada, O=ops", ""] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(people.of_name("CN=ada").map(|person| person.name.as_str()), Some("CN=ada"));
    }

    #[test]
    fn a_person_may_what_their_entry_and_their_groups_say() {
        let ada = ListedPerson {
            name: "ada".into(),
            unix: Some("alovelace".into()),
            certificate: None,
            may: [Role::Operate].into_iter().collect(),
        };
        let readers =
            ListedGroup { group: "readers".into(), may: [Role::Read].into_iter().collect() };
        let people = People { persons: vec![ada], groups: vec![readers] };
        let found = people.of_user("alovelace");
        assert_eq!(found.map(|person| person.name.as_str()), Some("ada"));
        assert_eq!(people.of_user("ada"), None, "a name is not a user of the host");
        let may = |person, groups: &[&str]| {
            people.roles(person, &groups.iter().copied().collect()).to_string()
        };
        assert_eq!(may(found, &["readers", "wheel"]), "read, operate");
        assert_eq!(may(found, &[]), "operate");
        assert_eq!(may(None, &["readers"]), "read");
        assert_eq!(may(None, &["wheel"]), "nothing");
    }
}
