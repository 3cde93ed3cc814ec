//! From the parser's events to the tree.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag, options};

use super::{DEEPEST, Entry, MOST_ALIASED, Node, NodeId, Value, scalar};
use crate::report::{Problem, Span, shown};

/// So many bytes of text weigh as much as one value more, where aliases repeat it.
const BYTES_A_VALUE: usize = 64;

/// What came of one reading.
#[derive(Default)]
pub(super) struct Built<'a> {
    text: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<NodeId>,
    pub(super) problems: Vec<Problem>,
    /// The error at which the parser gave up.
    pub(super) error: Option<ScanError>,
    /// How many values each node stands for, aliases included.
    weights: Vec<usize>,
    open: Vec<Open>,
    /// The node of each anchor; none while that node is still being read.
    anchors: HashMap<usize, Option<NodeId>>,
    aliased: usize,
    documents: usize,
}

/// A list or map that is still being read.
struct Open {
    start: usize,
    anchor: usize,
    weight: usize,
    content: Content,
}

enum Content {
    List(Vec<NodeId>),
    Map { entries: Vec<Entry>, key: Option<(String, Span)> },
}

/// Reads one document, up to the first error of the parser.
pub(super) fn build(text: &str) -> Built<'_> {
    let mut built = Built { text, ..Built::default() };
    let options = options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let place = span.byte_range().unwrap_or_default();
                let tag = span.tag_span().and_then(|tag| tag.byte_range());
                built.event(event, place, tag);
            }
            Err(error) => {
                built.error = Some(error);
                break;
            }
        }
        if built.documents > 1 {
            break;
        }
    }
    built
}

impl Built<'_> {
    fn event(&mut self, event: Event<'_>, span: Span, tag_span: Option<Span>) {
        if let Some(tag) = event.tag() {
            self.refuse_tag(tag, tag_span.unwrap_or_else(|| span.clone()));
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.problems.push(
                        Problem::at(span, "a second document begins here; a file holds one")
                            .help("put it into a file of its own"),
                    );
                }
            }
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, span),
            Event::SequenceStart(_, anchor, _) => self.begin(span.start, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.begin(span.start, anchor, Content::Map { entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("the alias '*{}' refers to no anchor before it", shown(&name));
                self.problems
                    .push(Problem::at(span.clone(), message).help("text that begins with '*' needs quotes"));
                self.add(span, Value::Invalid, 1, 0, None);
            }
            _ => {}
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, span: Span) {
        let help = match tag.core_suffix() {
            Some("str") => "remove it, and put the value in quotes",
            _ => "remove it; text that begins with '!' needs quotes",
        };
        let message = format!("the tag '{}' has no meaning here", shown(&tag.original()));
        self.problems.push(Problem::at(span, message).help(help));
    }

    /// Whether the next node is the key of a map.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) {
        // The parser writes `~` for nothing, and places it at the colon before it.
        let nothing = style == ScalarStyle::Plain && span.is_empty();
        let text = if nothing { "" } else { text };
        let span = if nothing && !self.expects_key() { self.after_colon(span) } else { span };
        let value = if style != ScalarStyle::Plain || self.expects_key() {
            Value::Text(text.to_owned())
        } else {
            scalar::plain(text).unwrap_or_else(|why| {
                self.problems.push(
                    Problem::at(span.clone(), format!("'{text}' is ambiguous: {why}"))
                        .label("leave out the zero, or put text in quotes")
                        .help(format!("write {}, or \"{text}\" if text is meant", without_zeros(text))),
                );
                Value::Invalid
            })
        };
        self.add(span, value, 1 + text.len() / BYTES_A_VALUE, anchor, Some(text));
    }

    fn after_colon(&self, span: Span) -> Span {
        let colon = usize::from(self.text[span.start.min(self.text.len())..].starts_with(':'));
        span.start + colon..span.end + colon
    }

    fn begin(&mut self, start: usize, anchor: usize, content: Content) {
        if anchor != 0 {
            let _ = self.anchors.insert(anchor, None);
        }
        self.open.push(Open { start, anchor, weight: 1, content });
    }

    fn end(&mut self, span: &Span) {
        let Some(open) = self.open.pop() else { return };
        let (value, last) = match open.content {
            Content::List(items) => {
                let last = items.last().map(|id| self.nodes[*id].span.end);
                (Value::List(items), last)
            }
            Content::Map { entries, .. } => {
                let entries = self.once_each(entries);
                let last = entries.last().map(|e| self.nodes[e.value].span.end.max(e.key_span.end));
                (Value::Map(entries), last)
            }
        };
        // A block has no end of its own: its event stands at whatever comes next.
        let end = if span.is_empty() { last.unwrap_or(open.start) } else { span.end };
        self.add(open.start..end.max(open.start), value, open.weight, open.anchor, None);
    }

    /// The entries without those whose key came before, each of which is a problem.
    fn once_each(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|i| &entries[*i].key);
        let mut repeated = HashSet::new();
        for pair in order.chunk_by(|a, b| entries[*a].key == entries[*b].key) {
            for again in &pair[1..] {
                let (first, again) = (&entries[pair[0]], &entries[*again]);
                let message = format!("the key '{}' stands here again", shown(&again.key));
                self.problems.push(
                    Problem::at(again.key_span.clone(), message)
                        .label("again")
                        .related(first.key_span.clone(), "first here")
                        .help("remove one of the two"),
                );
                let _ = repeated.insert(again.key_span.start);
            }
        }
        if repeated.is_empty() {
            return entries;
        }
        entries.into_iter().filter(|entry| !repeated.contains(&entry.key_span.start)).collect()
    }

    fn alias(&mut self, id: usize, span: Span) {
        let Some(Some(target)) = self.anchors.get(&id).copied() else {
            self.problems.push(Problem::at(span.clone(), "the alias refers to a value that contains it"));
            return self.add(span, Value::Invalid, 1, 0, None);
        };
        let weight = self.weights[target];
        let before = self.aliased;
        self.aliased = before.saturating_add(weight);
        if self.aliased <= MOST_ALIASED {
            let key =
                if let Value::Text(text) = &self.nodes[target].value { Some(text.clone()) } else { None };
            return self.deliver(target, &span, weight, key.as_deref());
        }
        if before <= MOST_ALIASED {
            let message = format!("the aliases up to here stand for more than {MOST_ALIASED} values");
            self.problems.push(Problem::at(span.clone(), message).help("write the values out"));
        }
        self.add(span, Value::Invalid, 1, 0, None);
    }

    /// Adds a node to the tree, and to the list or map it stands in.
    fn add(&mut self, span: Span, value: Value, weight: usize, anchor: usize, key: Option<&str>) {
        let id = self.nodes.len();
        self.nodes.push(Node { span: span.clone(), value });
        self.weights.push(weight);
        if anchor != 0 {
            let _ = self.anchors.insert(anchor, Some(id));
        }
        self.deliver(id, &span, weight, key);
    }

    /// Puts a node where it stands: `written` is where that is, which differs from the node's place if it is an alias.
    fn deliver(&mut self, id: NodeId, written: &Span, weight: usize, text: Option<&str>) {
        let Some(open) = self.open.last_mut() else {
            if self.root.is_none() {
                self.root = Some(id);
            }
            return;
        };
        open.weight = open.weight.saturating_add(weight);
        let (entries, pending) = match &mut open.content {
            Content::List(items) => return items.push(id),
            Content::Map { entries, key } => (entries, key),
        };
        if let Some((key, key_span)) = pending.take() {
            // A key that is none, or stands for others, has been reported.
            if text != Some("<<") && !key.is_empty() && key != "<<" {
                entries.push(Entry { key, key_span, value: id });
            }
            return;
        }
        let problem = match text {
            Some("<<") => Some(
                Problem::at(written.clone(), "merge keys are not part of YAML 1.2")
                    .help("write the entries out, or give an alias to a single key"),
            ),
            Some("") => Some(Problem::at(written.clone(), "a key is missing here").label("before the colon")),
            Some(_) => None,
            None => Some(Problem::at(written.clone(), "a key must be text, not a list or a map")),
        };
        self.problems.extend(problem);
        *pending = Some((text.unwrap_or_default().to_owned(), written.clone()));
    }
}

/// A number as it would be written without the zeros before it.
fn without_zeros(text: &str) -> String {
    let (sign, digits) = text.split_at(text.len() - text.trim_start_matches(['-', '+']).len());
    let rest = digits.trim_start_matches('0');
    format!("{sign}{}", if rest.is_empty() { "0" } else { rest })
}
