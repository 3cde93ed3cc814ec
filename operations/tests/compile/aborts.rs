//! What becomes of pairs when a backup is aborted, and how fast they are copied.

use resplit_operations::{
    action::Action,
    compile::RestoreFrom,
    expand,
    plan::{Plan, PlanStep},
};

use crate::{
    golden::checked,
    sites::{SPLIT, TWO_VOLUMES, backup, request, restore},
};

fn steps<'p>(plan: &'p Plan, kind: &str) -> Vec<&'p PlanStep> {
    plan.steps().into_iter().filter(|step| step.action.kind() == kind).collect()
}

#[test]
fn pairs_are_left_as_they_are_unless_it_is_said() {
    let plan = backup(SPLIT).expect("it compiles");
    assert!(steps(&plan, "abort-split").is_empty());
    let same = backup(&format!("{SPLIT}on_abort: as-is\n")).expect("it compiles");
    assert_eq!(same.hash(), plan.hash());
}

#[test]
fn each_resync_of_the_window_is_undone_behind_it() {
    let text = format!("{TWO_VOLUMES}on_abort: split\n");
    let plan = backup(&text).expect("it compiles");
    let added = steps(&plan, "abort-split");
    assert_eq!(added.len(), 2);
    let thaw = &steps(&plan, "thaw")[0].id;
    for step in added {
        assert!(step.needs.contains(thaw), "{step:?}");
        let owners: Vec<_> =
            plan.steps().into_iter().filter(|one| one.finally.as_ref() == Some(&step.id)).collect();
        let [owner] = owners[..] else { panic!("{} undoes one step: {owners:?}", step.id) };
        assert_eq!((owner.action.kind(), owner.action.volume()), ("resync", step.action.volume()));
    }
    // The resync that follows the tape makes no image: the pairs rest paired.
    let after = steps(&plan, "resync").into_iter().filter(|step| step.finally.is_none()).count();
    assert_eq!(after, 2);
    let again = backup(&expand::to_yaml(&plan)).expect("the explicit form compiles");
    assert_eq!(again.hash(), plan.hash());
    let _ = checked(&expand::to_yaml(&plan));
}

#[test]
fn a_pace_is_that_of_every_copy() {
    let text = format!("{SPLIT}pace: 15\n");
    let plan = backup(&text).expect("it compiles");
    let pace = |step: &&PlanStep| match &step.action {
        Action::Resync(resync) => resync.pace.map(|pace| pace.to_string()),
        Action::Restore(restore) => restore.pace.map(|pace| pace.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(steps(&plan, "resync").iter().map(pace).collect::<Vec<_>>(), [Some("15".to_owned())]);
    let back = restore(&text, &request(RestoreFrom::Disk, &[], None)).expect("it compiles");
    assert_eq!(steps(&back, "restore").iter().map(pace).collect::<Vec<_>>(), [Some("15".to_owned())]);
    let explicit = expand::to_yaml(&plan);
    assert_eq!(backup(&explicit).expect("it compiles").hash(), plan.hash());
    let again = restore(&explicit, &request(RestoreFrom::Disk, &[], None)).expect("it compiles");
    assert_eq!(again.hash(), back.hash());
}
