//! Text that is safe to show and fits: escaped, measured as a terminal shows it, shortened, wrapped.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use unicode_width::UnicodeWidthStr;

/// Adds formatted text to a text.
pub(crate) fn add(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(what);
}

/// Whether a character could move the cursor, change colours or reorder what is shown.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with control characters and those that reorder text written as escapes, on one line.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// As [`plain`], but line ends stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, keep_line_ends: bool) -> Cow<'_, str> {
    let bad = |c: char| is_unsafe(c) && !(keep_line_ends && c == '\n');
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if bad(c) {
            result.extend(c.escape_default());
        } else {
            result.push(c);
        }
    }
    Cow::Owned(result)
}

/// How many columns a terminal needs for the text.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most so many columns: if it is longer, its middle is left out.
pub(crate) fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let (front, back) = (room.div_ceil(2), room / 2);
    let head = take(text.chars(), front);
    let tail: String = take(text.chars().rev(), back).chars().rev().collect();
    Cow::Owned(format!("{head}…{tail}"))
}

fn take(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut result = String::new();
    for c in characters {
        result.push(c);
        if width(&result) > columns {
            let _ = result.pop();
            break;
        }
    }
    result
}

/// The text, followed by spaces up to so many columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text broken between words so that no line is over so many columns, the later lines indented. A word that is
/// longer than a line stays whole: it may be something to copy.
pub(crate) fn wrap(text: &str, columns: usize, indent: usize) -> String {
    let mut result = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let length = width(word);
        if used > 0 && used + 1 + length > columns {
            result.push('\n');
            result.push_str(&" ".repeat(indent));
            used = indent;
        } else if used > 0 {
            result.push(' ');
            used += 1;
        }
        result.push_str(word);
        used += length;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(plain("a\x1b[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\r\\n\\u{202e}c");
        assert_eq!(lines("a\nb\x07"), "a\nb\\u{7}");
        assert_eq!(plain("déjà vu, 文書"), "déjà vu, 文書");
    }

    #[test]
    fn the_middle_is_left_out() {
        assert_eq!(shorten("/srv/documents/of/the/year", 11), "/srv/…/year");
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("文書文書文書文書", 7), "文…書");
        assert_eq!(shorten("abc", 0), "…");
    }

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three four", 9, 2), "one two\n  three\n  four");
        assert_eq!(wrap("averyverylongword next", 8, 2), "averyverylongword\n  next");
    }
}
