//! How the runs stand that made what was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use resplit_operations::{ids::RunId, site::Site};
use resplit_steps::failure::Failure;

use crate::{
    client::ClientError,
    engine::Engine,
    protocol::{RefusalKind, RunStanding, RunStatus},
    run::load,
};

/// How a run stands, and what an operator does about it.
pub(super) struct Standing {
    pub(super) run: RunStanding,
    /// What to do next as long as it is not over.
    pub(super) next: String,
    /// The command that resumes it, if it is over and can be resumed.
    pub(super) resume: Option<String>,
}

impl Standing {
    /// That of a run that nobody knows.
    pub(super) const fn unknown() -> Self {
        Self { run: RunStanding::Unknown, next: String::new(), resume: None }
    }

    fn new(run: RunStanding, next: String) -> Self {
        Self { run, next, resume: None }
    }

    fn of(run: &RunId, status: &RunStatus, held: bool) -> Self {
        match status {
            _ if held => {
                Self::new(RunStanding::Held, format!("resplit resume {run}, or resplit cancel {run}"))
            }
            RunStatus::Waiting { .. } | RunStatus::Running => {
                Self::new(RunStanding::AtWork, format!("resplit logs -f {run}"))
            }
            RunStatus::Parked { questions } => {
                let step = questions.keys().next().map_or("STEP", |step| step.as_str());
                let next = format!("resplit answer {run} {step} done|redo|abort, or resplit cancel {run}");
                Self::new(RunStanding::Parked, next)
            }
            RunStatus::Failed { .. } | RunStatus::Cancelled => Self {
                resume: Some(format!("resplit resume {run}")),
                ..Self::new(RunStanding::Over, String::new())
            },
            RunStatus::Done | RunStatus::Refused { .. } => Self::new(RunStanding::Over, String::new()),
        }
    }
}

/// How these runs stand, as this host knows it, or the hosts of the site that coordinate them.
pub(super) async fn standings(
    engine: &Arc<Engine>,
    site: &Site,
    runs: BTreeSet<RunId>,
) -> Result<BTreeMap<RunId, Standing>, Failure> {
    let mut standings = BTreeMap::new();
    for run in runs {
        let standing = if let Some(row) = load::row(&engine.store, &run)? {
            let at_work = engine.active().contains_key(&run);
            // One that could not be taken up is held as well, by what hindered it.
            let held = !row.status.is_over() && !at_work;
            let status = if at_work { RunStatus::Running } else { row.status };
            Standing::of(&run, &status, held)
        } else if engine.serving.serves(&run) {
            Standing::of(&run, &RunStatus::Running, false)
        } else {
            elsewhere(engine, site, &run).await
        };
        let _ = standings.insert(run, standing);
    }
    Ok(standings)
}

async fn elsewhere(engine: &Arc<Engine>, site: &Site, run: &RunId) -> Standing {
    let mut unreachable = None;
    for host in site.hosts.keys().filter(|host| **host != engine.host) {
        let asked = match engine.peers.client(site, host).await {
            Ok(client) => client.run(run).await,
            Err(failure) => {
                tracing::warn!("{failure}");
                unreachable = Some(host);
                continue;
            }
        };
        match asked {
            Ok(detail) => return Standing::of(run, &detail.summary.status, detail.held),
            Err(ClientError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => {}
            Err(error) => {
                tracing::warn!("host '{host}' cannot be asked about run {run}: {error}");
                unreachable = Some(host);
            }
        }
    }
    unreachable.map_or_else(Standing::unknown, |host| {
        Standing::new(RunStanding::Unreachable, format!("resplit --host {host} status"))
    })
}
