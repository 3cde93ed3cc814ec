//! Sites that are measured, and an engine of theirs within this process.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use resplit_engine::{
    definitions,
    engine::{Engine, Parts},
    offer::Offer,
    peers::PeerEngines,
    process::drivers,
    protocol::{RunOptions, RunStatus, RunSummary, RunsQuery, Submit},
    service::Service,
};
use resplit_operations::{
    compile,
    definitions::check_all_partial,
    ids::{OperationId, RunId},
    plan::Plan,
};
use resplit_steps::{
    context::SystemClock,
    drivers::{identity::Owner, window::Windows},
};
use tokio::runtime::Runtime;

/// How often it is looked whether a run is over: times are those that the run itself noted.
const LOOK: Duration = Duration::from_millis(2);

/// A site of one host, with one volume.
const ONE_HOST: &str = "
hosts: { here: { connect: local, state: state } }
volumes:
  documents:
    driver: directory
    primary: { host: here, path: documents }
    pairs: [ { copy_group: \"VG01,vol01\", secondary: { host: here, path: mirror } } ]
";

/// Writes a site of one host with one operation.
pub(super) fn write(place: &Path, operation: &str, text: &str) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(place.join("operations"))?;
    fs::create_dir_all(place.join("documents"))?;
    fs::write(place.join("site.yaml"), ONE_HOST)?;
    Ok(fs::write(place.join(format!("operations/{operation}.yaml")), text)?)
}

/// So many steps that do nothing, each of which needs the one before.
pub(super) fn chain(steps: usize) -> String {
    let mut text = "steps:\n".to_owned();
    for step in 0..steps {
        let needs = if step == 0 { String::new() } else { format!(", needs: [s{:05}]", step - 1) };
        let _ = writeln!(text, "  s{step:05}: {{ confirm: {{}}, host: here{needs} }}");
    }
    text
}

/// Layers of steps, each of which needs the whole layer before.
pub(super) fn layers(layers: usize, width: usize) -> String {
    let mut text = "steps:\n".to_owned();
    for layer in 0..layers {
        let before = (0..width).filter(|_| layer > 0).map(|step| format!("l{:03}s{step:02}", layer - 1));
        let needs = before.collect::<Vec<_>>().join(", ");
        for step in 0..width {
            let _ =
                writeln!(text, "  l{layer:03}s{step:02}: {{ confirm: {{}}, host: here, needs: [{needs}] }}");
        }
    }
    text
}

/// Reads, checks and compiles an operation.
pub(super) fn compiled(place: &Path, operation: &str) -> Result<Plan, Box<dyn Error>> {
    let (site, operations) = definitions::read(place);
    let found = check_all_partial(site, operations);
    let id: OperationId = operation.into();
    let (site, declared) = found.operation(&id).map_err(|report| report.render(5, false))?;
    Ok(compile::backup(site, place, &id, declared)?)
}

/// As many threads as an engine has.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Opens the engine of the host `here`. Nothing runs yet.
pub(super) fn open(place: &Path) -> Result<Offer, Box<dyn Error>> {
    open_with(place, env::current_exe()?)
}

/// The same, which starts the engines of other hosts with this program.
pub(crate) fn open_with(place: &Path, program: PathBuf) -> Result<Offer, Box<dyn Error>> {
    let state = place.join("state");
    fs::create_dir_all(&state)?;
    let build = "bench".to_owned();
    let peers = PeerEngines::new(program.clone(), place.to_owned(), build.clone(), false, None);
    Ok(Offer(Engine::open(Parts {
        host: "here".into(),
        drivers: drivers(&program, &state, &"here".into(), &peers),
        state,
        windows: Arc::new(Windows::new(program, Vec::new())),
        clock: Arc::new(SystemClock),
        peers,
        hold: false,
        build,
        owner: Owner::current()?,
    })?))
}

/// Starts a run.
pub(crate) async fn submit(offer: &Offer, plan: Plan) -> Result<RunId, Box<dyn Error>> {
    let submit = Submit { plan, options: RunOptions::default(), measure: false };
    Ok(offer.submit(submit).await.map_err(|refusal| refusal.failure)?.run)
}

/// Waits until nothing runs, and makes sure that this run, the only one, is done.
pub(super) async fn until_done(offer: &Offer, run: &RunId) -> Result<RunSummary, Box<dyn Error>> {
    while offer.0.is_busy() {
        tokio::time::sleep(LOOK).await;
    }
    let all = offer.runs(RunsQuery::default()).await.map_err(|refusal| refusal.failure)?;
    match all.into_iter().find(|summary| summary.run == *run) {
        Some(summary) if summary.status == RunStatus::Done => Ok(summary),
        other => Err(format!("run {run} is not done: {other:?}").into()),
    }
}
