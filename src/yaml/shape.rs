//! Checks a tree against the JSON Schema that editors use too, and reports every mistake, not only
//! the first.
//!
//! Invariant: what passes here is what the typed reader takes; [`super::Document::typed`] holds
//! both to that.
//!
//! Deliberately not here: the whole of JSON Schema. Only what the shapes of this program use is
//! read; an unknown keyword fails a test, not a user.

use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, Mistakes};
use super::format::{Check, Complaint, TextFormat};
use super::quote::quote;
use super::source::ByteSpan;
use super::source::SourceText;
use super::suggest::{nearest, one_of};
use super::tree::{Node, NodeKind};

/// A kind of file.
pub struct Shape {
    /// What it is called: `plan`, `configuration`.
    pub what: &'static str,
    /// Whether a file without any value is right: all of it has defaults.
    pub may_be_empty: bool,
    pub schema: Value,
    /// The checks that the schema's `format` words name.
    pub formats: &'static [TextFormat],
    /// Keys and values that the contract knows and this version does not.
    pub later: &'static [Later],
}

/// Something of the contract that this version does not do. It is refused by name, never ignored.
pub struct Later {
    /// The path of the key, list places left out: `targets.discover`; with `=`: of one value of it.
    pub path: &'static str,
    /// What to do today.
    pub instead: &'static str,
}

impl Shape {
    /// Tells every mistake of `root`.
    pub fn check(&self, source: &SourceText, root: &Node<'_>, mistakes: &mut Mistakes) {
        if root.is_null() {
            if !self.may_be_empty {
                let empty = Diagnostic::error("empty", format!("the {} is empty", self.what));
                mistakes.push_node(
                    source,
                    root.span,
                    empty.help("`sealift schema plan` says what may stand in it"),
                );
            }
            return;
        }
        let mut walk = ShapeWalk { shape: self, source, mistakes, path: Vec::new() };
        walk.node(&self.schema, root, root.span);
    }

    /// All keys whose value stands in one field of a table, in the order of their names.
    pub fn leaves(&self) -> Vec<SchemaLeaf> {
        let mut leaves = Vec::new();
        self.gather(&self.schema, "", &mut leaves);
        leaves
    }

    fn gather(&self, schema: &Value, path: &str, leaves: &mut Vec<SchemaLeaf>) {
        for one in self.alternatives(schema) {
            if let Some(properties) = one["properties"].as_object() {
                let dot = if path.is_empty() { "" } else { "." };
                for (key, inner) in properties {
                    self.gather(inner, &format!("{path}{dot}{key}"), leaves);
                }
            } else if kinds(one).all(|kind| kind != "array")
                && leaves.last().is_none_or(|last| last.path != path)
            {
                let integer = kinds(one).any(|kind| kind == "integer");
                leaves.push(SchemaLeaf { path: path.to_owned(), integer });
            }
        }
    }

    fn definition(&self, reference: &str) -> &Value {
        let pointer = reference.trim_start_matches('#');
        self.schema.pointer(pointer).expect("a generated schema holds what it refers to")
    }

    /// Follows references down to the schema that says something.
    fn resolve<'v>(&'v self, mut schema: &'v Value) -> &'v Value {
        loop {
            match (schema["$ref"].as_str(), schema["allOf"].as_array()) {
                (Some(reference), _) => schema = self.definition(reference),
                (None, Some(one)) if one.len() == 1 => schema = &one[0],
                _ => return schema,
            }
        }
    }

    /// The alternatives of a choice, flat; of anything else the thing itself.
    fn alternatives<'v>(&'v self, schema: &'v Value) -> Vec<&'v Value> {
        let schema = self.resolve(schema);
        match schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            Some(choices) => choices.iter().flat_map(|choice| self.alternatives(choice)).collect(),
            None => vec![schema],
        }
    }
}

/// A key, within maps or not, whose value is neither a map nor a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaLeaf {
    /// With dots between the keys of maps within maps.
    pub path: String,
    /// It takes a whole number.
    pub integer: bool,
}

struct ShapeWalk<'w, 's> {
    shape: &'w Shape,
    source: &'s SourceText,
    mistakes: &'w mut Mistakes,
    path: Vec<PathStep>,
}

/// One step down the tree. Places in a list count for messages only: what is known about a path
/// holds for each entry.
enum PathStep {
    Key(String),
    Entry,
}

impl ShapeWalk<'_, '_> {
    fn report(&mut self, at: ByteSpan, diagnostic: Diagnostic) {
        self.mistakes.push_node(self.source, at, diagnostic);
    }

    fn key(&self) -> String {
        match self.path.as_slice() {
            [.., PathStep::Key(key)] => quote(key),
            [.., PathStep::Key(key), PathStep::Entry] => format!("an entry of {}", quote(key)),
            [.., PathStep::Entry] => "an entry".to_owned(),
            [] => format!("the {}", self.shape.what),
        }
    }

    fn path(&self) -> String {
        let keys = self.path.iter().filter_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Entry => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    /// `key` is the place of the node's key, for a node that has no text of its own.
    fn node(&mut self, schema: &Value, node: &Node<'_>, key: ByteSpan) {
        if node.is_null() {
            let at = if node.span.is_empty() { key } else { node.span };
            // The place of the value is spoilt too, although the key is shown.
            self.mistakes.spoil(self.source, node.span);
            return self.report(
                at,
                Diagnostic::error("empty", format!("{} has no value", self.key()))
                    .help("give it one or leave the key out"),
            );
        }
        let shape = self.shape;
        let alternatives = shape.alternatives(schema);
        let words: Vec<&str> = alternatives.iter().flat_map(|one| words(one)).collect();
        if !words.is_empty() && alternatives.iter().all(|one| words_only(one)) {
            return self.word(&words, node);
        }
        let fitting = alternatives.iter().copied().find(|one| accepts(one, node));
        let Some(schema) = fitting else { return self.wrong_kind(&alternatives, node, key) };
        match &node.kind {
            NodeKind::Mapping(entries) => self.mapping(schema, entries, node, key),
            NodeKind::Sequence(items) => self.sequence(schema, items, node),
            NodeKind::Scalar { text, plain } => self.scalar(schema, text, *plain, node),
        }
    }

    fn mapping(
        &mut self,
        schema: &Value,
        entries: &[(Node<'_>, Node<'_>)],
        node: &Node<'_>,
        key: ByteSpan,
    ) {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let bound = |key: &str| schema[key].as_u64().and_then(|bound| usize::try_from(bound).ok());
        if let Some(max) = bound("maxProperties").filter(|max| entries.len() > *max) {
            let many =
                format!("{} has {} keys, at most {max} are taken", self.key(), entries.len());
            self.report(node.span, Diagnostic::error("too-many", many));
        }
        if entries.is_empty() && bound("minProperties").is_some_and(|min| min > 0) {
            let empty = Diagnostic::error("empty", format!("{} is empty", self.key()));
            self.report(node.span, empty.help("add a key or leave it out"));
        }
        // A key that is missing because it is misspelt, or because the other way is not available,
        // is told once.
        let mut excused = Vec::new();
        let mut later = false;
        for (name, value) in entries {
            let Some(text) = name.text() else { continue };
            self.path.push(PathStep::Key(text.to_owned()));
            match (properties.get(text), &schema["additionalProperties"]) {
                (Some(known), _) => self.node(known, value, name.span),
                (None, any @ Value::Object(_)) => {
                    match format_of(self.shape, &schema["propertyNames"])
                        .and_then(|check| check(text).err())
                    {
                        Some(complaint) => {
                            self.mistakes.spoil(self.source, node.span);
                            let unknown =
                                complained(&format!("unknown key {}", quote(text)), complaint);
                            self.report(name.span, Diagnostic { code: "unknown-key", ..unknown });
                        }
                        None => self.node(any, value, name.span),
                    }
                }
                _ => match self.unknown(text, name.span, value.span, properties) {
                    Meant::Later => later = true,
                    Meant::Known(word) => excused.push(word),
                    Meant::Nothing => {}
                },
            }
            self.path.pop();
        }
        for required in
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
        {
            if !later
                && !excused.contains(&required)
                && !entries.iter().any(|(name, _)| name.text() == Some(required))
            {
                let missing = Diagnostic::error(
                    "missing-key",
                    format!("{} has no {}", self.key(), quote(required)),
                );
                let about = properties
                    .get(required)
                    .and_then(|known| described(shape_of(self.shape, known)));
                let missing = missing.help(match about {
                    Some(about) => format!("add `{required}:` {about}"),
                    None => format!("add `{required}:`"),
                });
                self.mistakes.spoil(self.source, node.span);
                // A map has no better place than its key; a plan as a whole none better than its
                // first line.
                let at = if self.path.is_empty() {
                    ByteSpan::of(node.span.range().start..node.span.range().start)
                } else {
                    key
                };
                self.report(at, missing);
            }
        }
    }

    fn unknown<'p>(
        &mut self,
        text: &str,
        at: ByteSpan,
        value: ByteSpan,
        properties: &'p Map<String, Value>,
    ) -> Meant<'p> {
        if self.mistakes.is_full() {
            // Words are not compared any more for what is only counted.
            self.mistakes.push_with(|| Diagnostic::error("unknown-key", text));
            return Meant::Nothing;
        }
        self.source.hide(value);
        let path = self.path();
        if let Some(later) = self.shape.later.iter().find(|later| later.path == path) {
            self.report(
                at,
                Diagnostic::error(
                    "not-available",
                    format!("`{path}` is not available in this version"),
                )
                .help(later.instead),
            );
            return Meant::Later;
        }
        let unknown = Diagnostic::error("unknown-key", format!("unknown key {}", quote(text)));
        let known = properties.keys().map(String::as_str);
        match nearest(text, known.clone()) {
            Some(word) => {
                let instead = self.quoted_as(at, word.to_owned());
                self.report(at, unknown.help(format!("did you mean `{word}`?")).replace(instead));
                Meant::Known(word)
            }
            None => {
                self.report(
                    at,
                    unknown.help(format!("known here: {}", known.collect::<Vec<_>>().join(", "))),
                );
                Meant::Nothing
            }
        }
    }

    fn sequence(&mut self, schema: &Value, items: &[Node<'_>], node: &Node<'_>) {
        let max = schema["maxItems"]
            .as_u64()
            .map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        if items.len() > max {
            let many =
                format!("{} has {} entries, at most {max} are taken", self.key(), items.len());
            self.report(node.span, Diagnostic::error("too-many", many));
        }
        if items.is_empty() && schema["minItems"].as_u64().is_some_and(|min| min > 0) {
            self.report(
                node.span,
                Diagnostic::error("empty", format!("{} is empty", self.key()))
                    .help("add an entry or leave the key out"),
            );
        }
        self.path.push(PathStep::Entry);
        for item in items.iter().take(max) {
            self.node(&schema["items"], item, item.span);
        }
        self.path.pop();
    }

    fn scalar(&mut self, schema: &Value, text: &str, plain: bool, node: &Node<'_>) {
        let complaint = if let Some(check) = format_of(self.shape, schema) {
            check(text).err()
        } else if kinds(schema).any(|kind| kind == "integer") && plain {
            whole(schema, text)
        } else {
            text_length(schema, text)
        };
        if let Some(complaint) = complaint {
            if complaint.secret {
                self.source.hide(node.span);
            }
            let mut diagnostic = complained(&self.key(), complaint);
            diagnostic.replacement =
                diagnostic.replacement.map(|text| self.quoted_as(node.span, text));
            self.report(node.span, diagnostic);
        }
    }

    /// A proposal between the quotes that stand there, if there are any: without them it could mean
    /// something else.
    fn quoted_as(&self, at: ByteSpan, text: String) -> String {
        match self.source.text()[at.range()].chars().next() {
            Some(quote @ ('"' | '\'')) => format!("{quote}{text}{quote}"),
            _ => text,
        }
    }

    fn word(&mut self, words: &[&str], node: &Node<'_>) {
        let text = node.text().unwrap_or("");
        if words.contains(&text) {
            return;
        }
        let path = format!("{}={text}", self.path());
        if let Some(later) = self.shape.later.iter().find(|later| later.path == path) {
            let later_value =
                format!("{} {} is not available in this version", self.key(), quote(text));
            return self.report(
                node.span,
                Diagnostic::error("not-available", later_value).help(later.instead),
            );
        }
        let found = if node.text().is_some() {
            format!("it is {}", quote(text))
        } else {
            format!("it is {}", found(node))
        };
        let wrong = Diagnostic::error(
            "value",
            format!("{} must be {}, {found}", self.key(), one_of(words.iter().copied())),
        );
        self.report(
            node.span,
            match nearest(text, words.iter().copied()) {
                Some(word) if node.text().is_some() => {
                    wrong.help(format!("did you mean `{word}`?")).replace(word)
                }
                _ => wrong,
            },
        );
    }

    fn wrong_kind(&mut self, alternatives: &[&Value], node: &Node<'_>, key: ByteSpan) {
        if let Some(advice) = alternatives.iter().find_map(|one| one["x-instead"].as_str()) {
            // Where a secret may have been written the value itself must not be shown.
            self.source.hide(node.span);
            self.mistakes.spoil(self.source, node.span);
            return self.report(
                key,
                Diagnostic::error("inline-secret", format!("{} {advice}", self.key())),
            );
        }
        let mut wanted: Vec<&str> =
            alternatives.iter().flat_map(|one| kinds(one)).map(kind_word).collect();
        wanted.dedup();
        let wrong = Diagnostic::error(
            "type",
            format!("{} must be {}, it is {}", self.key(), wanted.join(" or "), found(node)),
        );
        let text = node.text().unwrap_or("");
        let wrong = match (wanted.as_slice(), &node.kind) {
            (["`true` or `false`"], NodeKind::Scalar { .. }) => match text
                .to_ascii_lowercase()
                .as_str()
            {
                "on" | "yes" | "y" | "1" | "true" => wrong.help("write `true`").replace("true"),
                "off" | "no" | "n" | "0" | "false" => wrong.help("write `false`").replace("false"),
                _ => wrong,
            },
            (["a list"], NodeKind::Scalar { .. }) if text.len() < 80 && !node.span.is_empty() => {
                let item = self.source.text()[node.span.range()].to_owned();
                wrong.help("put it between brackets").replace(format!("[{item}]"))
            }
            (["a list"], _) => wrong.help("begin each entry with `- `"),
            (["a whole number"], NodeKind::Scalar { plain: false, .. })
                if whole(alternatives[0], text).is_none() =>
            {
                wrong.help("remove the quotes").replace(text)
            }
            _ => wrong,
        };
        self.report(node.span, wrong);
    }
}

/// What an unknown key was probably meant to be.
enum Meant<'p> {
    Later,
    Known(&'p str),
    Nothing,
}

fn shape_of<'v>(shape: &'v Shape, schema: &'v Value) -> &'v Value {
    if schema["description"].is_string() { schema } else { shape.resolve(schema) }
}

fn described(schema: &Value) -> Option<String> {
    let about = schema["description"].as_str()?;
    let first = about.split("\n\n").next().unwrap_or(about).replace('\n', " ");
    Some(format!("({})", first.trim_end_matches('.')))
}

/// A check's complaint under the name of its key.
pub fn complained(key: &str, complaint: Complaint) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("value", format!("{key}: {}", complaint.message));
    diagnostic.help = complaint.help;
    diagnostic.replacement = complaint.replacement;
    diagnostic
}

fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str();
    let many = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

fn kind_word(kind: &str) -> &'static str {
    match kind {
        "object" => "a map",
        "array" => "a list",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        _ => "a text",
    }
}

fn found(node: &Node<'_>) -> &'static str {
    match &node.kind {
        NodeKind::Mapping(_) => "a map",
        NodeKind::Sequence(_) => "a list",
        NodeKind::Scalar { .. } => "a text",
    }
}

fn words(schema: &Value) -> impl Iterator<Item = &str> {
    let many = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    schema["const"].as_str().into_iter().chain(many)
}

fn words_only(schema: &Value) -> bool {
    words(schema).next().is_some()
}

fn accepts(schema: &Value, node: &Node<'_>) -> bool {
    kinds(schema).any(|kind| match (&node.kind, kind) {
        (NodeKind::Mapping(_), "object")
        | (NodeKind::Sequence(_), "array")
        | (NodeKind::Scalar { .. }, "string") => true,
        (NodeKind::Scalar { text, plain: true }, "boolean") => {
            matches!(text.as_ref(), "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
        }
        // A plain text that is no number is told as such, with its bounds, rather than as a wrong
        // kind.
        (NodeKind::Scalar { plain: true, .. }, "integer") => true,
        _ => false,
    })
}

fn format_of(shape: &Shape, schema: &Value) -> Option<Check> {
    let name = schema["format"].as_str()?;
    shape.formats.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

fn whole(schema: &Value, text: &str) -> Option<Complaint> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !decimal {
        let complaint = Complaint::new(format!("not a whole number: {}", quote(text)));
        let stripped: String =
            text.chars().filter(|c| !matches!(c, '_' | ',' | '\'' | ' ')).collect();
        let repaired = stripped != text
            && stripped.bytes().all(|b| b.is_ascii_digit())
            && !stripped.is_empty();
        return Some(if repaired {
            complaint.help(format!("write `{stripped}`")).replace(stripped)
        } else {
            complaint
        });
    }
    let value: i128 = text.parse().unwrap_or(i128::MAX);
    let bound = |key: &str| schema[key].as_i64().map(i128::from);
    let min = bound("minimum").unwrap_or(i128::from(i64::MIN));
    let max = bound("maximum").unwrap_or(i128::from(u32::MAX));
    let range = if min == max { format!("{min}") } else { format!("from {min} to {max}") };
    (value < min || value > max).then(|| Complaint::new(format!("must be {range}, it is {text}")))
}

fn text_length(schema: &Value, text: &str) -> Option<Complaint> {
    let max = schema["maxLength"].as_u64()?;
    let count = text.chars().count();
    (count as u64 > max)
        .then(|| Complaint::new(format!("has {count} characters, at most {max} are taken")))
}
