//! A run from its acceptance to its end: leases, binding, steps, release.

use std::{sync::Arc, time::Duration};

use resplit_operations::{
    bound::Binding,
    ids::{HostId, RunId},
    plan::{Plan, Resource},
};
use resplit_steps::failure::{Failure, FailureClass};

use super::{
    claim::Claim,
    drive::{Control, Driver},
    finish,
    journal::runs::RunEvent,
    load,
    state::RunState,
};
use crate::{
    bind,
    client::Client,
    engine::Engine,
    preview,
    protocol::{Event, Lease, LeaseReply, LeaseRequest, RunStatus, What},
    store::Batch,
};

/// The pause before an engine that went away is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts a run that is in the store; gives how it is reached.
pub(crate) fn start(claim: Claim, state: RunState) -> Arc<Control> {
    let (engine, run) = (Arc::clone(&claim.engine), state.run().clone());
    engine.logs.begin(&run);
    let control = claim.start();
    let reached = Arc::clone(&control);
    drop(tokio::spawn(async move {
        let ended = Box::pin(perform(&engine, state, control)).await;
        {
            // Whoever hears that it is over finds it over, and may start it again.
            let mut active = engine.active();
            engine.logs.tell(ended);
            let _ = active.remove(&run);
        }
        engine.note_quiet();
    }));
    reached
}

async fn perform(engine: &Arc<Engine>, mut state: RunState, control: Arc<Control>) -> Event {
    let failure = match ready(engine, &mut state, &control).await {
        Ok(Ready::Bound(binding)) => return drive(engine, state, control, *binding).await,
        Ok(Ready::Cancelled) => Failure::cancelled(),
        Err(failure) => failure,
    };
    let status = if state.is_interrupted() {
        // What was begun and has not been asked about may still go on: the run keeps its leases, and waits.
        finish::park(engine, &mut state, &failure).await
    } else if failure.class == FailureClass::Cancelled {
        RunStatus::Cancelled
    } else if state.row.binding.is_none() && state.is_untouched() {
        RunStatus::Refused { failure }
    } else {
        RunStatus::Failed { failure }
    };
    finish::end(engine, state, status).await
}

async fn drive(engine: &Arc<Engine>, state: RunState, control: Arc<Control>, binding: Binding) -> Event {
    let mut driver = Driver::new(Arc::clone(engine), state, Arc::clone(&control), binding);
    let driven = driver.drive().await;
    let state = driver.state;
    let status = match driven {
        Ok(()) => finish::status(&state, control.is_cancelled()),
        // The store acknowledges nothing more: what is in it is what is true, and the next engine goes on from there.
        Err(failure) => RunStatus::Failed { failure },
    };
    finish::end(engine, state, status).await
}

enum Ready {
    Bound(Box<Binding>),
    Cancelled,
}

/// Takes the leases, binds the plan unless it is bound, and makes that durable.
async fn ready(engine: &Arc<Engine>, state: &mut RunState, control: &Control) -> Result<Ready, Failure> {
    finish::release_late(engine).await;
    crate::housekeeping::remember_libraries(engine, &state.plan.site)?;
    let Some(token) = take_leases(engine, state, control).await? else { return Ok(Ready::Cancelled) };
    let mut binding = match state.row.binding.clone() {
        Some(binding) => binding,
        None => {
            let bound = bind::bind(engine, &state.plan, &state.row.options, Some(state.run())).await?;
            preview::check_windows(engine, state, &bound).await?;
            tell(engine, state, What::Bound { binding: Box::new(bound.clone()) });
            bound
        }
    };
    let _ = binding.tokens.insert(engine.host.clone(), token);
    state.apply_to_run(&RunEvent::Bound { binding: Box::new(binding.clone()) })?;
    let mut batch = Batch::default();
    load::put_row(&mut batch, &state.row)?;
    let _ = engine.store.commit_async(batch).await?;
    Ok(Ready::Bound(Box::new(binding)))
}

fn tell(engine: &Engine, state: &RunState, what: What) {
    engine.logs.tell(Event {
        time: engine.clock.now(),
        run: state.run().clone(),
        step: None,
        host: None,
        what,
    });
}

/// Takes all leases of a run, in the one sorted order; waits while somebody else holds one. Meanwhile it holds none,
/// unless it has begun already: then what it has begun is not let go. `None` if the run was cancelled while it waited.
/// The token is that of this host.
async fn take_leases(
    engine: &Arc<Engine>,
    state: &mut RunState,
    control: &Control,
) -> Result<Option<u64>, Failure> {
    let keep = !state.is_untouched();
    loop {
        match try_leases(engine, &state.plan, state.run(), keep).await? {
            Tried::Granted(token) => return Ok(Some(token)),
            Tried::Held { waiting_for, client, releases } => {
                state.apply_to_run(&RunEvent::WaitsFor { waiting_for: waiting_for.clone() })?;
                tell(engine, state, What::Waiting { waiting_for });
                tokio::select! {
                    () = released(engine, client, releases) => {}
                    () = control.wake.notified() => {}
                }
                if control.is_cancelled() {
                    return Ok(None);
                }
            }
        }
    }
}

/// Waits until it is worth asking again. An engine that goes away meanwhile is no reason to give up: whether it can be
/// reached is found out by asking.
async fn released(engine: &Engine, client: Option<Client>, releases: u64) {
    let waited = match client {
        None => engine.wait_for_release(releases).await.map_err(|error| error.to_string()),
        Some(client) => client.lease_wait(releases).await.map_err(|error| error.to_string()),
    };
    if let Err(error) = waited {
        tracing::info!("waiting for a lease was cut short: {error}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What came of trying to take all leases.
pub(crate) enum Tried {
    Granted(u64),
    Held { waiting_for: String, client: Option<Client>, releases: u64 },
}

/// Tries to take all leases of a plan, once; gives back what it got if it did not get all, unless it is to `keep` it.
pub(crate) async fn try_leases(
    engine: &Arc<Engine>,
    plan: &Plan,
    run: &RunId,
    keep: bool,
) -> Result<Tried, Failure> {
    let mut taken = Vec::new();
    let tried = try_each(engine, plan, run, &mut taken).await;
    if !keep && !matches!(tried, Ok(Tried::Granted(_))) {
        give_back(engine, plan, run, &taken).await;
    }
    tried
}

async fn try_each(
    engine: &Arc<Engine>,
    plan: &Plan,
    run: &RunId,
    taken: &mut Vec<HostId>,
) -> Result<Tried, Failure> {
    let mut token = 0;
    let wanted = plan.resources();
    let request = |host: &HostId| LeaseRequest {
        run: run.clone(),
        coordinator: engine.host.clone(),
        owner: engine.owner.clone(),
        far: plan.site.hosts.get(&engine.host).filter(|_| engine.peers.is_far(&plan.site, host)).cloned(),
        resources: wanted
            .iter()
            .filter(|(of, _)| of == host)
            .map(|(_, resource)| (resource.clone(), at_once(plan, resource)))
            .collect(),
    };
    // What is held here is waited for without a word to other hosts: of many runs that wait for one volume, each would
    // else take their drives for a moment and wake the others.
    if let Some(LeaseReply::Held { by, releases }) = engine.look_at_leases(&request(&engine.host)) {
        return Ok(Tried::Held { waiting_for: names(&by), client: None, releases });
    }
    for host in lease_hosts(plan) {
        let request = request(&host);
        // From here on it may have been given, whether or not the reply arrives.
        taken.push(host.clone());
        let reply = if host == engine.host {
            engine.give_lease(&request)?
        } else {
            let lease = async |client: Client| client.lease(&request).await;
            engine.peers.ask(&plan.site, &host, lease).await?
        };
        match reply {
            LeaseReply::Granted { token: given } if host == engine.host => token = given,
            LeaseReply::Granted { .. } => {}
            LeaseReply::Held { by, releases } => {
                let _ = taken.pop();
                let client = if host == engine.host {
                    None
                } else {
                    Some(engine.peers.client(&plan.site, &host).await?)
                };
                return Ok(Tried::Held { waiting_for: names(&by), client, releases });
            }
        }
    }
    Ok(Tried::Granted(token))
}

/// What is held, by which runs.
fn names(by: &[Lease]) -> String {
    let names = by.iter().map(|lease| format!("{} (run {})", name(&lease.resource), lease.run));
    names.collect::<Vec<_>>().join(", ")
}

/// The hosts of which a plan wants leases, in the order in which they are asked.
pub(crate) fn lease_hosts(plan: &Plan) -> Vec<HostId> {
    let mut hosts: Vec<_> = plan.resources().into_iter().map(|(host, _)| host).collect();
    hosts.dedup();
    hosts
}

/// Gives back what a run that has not begun holds at these hosts. A host that cannot be told finds out when the run's
/// engine ends.
pub(crate) async fn give_back(engine: &Arc<Engine>, plan: &Plan, run: &RunId, hosts: &[HostId]) {
    for host in hosts {
        let given_back = if *host == engine.host {
            engine.leases.release(&engine.store, run).map(drop).map_err(|error| error.to_string())
        } else {
            let release = async |client: Client| client.release(run).await;
            engine.peers.ask(&plan.site, host, release).await.map_err(|failure| failure.message)
        };
        if let Err(error) = given_back {
            tracing::warn!(%run, "a lease of host {host} could not be given back: {error}");
        }
    }
}

fn at_once(plan: &Plan, resource: &Resource) -> u32 {
    match resource {
        Resource::Volume(_) => 1,
        Resource::Drive(library) => plan.site.libraries.get(library).map_or(1, |library| library.drives),
    }
}

/// A resource in words.
pub(crate) fn name(resource: &Resource) -> String {
    match resource {
        Resource::Volume(volume) => format!("volume {volume}"),
        Resource::Drive(library) => format!("a drive of {library}"),
    }
}
