//! Tokens: what a client elsewhere shows instead of being a user of the daemon's host.
//!
//! `sealift_ID_SECRET`: the secret has 256 random bits and ends with a checksum, so that one that
//! was cut is told from one that is wrong. The file has the SHA-256 of the whole: enough for what
//! nobody can guess, and worth nothing to whoever reads it.
//!
//! Invariants: the file is written whole or not at all; one that others may read, or a group may
//! write, is not used; a changed file counts from the next request on, and one with a mistake
//! changes nothing. A hash is compared in constant time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{DoorError, random};
use crate::domain::people::{Role, Roles};

/// What every token begins with, so that a scanner of secrets finds one.
const PREFIX: &str = "sealift_";

/// Tokens of one file.
pub const TOKENS_MAX: usize = 1000;

/// Longest file: so many tokens with long labels.
const BYTES_MAX: u64 = 1 << 20;

/// Longest text that can be a token.
const TEXT_MAX: usize = PREFIX.len() + 8 + 1 + 64 + 8;

/// What the file is headed with.
const HEADING: &str = "# The tokens of the API, as `sealift token` writes them: hashes alone, the tokens stand nowhere.\n";

/// One token of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedToken {
    pub id: String,
    /// Whose it is: a name of `api.people`.
    pub name: String,
    /// Where it is used, in their words.
    #[serde(default)]
    pub label: String,
    /// Of the whole token, in hex digits.
    pub sha256: String,
    /// Words of the roles; nobody may more by a token than by `api.people`.
    pub may: Vec<String>,
    /// From then on it is none.
    pub until: Timestamp,
}

impl ListedToken {
    /// What its words give.
    pub fn roles(&self) -> Roles {
        self.may.iter().filter_map(|word| Role::of_word(word)).collect()
    }
}

/// The file as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    #[serde(default)]
    pub tokens: Vec<ListedToken>,
}

/// A new token: its text, which is kept nowhere, and what the file holds of it.
pub fn draw(name: &str, label: &str, may: &Roles, until: Timestamp) -> (String, ListedToken) {
    let (id, secret) = (hex::encode(random::<4>()), hex::encode(random::<32>()));
    let mut text = format!("{PREFIX}{id}_{secret}");
    let checksum = crc32fast::hash(text.as_bytes());
    write!(text, "{checksum:08x}").expect("a text takes more");
    let may = may.words().into_iter().map(str::to_owned).collect();
    let sha256 = hex::encode(Sha256::digest(&text));
    let listed =
        ListedToken { id, name: name.to_owned(), label: label.to_owned(), sha256, may, until };
    (text, listed)
}

/// The id that a whole token names.
fn id_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(PREFIX).filter(|_| text.len() == TEXT_MAX && text.is_ascii())?;
    let (id, secret) =
        rest.split_once('_').filter(|(id, secret)| id.len() == 8 && secret.len() == 72)?;
    let (whole, checksum) = text.split_at(TEXT_MAX - 8);
    let digits = secret.bytes().all(|digit| digit.is_ascii_hexdigit());
    (digits && format!("{:08x}", crc32fast::hash(whole.as_bytes())) == checksum).then_some(id)
}

impl TokenFile {
    /// Reads it; without one there are no tokens.
    pub fn read(path: &Path) -> Result<Self, DoorError> {
        Ok(Self::read_with(path)?.map(|(file, _)| file).unwrap_or_default())
    }

    fn read_with(path: &Path) -> Result<Option<(Self, FileStamp)>, DoorError> {
        let failed =
            |what: String, remedy: String| DoorError::File { path: path.to_owned(), what, remedy };
        let unreadable = |error: io::Error| {
            failed(
                format!("cannot be read: {error}"),
                "it holds the tokens of `api.tokens_file`".into(),
            )
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        let about = file.metadata().map_err(unreadable)?;
        if about.mode() & 0o027 != 0 {
            let what = format!(
                "holds the tokens, and others may read it or a group may write it (mode {:04o})",
                about.mode() & 0o7777
            );
            return Err(failed(what, format!("type `chmod 640 {}`", path.display())));
        }
        let mut text = String::new();
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        let mend = || "mend it, or write it anew with `sealift token`".to_owned();
        if text.len() as u64 > BYTES_MAX {
            return Err(failed(format!("has more than {} KiB", BYTES_MAX >> 10), mend()));
        }
        let read: Self =
            match text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
                true => Self::default(),
                false => serde_yaml::from_str(&text)
                    .map_err(|error| failed(format!("is no file of tokens: {error}"), mend()))?,
            };
        read.check().map_err(|what| failed(what, mend()))?;
        Ok(Some((read, FileStamp::of(&about))))
    }

    fn check(&self) -> Result<(), String> {
        if self.tokens.len() > TOKENS_MAX {
            return Err(format!("has more than {TOKENS_MAX} tokens"));
        }
        let mut ids = std::collections::BTreeSet::new();
        for token in &self.tokens {
            let wrong = |what: &str| Err(format!("has a token {} {what}", token.id.escape_debug()));
            match () {
                () if token.id.len() != 8
                    || !token.id.bytes().all(|digit| digit.is_ascii_hexdigit()) =>
                {
                    return wrong("whose id is none");
                }
                () if !ids.insert(&token.id) => return wrong("twice"),
                () if hex::decode(&token.sha256).map_or(0, |hash| hash.len()) != 32 => {
                    return wrong("without its SHA-256");
                }
                () if token.may.is_empty() => return wrong("that may nothing"),
                () => {}
            }
            if let Some(word) = token.may.iter().find(|word| Role::of_word(word).is_none()) {
                return wrong(&format!(
                    "with the role {}, which is none of read, operate, approve, off",
                    word.escape_debug()
                ));
            }
        }
        Ok(())
    }

    /// Writes it in one step. It keeps its owner and mode; a new one belongs to whoever owns its
    /// folder, if we may give it away.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder =
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (about, mode) = match std::fs::metadata(path) {
            Ok(about) => (about.clone(), about.mode() & 0o7777),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (std::fs::metadata(folder)?, 0o600)
            }
            Err(error) => return Err(error),
        };
        let text = format!("{HEADING}{}", serde_yaml::to_string(self).map_err(io::Error::other)?);
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(text.as_bytes())?;
        let ours = beside.as_file().metadata()?;
        if (ours.uid(), ours.gid()) != (about.uid(), about.gid()) {
            let given =
                std::os::unix::fs::fchown(beside.as_file(), Some(about.uid()), Some(about.gid()));
            // Of another user's file a copy of ours would lock them out; of a folder it is usual.
            if path.exists() {
                given?;
            }
        }
        beside.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        beside.as_file().sync_all()?;
        beside.persist(path)?;
        File::open(folder)?.sync_all()
    }
}

/// What tells a file from the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    inode: (u64, u64),
    length: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl FileStamp {
    fn of(about: &Metadata) -> Self {
        Self {
            inode: (about.dev(), about.ino()),
            length: about.len(),
            changed: (about.ctime(), about.ctime_nsec()),
            modified: (about.mtime(), about.mtime_nsec()),
        }
    }
}

/// The tokens of a file that may change.
pub struct Tokens {
    path: PathBuf,
    read: Mutex<ReadTokens>,
}

#[derive(Default)]
struct ReadTokens {
    /// Of the file that was looked at last, right or not; `None`: there was none.
    stamp: Option<FileStamp>,
    by_id: Arc<BTreeMap<String, ListedToken>>,
}

impl Tokens {
    /// Those of this file; without it there are none yet.
    pub fn open(path: PathBuf) -> Result<Self, DoorError> {
        let read = match TokenFile::read_with(&path)? {
            Some((file, stamp)) => ReadTokens { stamp: Some(stamp), by_id: by_id(file) },
            None => ReadTokens::default(),
        };
        Ok(Self { path, read: Mutex::new(read) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.current().len()
    }

    /// The token that this text is, if it is one at this time.
    pub fn find(&self, text: &str, now: Timestamp) -> Option<ListedToken> {
        let token = self.of_id(id_of(text)?, now)?;
        let hash = hex::decode(&token.sha256).ok()?;
        bool::from(hash.ct_eq(&Sha256::digest(text))).then_some(token)
    }

    /// The token with this id, if it is one at this time.
    pub fn of_id(&self, id: &str, now: Timestamp) -> Option<ListedToken> {
        self.current().get(id).filter(|token| now < token.until).cloned()
    }

    fn current(&self) -> Arc<BTreeMap<String, ListedToken>> {
        let stamp = std::fs::metadata(&self.path).ok().map(|about| FileStamp::of(&about));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamp != stamp {
            match TokenFile::read_with(&self.path) {
                Ok(Some((file, stamp))) => {
                    tracing::info!(file = %self.path.display(), tokens = file.tokens.len(), "the tokens are read again");
                    *read = ReadTokens { stamp: Some(stamp), by_id: by_id(file) };
                }
                Ok(None) => {
                    tracing::warn!(file = %self.path.display(), "the file of tokens is gone, and with it all tokens");
                    *read = ReadTokens::default();
                }
                Err(error) => {
                    tracing::error!("{error}; the tokens that were read before stay in force");
                    read.stamp = stamp;
                }
            }
        }
        read.by_id.clone()
    }
}

fn by_id(file: TokenFile) -> Arc<BTreeMap<String, ListedToken>> {
    Arc::new(file.tokens.into_iter().map(|token| (token.id.clone(), token)).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn now() -> Timestamp {
        at("2026-11-28T00:00:00Z")
    }

    fn token() -> (String, ListedToken) {
        draw(
            "ada",
            "laptop",
            &[Role::Read, Role::Operate].into_iter().collect(),
            at("2027-01-01T00:00:00Z"),
        )
    }

    #[test]
    fn a_token_is_right_whole_in_its_time_and_while_the_file_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.yaml");
        let tokens = Tokens::open(path.clone()).expect("none yet");
        let ((text, listed), (other, _)) = (token(), token());
        assert_eq!(tokens.find(&text, now()), None);
        TokenFile { tokens: vec![listed.clone()] }.write(&path).expect("written");
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
        assert!(
            !std::fs::read_to_string(&path).expect("a file").contains(&text[17..]),
            "the secret stands nowhere"
        );
        assert_eq!(tokens.find(&text, now()).as_ref(), Some(&listed));
        let wrong = [
            String::new(),
            text[..text.len() - 1].to_owned(),
            text[..40].to_owned(),
            format!("{text}0"),
            text.to_uppercase(),
            other.clone(),
            // Another secret under a known id.
            format!("{}{}", &text[..17], &other[17..]),
            text.replace("sealift_", "sealift-"),
            format!("sealift_{}", "é".repeat(40)),
        ];
        for wrong in wrong {
            assert_eq!(tokens.find(&wrong, now()), None, "{wrong}");
        }
        assert_eq!(tokens.find(&text, listed.until), None, "expired");
        TokenFile::default().write(&path).expect("written");
        assert_eq!(tokens.find(&text, now()), None, "revoked");
    }

    #[test]
    fn another_secret_with_a_right_checksum_is_another_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.yaml");
        let (text, listed) = token();
        TokenFile { tokens: vec![listed] }.write(&path).expect("written");
        let mut forged = format!("{}{}", &text[..17], "0".repeat(64));
        write!(forged, "{:08x}", crc32fast::hash(forged.as_bytes())).expect("a text takes more");
        assert!(id_of(&forged).is_some());
        assert_eq!(Tokens::open(path).expect("a file").find(&forged, now()), None);
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_at_the_start_and_changes_nothing_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.yaml");
        let (text, listed) = token();
        TokenFile { tokens: vec![listed.clone()] }.write(&path).expect("written");
        let tokens = Tokens::open(path.clone()).expect("a file");
        let told = || Tokens::open(path.clone()).map(drop).expect_err("a mistake").to_string();
        for mode in [0o644, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                .expect("our file");
            assert!(told().contains("chmod 640"), "{}", told());
        }
        assert!(tokens.find(&text, now()).is_some());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("our file");
        let twice = TokenFile { tokens: vec![listed.clone(), listed.clone()] };
        let role =
            TokenFile { tokens: vec![ListedToken { may: vec!["reed".into()], ..listed.clone() }] };
        let hash = TokenFile { tokens: vec![ListedToken { sha256: "00".into(), ..listed }] };
        for (file, says) in [(twice, "twice"), (role, "reed"), (hash, "without its SHA-256")] {
            file.write(&path).expect("written");
            assert_eq!(
                std::fs::metadata(&path).expect("a file").mode() & 0o777,
                0o640,
                "the mode is kept"
            );
            assert!(told().contains(says), "{}", told());
            assert!(tokens.find(&text, now()).is_some(), "what was read before stays in force");
        }
        std::fs::write(&path, "tokens: [").expect("a file");
        assert!(told().contains("is no file of tokens"), "{}", told());
        std::fs::write(&path, HEADING).expect("a file");
        assert_eq!(Tokens::open(path.clone()).expect("an empty list").count(), 0);
        std::fs::remove_file(&path).expect("removed");
        assert!(tokens.find(&text, now()).is_none(), "all are gone with the file");
    }
}
