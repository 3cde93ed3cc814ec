//! Who a process is: a process ID alone is given out again, and says nothing after a boot.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, test_kill_process},
};
use serde::{Deserialize, Serialize};

use super::clocks::Offsets;

/// A process, such that no other one is ever taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The kernel's random name for this boot.
    pub boot_id: String,
    /// The process ID.
    pub pid: u32,
    /// When it started, in clock ticks since the boot, by the machine's own clock: see [`super::clocks`].
    pub start_time: u64,
}

impl Owner {
    /// This process.
    pub fn current() -> io::Result<Self> {
        let pid = std::process::id();
        Self::of(pid)?.ok_or_else(|| io::Error::other(format!("/proc does not show this process, {pid}")))
    }

    /// The process that has this ID now; `None` if none has, or only a zombie.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        Processes::system().owner(pid)
    }

    /// Whether it lives. What cannot be seen counts as alive: nothing is taken from an owner that may be there.
    pub fn is_alive(&self) -> bool {
        Processes::system().is_alive(self)
    }

    /// A descriptor that becomes readable when this process ends, or `None` if it has ended.
    pub fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = as_pid(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Compared after it was opened: from here on the descriptor is of the process that was compared.
            Ok(descriptor) => Ok(self.is_alive().then_some(descriptor)),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A table of processes: `/proc`, or a directory in its form.
#[derive(Clone, Debug)]
pub struct Processes {
    root: PathBuf,
}

impl Processes {
    /// This machine's.
    pub fn system() -> Self {
        Self::at(Path::new(SYSTEM))
    }

    /// One in the form of `/proc`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The process that has this ID now; `None` if none has, or only a zombie.
    pub fn owner(&self, pid: u32) -> io::Result<Option<Owner>> {
        let Some(status) = self.status(pid)? else { return Ok(None) };
        Ok((!status.is_dead()).then_some(Owner {
            boot_id: self.boot_id()?,
            pid,
            start_time: self.own_start(&status),
        }))
    }

    /// Whether a process lives. What cannot be seen counts as alive.
    pub fn is_alive(&self, owner: &Owner) -> bool {
        match self.boot_id() {
            Ok(boot_id) if boot_id != owner.boot_id => return false,
            Ok(_) => {}
            Err(_) => return true,
        }
        match self.status(owner.pid) {
            // Taken back from a time namespace it may be a tick beside: no ID is given out twice within one.
            Ok(Some(status)) => !status.is_dead() && self.own_start(&status).abs_diff(owner.start_time) <= 1,
            Ok(None) => self.is_hidden(owner.pid),
            Err(_) => true,
        }
    }

    /// The processes of a group, without those that have ended.
    pub(crate) fn group(&self, group: u32) -> io::Result<Vec<u32>> {
        let mut members = Vec::new();
        for pid in self.all()? {
            // A process that ends while it is looked at is no member.
            if let Ok(Some(status)) = self.status(pid)
                && status.group == group
                && !status.is_dead()
            {
                members.push(pid);
            }
        }
        Ok(members)
    }

    /// The IDs of all processes.
    pub(crate) fn all(&self) -> io::Result<Vec<u32>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                all.push(pid);
            }
        }
        Ok(all)
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.root.join("sys/kernel/random/boot_id"))?.trim().to_owned())
    }

    fn status(&self, pid: u32) -> io::Result<Option<Status>> {
        let path = self.root.join(pid.to_string()).join("stat");
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            // Gone before it was opened, or between opening and reading.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Status::parse(&text)
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("{} is not in its known form", path.display())))
    }

    /// When a process started by the machine's own clock: the table shows it as the reader's time namespace has it.
    fn own_start(&self, status: &Status) -> u64 {
        const TICK: i128 = 10_000_000;
        let ahead = Offsets::here(&self.root).boottime.div_euclid(TICK);
        u64::try_from(i128::from(status.start_time).saturating_sub(ahead)).unwrap_or_default()
    }

    /// Whether the machine has a process that `/proc` does not show (`hidepid`).
    fn is_hidden(&self, pid: u32) -> bool {
        self.root == Path::new(SYSTEM)
            && as_pid(pid).is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
    }
}

/// What `stat` says of a process.
struct Status {
    state: char,
    group: u32,
    start_time: u64,
}

impl Status {
    /// The second field, the program's name, may hold blanks and brackets: what counts comes after the last bracket.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

const SYSTEM: &str = "/proc";

/// A process ID as the system calls want it.
pub(crate) fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests;
