//! A job of QEMU, watched until it ends. It goes on without us; whoever asks again finds it.

use std::{thread, time::Duration};

use resplit_operations::pair::PairRef;
use serde_json::json;

use super::daemon::{BLOCK, Daemon, Job};
use crate::{
    context::{Progress, Work},
    failure::{Failure, FailureClass},
};

/// The longest time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits for the job of a pass, and gives how many bytes it had to copy. Between two looks nobody is kept from the
/// monitor. A mirror that has become equal is ended there.
pub(super) fn watch(pair: &PairRef, pass: u64, work: &Work) -> Result<u64, Failure> {
    let mut pause = Duration::from_millis(1);
    let mut is_ending = false;
    loop {
        let job = look(pair, pass)?;
        work.report(progress(&job));
        if job.is_over() {
            return match job.error {
                None => Ok(job.total_progress),
                Some(error) => Err(failed(&job.id, &error)),
            };
        }
        if work.is_cancelled() {
            let mut daemon = Daemon::of(pair)?;
            let id = daemon.names.job(pass);
            daemon.end(&id)?;
        }
        work.check()?;
        if job.is_mirror() && job.status == "ready" && !is_ending {
            Daemon::of(pair)?.end_mirror(pass)?;
            (is_ending, pause) = (true, Duration::from_millis(1));
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(PAUSE);
    }
}

fn look(pair: &PairRef, pass: u64) -> Result<Job, Failure> {
    let gone = || {
        Failure::unknown(format!(
            "QEMU, which copied for pair {}, has ended before that was done",
            pair.copy_group
        ))
        .with_help("start it again, then run again: what was not copied is copied then")
    };
    let mut daemon = Daemon::find(pair)?.ok_or_else(gone)?;
    let id = daemon.names.job(pass);
    daemon.job(&id)?.ok_or_else(gone)
}

/// The units of work are the bitmap's.
fn progress(job: &Job) -> Progress {
    Progress {
        bytes: job.current_progress,
        of_bytes: Some(job.total_progress),
        entries: job.current_progress.div_ceil(BLOCK),
        of_entries: Some(job.total_progress.div_ceil(BLOCK)),
    }
}

fn failed(id: &str, error: &str) -> Failure {
    let text = format!("QEMU could not copy: {error} (job '{id}')");
    if error.contains("No space left") {
        return Failure::temporary(text).with_help("free space in the pair's directory, then run again");
    }
    Failure::permanent(text)
}

/// Tries whether anybody can write to the primary but us, and makes what was written to it durable: a mirror bears no
/// other writer to its target, and flushes that when it becomes equal.
///
/// # Errors
/// A refusal that names who can.
pub(super) fn alone(pair: &PairRef) -> Result<(), Failure> {
    /// No pass has this number.
    const TRIAL: u64 = 0;
    let mut daemon = Daemon::of(pair)?;
    let users = daemon.users()?;
    let id = daemon.names.job(TRIAL);
    daemon.end(&id)?;
    let tried = match users.first() {
        None => daemon.mirror(TRIAL, true, "none"),
        Some(_) => Err(Failure::permanent(users.join(", "))),
    };
    tried.map_err(|failure| match failure.class {
        FailureClass::Permanent => Failure::refused(format!(
            "the primary of volume '{}' is in use, and would change beneath who uses it: {}",
            pair.volume, failure.message
        ))
        .with_help(
            "unmount it, and remove the export (QMP: block-export-del) or unplug the device (QMP: device_del); then run \
             again",
        ),
        _ => failure,
    })?;
    drop(daemon);
    let _ = watch(pair, TRIAL, &Work::silent())?;
    let mut daemon = Daemon::of(pair)?;
    daemon.ask("job-dismiss", &json!({ "id": id })).map(drop)
}
