//! Going on after a crash: one large plan, and many runs.

use std::{
    env,
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use resplit_engine::{
    offer::Offer,
    protocol::{LeaseRequest, StepStatus, What},
    service::Service,
};
use resplit_operations::{ids::RunId, plan::Resource};
use resplit_steps::drivers::identity::Owner;

use super::{ROUNDS, median, milliseconds, site};

const LAYERS: usize = 100;
const WIDTH: usize = 10;
const RUNS: usize = 1_000;

/// A whole backup, on one host.
const DOCUMENTS: &str = "
protect: { filesystem: documents, volumes: [documents] }
hooks: { before: [ { argv: [\"true\"] } ], after: [ { argv: [\"true\"] } ] }
";

/// Prints how long a large plan takes to be compiled, and to be taken up again in the middle.
pub(crate) fn layers(place: &Path) -> Result<(), Box<dyn Error>> {
    site::write(place, "layers", &site::layers(LAYERS, WIDTH))?;
    let (mut compiling, mut resuming, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let place = place.join(format!("round {round}"));
        site::write(&place, "layers", &site::layers(LAYERS, WIDTH))?;
        let run = interrupt(&place)?;
        let began = Instant::now();
        let plan = site::compiled(&place, "layers")?;
        let compiled = began.elapsed();
        let resumed = resume(&place, &run, plan.graph().node_count())?;
        compiling.push(compiled);
        resuming.push(resumed);
        together.push(compiled + resumed);
    }
    let [compiling, resuming, together] =
        [compiling, resuming, together].map(|times| milliseconds(median(times)));
    println!(
        "{LAYERS} layers of {WIDTH}, fully connected: read, checked and compiled in {compiling:.1} ms, taken up in \
         the middle in {resuming:.1} ms, together {together:.1} ms"
    );
    Ok(())
}

/// Starts a run in a process of its own, and kills that in the middle of it.
fn interrupt(place: &Path) -> Result<RunId, Box<dyn Error>> {
    let plan = place.join("plan.json");
    fs::write(&plan, serde_json::to_vec(&site::compiled(place, "layers")?)?)?;
    let mut child =
        Command::new(env::current_exe()?).arg("--run").args([&plan, place]).stdout(Stdio::null()).spawn()?;
    let run = loop {
        let logs = fs::read_dir(place.join("state/logs")).into_iter().flatten();
        if let Some(log) = logs.flatten().next().map(|entry| entry.path())
            && fs::read_to_string(&log)?.matches("\"done\"").count() >= LAYERS * WIDTH / 2
        {
            break log.file_stem().map(|name| RunId(name.to_string_lossy().into_owned()));
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("the run ended before it could be interrupted: {status}").into());
        }
        thread::sleep(Duration::from_millis(1));
    };
    child.kill()?;
    let _ = child.wait()?;
    run.ok_or_else(|| "the log has no name".into())
}

/// Takes the run up in an engine of its own, until its next step begins; then lets it end, and counts its steps.
fn resume(place: &Path, run: &RunId, steps: usize) -> Result<Duration, Box<dyn Error>> {
    let runtime = site::runtime()?;
    let took = runtime.block_on(async {
        let offer = site::open(place)?;
        let mut events = offer.events(run.clone(), false).await.map_err(|refusal| refusal.failure)?;
        while events.recv().await.is_some() {}
        let began = Instant::now();
        offer.0.recover().await?;
        let took = wait_for_step(&offer, run, began).await?;
        let _ = site::until_done(&offer, run).await?;
        let detail = offer.run(run.clone()).await.map_err(|refusal| refusal.failure)?;
        let done = detail.step_list.iter().filter(|step| matches!(step.status, StepStatus::Done { .. }));
        if done.count() == steps { Ok(took) } else { Err("steps are missing".into()) }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    took
}

async fn wait_for_step(offer: &Offer, run: &RunId, began: Instant) -> Result<Duration, Box<dyn Error>> {
    let mut events = offer.events(run.clone(), true).await.map_err(|refusal| refusal.failure)?;
    let mut recovering = false;
    let mut last = None;
    while let Some(event) = events.recv().await {
        recovering |= matches!(event.what, What::Recovering { .. });
        if recovering && matches!(event.what, What::Started { .. }) {
            return Ok(began.elapsed());
        }
        last = Some(event);
    }
    Err(format!("no step began after {last:?}").into())
}

/// Prints how long an engine takes that finds many runs that are not over: they wait for a pair that somebody holds.
pub(crate) fn unfinished(place: &Path) -> Result<(), Box<dyn Error>> {
    site::write(place, "documents", DOCUMENTS)?;
    let runtime = site::runtime()?;
    runtime.block_on(async {
        let offer = site::open(place)?;
        let request = LeaseRequest {
            run: RunId("somebody".to_owned()),
            coordinator: "here".into(),
            owner: Owner::current()?,
            resources: vec![(Resource::Volume("documents".into()), 1)],
            far: None,
        };
        let _ = offer.lease(request).await.map_err(|refusal| refusal.failure)?;
        let plan = site::compiled(place, "documents")?;
        for _ in 0..RUNS {
            let _ = site::submit(&offer, plan.clone()).await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(10));
    let (mut opening, mut scanning) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let runtime = site::runtime()?;
        runtime.block_on(async {
            let began = Instant::now();
            let offer = site::open(place)?;
            opening.push(began.elapsed());
            offer.0.recover().await?;
            scanning.push(began.elapsed());
            Ok::<_, Box<dyn Error>>(())
        })?;
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
    println!(
        "{RUNS} unfinished runs after a crash: the store open after {:.0} ms, all runs taken up after {:.0} ms",
        milliseconds(median(opening)),
        milliseconds(median(scanning))
    );
    Ok(())
}
