//! How long steps wait for pairs, by purpose.

use resplit_operations::{
    action::{Action, Retry},
    compile::RestoreFrom,
    plan::{Plan, PlanStep},
    units::Period,
};

use crate::sites::{SPLIT, backup, request, restore};

const WAITS: &str = "
waits: { resync: 6h, split: 5m, restore: 7h, restore_ready: 8m, busy: { attempts: 5, pause: 2s } }
";

fn step(plan: &Plan, wanted: impl Fn(&Action) -> bool) -> &PlanStep {
    plan.steps().iter().find(|step| wanted(&step.action)).expect("the plan has such a step")
}

fn patience(plan: &Plan, wanted: impl Fn(&Action) -> bool) -> (Retry, Option<Period>) {
    let step = step(plan, wanted);
    (step.retry, step.timeout)
}

#[test]
fn what_is_not_said_is_what_the_field_waits() {
    let plan = backup(SPLIT).expect("it compiles");
    let busy = Retry { attempts: 3, pause: Period::seconds(1) };
    let ten_hours = Some(Period::seconds(36_000));
    assert_eq!(patience(&plan, |action| matches!(action, Action::Resync(_))), (busy, ten_hours));
    assert_eq!(patience(&plan, |action| matches!(action, Action::Split(_))), (busy, ten_hours));
    let windows = Retry { attempts: 2, pause: Period::seconds(1) };
    assert_eq!(patience(&plan, |action| matches!(action, Action::Quiesce(_))), (windows, None));
}

#[test]
fn each_purpose_is_the_limit_of_its_steps() {
    let text = format!("{SPLIT}{WAITS}");
    let plan = backup(&text).expect("it compiles");
    let busy = Retry { attempts: 5, pause: Period::seconds(2) };
    let minutes = |count: u64| Some(Period::seconds(count * 60));
    assert_eq!(patience(&plan, |action| matches!(action, Action::PurgeCache(_))).0, busy);
    assert_eq!(patience(&plan, |action| matches!(action, Action::Resync(_))), (busy, minutes(360)));
    assert_eq!(patience(&plan, |action| matches!(action, Action::Split(_))), (busy, minutes(5)));
    let plan = restore(&text, &request(RestoreFrom::Disk, &[], None)).expect("it compiles");
    assert_eq!(patience(&plan, |action| matches!(action, Action::Restore(_))), (busy, minutes(420)));
    assert_eq!(patience(&plan, |action| matches!(action, Action::Confirm(_))), (busy, minutes(8)));
}
