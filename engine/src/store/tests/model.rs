//! Random batches, checkpoints, ends and crashes against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::scratch;
use crate::store::{Batch, Options, Store, Table};

#[derive(Clone, Debug)]
enum Write {
    Put(Table, String, String),
    Delete(Table, String),
}

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Write>),
    Checkpoint,
    Close,
    Crash,
}

fn write() -> impl Strategy<Value = Write> {
    let table = prop_oneof![Just(Table::Meta), Just(Table::Steps), Just(Table::History)];
    let key = prop_oneof!["[ab]{0,3}", "[a-c/\u{0}é\u{10ffff}]{0,4}"];
    let value = prop_oneof![
        4 => "[a-z]{0,40}".prop_map(|text| text),
        1 => (4000_usize..13_000).prop_map(|size| "v".repeat(size)),
    ];
    (table, key, prop::option::weighted(0.75, value)).prop_map(|(table, key, value)| match value {
        Some(value) => Write::Put(table, key, value),
        None => Write::Delete(table, key),
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => prop::collection::vec(write(), 0..6).prop_map(Act::Commit),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::Close),
        1 => Just(Act::Crash),
    ]
}

type Model = BTreeMap<(Table, String), String>;

fn assert_holds(store: &Store, model: &Model) {
    for table in [Table::Meta, Table::Steps, Table::History] {
        for prefix in ["", "a", "ab"] {
            let expected: Vec<_> = model
                .iter()
                .filter(|((t, key), _)| *t == table && key.starts_with(prefix))
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(store.scan::<String>(table, prefix).unwrap(), expected);
            let back = store.scan_back::<String>(table, prefix, Some("ab"), 3).unwrap();
            let before = expected.into_iter().rev().filter(|(key, _)| key.as_str() < "ab").take(3);
            assert_eq!(back, before.collect::<Vec<_>>());
        }
    }
    for ((table, key), value) in model {
        assert_eq!(store.get::<String>(*table, key).unwrap().as_ref(), Some(value));
    }
}

fn batch(writes: Vec<Write>, model: &mut Model) -> Batch {
    let mut batch = Batch::default();
    for write in writes {
        match write {
            Write::Put(table, key, value) => {
                batch.put(table, &key, &value).unwrap();
                model.insert((table, key), value);
            }
            Write::Delete(table, key) => {
                batch.delete(table, &key);
                model.remove(&(table, key));
            }
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_store_is_a_map_that_survives(acts in prop::collection::vec(act(), 1..30)) {
        let directory = scratch();
        let options = Options { log_bound: 16 << 10, segment_size: 4 << 10, ..Options::DEFAULT };
        let open = || Store::open_with(directory.path(), options).unwrap();
        let (mut store, _) = open();
        let (mut model, mut sequence) = (Model::new(), 0);
        for act in acts {
            match act {
                Act::Commit(writes) => {
                    sequence += u64::from(!writes.is_empty());
                    store.commit(batch(writes, &mut model)).unwrap();
                }
                Act::Checkpoint => store.checkpoint().unwrap(),
                Act::Close | Act::Crash => {
                    if matches!(act, Act::Close) { store.close().unwrap() } else { drop(store) }
                    let opened;
                    (store, opened) = open();
                    prop_assert_eq!(opened.sequence, sequence);
                    assert_holds(&store, &model);
                }
            }
        }
        assert_holds(&store, &model);
    }
}
