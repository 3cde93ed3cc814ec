//! What holds for every plan, whatever its graph.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use resplit_operations::{
    action::{Action, Command, Retry, StepDeclaration},
    compile, expand,
    ids::StepId,
    operation::{On, Operation},
    plan::{Plan, PlanData, PlanError, PlanStep, Purpose},
};

use crate::sites::{DIRECTORY, id, operation, site};

fn step(id: impl Into<String>, needs: Vec<String>) -> PlanStep {
    let action =
        Action::Command(Command { argv: vec!["a".into()], environment: BTreeMap::new(), accept: vec![0] });
    PlanStep {
        id: StepId(id.into()),
        host: "fileserver".into(),
        action,
        needs: needs.into_iter().map(StepId).collect(),
        on: On::Success,
        retry: Retry::default(),
        timeout: None,
        finally: None,
    }
}

fn plan(steps: Vec<PlanStep>) -> Result<Plan, PlanError> {
    let (operation, coordinator) = ("graph".into(), "fileserver".into());
    Plan::new(PlanData { operation, purpose: Purpose::Backup, coordinator, site: site(), steps })
}

/// Steps of a random graph in which every step needs only earlier ones, in random order, under random names.
fn acyclic() -> impl Strategy<Value = Vec<PlanStep>> {
    (1_usize..40)
        .prop_flat_map(|count| {
            let names = Just((0..count).map(|n| format!("s{n:02}")).collect::<Vec<_>>()).prop_shuffle();
            let edges = prop::collection::vec((0..count, 0..count), 0..count * 3);
            (names, edges)
        })
        .prop_flat_map(|(names, edges)| {
            let needs = |of: usize| edges.iter().filter(move |(a, b)| a.max(b) == &of && a != b);
            let steps: Vec<PlanStep> = (0..names.len())
                .map(|n| step(&names[n], needs(n).map(|(a, b)| names[*a.min(b)].clone()).collect()))
                .collect();
            Just(steps).prop_shuffle()
        })
}

proptest! {
    #[test]
    fn topological_order_is_one_the_same_however_written_and_by_name_among_the_free(steps in acyclic()) {
        let made = plan(steps.clone()).expect("it has no circle");
        let order: Vec<StepId> = made.steps().iter().map(|step| step.id.clone()).collect();
        prop_assert_eq!(order.len(), steps.len());
        let place: HashMap<&StepId, usize> = order.iter().zip(0..).collect();
        for step in &steps {
            for need in &step.needs {
                prop_assert!(place[need] < place[&step.id]);
            }
        }
        // Whatever comes later with a smaller name could not have come now.
        for (at, id) in order.iter().enumerate() {
            for later in made.steps()[at + 1..].iter().filter(|later| later.id < *id) {
                prop_assert!(later.needs.iter().any(|need| place[need] >= at), "{} before {}", id, later.id);
            }
        }
        let mut reversed = steps;
        reversed.reverse();
        for step in &mut reversed {
            step.needs.reverse();
        }
        let again = plan(reversed).expect("it has no circle");
        prop_assert_eq!(again.hash(), made.hash());
    }

    #[test]
    fn a_circle_that_is_named_is_there(
        mut steps in acyclic(),
        ring in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut ring: Vec<usize> = ring.iter().map(|index| index.index(steps.len())).collect();
        ring.dedup();
        for (n, &at) in ring.iter().enumerate() {
            let need = steps[ring[(n + 1) % ring.len()]].id.clone();
            steps[at].needs.push(need);
        }
        let needs: HashMap<StepId, Vec<StepId>> =
            steps.iter().map(|step| (step.id.clone(), step.needs.clone())).collect();
        let Err(PlanError::Cycle(circle)) = plan(steps) else {
            return Err(TestCaseError::fail("the circle was not seen"));
        };
        prop_assert!(circle.len() > 1);
        prop_assert_eq!(circle.first(), circle.last());
        for pair in circle.windows(2) {
            prop_assert!(needs[&pair[1]].contains(&pair[0]), "{} does not need {}", pair[1], pair[0]);
        }
        let mut inner = circle[1..].to_vec();
        inner.sort();
        inner.dedup();
        prop_assert_eq!(inner.len(), circle.len() - 1, "no step twice");
    }
}

#[test]
fn a_step_that_undoes_follows_what_it_undoes_though_nobody_wrote_so() {
    let mut first = step("a", vec![]);
    first.finally = Some("0".into());
    let made = plan(vec![first.clone(), step("0", vec![])]).expect("it is a plan");
    assert_eq!(made.step(&"0".into()).map(|step| step.needs.clone()), Some(vec!["a".into()]));
    first.needs = vec!["0".into()];
    let error = plan(vec![first, step("0", vec![])]).expect_err("each needs the other");
    assert_eq!(error.to_string(), "steps need each other in a circle: a -> 0 -> a");
}

#[test]
fn two_steps_of_one_name_and_a_step_that_is_not_there() {
    let error =
        plan(vec![step("a", vec![]), step("b", vec![]), step("a", vec![])]).expect_err("a comes twice");
    assert_eq!(error, PlanError::DuplicateStep("a".into()));
    let error = plan(vec![step("a", vec!["b".into()])]).expect_err("there is no b");
    assert_eq!(error, PlanError::MissingStep { step: "a".into(), missing: "b".into() });
    let error = plan(vec![step("a", vec!["a".into()])]).expect_err("a needs itself");
    assert_eq!(error, PlanError::Cycle(vec!["a".into(), "a".into()]));
}

/// `layers` of `width` steps, each needing every step of the layer before.
fn layered(layers: usize, width: usize) -> Vec<PlanStep> {
    let name = |layer: usize, n: usize| format!("l{layer}-{n}");
    (0..layers * width)
        .map(|at| {
            let (layer, n) = (at / width, at % width);
            let needs = layer.checked_sub(1).map(|before| (0..width).map(|n| name(before, n)).collect());
            step(name(layer, n), needs.unwrap_or_default())
        })
        .collect()
}

/// The same as an operation in the explicit form.
fn explicit(steps: Vec<PlanStep>) -> Operation {
    let declared = |step: PlanStep| {
        let PlanStep { id, action, host, needs, on, retry, timeout, finally } = step;
        (id, StepDeclaration { action, host, needs, on, retry, timeout, finally })
    };
    let mut operation = operation("description: a graph");
    operation.steps = Some(steps.into_iter().map(declared).collect());
    operation
}

#[test]
fn large_graphs_take_no_recursion_and_little_time() {
    for (name, steps) in [("100 layers x 10", layered(100, 10)), ("chain of 10 000", layered(10_000, 1))] {
        let operation = explicit(steps);
        let (site, directory, id) = (site(), Path::new(DIRECTORY), id());
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let made = compile::backup(&site, directory, &id, &operation).expect("it compiles");
            assert_eq!(made.topological().len(), made.steps().len());
            times.push(began.elapsed());
        }
        times.sort();
        println!("{name}: compiled and in order in {:?}, the median of five", times[2]);
        let made = compile::backup(&site, directory, &id, &operation).expect("it compiles");
        assert!(expand::to_yaml(&made).lines().count() > 3 * made.steps().len());
        // The bar is 50 ms in release; this only notices an order of growth that is wrong.
        assert!(times[2].as_secs() < 5, "{name} took {:?}", times[2]);
    }
    let mut ring = layered(10_000, 1);
    ring[0].needs.push("l9999-0".into());
    let Err(PlanError::Cycle(circle)) = plan(ring) else { panic!("the circle was not seen") };
    assert_eq!(circle.len(), 10_001);
}
