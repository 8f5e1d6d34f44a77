//! A person: who submits, commands and approves, as a user of the daemon's host.
//!
//! Invariant: two people are two only if neither their numbers nor their names are equal, whichever
//! way each of them came in: over the socket, by a file of the plans folder, or in a record of a
//! version that kept names alone.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What stands behind the name of whoever owns a file of the plans folder.
const FOLDER: &str = " (plans folder)";

/// What stands before the number of a user whose name is not known.
const NUMBER: &str = "uid ";

/// A user of the daemon's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name as it is shown: with ` (plans folder)` where a file of that user was taken, `uid N`
    /// where no name is known.
    pub name: String,
    /// The user's number, where it is known.
    pub uid: Option<u32>,
    /// The door that they came through, and of a token its label; told of whoever does something
    /// now, and kept with its entry in the journal.
    pub via: Option<Box<str>>,
}

impl Person {
    /// The user with this number, and the name if the system has one.
    pub fn user(uid: u32, name: Option<&str>) -> Self {
        Self {
            name: name.map_or_else(|| format!("{NUMBER}{uid}"), str::to_owned),
            uid: Some(uid),
            via: None,
        }
    }

    /// The owner of a file of the plans folder.
    #[must_use]
    pub fn by_plans_folder(self) -> Self {
        Self { name: format!("{}{FOLDER}", self.name), ..self }
    }

    /// Name and door of whoever did something, as the journal keeps them.
    pub fn told(by: Option<Self>) -> (Option<String>, Option<String>) {
        by.map_or((None, None), |by| (Some(by.name), by.via.map(String::from)))
    }

    /// Whether a name is known.
    pub fn is_named(&self) -> bool {
        !self.own_name().is_empty() && !self.own_name().starts_with(NUMBER)
    }

    /// Whether the name is of a form that this program gives: a number for whoever has no name, or
    /// the plans folder behind one.
    pub fn is_made_up(&self) -> bool {
        self.name.starts_with(NUMBER) || self.name.ends_with(FOLDER)
    }

    /// Whether the two may be one person.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_number = self.number().is_some() && self.number() == other.number();
        same_number || self.own_name() == other.own_name()
    }

    fn own_name(&self) -> &str {
        self.name.strip_suffix(FOLDER).unwrap_or(&self.name)
    }

    fn number(&self) -> Option<u32> {
        self.uid.or_else(|| self.own_name().strip_prefix(NUMBER)?.parse().ok())
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A name alone: of a record of an earlier version, or of a part of this program.
impl From<&str> for Person {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), uid: None, via: None }
    }
}

impl From<String> for Person {
    fn from(name: String) -> Self {
        Self { name, uid: None, via: None }
    }
}

/// Who gave a verb, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The operator, as the daemon knows them (user name of the socket's peer).
    pub by: String,
    /// `--reason`, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it was acknowledged.
    pub at: Timestamp,
}

impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            f.write_str(&self.by)
        } else {
            write!(f, "{}: {}", self.by, self.reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_compared_by_number_and_by_name_however_they_came_in() {
        let ada = Person::user(1000, Some("ada"));
        let same: [Person; 6] = [
            "ada".into(),
            "ada (plans folder)".into(),
            "uid 1000".into(),
            "uid 1000 (plans folder)".into(),
            Person::user(1000, Some("lovelace")),
            Person::user(1000, None).by_plans_folder(),
        ];
        for other in same {
            assert!(ada.is_same(&other) && other.is_same(&ada), "{other:?}");
        }
        let others: [Person; 5] = [
            "bob".into(),
            "uid 1001".into(),
            "root (plans folder)".into(),
            Person::user(1001, Some("bob")),
            Person::user(0, None),
        ];
        for other in others {
            assert!(!ada.is_same(&other) && !other.is_same(&ada), "{other:?}");
        }
        // One name behind two numbers: the evidence could not tell the two apart.
        assert!(ada.is_same(&Person::user(1001, Some("ada"))));
    }

    #[test]
    fn a_name_that_is_given_here_is_known_by_its_form() {
        for made in ["uid 7", "ada (plans folder)"] {
            assert!(Person::from(made).is_made_up(), "{made}");
        }
        assert!(!Person::from("ada").is_made_up());
    }

    #[test]
    fn a_number_is_no_name() {
        let named: [Person; 2] = ["ada".into(), Person::user(0, Some("root")).by_plans_folder()];
        assert!(named.iter().all(Person::is_named));
        let unnamed: [Person; 4] = [
            "".into(),
            "uid 7".into(),
            Person::user(7, None),
            Person::user(7, None).by_plans_folder(),
        ];
        assert!(!unnamed.iter().any(Person::is_named));
    }
}
