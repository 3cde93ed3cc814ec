//! Many hosts and operations, driven by one engine: what each of them costs it.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use resplit_engine::{
    offer::Offer,
    protocol::{RunStatus, RunsQuery},
    service::Service as _,
};
use resplit_operations::{
    action::{Action, Confirm, Retry},
    ids::{HostId, RunId, StepId},
    operation::On,
    plan::{Plan, PlanData, PlanStep, Purpose},
    site::{Host, Site},
};

use crate::engine::site;

/// The hosts, each with a state directory and an engine of its own, besides the one that coordinates.
const HOSTS: usize = 50;
/// So many operations at once, in turns.
const AT_ONCE: [usize; 4] = [50, 100, 250, 500];
/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(600);

/// Prints what operations on many hosts cost the engine that coordinates them.
pub(crate) fn run(place: &Path) -> Result<(), Box<dyn Error>> {
    let program = env::current_exe()?.with_file_name("resplit");
    if !program.exists() {
        return Err(format!("{} is not there: cargo build --release", program.display()).into());
    }
    let names: Vec<HostId> = (0..HOSTS).map(|number| HostId::from(format!("host{number:02}"))).collect();
    write(place, &names)?;
    let runtime = site::runtime()?;
    let ended = runtime.block_on(async {
        let offer = site::open_with(place, program)?;
        // Engines that have to be started first are no part of it.
        let _ = round(&offer, place, &names, "warm", HOSTS).await?;
        println!(
            "{:>10} {:>10} {:>12} {:>12} {:>12} {:>12}   {HOSTS} hosts, one engine that coordinates",
            "operations", "ms each", "median ms", "longest ms", "memory KiB", "descriptors"
        );
        for count in AT_ONCE {
            let round = round(&offer, place, &names, &format!("of{count}"), count).await?;
            println!(
                "{count:>10} {:>10.2} {:>12.1} {:>12.1} {:>12} {:>12}",
                round.whole.as_secs_f64() * 1e3 / f64::from(u32::try_from(count)?),
                round.median.as_secs_f64() * 1e3,
                round.longest.as_secs_f64() * 1e3,
                round.memory,
                round.descriptors
            );
        }
        Ok::<_, Box<dyn Error>>(())
    });
    // The engines of the hosts have nothing to do any more.
    for name in &names {
        let state = state(place, name);
        if let Ok(client) = runtime.block_on(resplit_engine::client::Client::connect(&state)) {
            let _ = runtime.block_on(client.stop());
        }
        let began = Instant::now();
        while state.join("engine.sock").exists() && began.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    ended
}

fn state(place: &Path, host: &HostId) -> PathBuf {
    place.join(format!("state-{host}"))
}

/// The site file, which the engines of the hosts read.
fn write(place: &Path, names: &[HostId]) -> Result<(), Box<dyn Error>> {
    let mut text = "hosts:\n  here: { connect: local, state: state }\n".to_owned();
    for name in names {
        let _ = writeln!(text, "  {name}: {{ connect: local, state: state-{name} }}");
    }
    fs::create_dir_all(place.join("operations"))?;
    Ok(fs::write(place.join("site.yaml"), text + "volumes: {}\n")?)
}

/// Something to do here, and then on another host.
fn plan(place: &Path, operation: &str, on: &HostId) -> Result<Plan, Box<dyn Error>> {
    let step = |id: &str, host: &HostId, needs: &[&str]| PlanStep {
        id: id.into(),
        host: host.clone(),
        action: Action::Confirm(Confirm::default()),
        needs: needs.iter().map(|id| StepId::from(*id)).collect(),
        on: On::default(),
        retry: Retry::default(),
        timeout: None,
        finally: None,
    };
    let here = HostId::from("here");
    let hosts: BTreeMap<_, _> =
        [(here.clone(), Host::local(place.join("state"))), (on.clone(), Host::local(state(place, on)))]
            .into();
    Ok(Plan::new(PlanData {
        operation: operation.into(),
        purpose: Purpose::Backup,
        coordinator: here.clone(),
        site: Site { hosts, ..Site::default() },
        steps: vec![
            step("first", &here, &[]),
            step("there", on, &["first"]),
            step("last", &here, &["there"]),
        ],
    })?)
}

/// What came of operations that ran at once.
struct Round {
    /// From the first that was submitted to the last that ended.
    whole: Duration,
    /// From acceptance to end.
    median: Duration,
    longest: Duration,
    /// Resident now, in KiB.
    memory: u64,
    /// The most that were open at once.
    descriptors: usize,
}

async fn round(
    offer: &Offer,
    place: &Path,
    names: &[HostId],
    kind: &str,
    count: usize,
) -> Result<Round, Box<dyn Error>> {
    let plans = (0..count)
        .map(|number| plan(place, &format!("{kind}-{number:03}"), &names[number % names.len()]))
        .collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let mut runs: Vec<RunId> = Vec::new();
    for plan in plans {
        runs.push(site::submit(offer, plan).await?);
    }
    let mut descriptors = 0;
    while offer.0.is_busy() {
        descriptors = descriptors.max(fs::read_dir("/proc/self/fd")?.count());
        if began.elapsed() > LIMIT {
            return Err(format!("{count} operations do not end").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let whole = began.elapsed();
    let query = RunsQuery { limit: Some(100_000), ..RunsQuery::default() };
    let all = offer.runs(query).await.map_err(|refusal| refusal.failure)?;
    let of_these: BTreeMap<_, _> = all.into_iter().map(|run| (run.run.clone(), run)).collect();
    let mut times = Vec::new();
    for run in &runs {
        let Some(summary) = of_these.get(run) else { return Err(format!("run {run} is not known").into()) };
        let (RunStatus::Done, Some(ended)) = (&summary.status, summary.ended) else {
            return Err(format!("run {run}: {:?}", summary.status).into());
        };
        times.push(ended.duration_since(summary.accepted).unsigned_abs());
    }
    times.sort();
    Ok(Round {
        whole,
        median: times[times.len() / 2],
        longest: times[times.len() - 1],
        memory: resident()?,
        descriptors,
    })
}

/// What this process has resident, in KiB.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
