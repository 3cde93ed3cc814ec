//! What holds over every transport.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use crate::{bed::Bed, site::told};

/// The run must not succeed; what it said.
#[track_caller]
pub(crate) fn refused(bed: &Bed, operation: &str) -> String {
    let output = bed.site.output(&["run", operation]);
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 4)), "{}", told(&output));
    String::from_utf8(output.stderr).unwrap()
}

/// A backup goes to the backup server and to tape, is restored from there, and leaves nothing behind.
pub(crate) fn handed_over(bed: &Bed, directory: &Path) {
    // Of a run long ago, of another operation, and of nobody's.
    let old = "resplit+fileserver+documents+20200101T000000000Z.json";
    let others = ["resplit+fileserver+documents-2+20200101T000000000Z.json", "readme.txt"];
    for name in others.iter().chain([&old]) {
        fs::write(directory.join(name), "{}").unwrap();
    }
    let plan = bed.site.succeed(&["plan", "documents"]);
    assert!(plan.contains("the file, via exchange"), "{plan}");
    bed.site.succeed(&["run", "documents"]);
    let records = bed.site.catalog("backupserver");
    assert!(records.iter().any(|record| record["medium"]["medium"] == "disk"), "{records:?}");
    assert_eq!(Bed::left(directory), [others[0]]);
    fs::remove_file(directory.join(others[0])).unwrap();
    fs::write(bed.site.path("documents/a.txt"), "changed").unwrap();
    bed.site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert!(Bed::left(directory).is_empty());
    bed.site.assert_clean();
}

/// What is cut short or changed on its way is refused, and sent anew when the run is resumed.
pub(crate) fn meddled(bed: &Bed, directory: &Path) {
    for command in ["truncate -s 100", "sed -i s/fileserver/filesurfer/", "rm"] {
        bed.meddle(directory, command);
        let before = bed.site.catalog("backupserver");
        let said = refused(bed, "meddled");
        assert!(said.contains("is not as it was sent") || said.contains("is not there"), "{command}: {said}");
        assert!(said.contains("resplit resume"), "{said}");
        assert_eq!(bed.site.catalog("backupserver"), before, "{command}");
        bed.meddle(directory, "true");
        bed.site.succeed(&["resume", "latest"]);
        let after = bed.site.catalog("backupserver");
        assert!(after.iter().any(|record| !before.contains(record)), "{command}: {after:?}");
    }
    assert!(Bed::left(directory).is_empty());
}

/// On a full place nothing gets its name, and the run succeeds once there is room.
pub(crate) fn full(bed: &Bed, directory: &Path, words: &[&str]) {
    let filler = bed.place().join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[7; 512]).is_ok() {}
    drop(file);
    let said = refused(bed, "meddled");
    assert!(words.iter().any(|word| said.contains(word)), "{said}");
    assert!(Bed::left(directory).iter().all(|name| name.ends_with(".partial")), "{:?}", Bed::left(directory));
    fs::remove_file(filler).unwrap();
    bed.site.succeed(&["resume", "latest"]);
    assert!(Bed::left(directory).is_empty());
}
