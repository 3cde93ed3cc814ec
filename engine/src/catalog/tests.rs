//! The catalog against a model: a map, and every change made to it in the plainest way.

use std::collections::BTreeMap;

use proptest::prelude::*;
use resplit_operations::{
    operation::QuiesceMode,
    record::{Lock, Medium, Origin, TapeState},
};

use super::*;

fn record(id: u64, original: u64) -> Record {
    let moment = Timestamp::UNIX_EPOCH;
    Record {
        id: BackupId(id),
        origin: Origin {
            original_id: BackupId(original),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: "documents-1".into(),
            mode: QuiesceMode::Online,
            started: moment,
            ended: moment,
            images: Vec::new(),
        },
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::NotWanted,
        entered: moment,
    }
}

fn change() -> impl Strategy<Value = CatalogChange> {
    let id = || (1_u64..8).prop_map(BackupId);
    let reason = || "because".to_owned();
    let lock = Lock { run: None, since: Timestamp::UNIX_EPOCH };
    prop_oneof![
        3 => (1_u64..8, 1_u64..4).prop_map(|(id, original)| CatalogChange::Insert {
            record: Box::new(record(id, original)),
        }),
        1 => id().prop_map(move |id| CatalogChange::Evict { id, reason: reason() }),
        1 => id().prop_map(move |id| CatalogChange::MarkStale { id, reason: reason() }),
        1 => id().prop_map(move |id| CatalogChange::Lock { id, lock: lock.clone() }),
        1 => id().prop_map(|id| CatalogChange::Unlock { id }),
        1 => id().prop_map(|id| CatalogChange::SetTape { id, tape: TapeState::Waived }),
    ]
}

/// The model.
fn apply_plainly(model: &mut BTreeMap<BackupId, Record>, change: &CatalogChange, now: Timestamp) {
    match change {
        CatalogChange::Insert { record } => drop(model.insert(record.id, (**record).clone())),
        CatalogChange::Evict { id, .. } => drop(model.remove(id)),
        CatalogChange::MarkStale { id, reason } => {
            if let Some(record) = model.get_mut(id).filter(|record| record.standing == Standing::Current) {
                record.standing = Standing::Stale { since: now, reason: reason.clone() };
            }
        }
        CatalogChange::Lock { id, lock } => {
            if let Some(record) = model.get_mut(id) {
                record.lock = Some(lock.clone());
            }
        }
        CatalogChange::Unlock { id } => {
            if let Some(record) = model.get_mut(id) {
                record.lock = None;
            }
        }
        CatalogChange::SetTape { id, tape } => {
            if let Some(record) = model.get_mut(id) {
                record.tape = tape.clone();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn the_catalog_in_the_store_is_what_the_changes_say(
        commits in proptest::collection::vec(proptest::collection::vec(change(), 0..6), 1..8),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path()).unwrap();
        let (catalog, mut model) = (Catalog::default(), BTreeMap::new());
        for (second, changes) in (0..).zip(commits) {
            let now = Timestamp::from_second(second).unwrap();
            let before = catalog.all(&store).unwrap();
            let mut after = before.to_vec();
            for change in &changes {
                apply(&mut after, change, now);
                apply_plainly(&mut model, change, now);
            }
            let mut batch = Batch::default();
            put_difference(&mut batch, &before, &after).unwrap();
            prop_assert_eq!(batch.is_empty(), *before == after, "what does not change is not written");
            let _ = store.commit(batch).unwrap();
            let wanted: Vec<Record> = model.values().cloned().collect();
            prop_assert_eq!(&*catalog.all(&store).unwrap(), &wanted, "in the order of the IDs");
        }
    }

    #[test]
    fn a_change_made_twice_is_made_once(changes in proptest::collection::vec(change(), 0..12), last in change()) {
        let mut records = Vec::new();
        for change in &changes {
            apply(&mut records, change, Timestamp::UNIX_EPOCH);
        }
        apply(&mut records, &last, Timestamp::UNIX_EPOCH);
        let once = records.clone();
        apply(&mut records, &last, Timestamp::from_second(9).unwrap());
        prop_assert_eq!(records, once);
    }
}
