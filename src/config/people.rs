//! `api.people`: from as written to [`People`].
//!
//! Invariant: no two entries have one name, one user, one certificate or one group, so that whoever
//! is at a door is one person or none.

use std::collections::BTreeMap;

use super::raw::{RawPerson, RawRole};
use super::setting::Settings;
use crate::domain::people::{ListedGroup, ListedPerson, People, Role, Roles};
use crate::yaml::{Diagnostic, Document, Mistakes, quote};

/// Where the list stands.
const KEY: &str = "api.people";

/// Reads the list; the outer `None` after any mistake in it, the inner one where there is none.
pub fn read(
    whole: Option<Option<Vec<RawPerson>>>,
    document: &Document<'_>,
    settings: &mut Settings<'_>,
    mistakes: &mut Mistakes,
) -> Option<Option<People>> {
    if document.exact(KEY).is_none() {
        return Some(None);
    }
    let before = mistakes.count();
    let tokens = document.exact("api.tokens_file").is_some();
    let mut reader = PeopleReader { document, tokens, taken: BTreeMap::new() };
    let mut people = People::default();
    for (index, written) in document.entries(whole, KEY, mistakes) {
        let path = format!("{KEY}[{index}]");
        let may: Roles = written.may.iter().map(|role| role_of(*role)).collect();
        reader.check(&path, &written, &may, mistakes);
        let key = |name: &str| format!("{KEY}.{name}");
        match written {
            RawPerson { group: Some(group), .. } => {
                let may = settings.push_at(key(&group), &path, may, None);
                people.groups.push(ListedGroup { group, may });
            }
            RawPerson { name, unix, certificate, .. } => {
                // Without both, the check has complained.
                let name = name.or_else(|| unix.clone()).unwrap_or_default();
                let may = settings.push_at(key(&name), &path, may, None);
                people.persons.push(ListedPerson { name, unix, certificate, may });
            }
        }
    }
    let complete = mistakes.count() == before
        && !mistakes.touch(document.source(), document.nearest(KEY).span);
    complete.then_some(Some(people))
}

fn role_of(written: RawRole) -> Role {
    match written {
        RawRole::Read => Role::Read,
        RawRole::Operate => Role::Operate,
        RawRole::Approve => Role::Approve,
        RawRole::Off => Role::Off,
    }
}

struct PeopleReader<'r, 'd> {
    document: &'r Document<'d>,
    /// Whether a token may tell who somebody is, by their name.
    tokens: bool,
    /// What stands for one entry alone, and the path of the first that has it.
    taken: BTreeMap<(&'static str, String), String>,
}

impl PeopleReader<'_, '_> {
    fn check(&mut self, path: &str, written: &RawPerson, may: &Roles, mistakes: &mut Mistakes) {
        let RawPerson { name, unix, certificate, group, .. } = written;
        let person = [("name", name), ("unix", unix), ("certificate", certificate)];
        let mut wrong = |key: &str, message: &str, help: &str| {
            let place = self.document.place(&format!("{path}{key}"));
            mistakes.push(Diagnostic::error("person", message).at(place).help(help));
        };
        if group.is_some() && person.iter().any(|(_, text)| text.is_some()) {
            wrong(
                "",
                "`group` stands for all its members, and this entry names a person as well",
                "make two entries of it",
            );
            return;
        }
        if group.is_none()
            && unix.is_none()
            && certificate.is_none()
            && !(self.tokens && name.is_some())
        {
            let help = "add `unix`, the user of this host, or `certificate`, the subject of theirs, or `tokens_file` beside the list; or name a `group`";
            wrong("", "nothing tells who this is", help);
        } else if group.is_none() && unix.is_none() && name.is_none() {
            wrong("", "a certificate's subject is no name for the journal", "add `name`");
        }
        if may.has(Role::Off) && !may.has(Role::Operate) {
            wrong(
                ".may",
                "`off` alone allows nothing",
                "add `operate`: `off` is for what also switches SSL off",
            );
        }
        let own_name = name.as_ref().or(unix.as_ref()).filter(|_| group.is_none());
        let whose = if name.is_some() { ".name" } else { ".unix" };
        let named = self.alone("name", path, whose, own_name, mistakes);
        // One mistake is enough for a user written twice without a name.
        self.alone(
            "unix",
            path,
            ".unix",
            unix.as_ref().filter(|_| named || name.is_some()),
            mistakes,
        );
        self.alone("certificate", path, ".certificate", certificate.as_ref(), mistakes);
        self.alone("group", path, ".group", group.as_ref(), mistakes);
    }

    /// Whether no entry before has it already; complains if one has.
    fn alone(
        &mut self,
        what: &'static str,
        path: &str,
        key: &str,
        text: Option<&String>,
        mistakes: &mut Mistakes,
    ) -> bool {
        let Some(text) = text else { return true };
        let at = format!("{path}{key}");
        let Some(first) = self.taken.get(&(what, text.clone())) else {
            self.taken.insert((what, text.clone()), at);
            return true;
        };
        let message = match what {
            "name" => format!("two people are named {}", quote(text)),
            "group" => format!("the group {} has two entries", quote(text)),
            _ => format!("two people have the {what} {}", quote(text)),
        };
        let help = match what {
            "name" => "give each a name of their own; an approval compares them",
            "group" => "make one entry of the two",
            _ => "give it to one of them",
        };
        let twice = Diagnostic::error("duplicate-person", message)
            .also(self.document.place(first), "the first one");
        mistakes.push(twice.at(self.document.place(&at)).help(help));
        false
    }
}
