//! What exists, as an operator and the stores themselves tell it, in words that can be compared.

use std::{collections::BTreeMap, path::Path};

use resplit_engine::store::{Batch, Store, Table};
use serde_json::Value;

/// The number of the newest commit of a host whose engine does not run, and what its store still holds of leases and
/// obligations.
pub(crate) fn store(state: &Path) -> (u64, Vec<String>) {
    let (store, _) = Store::open(state).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Meta, "looked", &true).unwrap();
    let sequence = store.commit(batch).unwrap();
    let left = [Table::Leases, Table::Obligations]
        .into_iter()
        .flat_map(|table| {
            store.keys(table, "").unwrap().into_iter().map(move |key| format!("{table:?} {key}"))
        })
        .collect();
    store.close().unwrap();
    (sequence, left)
}

/// What exists, in words that do not depend on when, under which IDs and after how many tries it came to be.
pub(crate) fn snapshot(json: impl Fn(&[&str]) -> Value) -> Vec<String> {
    let records = json(&["catalog", "list"]);
    let records = records.as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut originals: Vec<String> = records.iter().map(|record| text(&record["original_id"])).collect();
    originals.sort();
    originals.dedup();
    let rank: BTreeMap<_, _> = originals.into_iter().zip(1..).collect();
    let mut told: Vec<String> = records
        .iter()
        .map(|record| {
            let images: Vec<String> = record["images"]
                .as_array()
                .unwrap()
                .iter()
                .map(|image| {
                    let report = &image["report"];
                    format!(
                        "{} {} {} entries {} bytes {} fuzzy",
                        image["volume"],
                        image["copy_group"],
                        report["entries"],
                        report["bytes"],
                        report["fuzzy_count"]
                    )
                })
                .collect();
            format!(
                "{} backup {} {} {} {} {} lock {} {} {} tape {} {}: {}",
                text(&record["host"]),
                rank[&text(&record["original_id"])],
                record["operation"],
                record["mode"],
                text(&record["medium"]["medium"]),
                text(&record["standing"]["standing"]),
                record["lock"],
                record["medium"]["barcode"],
                record["medium"]["dataset"],
                text(&record["tape"]["tape"]),
                record["tape"]["barcode"],
                images.join(", ")
            )
        })
        .collect();
    told.sort();
    for pair in json(&["pair", "status"]).as_array().unwrap() {
        told.push(format!("pair {} {}", pair["pair"]["copy_group"], pair["state"]["status"]));
    }
    for cartridge in json(&["tape", "list"]).as_array().unwrap() {
        told.push(format!("cartridge {} {} datasets", cartridge["barcode"], cartridge["datasets"]));
    }
    told
}

/// Each backup is on tape at most once, each record on tape has its dataset, and each dataset its record.
pub(crate) fn assert_tapes(records: &[Value], cartridges: &Value) {
    let on_tape: Vec<_> = records.iter().filter(|r| r["medium"]["medium"] == "tape").collect();
    let mut by_original = BTreeMap::new();
    let mut by_cartridge: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for record in &on_tape {
        let original = record["original_id"].as_str().unwrap();
        assert!(by_original.insert(original, record).is_none(), "{original} is on tape twice: {records:?}");
        let medium = &record["medium"];
        by_cartridge
            .entry(medium["barcode"].as_str().unwrap())
            .or_default()
            .push(medium["dataset"].as_u64().unwrap());
    }
    for cartridge in cartridges.as_array().unwrap() {
        let mut known = by_cartridge.remove(cartridge["barcode"].as_str().unwrap()).unwrap_or_default();
        known.sort_unstable();
        let there: Vec<u64> = (1..=cartridge["datasets"].as_u64().unwrap()).collect();
        assert_eq!(known, there, "datasets of {cartridge}");
    }
    assert!(by_cartridge.is_empty(), "{by_cartridge:?} are in no slot");
}
