//! Damage: of bytes, and of JSON that stays JSON.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// What is put in place of a value: names that lead elsewhere, numbers beyond their bounds, other kinds of values.
pub(crate) fn hostile(rng: &mut Rng) -> Value {
    match rng.u8(..16) {
        0 => json!("../../escaped"),
        1 => json!("/escaped/../../escaped"),
        2 => json!(""),
        3 => json!("a\0b\u{1b}[2J\n"),
        4 => json!("x".repeat(rng.usize(..100_000))),
        5 => json!(-1),
        6 => json!(u64::MAX),
        7 => json!(1e308),
        8 => Value::Null,
        9 => json!([]),
        10 => json!({}),
        11 => json!(rng.bool()),
        12 => (0..rng.usize(..200)).fold(json!(0), |inner, _| json!([inner])),
        13 => json!("9999-12-31T23:59:59.999999999Z"),
        14 => json!(rng.u64(..)),
        _ => json!("😀\u{202e}..\\"),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces, removes or repeats one value somewhere within.
pub(crate) fn json(value: &mut Value, rng: &mut Rng) {
    for _ in 0..rng.usize(1..4) {
        let mut at = rng.usize(..count(value));
        change(value, &mut at, rng);
    }
}

fn change(value: &mut Value, at: &mut usize, rng: &mut Rng) -> bool {
    if *at == 0 {
        let old = value.take();
        *value = match rng.u8(..6) {
            0 => Value::Array(vec![old.clone(), old]),
            1 => Value::Object(Map::from_iter([("unknown".to_owned(), old)])),
            _ => hostile(rng),
        };
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| change(item, at, rng)),
        Value::Object(fields) => {
            if *at == 0 && rng.bool() {
                let name = fields.keys().nth(rng.usize(..fields.len().max(1))).cloned();
                return name.is_some_and(|name| fields.remove(&name).is_some());
            }
            fields.values_mut().any(|item| change(item, at, rng))
        }
        _ => false,
    }
}

/// Damages bytes: some are changed, cut out, repeated, or replaced by what is easily mistaken.
pub(crate) fn bytes(of: &[u8], tokens: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut damaged = of.to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=damaged.len());
        let to = (at + rng.usize(..24)).min(damaged.len());
        match rng.u8(..6) {
            0 if at < damaged.len() => damaged[at] ^= 1 << rng.u8(..8),
            1 => drop(damaged.drain(at..to)),
            2 => {
                let part = damaged[at..to].to_vec();
                let _ = damaged.splice(at..at, part.repeat(rng.usize(1..40)));
            }
            3 if rng.u8(..8) == 0 => damaged.truncate(at),
            4 => drop(damaged.splice(at..at, (0..rng.usize(..8)).map(|_| rng.u8(..)))),
            _ => {
                let token = if tokens.is_empty() { "" } else { tokens[rng.usize(..tokens.len())] };
                let _ = damaged.splice(at..to, token.bytes());
            }
        }
    }
    damaged
}
