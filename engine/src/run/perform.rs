//! A run from its acceptance to its end: leases, binding, steps, release.

use std::sync::Arc;

use resplit_operations::{
    bound::Binding,
    ids::HostId,
    plan::{Plan, Resource},
};
use resplit_steps::failure::Failure;

use super::{
    drive::{Control, Driver},
    finish, load,
    state::RunState,
};
use crate::{
    bind,
    client::{Client, ClientError},
    engine::Engine,
    failures, preview,
    protocol::{Event, LeaseReply, LeaseRequest, RunStatus, What},
    store::Batch,
};

/// Starts a run that is in the store; gives how it is reached.
pub(crate) fn start(engine: &Arc<Engine>, state: RunState) -> Arc<Control> {
    let control = Arc::new(Control::default());
    let run = state.run().clone();
    engine.logs.begin(&run);
    let _ = engine.active().insert(run.clone(), Arc::clone(&control));
    let (engine, reached) = (Arc::clone(engine), Arc::clone(&control));
    drop(tokio::spawn(async move {
        perform(&engine, state, control).await;
        let _ = engine.active().remove(&run);
        engine.note_quiet();
    }));
    reached
}

async fn perform(engine: &Arc<Engine>, mut state: RunState, control: Arc<Control>) {
    let binding = match ready(engine, &mut state, &control).await {
        Ok(Ready::Bound(binding)) => *binding,
        Ok(Ready::Cancelled) => return finish::end(engine, state, RunStatus::Cancelled).await,
        Err(failure) if state.row.binding.is_none() && state.is_untouched() => {
            return finish::end(engine, state, RunStatus::Refused { failure }).await;
        }
        Err(failure) => return finish::end(engine, state, RunStatus::Failed { failure }).await,
    };
    let mut driver = Driver::new(Arc::clone(engine), state, Arc::clone(&control), binding);
    let driven = driver.drive().await;
    let state = driver.state;
    let status = match driven {
        Ok(()) => finish::status(&state, control.is_cancelled()),
        // The store acknowledges nothing more: what is in it is what is true, and the next engine goes on from there.
        Err(failure) => RunStatus::Failed { failure },
    };
    finish::end(engine, state, status).await;
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
    state.row.binding = Some(binding.clone());
    state.row.status = RunStatus::Running;
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

/// Takes all leases of a run, in the one sorted order; waits while somebody else holds one, holding none meanwhile.
/// `None` if the run was cancelled while it waited. The token is that of this host.
async fn take_leases(
    engine: &Arc<Engine>,
    state: &mut RunState,
    control: &Control,
) -> Result<Option<u64>, Failure> {
    loop {
        match try_leases(engine, &state.plan, state.run()).await? {
            Tried::Granted(token) => return Ok(Some(token)),
            Tried::Held { waiting_for, client, releases } => {
                state.row.status = RunStatus::Waiting { waiting_for: waiting_for.clone() };
                tell(engine, state, What::Waiting { waiting_for });
                let released = async {
                    match &client {
                        // An engine that ended has released nothing, and counts anew: it is asked again.
                        Some(client) => match client.lease_wait(releases).await {
                            Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => Ok(()),
                            waited => waited.map_err(failures::of_client),
                        },
                        None => {
                            engine.leases.wait(releases).await;
                            Ok(())
                        }
                    }
                };
                tokio::select! {
                    released = released => released?,
                    () = control.wake.notified() => {}
                }
                if control.is_cancelled() {
                    return Ok(None);
                }
            }
        }
    }
}

/// What came of trying to take all leases.
pub(crate) enum Tried {
    Granted(u64),
    Held { waiting_for: String, client: Option<Client>, releases: u64 },
}

/// Tries to take all leases of a plan, once; gives back what it got if it did not get all.
pub(crate) async fn try_leases(
    engine: &Arc<Engine>,
    plan: &Plan,
    run: &resplit_operations::ids::RunId,
) -> Result<Tried, Failure> {
    let mut token = 0;
    let mut taken: Vec<HostId> = Vec::new();
    let wanted = plan.resources();
    let mut hosts: Vec<_> = wanted.iter().map(|(host, _)| host.clone()).collect();
    hosts.dedup();
    for host in hosts {
        let resources = wanted
            .iter()
            .filter(|(of, _)| *of == host)
            .map(|(_, resource)| (resource.clone(), at_once(plan, resource)))
            .collect();
        let request = LeaseRequest {
            run: run.clone(),
            coordinator: engine.host.clone(),
            owner: engine.owner.clone(),
            resources,
        };
        let reply = if host == engine.host {
            engine.give_lease(&request)?
        } else {
            let lease = async |client: Client| client.lease(&request).await;
            engine.peers.ask(&plan.site, &host, lease).await?
        };
        match reply {
            LeaseReply::Granted { token: given } => {
                if host == engine.host {
                    token = given;
                }
                taken.push(host);
            }
            LeaseReply::Held { by, releases } => {
                for held in taken {
                    if held == engine.host {
                        drop(engine.leases.release(&engine.store, run)?);
                    } else {
                        let release = async |client: Client| client.release(run).await;
                        engine.peers.ask(&plan.site, &held, release).await?;
                    }
                }
                let client = if host == engine.host {
                    None
                } else {
                    Some(engine.peers.client(&plan.site, &host).await?)
                };
                let names: Vec<_> =
                    by.iter().map(|lease| format!("{} (run {})", name(&lease.resource), lease.run)).collect();
                return Ok(Tried::Held { waiting_for: names.join(", "), client, releases });
            }
        }
    }
    Ok(Tried::Granted(token))
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
