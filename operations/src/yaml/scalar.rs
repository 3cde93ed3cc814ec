//! What a scalar without quotes means: the core schema of YAML 1.2.

use super::Value;

/// What a plain scalar is, or why it is ambiguous.
pub(super) fn plain(text: &str) -> Result<Value, &'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number_like = unsigned.as_bytes().first().is_some_and(|b| b.is_ascii_digit() || *b == b'.');
    Ok(if number_like { number(text, unsigned)? } else { Value::Text(text.to_owned()) })
}

fn number(text: &str, unsigned: &str) -> Result<Value, &'static str> {
    let digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Err("a number that begins with 0 is read as decimal by some and as octal by others");
        }
        let float = || text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Float);
        return Ok(text.parse().map_or_else(|_| float(), Value::Integer));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(Ok(value)) = text.strip_prefix(prefix).map(|rest| i64::from_str_radix(rest, radix)) {
            return Ok(Value::Integer(value));
        }
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Ok(Value::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Ok(Value::Float(f64::NAN));
    }
    let float = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    Ok(match text.parse() {
        Ok(value) if float => Value::Float(value),
        _ => Value::Text(text.to_owned()),
    })
}
