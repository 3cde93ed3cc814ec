//! The explicit form of a plan, as the text of an operation file.

mod yaml;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::{Plan, PlanStep};

/// A plan as an operation file in the explicit form, its steps in topological order. Compiled again, with the same site
/// and under the same operation ID, it is the same plan, of the same hash.
pub fn to_yaml(plan: &Plan) -> String {
    let mut text = String::from("steps:\n");
    for step in plan.steps() {
        text.push_str("  ");
        yaml::string(&mut text, step.id.as_str());
        text.push_str(":\n");
        for (key, value) in entries(step) {
            text.push_str("    ");
            text.push_str(&key);
            text.push_str(": ");
            yaml::flow(&mut text, &value);
            text.push('\n');
        }
    }
    text
}

/// What is written of a step, in the order in which people read it.
fn entries(step: &PlanStep) -> Vec<(String, Value)> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    if let Value::Object(action) = plain(&step.action) {
        entries.extend(action);
    }
    entries.push(("host".to_owned(), plain(&step.host)));
    if !step.needs.is_empty() {
        entries.push(("needs".to_owned(), plain(&step.needs)));
    }
    if step.on != crate::operation::On::default() {
        entries.push(("on".to_owned(), plain(&step.on)));
    }
    if step.retry != crate::action::Retry::default() {
        entries.push(("retry".to_owned(), plain(&step.retry)));
    }
    if let Some(timeout) = &step.timeout {
        entries.push(("timeout".to_owned(), plain(timeout)));
    }
    if let Some(finally) = &step.finally {
        entries.push(("finally".to_owned(), plain(finally)));
    }
    entries
}

/// A value as JSON. All that a plan holds was found to serialise when it was hashed.
fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|_| Value::Object(Map::new()))
}
