//! What a plan would do now: the binding that it would get, and what each step says of it. Changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use resplit_operations::{
    action::Action,
    bound::Binding,
    ids::{HostId, RunId, StepId, VolumeId},
    operation::On,
    plan::{Plan, PlanStep},
};
use resplit_steps::{context::Work, contract::Preview, facts::Facts, failure::Failure};

use crate::{
    bind::{self, Known},
    engine::Engine,
    failures,
    protocol::{HeldNow, PlanPreview, PreviewRow, Submit, World},
    rows::{self, RunRow, StepRow, TookMs},
    run::{perform, state::RunState},
    work::Task,
    world,
};

/// Previews a plan.
pub(crate) async fn preview(engine: &Arc<Engine>, submit: Submit) -> Result<PlanPreview, Failure> {
    let worlds = world::gather(engine, &submit.plan).await?;
    let tape_bound = world::tape_bound(engine, &submit.plan, &worlds).await?;
    let known =
        Known { plan: &submit.plan, options: &submit.options, worlds: &worlds, run: None, tape_bound };
    let (binding, refusals, is_bound) = match bind::decide(&known) {
        Ok(binding) => {
            let refusals = bind::refusals(&known, &binding);
            (binding, refusals, true)
        }
        Err(failure) => (Binding::default(), vec![failure], false),
    };
    let waits = waits(&submit.plan, &worlds);
    let kept = bind::kept(&known);
    let engine = Arc::clone(engine);
    let decided = Decided { binding, refusals, is_bound, waits, kept };
    let rows = tokio::task::spawn_blocking(move || rows(&engine, submit, decided, &worlds));
    rows.await.map_err(|error| failures::defect(&error))?
}

/// Who holds what the plan needs.
fn waits(plan: &Plan, worlds: &BTreeMap<HostId, World>) -> Vec<HeldNow> {
    let mut waits = Vec::new();
    for (host, resource) in plan.resources() {
        let held =
            worlds.get(&host).into_iter().flat_map(|world| &world.leases).filter(|l| l.resource == resource);
        waits.extend(held.map(|lease| HeldNow {
            what: perform::name(&resource),
            run: lease.run.clone(),
            coordinator: lease.coordinator.clone(),
            since: lease.since,
        }));
    }
    waits
}

/// What a plan means now, and why it cannot succeed.
struct Decided {
    binding: Binding,
    refusals: Vec<Failure>,
    /// Whether it is known which pairs it is about.
    is_bound: bool,
    /// Who holds what it needs.
    waits: Vec<HeldNow>,
    /// Which pairs are kept.
    kept: Vec<String>,
}

fn rows(
    engine: &Engine,
    submit: Submit,
    decided: Decided,
    worlds: &BTreeMap<HostId, World>,
) -> Result<PlanPreview, Failure> {
    let Decided { binding, mut refusals, is_bound, waits, kept } = decided;
    let measure = submit.measure;
    let site = Arc::new(submit.plan.site.clone());
    // A step finds a pair as the steps before it leave it, not as it is now.
    let mut shared = Arc::new(binding.clone());
    let state = hypothetical(engine, submit);
    let windows: Vec<_> =
        state.windows().iter().flat_map(|(quiesce, thaw)| state.between(&[*quiesce], *thaw)).collect();
    let mut rows = Vec::new();
    for node in state.order() {
        let step = state.step(*node).clone();
        let records = worlds.get(&step.host).map(|world| world.catalog.as_slice()).unwrap_or_default();
        let key = format!("{}/{}", state.plan.operation, step.id);
        let last_ms = rows::get::<TookMs>(&engine.store, &key)?.map(|took| took.0);
        let preview = if is_bound {
            let task = task(&state, &step, &site, &shared);
            let mut preview = task.preview(engine, &step.host, records).unwrap_or_else(|failure| {
                refusals.push(failure);
                Preview::default()
            });
            if measure && let Action::Resync(resync) = &step.action {
                match pending(engine, &state, &shared, &resync.volume) {
                    Ok(note) => preview.notes.push(note),
                    Err(failure) => refusals.push(failure),
                }
            }
            bind::after(&state.plan, &step.action, Arc::make_mut(&mut shared));
            preview
        } else {
            Preview::default()
        };
        rows.push(PreviewRow {
            step: step.id.clone(),
            kind: step.action.kind().to_owned(),
            host: step.host.clone(),
            in_window: windows.contains(node),
            preview,
            last_ms,
        });
    }
    let expected_ms = expected(&state, &rows);
    Ok(PlanPreview { binding, refusals, waits, kept, expected_ms, rows })
}

/// How long the longest way through a plan takes, if each step takes as long as last time. What runs after a failure alone
/// is not expected to run. O(V+E).
fn expected(state: &RunState, rows: &[PreviewRow]) -> Option<u64> {
    let mut ends: BTreeMap<&StepId, u64> = BTreeMap::new();
    for (node, row) in state.order().iter().zip(rows) {
        let step = state.step(*node);
        let took = if step.on == On::Failure { 0 } else { row.last_ms? };
        let begins = step.needs.iter().filter_map(|need| ends.get(need)).max().copied().unwrap_or(0);
        let _ = ends.insert(&row.step, begins.saturating_add(took));
    }
    ends.into_values().max()
}

/// What a resync of a volume's pair would do, measured.
fn pending(
    engine: &Engine,
    state: &RunState,
    binding: &Binding,
    volume: &VolumeId,
) -> Result<String, Failure> {
    let kind = state.plan.site.volumes.get(volume).map(|volume| volume.driver);
    let (Some(kind), Some(bound)) = (kind, binding.pairs.get(volume)) else {
        return Err(Failure::permanent(format!("no pair of volume '{volume}' was chosen")));
    };
    let found = engine.drivers.pairs(kind)?.pending(&bound.pair, &Work::silent())?;
    Ok(format!(
        "{} differs by {} new, {} changed, {} removed: {} bytes to be copied",
        bound.pair.copy_group, found.returned, found.replaced, found.removed, found.bytes
    ))
}

/// The run that the plan would be, were it accepted.
fn hypothetical(engine: &Engine, submit: Submit) -> RunState {
    let steps = submit.plan.graph().node_count();
    let run = RunId("preview".to_owned());
    let row = RunRow::accepted(run, &submit.plan, submit.options, engine.clock.now());
    RunState::new(row, submit.plan, vec![StepRow::new(); steps])
}

/// Refuses, before anything is touched, a window that would be refused once the images are overwritten. What a command of
/// the operator's may yet change (a mount, say) is left to the step itself.
pub(crate) async fn check_windows(
    engine: &Arc<Engine>,
    state: &RunState,
    binding: &Binding,
) -> Result<(), Failure> {
    let (site, binding) = (Arc::new(state.plan.site.clone()), Arc::new(binding.clone()));
    for node in state.order() {
        let step = state.step(*node);
        match step.action {
            Action::Command(_) => return Ok(()),
            Action::Quiesce(_) if step.host == engine.host => {
                let _ = task(state, step, &site, &binding).prepare(engine, Arc::default()).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn task(
    state: &RunState,
    step: &PlanStep,
    site: &Arc<resplit_operations::site::Site>,
    binding: &Arc<Binding>,
) -> Task {
    Task {
        operation: state.plan.operation.clone(),
        purpose: state.plan.purpose,
        run: state.row.run.clone(),
        step: step.clone(),
        attempt: 1,
        site: Arc::clone(site),
        binding: Arc::clone(binding),
        facts: Facts::default(),
        token: 0,
        window: None,
        work: Work::silent(),
    }
}
