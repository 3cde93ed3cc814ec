//! The versions of rows.
//!
//! A row is stored as `{"v":VERSION,"row":VALUE}`; what was stored before there were versions is the value alone, and
//! version 0. Older forms are read for ever, and a row is written in the newest form when it next changes. So nothing
//! has to be migrated at once: no store is ever half migrated, whatever is killed, and opening a large one takes no
//! longer. A row of a newer version is refused, since what it says is not known.
//!
//! Whoever changes what a row holds raises its version, says in [`Row::upgrade`] what the older forms become, and
//! stores a sample of the new form; a test sees to all three.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use resplit_operations::{plan::PlanStep, record::Record};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, json};

use super::{HostPlace, LibraryPlace, NextNumber, PlanRow, RunRow, ServedRow, StepRow, TookMs};
use crate::{
    obligations::Duty,
    protocol::Lease,
    run::set_back,
    store::{Batch, Store, StoreError, Table},
};

/// What is stored in rows.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// Its kind, in a word. Stored: never change one.
    const KIND: &'static str;
    /// The table in which it is.
    const TABLE: Table;
    /// The version of the form in which it is written.
    const VERSION: u32 = 1;

    /// What a value of an earlier version is in the present one.
    fn upgrade(_version: u32, value: Value) -> Value {
        value
    }
}

/// Adds a row to a batch.
pub(crate) fn put<T: Row>(batch: &mut Batch, key: &str, row: &T) -> Result<(), StoreError> {
    batch.put(T::TABLE, key, &Versioned { v: T::VERSION, row })
}

/// Reads a row.
pub(crate) fn get<T: Row>(store: &Store, key: &str) -> Result<Option<T>, StoreError> {
    Ok(store.get::<Stored<T>>(T::TABLE, key)?.map(|stored| stored.0))
}

/// Reads the rows whose keys begin with a prefix, in the order of keys.
pub(crate) fn scan<T: Row>(store: &Store, prefix: &str) -> Result<Vec<T>, StoreError> {
    Ok(store.scan::<Stored<T>>(T::TABLE, prefix)?.into_iter().map(|(_, stored)| stored.0).collect())
}

/// A row as it is written.
#[derive(Serialize)]
pub(super) struct Versioned<'a, T> {
    pub(super) v: u32,
    pub(super) row: &'a T,
}

/// A row as it is read, in whatever version.
pub(super) struct Stored<T>(pub(super) T);

impl<'de, T: Row> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData)).map(Self)
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: Row> Reader<T> {
    fn upgraded<E: Error>(version: u32, value: Value) -> Result<T, E> {
        serde_json::from_value(T::upgrade(version, value)).map_err(E::custom)
    }
}

impl<'de, T: Row> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of kind {}", T::KIND)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Self::upgraded(0, json!(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        Self::upgraded(0, json!(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let Some(first) = map.next_key::<String>()? else { return Self::upgraded(0, json!({})) };
        if first != "v" {
            let value = map.next_value::<Value>()?;
            let mut old: serde_json::Map<String, Value> =
                Deserialize::deserialize(MapAccessDeserializer::new(map))?;
            let _ = old.insert(first, value);
            return Self::upgraded(0, Value::Object(old));
        }
        let version = map.next_value::<u32>()?;
        if version > T::VERSION {
            let (kind, known) = (T::KIND, T::VERSION);
            return Err(A::Error::custom(format!(
                "it was written by a newer resplit: a {kind} of version {version}, this one knows {known}"
            )));
        }
        if map.next_key::<String>()?.as_deref() != Some("row") {
            return Err(A::Error::missing_field("row"));
        }
        if version == T::VERSION { map.next_value() } else { Self::upgraded(version, map.next_value()?) }
    }
}

impl Row for RunRow {
    const KIND: &'static str = "run";
    const TABLE: Table = Table::Runs;
}

impl Row for PlanRow {
    const KIND: &'static str = "plan";
    const TABLE: Table = Table::Plans;
}

impl Row for PlanStep {
    const KIND: &'static str = "plan-step";
    const TABLE: Table = Table::Plans;
}

impl Row for StepRow {
    const KIND: &'static str = "step";
    const TABLE: Table = Table::Steps;

    /// Before version 1 a reason to run again was a text, and rows kept their intent when it had no meaning any more.
    fn upgrade(_: u32, mut value: Value) -> Value {
        again(&mut value);
        value
    }
}

impl Row for ServedRow {
    const KIND: &'static str = "served";
    const TABLE: Table = Table::Served;

    /// Before version 1 there was no status: what had an end had ended.
    fn upgrade(_: u32, mut value: Value) -> Value {
        again(&mut value);
        if let Some(row) = value.as_object_mut() {
            let ended = row.get("end").is_some_and(|end| !end.is_null());
            let _ = row.insert("status".to_owned(), json!(if ended { "ended" } else { "running" }));
        }
        value
    }
}

fn again(value: &mut Value) {
    if let Some(again) = value.get_mut("again")
        && let Some(because) = again.as_str()
    {
        let how = if because == set_back::LOST { "set_back" } else { "ran_again" };
        *again = json!({ "how": how, "because": because });
    }
}

impl Row for Record {
    const KIND: &'static str = "record";
    const TABLE: Table = Table::Catalog;
}

impl Row for Lease {
    const KIND: &'static str = "lease";
    const TABLE: Table = Table::Leases;

    /// 2: an owner may be on another machine.
    const VERSION: u32 = 2;
}

impl Row for Duty {
    const KIND: &'static str = "obligation";
    const TABLE: Table = Table::Obligations;
}

impl Row for NextNumber {
    const KIND: &'static str = "next-number";
    const TABLE: Table = Table::Ids;
}

impl Row for TookMs {
    const KIND: &'static str = "history";
    const TABLE: Table = Table::History;
}

impl Row for LibraryPlace {
    const KIND: &'static str = "library";
    const TABLE: Table = Table::Meta;
}

impl Row for HostPlace {
    const KIND: &'static str = "host";
    const TABLE: Table = Table::Meta;
}

/// The version in which each kind of row is written.
pub(super) fn known() -> BTreeMap<String, u32> {
    fn of<T: Row>() -> (String, u32) {
        (T::KIND.to_owned(), T::VERSION)
    }
    [
        of::<RunRow>(),
        of::<PlanRow>(),
        of::<PlanStep>(),
        of::<StepRow>(),
        of::<ServedRow>(),
        of::<Record>(),
        of::<Lease>(),
        of::<Duty>(),
        of::<NextNumber>(),
        of::<TookMs>(),
        of::<LibraryPlace>(),
        of::<HostPlace>(),
    ]
    .into()
}
