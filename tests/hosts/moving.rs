//! A host whose state moves with a file system: there is an engine of it only where that is mounted.

use std::{fs, path::Path, process::Command};

use crate::bed::told;

const SITE: &str = r#"
hosts:
  here: { connect: local, state: %HOME%/cluster/state, state_on: %HOME%/cluster }
volumes:
  documents:
    driver: directory
    primary: { host: here, path: documents }
    pairs: [ { copy_group: "VG01,vol01", secondary: { host: here, path: mirrors/0 } } ]
"#;

/// A file system that is unmounted when this is dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn at(place: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(place).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_store_that_is_not_mounted_is_never_begun_anew() {
    let home = tempfile::tempdir().unwrap();
    let cluster = home.path().join("cluster");
    fs::create_dir_all(&cluster).unwrap();
    fs::create_dir_all(home.path().join("operations")).unwrap();
    let site = SITE.replace("%HOME%", home.path().to_str().unwrap());
    fs::write(home.path().join("site.yaml"), site).unwrap();
    let run = |arguments: &[&str], code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_resplit"));
        command.arg("--site").arg(home.path()).args(arguments).env("RESPLIT_ENGINE_IDLE", "1s");
        let output = command.env_remove("RESPLIT_HOST").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        told(&output)
    };
    let said = run(&["runs"], 4);
    assert!(said.contains("nothing is mounted at") && said.contains("not on this machine now"), "{said}");
    assert_eq!(fs::read_dir(&cluster).unwrap().count(), 0, "nothing is made in its place");
    let Some(mounted) = Mounted::at(&cluster) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let said = run(&["runs"], 4);
    assert!(said.contains("is not marked") && said.contains("resplit site mark here"), "{said}");
    run(&["site", "mark", "here"], 0);
    run(&["site", "mark", "here"], 0);
    run(&["runs"], 0);
    assert!(cluster.join("state/log").is_dir());
    drop(mounted);
    let said = run(&["runs"], 4);
    assert!(said.contains("nothing is mounted at"), "{said}");
    assert_eq!(fs::read_dir(&cluster).unwrap().count(), 0);
}
