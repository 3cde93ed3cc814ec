//! Several targets of one volume, and cascades.

use resplit_operations::{
    compile::{CompileError, RestoreFrom, RestoreRequest},
    plan::Resource,
};

use crate::sites::{backup, restore};

const BOTH: &str = "protect: { filesystem: data, volumes: [twice], targets: [local, remote] }\n";

#[test]
fn a_target_is_a_volume_with_the_same_primary_and_one_lease() {
    let plan = backup(BOTH).expect("it compiles");
    let names: Vec<_> = plan.site.volumes.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["twice", "twice.remote"]);
    let near: Vec<_> = plan.site.neighbours.keys().map(ToString::to_string).collect();
    assert_eq!(near, ["behind"], "what is behind is looked at, and leased");
    let leases: Vec<_> = plan
        .resources()
        .into_iter()
        .map(|(host, resource)| match resource {
            Resource::Volume(volume) => format!("{host} {volume}"),
            Resource::Drive(library) => format!("{host} {library}"),
        })
        .collect();
    assert_eq!(leases, ["backupserver behind", "fileserver twice"]);
    let again: resplit_operations::plan::Plan =
        serde_json::from_str(&serde_json::to_string(&plan).expect("it is written")).expect("it is read");
    assert_eq!(again.hash(), plan.hash());
}

#[test]
fn each_target_is_restored_by_itself() {
    let volumes = |volume: Option<&str>| {
        let volume = volume.map(Into::into);
        let request = RestoreRequest { from: RestoreFrom::Disk, paths: Vec::new(), to: None, volume };
        let plan = restore(BOTH, &request).expect("it compiles");
        plan.site.volumes.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(volumes(None), ["twice"]);
    assert_eq!(volumes(Some("twice.remote")), ["twice.remote"]);
}

#[test]
fn what_cannot_be_split_together_does_not_compile() {
    let error = |text: &str| backup(text).expect_err(text);
    let unknown = BOTH.replace("remote]", "far]");
    assert!(matches!(error(&unknown), CompileError::NoTarget { .. }));
    assert!(matches!(error(&BOTH.replace("local, ", "remote, ")), CompileError::TargetTwice(_)));
    let steps = "steps:\n  a: { purge-cache: { volume: twice.remote }, host: backupserver }\n  \
                 b: { purge-cache: { volume: behind }, host: elsewhere }\n";
    assert!(matches!(error(steps), CompileError::PrimariesApart { .. } | CompileError::Cascade { .. }));
}
