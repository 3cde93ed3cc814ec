//! The text of a file, as problems are shown in it. miette's own source scans the whole text for each problem, counts
//! columns in bytes, and prints control bytes as they are; hence this one.

use std::path::Path;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// The longest part of a line that is shown, in bytes.
const WIDEST: usize = 160;

/// A file's name and text, with an index of its lines, harmless to print.
#[derive(Clone, Debug)]
pub struct SourceText {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Whether printing a character could do anything but show it: control characters, and those that turn the direction
/// of the text around.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A replacement of the same length in bytes, so that places stay what they are.
fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\r' => ' ',
        c if !is_dangerous(c) => c,
        c if c.len_utf8() == 1 => '?',
        c if c.len_utf8() == 2 => '\u{b7}',
        _ => char::REPLACEMENT_CHARACTER,
    }
}

fn name(file: &Path) -> String {
    file.display().to_string().chars().filter(|c| !is_dangerous(*c)).collect()
}

impl SourceText {
    /// Indexes a text.
    pub fn new(file: &Path, text: &str) -> Self {
        let text: String = text.chars().map(harmless).collect();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name(file), text, lines }
    }

    /// The same text under another name.
    pub(super) fn named(&self, file: &Path) -> Self {
        Self { name: name(file), ..self.clone() }
    }

    /// The index of the line that a byte is in.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Where a line begins and ends, without its line break.
    fn bounds(&self, line: usize) -> (usize, usize) {
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        (start, end)
    }

    fn floor(&self, mut offset: usize) -> usize {
        offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// Line and column of a byte, from 1; the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.floor(offset);
        let line = self.line(offset);
        let (start, _) = self.bounds(line);
        (line + 1, self.text[start..offset].chars().count() + 1)
    }

    /// A span cut down to what is shown of it: within one line, and not wider than the line is shown.
    pub(super) fn visible(&self, span: &super::Span) -> (usize, usize) {
        let start = self.floor(span.start);
        let (_, line_end) = self.bounds(self.line(start));
        let end = self.floor(span.end.min(line_end).min(start + WIDEST / 2)).max(start);
        (start, end - start)
    }
}

impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let start = self.floor(span.offset());
        let (line, last) = (self.line(start), self.line(span.offset() + span.len()));
        let (mut from, _) = self.bounds(line);
        let (_, mut to) = self.bounds(last);
        if to - from > WIDEST && line == last {
            from = from.max(self.floor(start.saturating_sub(WIDEST / 4)));
            to = to.min(self.floor(from + WIDEST));
        }
        let (_, column) = self.position(start);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[from..to],
            (from, to - from).into(),
            line,
            column - 1,
            last - line + 1,
        )))
    }
}
