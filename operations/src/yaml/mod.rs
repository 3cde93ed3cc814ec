//! YAML as a tree of values, each with its place. The only module that knows the parser.
//!
//! YAML 1.2 with the core schema; one document; no merge keys, no tags, no keys but text. What is not so is a problem
//! at its place, and the rest of the file is read all the same.

mod build;
mod decode;
mod recover;
mod scalar;
mod syntax;

use std::fmt;

pub(crate) use decode::decode;
pub(crate) use recover::parse;

use crate::report::Span;

/// The index of a node in its tree. An alias is the index of what it refers to.
pub(crate) type NodeId = usize;

/// The deepest nesting that is read.
pub(crate) const DEEPEST: usize = 64;

/// The most values that all aliases of a file may stand for.
pub(crate) const MOST_ALIASED: usize = 10_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it is written.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: Value,
}

/// A value of the core schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Something about which a problem has been reported already.
    Invalid,
    /// Nothing at all, `~`, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// `- a` or `[a]`.
    List(Vec<NodeId>),
    /// `a: b` or `{a: b}`; each key once.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is written.
    pub(crate) key_span: Span,
    /// Its value.
    pub(crate) value: NodeId,
}

/// All values of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<NodeId>,
    /// What was left out to read on after an error.
    pub(super) blanked: Vec<Span>,
    /// The text that was read in the end: as written, but for what was blanked.
    pub(super) text: String,
}

impl Tree {
    /// The tree of a file of which nothing could be read.
    pub(crate) fn unread() -> Self {
        Self { blanked: std::iter::once(0..0).collect(), ..Self::default() }
    }

    /// The value that the file is; `None` if the file is empty or nothing could be read.
    pub(crate) fn root(&self) -> Option<View<'_>> {
        self.root.map(|id| View { tree: self, id })
    }

    /// Whether all of the file was read.
    pub(crate) fn is_whole(&self) -> bool {
        self.blanked.is_empty()
    }

    /// Whether something that was left out could have stood in this part, right before it, or right after.
    pub(crate) fn lacks_something_in(&self, span: &Span) -> bool {
        let after = self.text.get(span.end..).unwrap_or_default();
        let end = span.end + (after.len() - after.trim_start().len());
        let before = self.text.get(..span.start).unwrap_or_default();
        self.blanked.iter().any(|blank| blank.start < end && blank.end > before.trim_end().len())
    }
}

/// One node, seen in its tree.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    tree: &'a Tree,
    id: NodeId,
}

impl<'a> View<'a> {
    /// The tree it is in.
    pub(crate) const fn tree(self) -> &'a Tree {
        self.tree
    }

    /// The same tree, at another node.
    #[must_use]
    pub(crate) const fn at(self, id: NodeId) -> Self {
        Self { tree: self.tree, id }
    }

    /// What it is.
    pub(crate) fn value(self) -> &'a Value {
        &self.tree.nodes[self.id].value
    }

    /// Where it is.
    pub(crate) fn span(self) -> Span {
        self.tree.nodes[self.id].span.clone()
    }

    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|entry| self.at(entry.value))
    }

    /// The entry of a key, if this is a map that has it.
    pub(crate) fn entry(self, key: &str) -> Option<&'a Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries, if this is a map.
    pub(crate) fn entries(self) -> &'a [Entry] {
        if let Value::Map(entries) = self.value() { entries } else { &[] }
    }

    /// The items, if this is a list.
    pub(crate) fn items(self) -> impl Iterator<Item = Self> {
        let items: &[NodeId] = if let Value::List(items) = self.value() { items } else { &[] };
        items.iter().map(move |id| self.at(*id))
    }

    /// The text, if this is text.
    pub(crate) fn text(self) -> Option<&'a str> {
        if let Value::Text(text) = self.value() { Some(text) } else { None }
    }
}

impl fmt::Display for Value {
    /// What kind of value it is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => f.write_str("an unreadable value"),
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "the truth value {value}"),
            Self::Integer(value) => write!(f, "the number {value}"),
            Self::Float(value) => write!(f, "the number {value}"),
            Self::Text(text) => write!(f, "the text '{}'", crate::report::shown(text)),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Map(_) => f.write_str("a map"),
        }
    }
}
