//! What the files look like: the schema, derived from the models, published for editors, and what `check` walks. So
//! editor and check agree.

mod patterns;
mod rules;
mod walk;

use std::sync::LazyLock;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::transform_subschemas,
};
use serde_json::Value;

use crate::{driver::DriverFile, operation::Operation, site::Site};

pub(crate) use rules::Rules;
pub(crate) use walk::{Found, Reference, nearest, walk};

static SITE: LazyLock<Rules> = LazyLock::new(|| Rules::compile(generate::<Site>().as_value()));
static OPERATION: LazyLock<Rules> = LazyLock::new(|| Rules::compile(generate::<Operation>().as_value()));
static DRIVER: LazyLock<Rules> = LazyLock::new(|| Rules::compile(generate::<DriverFile>().as_value()));

/// The JSON schema of `site.yaml`, as pretty text.
pub fn site() -> String {
    text(&generate::<Site>())
}

/// The JSON schema of `operations/*.yaml`, as pretty text.
pub fn operation() -> String {
    text(&generate::<Operation>())
}

/// The JSON schema of `drivers/*.yaml`, as pretty text.
pub fn driver() -> String {
    text(&generate::<DriverFile>())
}

pub(crate) fn driver_rules() -> &'static Rules {
    &DRIVER
}

pub(crate) fn site_rules() -> &'static Rules {
    &SITE
}

pub(crate) fn operation_rules() -> &'static Rules {
    &OPERATION
}

fn generate<T: JsonSchema>() -> Schema {
    let mut generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.root_schema_for::<T>();
    refuse_null(&mut schema);
    schema
}

fn text(schema: &Schema) -> String {
    // A schema is made of strings, numbers, lists and maps: it always serialises.
    let mut text = serde_json::to_string_pretty(schema).unwrap_or_default();
    text.push('\n');
    text
}

/// An optional key may be left out; that does not mean that it may be there with nothing in it.
fn refuse_null(schema: &mut Schema) {
    transform_subschemas(&mut refuse_null, schema);
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            let _ = object.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|one| one.get("type").is_none_or(|one| one != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        let _ = object.remove("anyOf");
        for (key, value) in only {
            let _ = object.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests;
