//! The schema, made ready to be walked: references resolved to indices, patterns to functions.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::patterns::{PATTERNS, Pattern};

/// The index of a rule.
pub(crate) type RuleId = usize;

/// What kind of value a rule wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Type {
    #[default]
    Any,
    Text,
    Integer,
    Bool,
    List,
    Map,
}

/// What one value has to be.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub(crate) kind: Type,
    pub(crate) properties: BTreeMap<String, RuleId>,
    pub(crate) required: Vec<String>,
    /// For maps with names as keys: what a name looks like, if it matters, and what stands behind it.
    pub(crate) named: Option<(Option<&'static Pattern>, RuleId)>,
    pub(crate) items: Option<RuleId>,
    /// The fewest items, entries or characters.
    pub(crate) fewest: usize,
    pub(crate) minimum: Option<i64>,
    pub(crate) maximum: Option<i64>,
    pub(crate) pattern: Option<&'static Pattern>,
    /// The only values there are.
    pub(crate) choices: Vec<String>,
    /// Of these keys, exactly one.
    pub(crate) one_of: Vec<String>,
    /// Values that are planned but not built; one that ends in `*` stands for all that begin so.
    pub(crate) not_built: Vec<String>,
    /// Where what it names is declared.
    pub(crate) names: Option<String>,
}

/// A schema, ready to be walked.
#[derive(Debug)]
pub(crate) struct Rules {
    all: Vec<Rule>,
    pub(crate) root: RuleId,
    /// Keywords that have no meaning for the walk. Empty, or a test fails.
    pub(crate) unknown: Vec<String>,
    definitions: HashMap<String, RuleId>,
}

impl std::ops::Index<RuleId> for Rules {
    type Output = Rule;

    fn index(&self, id: RuleId) -> &Rule {
        &self.all[id]
    }
}

impl Rules {
    /// Reads a schema as schemars derives it.
    pub(crate) fn compile(schema: &Value) -> Self {
        let mut rules = Self { all: Vec::new(), root: 0, unknown: Vec::new(), definitions: HashMap::new() };
        rules.root = rules.add(schema, schema);
        rules
    }

    fn add(&mut self, schema: &Value, whole: &Value) -> RuleId {
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            if let Some(known) = self.definitions.get(path) {
                return *known;
            }
            let target = whole.pointer(path.trim_start_matches('#'));
            let id = self.reserve();
            let _ = self.definitions.insert(path.to_owned(), id);
            if let Some(target) = target {
                self.fill(id, target, whole);
            } else {
                self.unknown.push(format!("$ref {path}"));
            }
            return id;
        }
        let id = self.reserve();
        self.fill(id, schema, whole);
        id
    }

    fn reserve(&mut self) -> RuleId {
        self.all.push(Rule::default());
        self.all.len() - 1
    }

    fn fill(&mut self, id: RuleId, schema: &Value, whole: &Value) {
        let mut rule = Rule::default();
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            if !self.keyword(&mut rule, keyword, value, whole) {
                self.unknown.push(format!("{keyword}: {value}"));
            }
        }
        self.all[id] = rule;
    }

    /// Takes one keyword into a rule; false if it is not known.
    fn keyword(&mut self, rule: &mut Rule, keyword: &str, value: &Value, whole: &Value) -> bool {
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "additionalProperties" if *value == Value::Bool(false) => true,
            "additionalProperties" if value.is_object() => {
                rule.named = Some((None, self.add(value, whole)));
                true
            }
            "type" => type_of(value).is_some_and(|kind| {
                rule.kind = kind;
                true
            }),
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                rule.properties = properties.map(|(key, one)| (key.clone(), self.add(one, whole))).collect();
                true
            }
            "patternProperties" => {
                let mut all = value.as_object().into_iter().flatten();
                let (Some((text, one)), None) = (all.next(), all.next()) else { return false };
                let Some(pattern) = pattern(text) else { return false };
                rule.named = Some((Some(pattern), self.add(one, whole)));
                true
            }
            "items" => {
                rule.items = Some(self.add(value, whole));
                true
            }
            "required" => strings(value).is_some_and(|keys| {
                rule.required = keys;
                true
            }),
            "minItems" | "minLength" | "minProperties" => value.as_u64().is_some_and(|fewest| {
                rule.fewest = usize::try_from(fewest).unwrap_or(usize::MAX);
                true
            }),
            "minimum" => integer(value, &mut rule.minimum),
            "maximum" => integer(value, &mut rule.maximum),
            "pattern" => value.as_str().and_then(pattern).is_some_and(|found| {
                rule.pattern = Some(found);
                true
            }),
            "oneOf" => one_of(rule, value),
            "x-names" => value.as_str().is_some_and(|names| {
                rule.names = Some(names.to_owned());
                true
            }),
            "x-not-built" => strings(value).is_some_and(|values| {
                rule.not_built = values;
                true
            }),
            _ => false,
        }
    }
}

fn type_of(value: &Value) -> Option<Type> {
    Some(match value.as_str()? {
        "string" => Type::Text,
        "integer" => Type::Integer,
        "boolean" => Type::Bool,
        "array" => Type::List,
        "object" => Type::Map,
        _ => return None,
    })
}

fn integer(value: &Value, into: &mut Option<i64>) -> bool {
    *into = value.as_i64();
    into.is_some()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

fn pattern(text: &str) -> Option<&'static Pattern> {
    PATTERNS.iter().find(|known| known.text == text)
}

/// `oneOf` has two uses: a choice of constants, and a choice of keys of which exactly one is required.
fn one_of(rule: &mut Rule, value: &Value) -> bool {
    let Some(choices) = value.as_array() else { return false };
    for choice in choices {
        let constant = choice.get("const").and_then(Value::as_str);
        let required = choice.get("required").and_then(strings);
        match (constant, required.as_deref()) {
            (Some(constant), None) => rule.choices.push(constant.to_owned()),
            (None, Some([key])) => rule.one_of.push(key.clone()),
            _ => return false,
        }
    }
    if !rule.choices.is_empty() {
        rule.kind = Type::Text;
    }
    true
}
