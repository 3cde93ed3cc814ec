//! What resplit made on this host and has not undone: as the store knows it, and as it is found by looking. What belongs
//! to a run that is not over is never undone here.

mod freezes;
mod images;
mod known;
mod pairs;
mod runs;
mod seen;
mod undo;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use jiff::Timestamp;
use resplit_operations::ids::{BackupId, RunId};
use resplit_steps::{
    drivers::{quiesce::Watchdog, shim::Running},
    failure::Failure,
};

use self::runs::Standing;
pub(crate) use self::undo::release;
use crate::{
    engine::Engine,
    failures::defect,
    obligations::Duty,
    protocol::{Leftover, LeftoverKind, LeftoversRequest, RunStanding},
};

/// The command that undoes what may be undone.
const RELEASE: &str = "resplit leftovers release";

/// Something that was found, before it is known how its run stands.
struct Found {
    kind: LeftoverKind,
    /// Tells it from others of its kind.
    key: String,
    what: String,
    since: Option<Timestamp>,
    run: Option<RunId>,
    undo: Undo,
}

/// How something is undone once its run is over.
#[derive(Clone)]
enum Undo {
    Duty(Duty),
    Unlock(BackupId),
    Lease,
    Tell,
    RemoveFile(PathBuf),
    RemoveDirectory(PathBuf),
    CloseImages(PathBuf),
    Thaw(PathBuf),
    EndCommand(Running),
    EndWatchdog(Watchdog),
    /// By what an operator does: the run is resumed if it can be and that helps, else this.
    By {
        resume: bool,
        next: String,
    },
}

impl Undo {
    fn by(next: impl Into<String>) -> Self {
        Self::By { resume: false, next: next.into() }
    }
}

impl Found {
    /// That something could not be looked at.
    fn untold(kind: LeftoverKind, key: &str, failure: Failure) -> Self {
        let undo = Undo::by(failure.help.unwrap_or_else(|| "resplit status".to_owned()));
        Self { kind, key: key.to_owned(), what: failure.message, since: None, run: None, undo }
    }

    fn id(&self) -> String {
        let run = self.run.as_ref().map(RunId::as_str).unwrap_or_default();
        format!("{:?}:{}:{run}", self.kind, self.key).to_lowercase()
    }

    fn leftover(&self, standing: &Standing) -> Leftover {
        let over = matches!(standing.run, RunStanding::Over | RunStanding::Unknown);
        let (releasable, next) = match &self.undo {
            Undo::By { next, .. } if self.run.is_none() => (false, next.clone()),
            Undo::By { resume, next } if over => {
                (false, standing.resume.clone().filter(|_| *resume).unwrap_or_else(|| next.clone()))
            }
            _ if over => (true, RELEASE.to_owned()),
            _ => (false, standing.next.clone()),
        };
        Leftover {
            id: self.id(),
            kind: self.kind,
            what: self.what.clone(),
            since: self.since,
            run: self.run.clone(),
            standing: standing.run,
            releasable,
            next,
        }
    }
}

/// What stands on this host, that of runs at work included.
pub(crate) async fn list(engine: &Arc<Engine>, request: &LeftoversRequest) -> Result<Vec<Leftover>, Failure> {
    Ok(look(engine, request).await?.into_iter().map(|(leftover, _)| leftover).collect())
}

/// The same, each with how it is undone.
async fn look(engine: &Arc<Engine>, request: &LeftoversRequest) -> Result<Vec<(Leftover, Undo)>, Failure> {
    let (asked, request_here) = (Arc::clone(engine), request.clone());
    let found = tokio::task::spawn_blocking(move || gather(&asked, &request_here)).await;
    let mut found = found.unwrap_or_else(|error| Err(defect(&error)))?;
    let names: BTreeSet<RunId> = found.iter().filter_map(|found| found.run.clone()).collect();
    let standings: BTreeMap<RunId, Standing> = runs::standings(engine, &request.site, names).await?;
    // What a command of a run leaves is kept with the run, as its log is.
    let is_unknown = |run: &Option<RunId>| {
        run.as_ref().and_then(|run| standings.get(run)).is_some_and(|s| s.run == RunStanding::Unknown)
    };
    found.retain(|found| found.kind != LeftoverKind::CommandFiles || is_unknown(&found.run));
    found.sort_by(|a, b| (a.kind, a.since, &a.key).cmp(&(b.kind, b.since, &b.key)));
    let nobody = Standing::unknown();
    let leftover = |found: Found| {
        let standing = found.run.as_ref().and_then(|run| standings.get(run)).unwrap_or(&nobody);
        (found.leftover(standing), found.undo)
    };
    Ok(found.into_iter().map(leftover).collect())
}

/// Everything, known and seen. Asks drivers, so it may block.
fn gather(engine: &Engine, request: &LeftoversRequest) -> Result<Vec<Found>, Failure> {
    let known = known::known(engine)?;
    let mut found = seen::seen(engine, request, &known)?;
    found.extend(pairs::pairs(engine, request));
    found.extend(known);
    Ok(found)
}
