//! Reading on after an error: the entry that holds it is blanked, and the rest is read again, so that one missing quote
//! does not hide every other problem of the file.

use super::{Tree, build, decode::printable, syntax};
use crate::report::{Problem, Span};

/// How often a file is read again.
const ROUNDS: usize = 8;

/// Reads a text. What could not be read is reported and left out.
pub(crate) fn parse(text: &str) -> (Tree, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut text = printable(text, &mut problems).into_owned();
    let mut blanked = Vec::new();
    for round in 0.. {
        let mut built = build::build(&text);
        let Some(error) = built.error.take() else {
            problems.append(&mut built.problems);
            let (nodes, root) = (built.nodes, built.root);
            return (Tree { nodes, root, blanked, text }, problems);
        };
        let at = syntax::place(&error, &text);
        let problem = syntax::problem(&error, at, &text);
        // Where the mistake is, which may be well before the place where it was noticed.
        let entry = enclosing_entry(&text, problem.span.as_ref().map_or(at, |span| span.start));
        problems.push(problem);
        let useless = text.get(entry.clone()).is_none_or(|entry| entry.trim().is_empty());
        if round == ROUNDS || useless {
            break;
        }
        text = blank(&text, &entry);
        blanked.push(entry);
    }
    blanked.push(0..text.len());
    (Tree { blanked, text, ..Tree::default() }, problems)
}

/// The text with a part of it replaced by as many spaces.
fn blank(text: &str, part: &Span) -> String {
    let mut result = String::with_capacity(text.len());
    result.push_str(&text[..part.start]);
    result.extend(text[part.clone()].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
    result.push_str(&text[part.end..]);
    result
}

/// How far a line is indented; `None` if there is nothing in it but space or a comment.
fn indent(line: &str) -> Option<usize> {
    let content = line.trim_start();
    (!content.is_empty() && !content.starts_with('#')).then(|| line.len() - content.len())
}

/// The entry around a place: the one below a key of the file's root if there is one, else that key itself. Told from
/// indentation alone, since it is the structure that is in doubt.
fn enclosing_entry(text: &str, at: usize) -> Span {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        lines.push((start, line));
        start += line.len();
    }
    let mut here = lines.partition_point(|(start, _)| *start <= at).saturating_sub(1);
    while here > 0 && lines.get(here).is_some_and(|(_, line)| indent(line).is_none()) {
        here -= 1;
    }
    // The line itself, then each earlier one that is indented less than all before it: the way out to the root.
    let mut outwards = Vec::new();
    for index in (0..=here).rev() {
        let Some(width) = lines.get(index).and_then(|(_, line)| indent(line)) else { continue };
        if outwards.last().is_none_or(|(_, outer)| width < *outer) {
            outwards.push((index, width));
        }
    }
    let depth = outwards.len().saturating_sub(2);
    let Some((first, width)) = outwards.get(depth).copied() else { return 0..text.len() };
    let after = lines.iter().skip(first + 1).find(|(_, line)| indent(line).is_some_and(|w| w <= width));
    let end = after.map_or(text.len(), |(start, _)| *start);
    lines.get(first).map_or(0..text.len(), |(start, _)| *start..end)
}
