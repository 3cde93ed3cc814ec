//! As much of a YAML writer as a step needs: flow collections, and strings quoted whenever they have to be.

use std::fmt::Write;

use serde_json::Value;

use crate::units::Period;

/// Writes a value on one line.
pub(super) fn flow(text: &mut String, value: &Value) {
    match value {
        Value::String(value) => string(text, value),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                flow(text, item);
            }
            text.push(']');
        }
        Value::Object(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Object(entries) => {
            text.push_str("{ ");
            for (index, (key, item)) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                string(text, key);
                text.push_str(": ");
                flow(text, item);
            }
            text.push_str(" }");
        }
        // Null, booleans and numbers are written as in JSON.
        other => text.push_str(&other.to_string()),
    }
}

/// Writes a string, in double quotes unless every reader of YAML takes it for a string without them.
pub(super) fn string(text: &mut String, value: &str) {
    if is_plain(value) {
        text.push_str(value);
        return;
    }
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            _ if is_printable(character) => text.push(character),
            _ => {
                // Writing to a string cannot fail. Beyond the first plane there is nothing that is not printable.
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
        }
    }
    text.push('"');
}

/// Words that some reader of YAML, of whatever version, takes for something else than a string.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

fn is_plain(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let begins = value.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    let word = WORDS.iter().any(|word| value.eq_ignore_ascii_case(word));
    (begins && value.chars().all(inner) && !word) || Period::parse(value).is_some()
}

/// What may stand in double quotes as it is: printable in the sense of YAML, and neither a line break of any version
/// nor a byte order mark.
fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\u{0}'..='\u{1F}'
            | '\u{7F}'..='\u{9F}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{FEFF}'
            | '\u{FFFE}'
            | '\u{FFFF}'
    )
}
