//! OpenSSH's file transfer, by the system's sftp(1): the operator's configuration, keys, agents and known hosts hold, as
//! for the hosts that ssh reaches. Nobody is there to be asked, so it is keys that let in, never a password.

use std::{
    fmt::Write as _,
    fs::File,
    io::{Read, Seek, Write as _},
    os::fd::AsRawFd as _,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use resplit_operations::site::Transport;
use rustix::fs::MemfdFlags;

use super::{MOST_BYTES, PARTIAL, TransferDriver, too_large};
use crate::{
    context::Work,
    drivers::{bounded, secrets::cleaned},
    failure::Failure,
};

/// What holds whatever a configuration says; see sftp(1). A line that carries nothing is given up after 15 seconds.
const OPTIONS: [&str; 7] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "LogLevel=ERROR",
];
/// How long one conversation may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most that is read of what the program prints, in bytes.
const MOST_SAID: u64 = 4 << 20;

/// A directory that an SFTP server gives.
pub(super) struct Sftp {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    directory: String,
    config: Option<PathBuf>,
    work: Work,
}

/// How a conversation ended.
struct Talk {
    done: bool,
    /// What it printed, without its echo of the commands.
    said: Vec<String>,
    complaints: String,
}

impl Sftp {
    pub(super) fn open(transport: &Transport, work: &Work) -> Self {
        let url = transport.url.clone();
        Self {
            user: url.user,
            host: url.host,
            port: url.port,
            directory: url.path,
            config: transport.ssh_config.clone(),
            work: work.clone(),
        }
    }

    /// Gives these commands to the program, in the directory.
    fn talk(&self, commands: &str) -> Result<Talk, Failure> {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::refused(format!("cannot run sftp under prlimit and setpriv: {error}"))
                .with_help("install openssh-client and util-linux on this host")
        };
        let mut script = memory().map_err(|error| cannot(&error))?;
        let (mut out, mut complaints) =
            (memory().map_err(|error| cannot(&error))?, memory().map_err(|error| cannot(&error))?);
        write!(script, "cd \"{}\"\n{commands}", self.directory)
            .and_then(|()| script.rewind())
            .map_err(|error| cannot(&error))?;
        let copies = out.try_clone().and_then(|out| Ok((out, complaints.try_clone()?)));
        let (to, complaining) = copies.map_err(|error| cannot(&error))?;
        let child =
            self.command().stdin(script).stdout(to).stderr(complaining).spawn().map_err(|e| cannot(&e))?;
        let status = bounded::wait(child, PATIENCE, &self.work)?;
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.take(MOST_SAID).read_to_end(&mut bytes)).map(|_| bytes)
        };
        let said = read(&mut out).map_err(|error| cannot(&error))?;
        let complaints = read(&mut complaints).map_err(|error| cannot(&error))?;
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().filter(|line| !line.starts_with("sftp> "));
        let said = lines.map(str::to_owned).collect();
        let complaints = String::from_utf8_lossy(&complaints);
        let lines: Vec<&str> = complaints.lines().filter(|line| !line.starts_with("Connected to ")).collect();
        let mut complaints = cleaned(&lines.join("; "), &[]);
        if complaints.contains("IDENTIFICATION HAS CHANGED") {
            "Host key verification failed: the server's key is not the one that is known"
                .clone_into(&mut complaints);
        }
        if complaints.is_empty() && !status.success() {
            complaints = format!("sftp ended with {status}");
        }
        Ok(Talk { done: status.success(), said, complaints })
    }

    /// The program. It ends with this process, and writes no file longer than what is carried.
    fn command(&self) -> Command {
        let mut command = Command::new("prlimit");
        let limit = format!("--fsize={}", MOST_BYTES + 1);
        let _ = command.args([&limit, "--", "setpriv", "--pdeathsig", "KILL", "--", "sftp", "-b", "-"]);
        for option in OPTIONS {
            let _ = command.args(["-o", option]);
        }
        if let Some(config) = &self.config {
            let _ = command.arg("-F").arg(config);
        }
        if let Some(port) = self.port {
            let _ = command.args(["-P", &port.to_string()]);
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let to = self.user.as_ref().map_or(host.clone(), |user| format!("{user}@{host}"));
        let _ = command.arg("--").arg(to).env("LC_ALL", "C");
        command
    }

    fn failed(&self, doing: &str, name: &str, talk: &Talk) -> Failure {
        let text = format!("cannot {doing} {}/{name}: {}", self.directory, talk.complaints);
        let said = |words: &[&str]| words.iter().any(|word| talk.complaints.contains(word));
        if said(&["Permission denied (", "Host key verification failed", "Too many authentication failures"])
        {
            let to = self.user.as_ref().map_or(self.host.clone(), |user| format!("{user}@{}", self.host));
            return Failure::refused(text)
                .with_help(format!("see why: sftp -o BatchMode=yes {to}; then resplit resume"));
        }
        // `Failure` is all that version 3 of the protocol says of a full disk.
        if said(&[
            "Failure",
            "Connection",
            "Timeout",
            "timed out",
            "closed",
            "Broken pipe",
            "lost",
            "resolve",
        ]) {
            return Failure::temporary(text).with_help(format!(
                "see that {} answers and has space left; then resplit resume",
                self.host
            ));
        }
        Failure::permanent(text)
    }
}

/// A file in memory.
fn memory() -> std::io::Result<File> {
    Ok(rustix::fs::memfd_create("transfer", MemfdFlags::CLOEXEC)?.into())
}

/// Where another process finds it.
fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

impl TransferDriver for Sftp {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let cannot =
            |error: std::io::Error| Failure::temporary(format!("cannot hold {name} in memory: {error}"));
        let mut file = memory().map_err(cannot)?;
        file.write_all(bytes).map_err(cannot)?;
        let mut script = String::new();
        // -f: the server makes it durable before it gets its name, if it can.
        let _ = writeln!(script, "put -f {} \"{name}{PARTIAL}\"", path(&file));
        let _ = writeln!(script, "rename \"{name}{PARTIAL}\" \"{name}\"");
        let talk = self.talk(&script)?;
        if talk.done {
            return Ok(());
        }
        // What does not fit is not left to fill the rest.
        let _ = self.talk(&format!("-rm \"{name}{PARTIAL}\"\n"));
        Err(self.failed("write", name, &talk))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let cannot =
            |error: std::io::Error| Failure::temporary(format!("cannot hold {name} in memory: {error}"));
        let mut file = memory().map_err(cannot)?;
        let talk = self.talk(&format!("get \"{name}\" {}\n", path(&file)))?;
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        let _ = file
            .rewind()
            .and_then(|()| Read::by_ref(&mut file).take(most + 1).read_to_end(&mut bytes))
            .map_err(cannot)?;
        if bytes.len() > MOST_BYTES {
            return Err(too_large(name));
        }
        if talk.done {
            return Ok(Some(bytes));
        }
        let missing = talk.complaints.contains(&format!("/{name}\" not found"));
        if missing { Ok(None) } else { Err(self.failed("read", name, &talk)) }
    }

    fn names(&mut self) -> Result<Vec<String>, Failure> {
        let talk = self.talk("ls -1a\n")?;
        if talk.done { Ok(talk.said) } else { Err(self.failed("list", "", &talk)) }
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let talk = self.talk(&format!("rm \"{name}\"\n"))?;
        let gone = talk.done || talk.complaints.contains("No such file");
        if gone { Ok(()) } else { Err(self.failed("remove", name, &talk)) }
    }
}
