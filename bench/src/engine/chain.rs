//! Chains of steps that do nothing but become durable, against raw appends.

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use resplit_operations::plan::Plan;
use rustix::time::{ClockId, clock_gettime};

use super::{ROUNDS, median, site};

const CHAINS: [usize; 3] = [100, 1_000, 10_000];
const MOST_MEMORY: usize = 10_000;

/// What one round gives: seconds for a raw append, and for a step; seconds of all processors for a step.
type Round = [f64; 3];

/// Prints what a step costs.
pub(crate) fn run(place: &Path) -> Result<(), Box<dyn Error>> {
    println!(
        "{:>7} {:>12} {:>12} {:>7} {:>14}   engine: chains of steps, medians of {ROUNDS}, us each",
        "steps", "raw append", "step", "ratio", "processor time"
    );
    let plans = CHAINS.map(|steps| {
        let place = place.join(format!("chain-{steps}"));
        site::write(&place, "chain", &site::chain(steps))?;
        site::compiled(&place, "chain").map(|plan| (steps, plan))
    });
    let mut rounds = CHAINS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (plan, rounds) in plans.iter().zip(&mut rounds) {
            let (steps, plan) = plan.as_ref().map_err(ToString::to_string)?;
            rounds.push(round(place, *steps, plan)?);
        }
    }
    for (steps, rounds) in CHAINS.into_iter().zip(rounds) {
        let all = |kind: usize| median(rounds.iter().map(|round: &Round| round[kind] * 1e6).collect());
        let ratio = median(rounds.iter().map(|round| round[1] / round[0]).collect());
        println!("{steps:>7} {:>12.1} {:>12.1} {ratio:>7.2} {:>14.1}", all(0), all(1), all(2));
    }
    Ok(())
}

/// A chain between two halves of as many raw appends.
fn round(place: &Path, steps: usize, plan: &Plan) -> Result<Round, Box<dyn Error>> {
    let directory = tempfile::TempDir::new_in(place)?;
    let mut raw = File::create(directory.path().join("raw"))?;
    let mut appending = append(&mut raw, steps / 2)?;
    let (took, used) = run_chain(directory.path(), plan.clone())?;
    appending += append(&mut raw, steps - steps / 2)?;
    let each = |time: Duration| time.as_secs_f64() / f64::from(u32::try_from(steps).unwrap_or(u32::MAX));
    Ok([each(appending), each(took), each(used)])
}

fn append(file: &mut File, count: usize) -> std::io::Result<Duration> {
    let began = Instant::now();
    for _ in 0..count {
        file.write_all(&[7; 512])?;
        file.sync_data()?;
    }
    Ok(began.elapsed())
}

/// Runs a plan in a new engine: from its acceptance to its end, and the time of all processors meanwhile.
fn run_chain(place: &Path, plan: Plan) -> Result<(Duration, Duration), Box<dyn Error>> {
    let runtime = site::runtime()?;
    runtime.block_on(async {
        let offer = site::open(place)?;
        let before = processor_time();
        let run = site::submit(&offer, plan).await?;
        let summary = site::until_done(&offer, &run).await?;
        let used = processor_time().saturating_sub(before);
        let ended = summary.ended.ok_or("the run has no end")?;
        Ok((ended.duration_since(summary.accepted).unsigned_abs(), used))
    })
}

/// What all threads of this process, ended ones included, have used.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Prints the most memory that the longest chain takes, in a process of its own.
pub(crate) fn memory(place: &Path) -> Result<(), Box<dyn Error>> {
    site::write(place, "chain", &site::chain(MOST_MEMORY))?;
    let plan = place.join("plan.json");
    fs::write(&plan, serde_json::to_vec(&site::compiled(place, "chain")?)?)?;
    let status = Command::new(env::current_exe()?).arg("--run").args([&plan, place]).status()?;
    if status.success() { Ok(()) } else { Err(format!("the chain: {status}").into()) }
}

/// The process of its own: runs a plan from a file, and says how much memory that took.
pub(crate) fn child(plan: &Path, place: &Path) -> Result<(), Box<dyn Error>> {
    let plan: Plan = serde_json::from_reader(std::io::BufReader::new(File::open(plan)?))?;
    let steps = plan.graph().node_count();
    let before = crate::store::peak_memory()?;
    let _ = run_chain(place, plan)?;
    println!(
        "chain of {steps} steps: at most {} KiB resident; {before} KiB with the plan alone",
        crate::store::peak_memory()?
    );
    Ok(())
}
