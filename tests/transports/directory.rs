//! A shared directory.

use std::fs;

use crate::{bed::Bed, exercise};

#[test]
fn records_are_handed_over_in_a_directory() {
    let Some(bed) = Bed::new() else { return };
    let place = bed.place().join("exchange");
    bed.declare(&format!("{{ url: file://{} }}", place.display()));
    let said = exercise::refused(&bed, "documents");
    assert!(said.contains("transport 'exchange'") && said.contains("mkdir -p"), "{said}");
    assert!(!place.exists());
    fs::create_dir(&place).unwrap();
    bed.site.succeed(&["resume", "latest"]);
    exercise::handed_over(&bed, &place);
    exercise::meddled(&bed, &place);
    exercise::full(&bed, &place, &["No space left"]);
}
