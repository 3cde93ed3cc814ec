//! Templates of single arguments: Handlebars, strict, without escaping.

use handlebars::{Handlebars, no_escape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ArrayPair, DriverFile, Setting};
use crate::pair::PairRef;

/// The longest template, in bytes: blocks in it nest as deep as it is long.
pub(crate) const LONGEST: usize = 512;

/// One argument, or one text, with names in double braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(description = "One argument; {{names}} in double braces stand for their values.")]
pub struct Template(pub String);

/// What names stand for.
#[derive(Clone, Debug, Default)]
pub struct Values(Map<String, Value>);

impl Template {
    /// With every name replaced by its value, and nothing escaped.
    ///
    /// # Errors
    /// In words, why it cannot be: it is not written correctly, or has a name that stands for nothing.
    pub fn render(&self, values: &Values) -> Result<String, String> {
        if self.0.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        // Strict mode lets a condition on a name that stands for nothing pass as false.
        for condition in ["{{#if ", "{{#unless "] {
            for after in self.0.split(condition).skip(1) {
                let name = after.split("}}").next().unwrap_or_default().trim();
                if !values.0.contains_key(name) && !name.contains([' ', '(']) {
                    return Err(unknown(name));
                }
            }
        }
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        // Loops in loops would take for ever; nothing else needs these.
        for helper in ["each", "with", "lookup", "log"] {
            registry.unregister_helper(helper);
        }
        let rendered = registry.render_template(&self.0, &values.0);
        let text = rendered.map_err(|error| short(&error.to_string()))?;
        if text.contains('\0') { Err("a zero byte".to_owned()) } else { Ok(text) }
    }
}

fn unknown(name: &str) -> String {
    format!("nothing has the name '{name}'")
}

/// What an error says, on one line and without a drawing.
fn short(text: &str) -> String {
    if text.contains("strict mode")
        && let Some(name) = text.split('"').nth_back(1)
    {
        return unknown(name);
    }
    let line = text.lines().rev().map(str::trim).find(|line| line.starts_with('=')).or(text.lines().next());
    let line = line.unwrap_or_default().trim_start_matches(['=', ' ']);
    line.rsplit_once(": ").map_or(line, |(_, reason)| reason).to_owned()
}

impl Values {
    /// What templates may name on one side of a pair: the pair's own names, its settings, what choices give, `values`.
    ///
    /// # Errors
    /// In words, which of `values` cannot be rendered.
    pub fn of(pair: &PairRef, array: &ArrayPair, on_primary: bool) -> Result<Self, String> {
        let (group, device) = pair.copy_group.as_str().split_once(',').unwrap_or_default();
        let mut values = Self::default();
        values.put("volume", pair.volume.as_str());
        values.put("copy_group", pair.copy_group.as_str());
        values.put("group", group);
        values.put("device", device);
        values.put("generation", &pair.generation.to_string());
        values.put("primary", &pair.primary.to_string_lossy());
        values.put("secondary", &pair.secondary.to_string_lossy());
        let _ = values.0.insert("on_primary".to_owned(), on_primary.into());
        for (name, setting) in &array.file.settings {
            values.set(name, setting, array.setting(name).unwrap_or_default());
        }
        values.complete(&array.file)
    }

    /// With what `values` of a file give.
    fn complete(mut self, file: &DriverFile) -> Result<Self, String> {
        let plain = self.clone();
        for (name, template) in &file.values {
            let text = template.render(&plain).map_err(|why| format!("value '{name}': {why}"))?;
            self.put(name, &text);
        }
        Ok(self)
    }

    /// With one name more.
    pub fn put(&mut self, name: &str, value: &str) {
        let _ = self.0.insert(name.to_owned(), value.into());
    }

    fn set(&mut self, name: &str, setting: &Setting, value: &str) {
        self.put(name, value);
        for (further, text) in setting.choices.get(value).into_iter().flatten() {
            self.put(further, text);
        }
    }

    /// The names there are.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The names that every template may use. `at`: where an image is to be mounted.
pub(crate) const OWN_NAMES: [&str; 9] =
    ["volume", "copy_group", "group", "device", "generation", "primary", "secondary", "on_primary", "at"];
