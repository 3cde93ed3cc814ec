//! What the graphs of backups and restores promise, beside their words.

use std::path::Path;

use resplit_operations::{
    compile::{self, RestoreFrom},
    ids::{HostId, StepId},
    operation::On,
    plan::{Plan, Purpose, Resource},
};

use crate::sites::{
    DIRECTORY, HOOKS, PAIRED, SPLIT, TWO_VOLUMES, backup, id, operation, request, restore, site,
};

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps().into_iter().map(|step| step.id.as_str()).collect()
}

fn needs<'p>(plan: &'p Plan, step: &str) -> Vec<&'p str> {
    plan.step(&step.into()).expect(step).needs.iter().map(StepId::as_str).collect()
}

#[test]
fn a_backup_to_tape_is_thirteen_steps_in_the_order_of_the_field() {
    let plan = backup(SPLIT).expect("it compiles");
    let order = "purge-cache resync quiesce split thaw record export transfer import mount tape-backup unmount confirm";
    assert_eq!(names(&plan).join(" "), order);
    assert_eq!(plan.purpose, Purpose::Backup);
    assert_eq!(plan.coordinator, HostId::from("fileserver"));
    assert_eq!(plan.topological().len(), 13);
}

#[test]
fn a_plan_carries_the_named_parts_of_the_site_with_absolute_paths_and_no_more() {
    let plan = backup(SPLIT).expect("it compiles");
    let keys = |names: Vec<String>| names.join(" ");
    assert_eq!(keys(plan.site.hosts.keys().map(ToString::to_string).collect()), "backupserver fileserver");
    assert_eq!(keys(plan.site.volumes.keys().map(ToString::to_string).collect()), "documents");
    assert_eq!(keys(plan.site.libraries.keys().map(ToString::to_string).collect()), "vault");
    let volume = &plan.site.volumes[&"documents".into()];
    assert_eq!(volume.primary.path, Path::new("/srv/site/data/documents"));
    assert_eq!(volume.pairs[1].secondary.path, Path::new("/srv/site/mirrors/1"));
    assert_eq!(plan.site.hosts[&"backupserver".into()].state, Path::new("/srv/site/state-backup"));
    assert_eq!(plan.site.libraries[&"vault".into()].path, Path::new("/srv/site/vault"));
}

#[test]
fn what_is_not_named_and_what_is_only_said_do_not_change_the_hash() {
    let plan = backup(SPLIT).expect("it compiles");
    let mut other_site = site();
    let _ = other_site.volumes.remove(&"mail".into());
    let mut described = operation(SPLIT);
    described.description = "said otherwise".to_owned();
    let same = compile::backup(&other_site, Path::new(DIRECTORY), &id(), &described).expect("it compiles");
    assert_eq!(same.hash(), plan.hash());
    let moved =
        compile::backup(&site(), Path::new("/srv/other"), &id(), &operation(SPLIT)).expect("compiles");
    assert_ne!(moved.hash(), plan.hash());
    let renamed = compile::backup(&site(), Path::new(DIRECTORY), &"weekly".into(), &operation(SPLIT));
    assert_ne!(renamed.expect("it compiles").hash(), plan.hash());
}

#[test]
fn a_plan_kept_as_json_is_the_same_plan() {
    for text in [SPLIT, PAIRED, TWO_VOLUMES, HOOKS] {
        let plan = backup(text).expect("it compiles");
        let kept = serde_json::to_string(&plan).expect("it serialises");
        let again: Plan = serde_json::from_str(&kept).expect("it is a plan");
        assert_eq!(again.hash(), plan.hash());
    }
}

#[test]
fn what_follows_the_window_needs_the_splits_and_not_the_thaw_alone() {
    for text in [SPLIT, PAIRED, TWO_VOLUMES, HOOKS] {
        let plan = backup(text).expect("it compiles");
        let quiesce = plan.step(&"quiesce".into()).expect("there is one");
        assert_eq!(quiesce.finally, Some("thaw".into()));
        for step in plan.steps() {
            let after_thaw = step.needs.contains(&"thaw".into()) && step.on == On::Success;
            let needs_splits = step.needs.iter().any(|id| id.as_str().starts_with("split"));
            assert!(!after_thaw || needs_splits, "{} would run after a failed split", step.id);
        }
    }
}

#[test]
fn no_image_is_overwritten_before_every_cache_is_purged_and_the_tape_confirmed() {
    let plan = backup(TWO_VOLUMES).expect("it compiles");
    for volume in ["documents", "mail"] {
        let purged = ["purge-cache-documents", "purge-cache-mail"];
        assert_eq!(needs(&plan, &format!("resync-{volume}")), purged);
        assert_eq!(needs(&plan, &format!("purge-cache-after-{volume}")), ["confirm"]);
    }
    assert_eq!(needs(&plan, "confirm"), ["tape-backup", "unmount"]);
}

#[test]
fn nothing_that_runs_after_success_needs_a_hook_that_runs_after_failure() {
    let plan = backup(HOOKS).expect("it compiles");
    for step in plan.steps().into_iter().filter(|step| step.on == On::Success && step.id.as_str() != "thaw") {
        for need in &step.needs {
            let need = plan.step(need).expect("it is there");
            assert_ne!(need.on, On::Failure, "{} needs {}", step.id, need.id);
        }
    }
    // A command after everything else waits for what undoes, too, whatever becomes of the rest.
    for hook in ["after-2", "after-3"] {
        assert!(needs(&plan, hook).contains(&"unmount") && needs(&plan, hook).contains(&"thaw"), "{hook}");
    }
}

#[test]
fn a_hook_in_the_window_is_over_before_the_thaw() {
    let hooks = "{ argv: [a] }, { argv: [b], on: failure }, { argv: [c], on: always }";
    let text = format!("{SPLIT}hooks: {{ in_window: [{hooks}] }}\n");
    let plan = backup(&text).expect("it compiles");
    assert_eq!(needs(&plan, "thaw"), ["in-window-1", "in-window-2", "in-window-3", "quiesce", "split"]);
    assert_eq!(needs(&plan, "split"), ["in-window-1", "in-window-3"]);
}

#[test]
fn purposes_coordinators_and_leases_of_restores() {
    let volume = (HostId::from("fileserver"), Resource::Volume("documents".into()));
    let drive = (HostId::from("backupserver"), Resource::Drive("vault".into()));
    let to = Some("/tmp/out");
    let cases = [
        (RestoreFrom::Disk, None, Purpose::RestoreFromDisk, "fileserver", vec![volume.clone()]),
        (
            RestoreFrom::Tape,
            None,
            Purpose::RestoreFromTape,
            "fileserver",
            vec![drive.clone(), volume.clone()],
        ),
        (RestoreFrom::Disk, to, Purpose::FilesFromDisk, "fileserver", vec![volume]),
        (RestoreFrom::Tape, to, Purpose::FilesFromTape, "backupserver", vec![drive]),
    ];
    for (from, to, purpose, coordinator, resources) in cases {
        let plan = restore(SPLIT, &request(from, &[], to)).expect("it compiles");
        assert_eq!((plan.purpose, plan.coordinator.as_str()), (purpose, coordinator));
        assert_eq!(plan.resources().into_iter().collect::<Vec<_>>(), resources);
    }
}

#[test]
fn names_of_steps_are_never_too_long_and_never_the_same() {
    let long = "v".repeat(64);
    let mut site = site();
    let documents = site.volumes[&"documents".into()].clone();
    for name in [long.as_str(), &long[..63], "x", "after-x"] {
        let _ = site.volumes.insert(name.into(), documents.clone());
    }
    let mut operation = operation(PAIRED);
    if let Some(protect) = &mut operation.protect {
        protect.volumes = vec![long.as_str().into(), long[..63].into(), "x".into(), "after-x".into()];
    }
    let plan = compile::backup(&site, Path::new(DIRECTORY), &id(), &operation).expect("it compiles");
    assert_eq!(plan.steps().len(), 5 * 4 + 10);
    assert!(plan.steps().iter().all(|step| step.id.as_str().len() <= 64));
}
