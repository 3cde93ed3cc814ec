//! Exported records: what another host, a tape or an operator's file brings.

use resplit_operations::{
    ids::{BackupId, is_copy_group, is_name},
    operation::QuiesceMode,
    pair::CopyReport,
    record::{ExportFile, Image, Origin},
};

use crate::{mutate, running::execute};

/// One that a host has written.
pub(crate) fn file() -> ExportFile {
    let image = Image {
        volume: "documents".into(),
        copy_group: "VG01,vol01".into(),
        generation: 0,
        epoch: 3,
        report: CopyReport::default(),
        source: None,
    };
    let origin = Origin {
        original_id: BackupId(7),
        source_host: "fileserver".into(),
        operation: "documents".into(),
        run: "documents-20261120T020000000Z".into(),
        mode: QuiesceMode::Online,
        started: "2026-11-20T02:00:00Z".parse().unwrap(),
        ended: "2026-11-20T02:00:04Z".parse().unwrap(),
        images: vec![image],
    };
    ExportFile { format: 1, digest: origin.digest(), origin, tape_wanted: false }
}

/// What is believed of a file is what a host may have written: names that lead nowhere, and its own digest.
fn assert_sound(file: &ExportFile) {
    let origin = &file.origin;
    assert!(is_name(origin.source_host.as_str()) && is_name(origin.operation.as_str()));
    assert!(!origin.run.as_str().contains(['/', '\0', '\n']) && !origin.images.is_empty());
    for image in &origin.images {
        assert!(is_name(image.volume.as_str()) && is_copy_group(image.copy_group.as_str()));
    }
    assert_eq!(file.digest, origin.digest());
    let again = serde_json::to_vec(file).unwrap();
    assert_eq!(ExportFile::read(&again).as_ref(), Ok(file));
}

#[test]
fn exported_records() {
    let right = file();
    let text = serde_json::to_vec(&right).unwrap();
    let value = serde_json::to_value(&right).unwrap();
    assert_sound(&ExportFile::read(&text).unwrap());
    let mut believed = 0_u64;
    execute("exported records", |rng| {
        let damaged = if rng.bool() {
            mutate::bytes(&text, &["..", "/", "\"", "\\u0000", "{", "}", "1e999", "null"], rng)
        } else {
            let mut value = value.clone();
            mutate::json(&mut value, rng);
            // As somebody would who knows how the digest is made.
            if let Ok(mut file) = serde_json::from_value::<ExportFile>(value.clone()) {
                file.digest = file.origin.digest();
                value = serde_json::to_value(&file).unwrap();
            }
            serde_json::to_vec(&value).unwrap()
        };
        match ExportFile::read(&damaged) {
            Ok(file) => {
                believed += 1;
                assert_sound(&file);
            }
            Err(wrong) => {
                assert!(!wrong.is_empty() && wrong.len() < 1000 && !wrong.contains('\u{1b}'), "{wrong}");
            }
        }
    });
    assert!(believed > 0, "the ways to be believed were tried, too");
}
