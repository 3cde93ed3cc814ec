//! External commands under a shim, which survives the engine.

use std::{
    ffi::OsString,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use self::files::{Files, Finish, Standing};
use super::command::{CommandRunner, CommandState, Ended, ExternalCommand};
use crate::{context::Work, failure::Failure};

mod child;
mod files;
mod launch;
mod output;
mod process;
mod survey;
mod wait;

pub(super) use self::wait::end as end_process;
pub use self::{
    process::shim_main,
    survey::{CommandSeen, Running, commands_in},
};

/// How long a command that is asked to end may take until it is killed.
const GRACE: Duration = Duration::from_secs(10);
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
                        return Err(launch::not_started(&files, command, said));
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

/// The command's name for a message. Arguments stay out of it.
fn shown(command: &ExternalCommand) -> String {
    format!("'{}'", command.argv.first().map_or("", String::as_str))
}
