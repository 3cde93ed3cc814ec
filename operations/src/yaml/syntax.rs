//! The parser's errors in the words of an operator, at the place where the mistake is rather than where it was noticed.

use granit_parser::{ErrorKind, ScanError};

use super::DEEPEST;
use crate::report::{Problem, Span};

/// Where the mistake is: the parser's place, within the text.
pub(super) fn place(error: &ScanError, text: &str) -> usize {
    let at = error.marker().byte_offset().unwrap_or_default().min(text.len());
    // At the very end of the file, the last thing that was written is meant.
    if at >= text.trim_end().len() { text.trim_end().len().saturating_sub(1) } else { at }
}

fn here(text: &str, at: usize) -> Span {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at..at + text[at..].chars().next().map_or(0, char::len_utf8)
}

/// The problem that an error is.
pub(super) fn problem(error: &ScanError, at: usize, text: &str) -> Problem {
    let span = here(text, at);
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    if let Some(bracket) = forgotten_bracket(error.kind(), text, span.start) {
        return unclosed(text, bracket);
    }
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            Problem::at(indenting_tab(text, line_start).unwrap_or(span), "a tab stands in the indentation")
                .label("tab")
                .help("indent with spaces")
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Problem::at(span, "a quote that opens here is not closed").label("opens here")
        }
        ErrorKind::InvalidQuotedScalarIndent => {
            let quote = open_quote(text, span.start).unwrap_or(span);
            Problem::at(quote, "a quote that opens here is not closed").label("opens here")
        }
        ErrorKind::UnclosedFlowCollection { .. } => {
            let noticed = error.marker().byte_offset().unwrap_or(at);
            unclosed(text, open_bracket(text, noticed).unwrap_or(span))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            Problem::at(span, format!("the '{open}' that opens here is closed by '{close}'"))
                .label("opens here")
        }
        ErrorKind::MisplacedFlowCollectionEnd => Problem::at(span, "this bracket closes nothing"),
        ErrorKind::RecursionLimitExceeded => {
            Problem::at(span, format!("values are nested more than {DEEPEST} deep here"))
        }
        ErrorKind::UnexpectedCharacter { character } => {
            Problem::at(span, format!("'{}' cannot begin a value", character.escape_default()))
                .help("text that begins with it needs quotes")
        }
        ErrorKind::MissingAnchorOrAliasName => Problem::at(span, "'*' or '&' without a name stands here")
            .help("text that begins with '*' or '&' needs quotes, such as the cron fields \"* * * * *\""),
        ErrorKind::UnknownQuotedScalarEscape => Problem::at(span, "there is no such escape")
            .help("between double quotes, write a backslash as \\\\; or use single quotes"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Problem::at(span, "a second key on one line, or a colon within text")
                .help("text with ': ' in it needs quotes; one key a line otherwise")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            let content = line.len() - line.trim_start().len();
            Problem::at(line_start + content..line_start + line.trim_end().len(), "a key without a value")
                .label("expected 'key: value'")
                .help("a colon and a space follow a key")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            Problem::at(span, "this does not fit what stands before it")
                .label("expected a key, as far indented as those before")
                .help("check the indentation of this line and the one before")
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            Problem::at(span, "',' or '}' is missing before this").label("expected ',' or '}'")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            Problem::at(span, "',' or ']' is missing before this").label("expected ',' or ']'")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            Problem::at(span, "something follows the quote that closes a text")
                .help("quote all of the text; a quote within single quotes is written twice")
        }
        kind => Problem::at(span, format!("not YAML: {kind}")),
    }
}

/// The first tab in the indentation of a line that begins at or after a place. The parser may have given up before it.
fn indenting_tab(text: &str, from: usize) -> Option<Span> {
    let mut start = from;
    for line in text.get(from..)?.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indentation].find('\t') {
            return Some(start + tab..start + tab + 1);
        }
        start += line.len();
    }
    None
}

/// The quote that is still open at a place: it opened on a line before.
fn open_quote(text: &str, at: usize) -> Option<Span> {
    let before = text.get(..at)?;
    let line = before
        .lines()
        .rev()
        .find(|line| line.matches('"').count() % 2 == 1 || line.matches('\'').count() % 2 == 1)?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let quote = if line.matches('"').count() % 2 == 1 { '"' } else { '\'' };
    line.rfind(quote).map(|offset| start + offset..start + offset + 1)
}

fn unclosed(text: &str, bracket: Span) -> Problem {
    let open = text.get(bracket.clone()).unwrap_or_default();
    let close = if open == "[" { ']' } else { '}' };
    Problem::at(bracket, format!("the '{open}' that opens here is not closed"))
        .label("opens here")
        .help(format!("add '{close}'"))
}

/// The bracket that was forgotten, if that is what an error comes from: a line that is indented no deeper than the one
/// in which a bracket opened is not meant to be within it.
fn forgotten_bracket(kind: &ErrorKind, text: &str, at: usize) -> Option<Span> {
    let within_brackets = matches!(
        kind,
        ErrorKind::MappingValueNotAllowed
            | ErrorKind::InvalidColonPlacement
            | ErrorKind::InvalidFlowScalarIndent
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::BlockEntryInFlowCollection
    );
    let bracket = open_bracket(text, at).filter(|_| within_brackets)?;
    let indent = |at: usize| {
        let line = &text[text[..at].rfind('\n').map_or(0, |at| at + 1)..];
        line.len() - line.trim_start_matches(' ').len()
    };
    let later_line = text[bracket.start..at].contains('\n');
    (later_line && indent(at) <= indent(bracket.start)).then_some(bracket)
}

/// The bracket at or nearest before a place that is not closed.
fn open_bracket(text: &str, at: usize) -> Option<Span> {
    let mut closed = 0_usize;
    for (offset, byte) in text.as_bytes().iter().enumerate().take(at + 1).rev() {
        match byte {
            b']' | b'}' => closed += 1,
            b'[' | b'{' if closed == 0 => return Some(offset..offset + 1),
            b'[' | b'{' => closed -= 1,
            _ => {}
        }
    }
    None
}
