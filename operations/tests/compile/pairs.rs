//! The plans of verbs that are asked of pairs.

use std::path::Path;

use resplit_operations::{
    compile::{self, CompileError, PairRequest},
    ids::HostId,
    pair::verdict::ArrayVerb,
    plan::{Plan, Purpose, Resource},
};

use crate::sites::{DIRECTORY, site};

fn plan(purpose: Purpose, pairs: &[(&str, u32)]) -> Result<Plan, CompileError> {
    let pairs = pairs.iter().map(|(volume, generation)| ((*volume).into(), *generation)).collect();
    compile::pair(&site(), Path::new(DIRECTORY), &PairRequest { purpose, pairs })
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(|step| format!("{} {}@{}", step.id, step.action.kind(), step.host)).collect()
}

#[test]
fn what_overwrites_a_secondary_purges_the_cache_of_its_host_first() {
    for (purpose, verb, kind) in [
        (Purpose::PairCreate, "create", "resync"),
        (Purpose::PairResync, "resync", "resync"),
        (Purpose::PairDelete, "delete", "delete"),
    ] {
        for (generation, host) in [(0, "fileserver"), (1, "backupserver")] {
            let plan = plan(purpose, &[("scattered", generation)]).expect("it compiles");
            let purge = format!("purge-cache-scattered purge-cache@{host}");
            assert_eq!(steps(&plan), [purge, format!("{verb}-scattered {kind}@fileserver")]);
            assert_eq!((plan.purpose, plan.operation.as_str()), (purpose, format!("pair-{verb}").as_str()));
            assert_eq!(plan.step(&format!("{verb}-scattered").into()).map(|step| step.needs.len()), Some(1));
            let volume = (HostId::from("fileserver"), Resource::Volume("scattered".into()));
            assert_eq!(plan.resources().into_iter().collect::<Vec<_>>(), [volume]);
        }
    }
}

#[test]
fn a_group_is_done_in_one_plan() {
    let split = plan(Purpose::PairSplit, &[("documents", 0), ("mail", 0)]).expect("it compiles");
    assert_eq!(steps(&split), ["split-documents split@fileserver", "split-mail split@fileserver"]);
    let restore = plan(Purpose::PairRestore, &[("documents", 1), ("mail", 0)]).expect("it compiles");
    assert_eq!(steps(&restore)[0], "confirm confirm@fileserver");
    assert_eq!(restore.steps()[1].needs, ["confirm".into()]);
    let delete = plan(Purpose::PairDelete, &[("documents", 0), ("mail", 0)]).expect("it compiles");
    let last = delete.steps().into_iter().find(|step| step.id.as_str() == "delete-mail");
    assert_eq!(last.map(|step| step.needs.len()), Some(2), "all is purged before anything is removed");
}

#[test]
fn what_no_plan_can_do_does_not_compile() {
    assert_eq!(plan(Purpose::Backup, &[("documents", 0)]).unwrap_err(), CompileError::Nothing);
    assert!(matches!(plan(Purpose::PairSplit, &[("nothing", 0)]), Err(CompileError::NotInSite(_))));
    assert!(matches!(plan(Purpose::PairResync, &[("documents", 2)]), Err(CompileError::NoPair(_))));
    let apart = plan(Purpose::PairSplit, &[("documents", 0), ("far", 0)]);
    assert!(matches!(apart, Err(CompileError::PrimariesApart { .. })));
    for verb in ArrayVerb::ALL {
        let purpose = Purpose::of_pair_verb(verb);
        assert!(purpose.is_none_or(|purpose| purpose.pair_verb() == Some(verb)), "{verb}");
    }
}
