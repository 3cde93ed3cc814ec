//! External commands under a shim, which survives the engine.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::{Signal, pidfd_send_signal},
};

use self::{
    files::{Files, Finish, Standing, Started},
    process::{Order, READY, TAKEN},
};
use super::{
    command::{CommandRunner, CommandState, Ended, ExternalCommand},
    identity::Owner,
};
use crate::{context::Work, failure::Failure};

mod files;
mod output;
mod process;

pub use self::process::shim_main;

/// How long a command that is asked to end may take until it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long a killed one may take to be gone.
const KILLED: Duration = Duration::from_secs(5);
/// How soon a cancellation is noticed.
const NOTICE: Duration = Duration::from_millis(100);

/// Runs external commands.
pub struct Shims {
    program: PathBuf,
    prefix: Vec<OsString>,
    grace: Duration,
}

impl Shims {
    /// Commands whose shims are `program` with the arguments `prefix`, then `shim --directory DIR`, which must call
    /// [`shim_main`]. `/proc/self/exe` is this program, also after its file was replaced.
    pub fn new(program: PathBuf, prefix: Vec<OsString>) -> Self {
        Self { program, prefix, grace: GRACE }
    }

    /// With another grace period than ten seconds between asking a command to end and killing it.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts a shim, and gives it its order. What it says afterwards, it says before the command is started.
    fn launch(&self, files: &Files, command: &ExternalCommand) -> Result<BufReader<ChildStdout>, Failure> {
        let cannot =
            |reason: &str| Failure::permanent(format!("{} was not started: {reason}", shown(command)));
        files.make()?;
        let mut shim = Command::new(&self.program)
            .args(&self.prefix)
            .arg("shim")
            .arg("--directory")
            .arg(&command.directory)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot(&format!("its shim {}: {error}", self.program.display())))?;
        let (orders, answers) = (shim.stdin.take(), shim.stdout.take());
        // However long it lives, somebody waits for it: it never stays a zombie.
        let _ = thread::Builder::new()
            .name("shim".into())
            .spawn(move || shim.wait())
            .map_err(|error| cannot(&error.to_string()))?;
        let (Some(mut orders), Some(answers)) = (orders, answers) else {
            return Err(cannot("its shim has no pipes"));
        };
        let mut answers = BufReader::new(answers);
        let mut answer = String::new();
        let _ = answers.read_line(&mut answer).map_err(|error| cannot(&format!("its shim: {error}")))?;
        match answer.trim_end() {
            READY => {}
            // Somebody else's shim was first: it is waited for.
            TAKEN => return Ok(answers),
            "" => return Err(cannot("its shim ended at once")),
            reason => return Err(cannot(reason)),
        }
        let order = Order { command: command.clone(), grace: self.grace };
        let order = serde_json::to_vec(&order).map_err(|error| cannot(&error.to_string()))?;
        // A shim that is gone by now has said why, or has left nothing: what it left is looked at next.
        let _ = orders.write_all(&order);
        Ok(answers)
    }

    /// Waits until no shim is at work in the directory; has it end its command on a cancellation.
    fn wait(&self, files: &Files, command: &ExternalCommand, work: &Work) -> Result<(), Failure> {
        let file = match File::open(command.directory.join("lock")) {
            Ok(file) => file,
            Err(error) => return Err(Failure::io("open the shim's lock in", &command.directory, &error)),
        };
        let (free, freed) = mpsc::channel();
        // The kernel gives the lock when the shim lets go of it, or dies.
        let _ = thread::Builder::new()
            .name("shim-lock".into())
            .spawn(move || {
                while flock(&file, FlockOperation::LockShared) == Err(rustix::io::Errno::INTR) {}
                let _ = free.send(());
            })
            .map_err(|error| Failure::io("wait for the command in", &command.directory, &error))?;
        let mut asked: Option<Instant> = None;
        loop {
            match freed.recv_timeout(NOTICE) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if work.is_cancelled()
                && asked.is_none()
                && let Some(started) = files.started()?
                && signal(&started.shim, &command.directory)?
            {
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|asked| asked.elapsed() > self.grace + KILLED) {
                return Err(does_not_end(command));
            }
        }
    }

    /// Waits for a command whose shim is gone. How it ends, nobody will know.
    fn wait_for_orphan(
        &self,
        started: &Started,
        child: &Owner,
        command: &ExternalCommand,
        work: &Work,
    ) -> Result<(), Failure> {
        let looking = |error: &io::Error| Failure::io("wait for the command in", &command.directory, error);
        let Some(descriptor) = child.descriptor().map_err(|error| looking(&error))? else { return Ok(()) };
        let since = Timestamp::now().duration_since(started.at).unsigned_abs();
        let until = command.timeout.map(|timeout| Instant::now() + timeout.saturating_sub(since));
        let notice = Timespec { tv_sec: 0, tv_nsec: NOTICE.subsec_nanos().into() };
        loop {
            let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
            match poll(&mut ready, Some(&notice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(looking(&error.into())),
            }
            if work.is_cancelled() || until.is_some_and(|until| Instant::now() > until) {
                process::end_group(child.pid, self.grace);
                let killed = Timespec { tv_sec: KILLED.as_secs().cast_signed(), tv_nsec: 0 };
                let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
                return match poll(&mut ready, Some(&killed)) {
                    Ok(0) => Err(does_not_end(command)),
                    Ok(_) => Ok(()),
                    Err(error) => Err(looking(&error.into())),
                };
            }
        }
    }
}

impl CommandRunner for Shims {
    fn run(&self, command: &ExternalCommand, work: &Work) -> Result<Ended, Failure> {
        let files = Files::of(&command.directory);
        loop {
            match files.standing(&command.tag)? {
                Standing::NotStarted => {
                    work.check()?;
                    let said = self.launch(&files, command)?;
                    self.wait(&files, command, work)?;
                    if matches!(files.standing(&command.tag)?, Standing::NotStarted) {
                        return Err(not_started(&files, command, said));
                    }
                }
                Standing::Working { .. } => self.wait(&files, command, work)?,
                Standing::Orphan(started, child) => self.wait_for_orphan(&started, &child, command, work)?,
                Standing::Ended(finish) => return ended(finish, &files, command),
                Standing::Lost => {
                    return Err(Failure::unknown(format!(
                        "{} was started, but its shim was killed: nobody saw how it ended",
                        shown(command)
                    ))
                    .with_help(format!("see what it printed in {}", files.output().display())));
                }
            }
        }
    }

    fn probe(&self, command: &ExternalCommand) -> Result<CommandState, Failure> {
        /// How long a shim may take from its lock to its first file. An engine that died may have left one in between.
        const START: Duration = Duration::from_secs(5);
        let files = Files::of(&command.directory);
        let began = Instant::now();
        loop {
            return Ok(match files.standing(&command.tag)? {
                Standing::NotStarted => CommandState::NotStarted,
                Standing::Working { shim: Some(shim), child } => {
                    CommandState::Running { pid: child.unwrap_or(shim).pid }
                }
                Standing::Working { shim: None, .. } if began.elapsed() < START => {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Standing::Working { shim: None, .. } => {
                    return Err(Failure::temporary(format!(
                        "the shim in {} has neither started its command nor ended",
                        command.directory.display()
                    )));
                }
                Standing::Orphan(_, child) => CommandState::Running { pid: child.pid },
                Standing::Ended(finish) => match code_of(&finish) {
                    Some(code) => CommandState::Ended(Ended { code, output: output::tail(&files.output()) }),
                    None => CommandState::NotStarted,
                },
                Standing::Lost => CommandState::Lost,
            });
        }
    }
}

const fn code_of(finish: &Finish) -> Option<i32> {
    match finish {
        Finish::NotStarted { .. } => None,
        Finish::Exited { code } | Finish::TimedOut { code } | Finish::Stopped { code } => Some(*code),
    }
}

fn ended(finish: Finish, files: &Files, command: &ExternalCommand) -> Result<Ended, Failure> {
    let see = || format!("see what it printed in {}", files.output().display());
    match finish {
        Finish::Exited { code } => Ok(Ended { code, output: output::tail(&files.output()) }),
        Finish::TimedOut { code } => Err(Failure::temporary(format!(
            "{} was ended since it took longer than {} ms (exit code {code})",
            shown(command),
            command.timeout.unwrap_or_default().as_millis()
        ))
        .with_help(see())),
        Finish::Stopped { .. } => Err(Failure::cancelled()),
        Finish::NotStarted { reason } => Err(Failure::permanent(reason)),
    }
}

/// Why a shim ended without having started its command.
fn not_started(files: &Files, command: &ExternalCommand, mut said: BufReader<ChildStdout>) -> Failure {
    match files.finish() {
        Ok(Some(Finish::NotStarted { reason })) => {
            return Failure::permanent(reason).with_help("correct the command's `argv`, then run again");
        }
        Ok(_) => {}
        Err(failure) => return failure,
    }
    let mut reason = String::new();
    let _ = said.read_line(&mut reason);
    let reason = if reason.is_empty() { "its shim was killed" } else { reason.trim_end() };
    Failure::temporary(format!("{} was not started: {reason}", shown(command)))
}

/// Asks a shim to end its command. `false` if there is no such shim any more.
fn signal(shim: &Owner, directory: &Path) -> Result<bool, Failure> {
    let sent = shim.descriptor().and_then(|descriptor| match descriptor {
        Some(descriptor) => Ok(pidfd_send_signal(descriptor, Signal::TERM).map(|()| true)?),
        None => Ok(false),
    });
    sent.map_err(|error| Failure::io("end the command in", directory, &error))
}

fn does_not_end(command: &ExternalCommand) -> Failure {
    Failure::unknown(format!("{} does not end, although it was killed", shown(command)))
        .with_help("it may wait for a device or a frozen file system; once it has ended, resume the run")
}

/// The command's name for a message. Arguments stay out of it.
fn shown(command: &ExternalCommand) -> String {
    format!("'{}'", command.argv.first().map_or("", String::as_str))
}
