//! One YAML file that a person wrote: a plan, a target list, the daemon's configuration.
//!
//! Job: read such a file within bounds, report every mistake in it at once with its place, and hand
//! out its values.
//!
//! Invariant: two independent readers must agree before a value is believed. The first builds a
//! [`tree`] with the place of every node and checks it against the published JSON Schema
//! ([`shape`]), so that the schema an editor uses and the program's own word are the same; the
//! second is `serde_yaml` reading typed values.
//!
//! Deliberately not here: what the values mean (`planfile`, `config`).

pub mod csv;
pub mod diagnostic;
pub mod format;
pub mod length;
pub mod open;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod quote;
pub mod rows;
pub mod schema;
pub mod shape;
pub mod share;
pub mod source;
pub mod suggest;
pub mod tree;

use serde::de::DeserializeOwned;

pub use self::diagnostic::{Diagnostic, Diagnostics, Mistakes, Severity};
pub use self::quote::{plain, quote};
pub use self::shape::Shape;
use self::source::ByteSpan;
pub use self::source::Place;
pub use self::source::SourceText;
use self::tree::Node;

/// Code of a mistake that only the second reader found: the two disagree about a value, which is a
/// defect of this program, told as a mistake of the file because refusing is the safe side.
pub const SECOND_READER: &str = "second-reader";

/// A document whose tree was checked against its shape.
pub struct Document<'s> {
    source: &'s SourceText,
    root: Node<'s>,
}

impl<'s> Document<'s> {
    /// Reads `source` into a tree and checks it against `shape`. Mistakes go to `mistakes`; `None`
    /// when not even a tree came out of it. A file that [`SourceText::starred`] marks shows no
    /// value that may be a secret.
    pub fn read(source: &'s SourceText, shape: &Shape, mistakes: &mut Mistakes) -> Option<Self> {
        if source.is_starred() {
            // A round for nothing but the places of what may be a secret, so that no later message
            // shows one.
            let mut ignored = Mistakes::default();
            if let Some(root) = tree::parse(source, shape.what, &mut ignored) {
                shape.check(source, &root, &mut ignored);
            }
        }
        let root = tree::parse(source, shape.what, mistakes)?;
        shape.check(source, &root, mistakes);
        Some(Self { source, root })
    }

    /// Of a tree that was not read from YAML, but whose nodes have their places in `source`.
    pub fn of_tree(
        source: &'s SourceText,
        root: Node<'s>,
        shape: &Shape,
        mistakes: &mut Mistakes,
    ) -> Self {
        if source.is_starred() {
            shape.check(source, &root, &mut Mistakes::default());
        }
        shape.check(source, &root, mistakes);
        Self { source, root }
    }

    pub fn root(&self) -> &Node<'s> {
        &self.root
    }

    /// The file it was read from.
    pub fn source(&self) -> &'s SourceText {
        self.source
    }

    /// The node at a path such as `strategy.waves[2].size`; where the path ends early, the deepest
    /// node on it.
    pub fn nearest(&self, path: &str) -> &Node<'s> {
        let mut node = &self.root;
        for step in steps(path) {
            match child(node, step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The node at a path, if all of it exists.
    pub fn exact(&self, path: &str) -> Option<&Node<'s>> {
        steps(path).try_fold(&self.root, child)
    }

    /// The place of [`Self::nearest`].
    pub fn place(&self, path: &str) -> Place {
        self.source.place(self.nearest(path).span)
    }

    /// Reads the node at `path` with `serde_yaml`. `None` when there is none, or when a mistake was
    /// already found in it; when `serde_yaml` refuses what the tree check let pass, that is a
    /// mistake too.
    pub fn typed<T: DeserializeOwned>(&self, path: &str, mistakes: &mut Mistakes) -> Option<T> {
        let node = self.exact(path)?;
        if mistakes.touch(self.source, node.span) {
            return None;
        }
        let text = self.standalone(node.span);
        match serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(&text)) {
            Ok(value) => Some(value),
            Err(error) => {
                mistakes.spoil_all();
                let message = plain(&error.inner().to_string());
                // Where the two differ about syntax, which they do in dark corners of YAML, the
                // text is to blame.
                let syntax = serde_yaml::from_str::<serde::de::IgnoredAny>(&text).is_err();
                let inside = error.path().to_string();
                let place = match error.inner().location().filter(|_| syntax && path.is_empty()) {
                    Some(location) => {
                        let at = self.source.text().floor_char_boundary(location.index());
                        self.source.place(ByteSpan::of(at..at))
                    }
                    None => self.place(&format!("{path}.{inside}")),
                };
                let code = if syntax { "syntax" } else { SECOND_READER };
                let diagnostic = Diagnostic::error(code, message).at(place);
                mistakes.push(if syntax {
                    diagnostic.help("not every YAML reader takes this; write it in a plainer way")
                } else {
                    diagnostic
                });
                None
            }
        }
    }

    /// A part of a document: `whole` is what was read of it with all the rest, if anything was;
    /// else it is read by itself. `None` when it holds a mistake, `Some(None)` when it was left
    /// out.
    pub fn part<T: DeserializeOwned>(
        &self,
        whole: Option<Option<T>>,
        path: &str,
        mistakes: &mut Mistakes,
    ) -> Option<Option<T>> {
        match (whole, self.exact(path)) {
            (Some(part), _) => Some(part),
            (None, None) => Some(None),
            (None, Some(_)) => self.typed(path, mistakes).map(Some),
        }
    }

    /// As [`Self::part`], of a list: entries that hold no mistake come out though others do, each
    /// with its index.
    pub fn entries<T: DeserializeOwned>(
        &self,
        whole: Option<Option<Vec<T>>>,
        path: &str,
        mistakes: &mut Mistakes,
    ) -> Vec<(usize, T)> {
        if let Some(all) = self.part(whole, path, mistakes) {
            return all.unwrap_or_default().into_iter().enumerate().collect();
        }
        let count = self.exact(path).map_or(0, Node::len);
        (0..count)
            .filter_map(|index| Some((index, self.typed(&format!("{path}[{index}]"), mistakes)?)))
            .collect()
    }

    /// The text of one node as a document of its own: what stands before it on its line becomes
    /// spaces, so that the indentation of its further lines still fits.
    fn standalone(&self, span: ByteSpan) -> String {
        let text = self.source.text();
        let slice = &text[span.range()];
        // In brackets or quotes indentation means nothing; and on one endless line to count it for
        // each node would cost the square of its length.
        if slice.starts_with(['{', '[', '"', '\'']) {
            return slice.to_owned();
        }
        let line = text[..span.range().start].rfind('\n').map_or(0, |at| at + 1);
        let indent = text[line..span.range().start].chars().count();
        let mut alone = String::with_capacity(indent + slice.len());
        alone.extend(std::iter::repeat_n(' ', indent));
        alone.push_str(slice);
        alone
    }
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[']).filter(|step| !step.is_empty())
}

fn child<'n, 's>(node: &'n Node<'s>, step: &str) -> Option<&'n Node<'s>> {
    match step.strip_suffix(']') {
        Some(index) => node.item(index.parse().ok()?),
        None => node.get(step),
    }
}
