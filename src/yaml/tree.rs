//! Parses text into a tree in which every node has its place, within bounds.
//!
//! Invariant: time and memory are linear in the text. Anchors, aliases, tags, directives and a
//! second document are refused, so a small file cannot describe a large document; nesting is
//! bounded before it is followed.
//!
//! Deliberately not here: what type a plain scalar has. The [`super::shape`] says what type is
//! required.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle, Span as Marked, Tag};

use super::diagnostic::{Diagnostic, Mistakes};
use super::quote::{plain, quote};
use super::source::{ByteSpan, SourceText};

/// Deepest nesting of `[` and `{`; a plan needs four.
const FLOW_DEPTH_MAX: usize = 16;

/// Deepest nesting by indentation; a plan needs six.
const BLOCK_DEPTH_MAX: usize = 32;

/// Most nodes of one document: 140,000 targets of seven nodes. A larger fleet belongs into a CSV or
/// JSON Lines file.
pub const NODES_MAX: usize = 1_000_000;

/// Most keys of one map: none of ours has more than fifteen, and tags are few. It also bounds the
/// search for duplicates.
const KEYS_MAX: usize = 256;

#[derive(Debug)]
pub struct Node<'s> {
    pub span: ByteSpan,
    pub kind: NodeKind<'s>,
}

/// What a node is.
#[derive(Debug)]
pub enum NodeKind<'s> {
    /// A text; `plain` when it stands without quotes, so that it may also be a number, `true` or
    /// nothing.
    Scalar {
        text: Cow<'s, str>,
        plain: bool,
    },
    Sequence(Vec<Node<'s>>),
    /// A map, in its order; keys are scalars and unique.
    Mapping(Vec<(Node<'s>, Node<'s>)>),
}

impl<'s> Node<'s> {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { text, .. } => Some(text),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }

    /// Whether nothing is written here: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar { text, plain: true } if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node<'s>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key with its value.
    pub fn entry(&self, key: &str) -> Option<&(Node<'s>, Node<'s>)> {
        match &self.kind {
            NodeKind::Mapping(entries) => entries.iter().find(|(name, _)| name.text() == Some(key)),
            NodeKind::Scalar { .. } | NodeKind::Sequence(_) => None,
        }
    }

    /// The value of a map's key, which is put there if there is none; `at` is the key's place. What
    /// is no map is left as it is.
    pub fn child_or(&mut self, key: &str, at: ByteSpan, value: Node<'s>) -> &mut Node<'s> {
        if !matches!(self.kind, NodeKind::Mapping(_)) {
            return self;
        }
        let NodeKind::Mapping(entries) = &mut self.kind else { unreachable!("looked at above") };
        let known = entries.iter().position(|(name, _)| name.text() == Some(key));
        let place = known.unwrap_or_else(|| {
            let text = Cow::Owned(key.to_owned());
            entries.push((Node { span: at, kind: NodeKind::Scalar { text, plain: true } }, value));
            entries.len() - 1
        });
        &mut entries[place].1
    }

    /// How many entries a list has.
    pub fn len(&self) -> usize {
        match &self.kind {
            NodeKind::Sequence(items) => items.len(),
            NodeKind::Scalar { .. } | NodeKind::Mapping(_) => 0,
        }
    }

    /// Whether it is no list or an empty one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item of a list.
    pub fn item(&self, index: usize) -> Option<&Node<'s>> {
        match &self.kind {
            NodeKind::Sequence(items) => items.get(index),
            NodeKind::Scalar { .. } | NodeKind::Mapping(_) => None,
        }
    }
}

/// Reads the tree; `what` names the kind of file in messages. `None` when the text is no YAML.
/// An empty text is a scalar without a text.
pub fn parse<'s>(source: &'s SourceText, what: &str, mistakes: &mut Mistakes) -> Option<Node<'s>> {
    if let Some((at, c)) = source.text().char_indices().find(|(_, c)| divides(*c)) {
        let message = format!(
            "the character U+{:04X} is not taken: YAML readers differ about it",
            u32::from(c)
        );
        mistakes.push_node(
            source,
            ByteSpan::of(at..at + c.len_utf8()),
            Diagnostic::error("character", message).help("remove it"),
        );
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: FLOW_DEPTH_MAX,
        block_nesting_limit: BLOCK_DEPTH_MAX,
    };
    let mut reader = TreeReader {
        events: Parser::new_from_str_with_options(source.text(), options),
        source,
        what,
        mistakes,
        nodes: 0,
        end: ByteSpan::of(0..0),
    };
    reader.document().ok()
}

/// Control characters, and what ends a line in YAML 1.1 but not in 1.2, or is invisible and yet
/// part of a key.
fn divides(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// The mistake is told already.
struct Reported;

struct TreeReader<'s, 'm> {
    events: Parser<'s, granit_parser::StrInput<'s>>,
    source: &'s SourceText,
    what: &'m str,
    mistakes: &'m mut Mistakes,
    nodes: usize,
    end: ByteSpan,
}

impl<'s> TreeReader<'s, '_> {
    fn next(&mut self) -> Result<(Event<'s>, Marked), Reported> {
        match self.events.next() {
            Some(Ok((event, marked))) => {
                self.end = span(marked);
                Ok((event, marked))
            }
            Some(Err(error)) => {
                let text = self.source.text();
                let mut at = error.marker().byte_offset().unwrap_or(0).min(text.len());
                let (message, help) = explain(&error.info());
                if help == Some(NO_TABS) {
                    // The parser names where the text began that the tab interrupts.
                    at = text[at..].find('\t').map_or(at, |tab| at + tab);
                }
                let mut diagnostic = Diagnostic::error("syntax", message);
                diagnostic.help = help.map(str::to_owned);
                Err(self.report(ByteSpan::of(at..at), diagnostic))
            }
            None => Err(self.report(
                self.end,
                Diagnostic::error("syntax", format!("the {} ends too early", self.what)),
            )),
        }
    }

    fn report(&mut self, at: ByteSpan, diagnostic: Diagnostic) -> Reported {
        self.mistakes.push_node(self.source, at, diagnostic);
        Reported
    }

    fn document(&mut self) -> Result<Node<'s>, Reported> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), _) if root.is_none() => {
                    let first = self.next()?;
                    root = Some(self.node(first)?);
                }
                (Event::DocumentStart(..), marked) => {
                    let second = Diagnostic::error(
                        "document",
                        format!("a second document begins here, a {} is one", self.what),
                    )
                    .help("put it into a file of its own");
                    return Err(self.report(span(marked), second));
                }
                (Event::StreamEnd, marked) => {
                    let nothing = Node {
                        span: span(marked),
                        kind: NodeKind::Scalar { text: Cow::Borrowed(""), plain: true },
                    };
                    return Ok(root.unwrap_or(nothing));
                }
                (_, marked) => {
                    return Err(self
                        .report(span(marked), Diagnostic::error("syntax", "not a YAML document")));
                }
            }
        }
    }

    fn node(&mut self, (event, marked): (Event<'s>, Marked)) -> Result<Node<'s>, Reported> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let large = Diagnostic::error("too-large", format!("more than {NODES_MAX} values"))
                .help("put a large fleet into a CSV or JSON Lines file and name it in `targets.files`");
            return Err(self.report(span(marked), large));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.refuse_properties(anchor, tag.as_deref(), marked);
                Ok(Node { span: span(marked), kind: NodeKind::Scalar { text, plain } })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), marked);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => {
                            let span = self.until(
                                marked,
                                end,
                                items.last().map(|item: &Node<'_>| item.span),
                            );
                            return Ok(Node { span, kind: NodeKind::Sequence(items) });
                        }
                        other => items.push(self.node(other)?),
                    }
                }
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), marked);
                self.mapping(marked)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.report(
                    span(marked),
                    Diagnostic::error("alias", "an alias is not taken here")
                        .help("write the value out"),
                );
                Ok(Node {
                    span: span(marked),
                    kind: NodeKind::Scalar { text: Cow::Borrowed("*"), plain: false },
                })
            }
            _ => Err(self.report(span(marked), Diagnostic::error("syntax", "not a YAML document"))),
        }
    }

    fn mapping(&mut self, start: Marked) -> Result<Node<'s>, Reported> {
        let mut entries: Vec<(Node<'s>, Node<'s>)> = Vec::new();
        // Also of an entry that is refused below: its mistake must lie within the map, which is
        // then not read any further.
        let mut last = None;
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, end) => {
                    let span = self.until(start, end, last);
                    return Ok(Node { span, kind: NodeKind::Mapping(entries) });
                }
                other => self.node(other)?,
            };
            let first = self.next()?;
            let mut value = self.node(first)?;
            if matches!(value.kind, NodeKind::Sequence(_)) {
                value.span = self.with_first_dash(value.span);
            }
            last = Some(value.span);
            let Some(name) = key.text().filter(|_| !key.is_null()) else {
                self.report(key.span, Diagnostic::error("key", "a key must be a text"));
                continue;
            };
            match entries.iter().find(|(known, _)| known.text() == Some(name)) {
                Some((known, _)) => {
                    self.source.hide(value.span);
                    let twice = Diagnostic::error(
                        "duplicate-key",
                        format!("the key {} stands here twice", quote(name)),
                    )
                    .also(self.source.place(known.span), "the first one")
                    .help("remove one of them");
                    self.report(key.span, twice);
                }
                None if entries.len() == KEYS_MAX => {
                    return Err(self.report(
                        key.span,
                        Diagnostic::error(
                            "too-large",
                            format!("more than {KEYS_MAX} keys in one map"),
                        ),
                    ));
                }
                None => entries.push((key, value)),
            }
        }
    }

    /// The parser lets a list that is indented no further than its key begin after its first dash.
    fn with_first_dash(&self, list: ByteSpan) -> ByteSpan {
        let text = self.source.text();
        let before = text[..list.range().start].trim_end();
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        // A dash that is the first on its line and with nothing but space up to the list is the
        // list's own.
        if before[line..].trim_start() == "-" {
            ByteSpan::of(before.len() - 1..list.range().end)
        } else {
            list
        }
    }

    /// An anchor or a tag could give a node another meaning than its text shows.
    fn refuse_properties(&mut self, anchor: usize, tag: Option<&Tag>, marked: Marked) {
        let node = span(marked);
        if anchor != 0 {
            let line = self.source.text()[..node.range().start].rfind('\n').map_or(0, |at| at + 1);
            let before = &self.source.text()[line..node.range().start];
            let at = before
                .rfind('&')
                .map_or(node, |at| ByteSpan::of(line + at..line + before.trim_end().len()));
            self.report(
                at,
                Diagnostic::error("anchor", "an anchor is not taken here")
                    .help("write the value out where it is used"),
            );
        }
        if let Some(tag) = tag {
            let at = marked.tag_span().map_or(node, span);
            let refused = Diagnostic::error(
                "tag",
                format!("the tag {} is not taken here", quote(&tag.original())),
            );
            self.report(at, refused.help("remove it; `\"…\"` makes a text of any value"));
        }
    }

    /// From the start of a collection to its end, without the white space that the parser counts to
    /// it, but with its last node, which may be one that was left out and so stand in that white
    /// space.
    fn until(&self, start: Marked, end: Marked, last: Option<ByteSpan>) -> ByteSpan {
        let start = span(start).range().start;
        let end = span(end).range().end.max(start);
        let text = start + self.source.text()[start..end].trim_end().len();
        ByteSpan::of(start..last.map_or(text, |last| text.max(last.range().end)))
    }
}

fn span(marked: Marked) -> ByteSpan {
    ByteSpan::of(marked.byte_range().expect("a parser over a text counts bytes"))
}

const NO_TABS: &str = "indent with spaces, never with tabs";

/// The parser's words, and what a person who is not at home in YAML may do.
fn explain(info: &str) -> (String, Option<&'static str>) {
    let lower = info.to_ascii_lowercase();
    if lower.contains("recursion limit") {
        return (
            "nested too deeply".to_owned(),
            Some("no plan or configuration is nested like that; is a bracket left open?"),
        );
    }
    let help = if lower.contains("tab") {
        Some(NO_TABS)
    } else if lower.contains("mapping value") {
        Some("put a text that holds `: ` between quotes, and look at the indentation")
    } else {
        None
    };
    (plain(info), help)
}
