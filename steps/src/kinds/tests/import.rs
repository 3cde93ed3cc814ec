//! What an exported record becomes in another catalog.

use resplit_operations::{
    action::{Action, Nothing},
    record::{CatalogChange, ExportFile, Record, TapeState},
};

use super::world::{World, record, stale};
use crate::facts::ExportFact;

/// A world that has received a record.
fn received(exported: &Record, change: fn(&mut ExportFile)) -> World {
    let mut world = World::at("backupserver");
    let mut file = ExportFile {
        format: 1,
        digest: exported.origin.digest(),
        origin: exported.origin.clone(),
        tape_wanted: true,
    };
    change(&mut file);
    let bytes = serde_json::to_vec(&file).unwrap();
    let path = world.directory.path().join("import.json");
    std::fs::write(&path, &bytes).unwrap();
    world.facts.received =
        Some(ExportFact { path, digest: blake3::hash(&bytes).to_hex().to_string(), via: None });
    world
}

fn import() -> Action {
    Action::Import(Nothing {})
}

#[test]
fn an_import_gives_an_id_of_its_own_and_keeps_the_original() {
    let world = received(&record(1, 1), |_| ()).with(stale(record(40, 9)));
    let intent = world.prepare(&import()).unwrap();
    assert_eq!(intent.reserved.map(|id| id.0), Some(100));
    assert!(matches!(intent.changes.as_slice(), [CatalogChange::Evict { id, .. }] if id.0 == 40));
    let outcome = world.run(&import(), &intent).unwrap();
    let [CatalogChange::Insert { record: entered }] = outcome.changes.as_slice() else {
        panic!("{outcome:?}")
    };
    assert_eq!((entered.id.0, entered.origin.original_id.0), (100, 1));
    assert_eq!(entered.tape, TapeState::Wanted);
    assert_eq!(
        world.run(&import(), &intent).unwrap().facts.record,
        outcome.facts.record,
        "run again it is the same"
    );
}

#[test]
fn imported_again_it_changes_nothing() {
    let mut world = received(&record(1, 1), |_| ());
    let outcome = world.run(&import(), &world.prepare(&import()).unwrap()).unwrap();
    world.catalog.push(outcome.facts.record.unwrap());
    let intent = world.prepare(&import()).unwrap();
    assert!(intent.reserved.is_none() && intent.changes.is_empty(), "{intent:?}");
    let again = world.run(&import(), &intent).unwrap();
    assert!(again.changes.is_empty());
    assert_eq!(again.facts.record.unwrap().id.0, 100);
    assert!(again.summary.contains("was there already"));
    // One whose image was overwritten since is none.
    world.catalog[0] = stale(world.catalog[0].clone());
    let intent = world.prepare(&import()).unwrap();
    assert_eq!(intent.reserved.map(|id| id.0), Some(101));
}

#[test]
fn what_is_mounted_is_not_imported_over() {
    let mut mounted = record(40, 9);
    mounted.lock =
        Some(resplit_operations::record::Lock { run: Some("other-1".into()), since: mounted.entered });
    let failure = received(&record(1, 1), |_| ()).with(mounted).prepare(&import()).unwrap_err();
    assert!(failure.message.contains("is locked by run other-1"), "{failure}");
}

#[test]
fn what_did_not_arrive_as_it_was_sent_is_refused_and_changes_nothing() {
    let refusal = |change| received(&record(1, 1), change).prepare(&import()).unwrap_err().message;
    assert!(refusal(|file| file.format = 2).contains("has format 2"));
    assert!(refusal(|file| file.digest = String::new()).contains("contradicts its own digest"));
    assert!(refusal(|file| file.origin.original_id.0 = 5).contains("contradicts its own digest"));
    assert!(refusal(|file| file.origin.images[0].epoch = 2).contains("no longer holds the image"));
    assert!(refusal(|file| file.origin.images[0].copy_group = "B,v".into()).contains("is bound to"));
    let world = received(&record(1, 1), |_| ());
    let path = &world.facts.received.as_ref().unwrap().path;
    std::fs::write(path, "{").unwrap();
    assert!(world.prepare(&import()).unwrap_err().message.contains("is not as it was sent"));
    std::fs::remove_file(path).unwrap();
    assert!(world.prepare(&import()).unwrap_err().message.contains("cannot read"));
}
