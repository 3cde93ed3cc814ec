//! What the README's first command does, again and again.

use std::{fs, path::Path};

use crate::site::{Site, assert_same_tree, copy_tree};

/// The example, in a place of its own.
pub(crate) fn quickstart() -> Site {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let site = Site::new("", &[]);
    for name in ["site.yaml", "operations", "documents"] {
        let to = site.path(name);
        let _ = fs::remove_file(&to);
        let _ = fs::remove_dir_all(&to);
        copy_tree(&example.join(name), &to);
    }
    site
}

#[test]
fn the_example_runs_thirty_times_and_generations_rotate() {
    let site = quickstart();
    for count in 0..30_u32 {
        if count >= 2 {
            let plan = site.succeed(&["plan", "documents"]);
            assert!(plan.contains("evicts backup"), "{plan}");
        }
        fs::write(site.path("documents/count"), count.to_string()).unwrap();
        let said = site.succeed(&["run", "documents"]);
        assert!(said.contains(&format!("backup {:010} of documents", count + 1)), "{said}");
        assert!(said.contains(&format!("generation {}", count % 2)), "{said}");
        assert!(said.contains("on tape: VT0001"), "{said}");
    }
    assert_eq!(site.catalog("fileserver").len(), 2);
    assert_same_tree(&site.path("documents"), &site.path("mirrors/1/data"));
    site.assert_clean();
}

#[test]
fn the_plan_has_thirteen_steps_in_the_order_of_the_field() {
    let site = quickstart();
    let plan = site.succeed(&["plan", "documents"]);
    let kinds = "purge-cache resync quiesce split thaw record export transfer import mount tape-backup unmount confirm";
    let mut rest = plan.as_str();
    for kind in kinds.split(' ') {
        let at = rest
            .find(&format!("\n  {kind} "))
            .unwrap_or_else(|| panic!("{kind} is not in its place:\n{plan}"));
        rest = &rest[at + 1..];
    }
    assert!(plan.starts_with("documents: 13 steps on 2 hosts; generation 0 of 2"), "{plan}");
}

#[test]
fn a_full_cartridge_is_told_before_anything_is_touched() {
    let text = crate::site::TWO_PAIRS.replace("slots: 4", "slots: 1").replace("2GiB", "1MiB");
    let site = Site::new(&text, &[("documents", crate::site::DOCUMENTS)]);
    fs::create_dir(site.path("documents")).unwrap();
    // Numbers that do not compress.
    let noise: Vec<u8> =
        (0..300_000_u32).flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..1].to_vec()).collect();
    fs::write(site.path("documents/noise"), noise).unwrap();
    let mut ran = 0;
    let refused = loop {
        let pairs = site.json(&["pair", "status"]);
        let catalog = site.json(&["catalog", "list"]);
        let output = site.output(&["run", "documents"]);
        if !output.status.success() {
            assert_eq!(site.json(&["pair", "status"]), pairs);
            assert_eq!(site.json(&["catalog", "list"]), catalog);
            break output;
        }
        ran += 1;
        assert!(ran < 10, "1 MiB holds no ten backups of 300 000 bytes");
    };
    assert!(ran >= 2, "{}", crate::site::told(&refused));
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("VT0001") && said.contains("resplit tape list"), "{said}");
}
