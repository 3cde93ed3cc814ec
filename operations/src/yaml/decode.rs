//! From the bytes of a file to text, or why they are none.

use std::borrow::Cow;

use crate::{
    definitions::LARGEST,
    report::{Problem, Span},
};

/// Decodes UTF-8, with or without a byte order mark. What else it is, is a problem, with a text to show it in.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Box<(Problem, String)>> {
    if bytes.len() > LARGEST {
        let message = format!("the file has more than {LARGEST} bytes, the most that are read");
        return Err(Box::new((Problem { span: None, ..Problem::at(0..0, message) }, String::new())));
    }
    if let Some(encoding) = other_unicode(bytes) {
        let problem = Problem::at(0..0, format!("the file is {encoding}, not UTF-8"))
            .help(format!("convert it: iconv -f {encoding} -t UTF-8"));
        return Err(Box::new((Problem { span: None, ..problem }, String::new())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let (valid, rest) = bytes.split_at(at);
        // Latin-1 is the likeliest of what it may be, and whatever the bytes are, they can be shown as it.
        let shown: String =
            String::from_utf8_lossy(valid).chars().chain(rest.iter().map(|b| char::from(*b))).collect();
        let byte = rest.first().copied().unwrap_or_default();
        let problem =
            Problem::at(at..at + 1, format!("the file is not UTF-8: the byte 0x{byte:02X} stands here"))
                .label(if byte >= 0xa0 {
                    format!("'{}' in Latin-1", char::from(byte))
                } else {
                    String::new()
                })
                .help("convert it: iconv -f ISO-8859-1 -t UTF-8");
        Box::new((problem, shown))
    })
}

/// Whether the bytes are Unicode of another width: by their mark, or because every second one is zero.
fn other_unicode(bytes: &[u8]) -> Option<&'static str> {
    match bytes.get(..4).unwrap_or(bytes) {
        [0xff, 0xfe, 0, 0] | [_, 0, 0, 0] => Some("UTF-32LE"),
        [0, 0, ..] => Some("UTF-32BE"),
        [0xff, 0xfe, ..] | [_, 0, _, 0] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] | [0, _, 0, _] => Some("UTF-16BE"),
        _ => None,
    }
}

/// So many characters that YAML forbids are reported one by one: where there are more, the file is no text.
const MOST_FORBIDDEN: usize = 20;

/// The text with every character that YAML forbids replaced by as much space, so that the rest can be read, and a problem for
/// each, within reason; nothing is copied if there is none.
pub(super) fn printable<'a>(text: &'a str, problems: &mut Vec<Problem>) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let suspicious =
        |b: &u8| (*b < b' ' && !matches!(b, b'\n' | b'\t')) || *b == 0x7f || *b == 0xc2 || *b == 0xef;
    if !bytes.iter().any(suspicious) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut forbidden = 0_usize;
    for (at, c) in text.char_indices() {
        let span: Span = at..at + c.len_utf8();
        let problem = match c {
            '\n' | '\t' | '\u{85}' => None,
            '\r' if bytes.get(at + 1) == Some(&b'\n') => None,
            '\r' => Some(
                Problem::at(span, "a carriage return stands alone here")
                    .help("end lines with a line feed, or carriage return and line feed"),
            ),
            '\u{feff}' => {
                Some(Problem::at(span, "a byte order mark stands inside the file").help("remove it"))
            }
            c if c.is_control() => Some(
                Problem::at(span, format!("the control character U+{:04X} stands here", u32::from(c)))
                    .help("remove it; in text between double quotes it can be written as an escape"),
            ),
            _ => None,
        };
        if let Some(problem) = problem {
            forbidden += 1;
            if forbidden <= MOST_FORBIDDEN {
                problems.push(problem);
            }
            let space = if c == '\r' { '\n' } else { ' ' };
            (0..c.len_utf8()).for_each(|_| masked.push(space));
        } else {
            masked.push(c);
        }
    }
    if forbidden > MOST_FORBIDDEN {
        let message = format!("there are {forbidden} characters that YAML forbids: is the file text at all?");
        problems.push(Problem::at(0..0, message));
    }
    Cow::Owned(masked)
}
