//! The published schemas are those of the models, and the walk knows every keyword in them.

use std::path::Path;

use super::{driver, driver_rules, operation, operation_rules, site, site_rules};

#[test]
fn the_walk_knows_every_keyword() {
    assert_eq!(site_rules().unknown, Vec::<String>::new());
    assert_eq!(operation_rules().unknown, Vec::<String>::new());
    assert_eq!(driver_rules().unknown, Vec::<String>::new());
}

/// To write them anew: `RESPLIT_WRITE_SCHEMAS=1 cargo test -p resplit-operations schemas`.
#[test]
fn published_schemas_are_current() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let all = [
        ("site.schema.json", site()),
        ("operation.schema.json", operation()),
        ("driver.schema.json", driver()),
    ];
    for (name, text) in all {
        let path = directory.join(name);
        if std::env::var_os("RESPLIT_WRITE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == text,
            "schemas/{name} is not current: set RESPLIT_WRITE_SCHEMAS=1 and run this test"
        );
    }
}
