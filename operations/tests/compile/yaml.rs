//! Reads YAML as the parser reports it, independently of how operation files are read.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The one document of a text. Plain scalars are what the core schema of YAML 1.2 says.
pub(crate) fn read(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text).map(|next| next.expect("the text is YAML").0);
    let start = parser.find(|event| {
        matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..))
    });
    node(start.expect("the text is not empty"), &mut parser)
}

fn node<'i>(event: Event<'i>, rest: &mut impl Iterator<Item = Event<'i>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match rest.next().expect("a sequence ends") {
                    Event::SequenceEnd => return Value::Array(items),
                    item => items.push(node(item, rest)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries = Map::new();
            loop {
                let key = match rest.next().expect("a mapping ends") {
                    Event::MappingEnd => return Value::Object(entries),
                    key => node(key, rest),
                };
                let key = key.as_str().expect("a key is a string").to_owned();
                let event = rest.next().expect("a key has a value");
                let value = node(event, rest);
                assert!(entries.insert(key, value).is_none(), "a key comes once");
            }
        }
        other => panic!("{other:?} is not written"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => {
            let number = text.parse::<i64>().map(Value::from);
            let number = number.or_else(|_| text.parse::<f64>().map(Value::from));
            number.unwrap_or_else(|_| Value::String(text.to_owned()))
        }
    }
}
