//! `notify`: from as written to [`Receiver`]s.
//!
//! Invariant: what comes out can be told without showing a secret, and every placeholder of a map
//! means something.
//!
//! Deliberately not here: reading URLs and keys (`cloud::secret`), and what is in them (`notify`).

use std::path::Path;

use serde_json::Value;

use super::raw::{RawReceiver, RawSecret, RawShape};
use super::secret::source;
use super::setting::{Origin, Settings};
use crate::domain::lane::SecretSource;
use crate::domain::notify::{
    MAP_MAX, MessageShape, NoticeWord, PLACEHOLDERS, PLACEHOLDERS_MAX, Piece, Receiver, pieces,
};
use crate::yaml::suggest::nearest;
use crate::yaml::{Diagnostic, Document, Mistakes, quote};

/// Where the list stands.
const KEY: &str = "notify";

/// Reads the list; `None` after any mistake in it.
pub fn read(
    whole: Option<Option<Vec<RawReceiver>>>,
    document: &Document<'_>,
    base: &Path,
    settings: &mut Settings<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Receiver>> {
    let before = mistakes.count();
    let mut receivers: Vec<(usize, Receiver)> = Vec::new();
    for (index, written) in document.entries(whole, KEY, mistakes) {
        let path = format!("{KEY}[{index}]");
        if let Some((first, _)) = receivers.iter().find(|(_, known)| known.name == written.name) {
            let message = format!("two receivers are named {}", quote(written.name.as_str()));
            let twice = Diagnostic::error("duplicate-receiver", message)
                .at(document.place(&format!("{path}.name")))
                .also(document.place(&format!("{KEY}[{first}].name")), "the first one");
            mistakes.push(twice.help("give each a name of its own"));
            continue;
        }
        let mut reader = ReceiverReader { path, base, document, settings, mistakes };
        receivers.extend(reader.receiver(written).map(|receiver| (index, receiver)));
    }
    let found = document.exact(KEY).is_some_and(|_| {
        mistakes.count() > before || mistakes.touch(document.source(), document.nearest(KEY).span)
    });
    (!found).then(|| receivers.into_iter().map(|(_, receiver)| receiver).collect())
}

struct ReceiverReader<'r, 'd, 's> {
    path: String,
    base: &'r Path,
    document: &'r Document<'d>,
    settings: &'r mut Settings<'s>,
    mistakes: &'r mut Mistakes,
}

impl ReceiverReader<'_, '_, '_> {
    fn receiver(&mut self, written: RawReceiver) -> Option<Receiver> {
        let before = self.mistakes.count();
        let RawReceiver { name, url, secret, old_secret, on, shape } = written;
        let url = self.source("url", url);
        let secret = self.source("secret", secret);
        let old_secret = self.source("old_secret", old_secret);
        let default = shape.is_none().then_some(Origin::Default);
        let shape = self.shape(shape);
        // The tree check has seen the words.
        let on = on.iter().filter_map(|word| word.parse::<NoticeWord>().ok()).collect();
        let receiver = Receiver { name, url, secret, old_secret, on, shape };
        self.check(&receiver);
        if self.mistakes.count() > before {
            return None;
        }
        self.list(&receiver, default);
        Some(receiver)
    }

    /// What only several keys together say.
    fn check(&mut self, receiver: &Receiver) {
        let Receiver { url, secret, old_secret, shape, .. } = receiver;
        let pages = *shape == MessageShape::PagerDuty;
        if url.is_none() && !pages && !self.is_written("url") {
            let help = "add `url: {file: PATH}` or `url: {credential: NAME}`: the URL is a secret";
            self.wrong("", "missing-key", "nothing says where it is told".into(), help.into());
        }
        if secret.is_none() && !self.is_written("secret") {
            match shape {
                MessageShape::PagerDuty => {
                    let help = "add `secret: {file: PATH}` with the integration's routing key";
                    let message = "PagerDuty knows by its routing key whom to page".to_owned();
                    self.wrong(".shape", "missing-key", message, help.into());
                }
                MessageShape::Json => {
                    let help = "add `secret: {file: PATH}`; `echo whsec_$(openssl rand -base64 \
                                32)` makes one";
                    let message = "without a key nothing proves to it who tells it".to_owned();
                    self.wrong("", "missing-key", message, help.into());
                }
                MessageShape::Slack | MessageShape::Teams | MessageShape::Free(_) => {}
            }
        }
        if old_secret.is_some() && (pages || secret.is_none() && !self.is_written("secret")) {
            let message = "an old key signs beside a new one, and there is none".to_owned();
            self.wrong(".old_secret", "secret", message, "write `secret` for the new one".into());
        }
    }

    fn is_written(&self, key: &str) -> bool {
        self.document.exact(&format!("{}.{key}", self.path)).is_some()
    }

    fn wrong(&mut self, at: &str, code: &'static str, message: String, help: String) {
        let place = self.document.place(&format!("{}{at}", self.path));
        self.mistakes.push(Diagnostic::error(code, message).at(place).help(help));
    }

    fn source(&mut self, key: &str, written: Option<RawSecret>) -> Option<SecretSource> {
        let place = self.document.place(&format!("{}.{key}", self.path));
        source(written?, self.base).map_err(|wrong| self.mistakes.push(wrong.at(place))).ok()
    }

    fn shape(&mut self, written: Option<RawShape>) -> MessageShape {
        let value = match written {
            None => return MessageShape::Json,
            Some(RawShape(value)) => value,
        };
        if let Some(word) = value.as_str() {
            // The tree check has seen it.
            let named = MessageShape::NAMED.into_iter().find(|shape| shape.as_str() == word);
            return named.unwrap_or(MessageShape::Json);
        }
        let mut filled = 0;
        self.placeholders(".shape", &value, &mut filled);
        let size = value.to_string().len();
        if size > MAP_MAX {
            let message = format!("the map has {size} bytes as JSON, at most {MAP_MAX} are taken");
            self.wrong(".shape", "too-many", message, "shorten it".into());
        }
        if filled > PLACEHOLDERS_MAX {
            let message =
                format!("the map has {filled} placeholders, at most {PLACEHOLDERS_MAX} are taken");
            self.wrong(".shape", "too-many", message, "leave some out".into());
        }
        if filled == 0 {
            let message = "the map is the same whatever happened".to_owned();
            let help = "write `${summary}` where the sentence is to stand".to_owned();
            self.wrong(".shape", "placeholder", message, help);
        }
        MessageShape::Free(value)
    }

    fn placeholders(&mut self, at: &str, value: &Value, filled: &mut usize) {
        match value {
            Value::String(text) => {
                for piece in pieces(text) {
                    let Piece::Placeholder(name) = piece else { continue };
                    *filled += 1;
                    if !PLACEHOLDERS.contains(&name) {
                        let help = match nearest(name, PLACEHOLDERS.iter().copied()) {
                            Some(near) => format!("did you mean `${{{near}}}`?"),
                            None => format!("there are {}", PLACEHOLDERS.join(", ")),
                        };
                        let message = format!("nothing is called {}", quote(name));
                        self.wrong(at, "placeholder", message, help);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.placeholders(&format!("{at}[{index}]"), item, filled);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    self.placeholders(&format!("{at}.{key}"), value, filled);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// As `sealift config` lists it.
    fn list(&mut self, receiver: &Receiver, default: Option<Origin>) {
        let Receiver { name, url, secret, old_secret, on, shape } = receiver;
        let keys = [("url", url), ("secret", secret), ("old_secret", old_secret)];
        for (key, source) in keys {
            if let Some(source) = source {
                let path = format!("{}.{key}", self.path);
                self.settings.push_at(format!("{KEY}.{name}.{key}"), &path, source.clone(), None);
            }
        }
        let words: Vec<&str> = on.iter().map(|word| word.as_str()).collect();
        let path = |key: &str| format!("{}.{key}", self.path);
        self.settings.push_at(format!("{KEY}.{name}.on"), &path("on"), words.join(", "), None);
        let word = shape.as_str().to_owned();
        self.settings.push_at(format!("{KEY}.{name}.shape"), &path("shape"), word, default);
    }
}
