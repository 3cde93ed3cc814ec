//! Programs that are waited for: no longer than they may take, and no longer than somebody wants what they do.

use std::{
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{context::Work, failure::Failure};

/// How long it may take until a cancellation is noticed.
const NOTICE: Duration = Duration::from_millis(200);

/// Waits for the end of a program, which is killed when it takes too long or the work is cancelled.
pub(super) fn wait(mut child: Child, longest: Duration, work: &Work) -> Result<ExitStatus, Failure> {
    let ended = until_end(&mut child, longest, work);
    if ended.is_err() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| Failure::temporary(format!("cannot wait for it: {error}")));
    ended.and(status)
}

fn until_end(child: &mut Child, longest: Duration, work: &Work) -> Result<(), Failure> {
    let cannot = |error: rustix::io::Errno| Failure::temporary(format!("cannot watch it: {error}"));
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::temporary("it has no process ID"))?;
    let end = pidfd_open(pid, PidfdFlags::empty()).map_err(cannot)?;
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(NOTICE.subsec_nanos()) };
    let begun = Instant::now();
    loop {
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&pause)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(cannot(error)),
        }
        work.check()?;
        if begun.elapsed() > longest {
            return Err(Failure::temporary(format!("it took longer than {} s", longest.as_secs())));
        }
    }
}
