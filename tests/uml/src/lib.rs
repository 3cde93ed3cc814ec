//! Runs a program in user-mode Linux: a kernel as a process, with drivers that the kernel of the machine lacks, as the device
//! mapper. The machine boots from the root of the host, which it cannot change, in a few seconds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

use std::{
    fs,
    io::Read,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

mod job;

pub use job::LVM;

/// The program that is the kernel.
const KERNEL: &str = "linux.uml";
/// What the machine says when it runs the job, and how that ended.
const BEGINS: &str = "@@ the job begins";
const ENDED: &str = "@@ the job ended with ";
/// The most of what a machine says that is kept.
const MOST: usize = 4 << 20;

/// What is run.
pub struct Job<'a> {
    /// Commands of bash(1) that ready the machine.
    pub before: &'a str,
    /// The program and its arguments, by paths of the host.
    pub argv: &'a [&'a str],
    /// Its environment, besides `PATH`.
    pub environment: &'a [(&'a str, &'a str)],
    /// Memory of the machine, in MiB; all that is written is kept there.
    pub memory: u32,
    /// When the machine is given up.
    pub limit: Duration,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// All that was said.
    pub said: String,
    /// The exit code; `None` if the machine was given up or broke down.
    pub code: Option<i32>,
}

/// Runs a job in a machine of its own.
///
/// # Errors
/// Why no machine can be run here.
pub fn run(job: &Job<'_>) -> Result<Ended, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root finds its own files in a machine".to_owned());
    }
    for (program, package) in [(KERNEL, "user-mode-linux"), ("insmod", "kmod")] {
        let found =
            std::env::split_paths("/usr/sbin:/usr/bin:/sbin:/bin").any(|place| place.join(program).exists());
        if !found {
            return Err(format!("there is no {program}; apt-get install {package}"));
        }
    }
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let machine = start(job, place.path()).map_err(|error| format!("{KERNEL} cannot be started: {error}"))?;
    let said = machine.listen(job.limit);
    let began = said.contains(BEGINS);
    let code = said.lines().find_map(|line| line.trim().strip_prefix(ENDED)?.parse().ok());
    // Where no process may trace another, there is no such machine.
    if began {
        Ok(Ended { said, code })
    } else {
        Err(format!("user-mode Linux does not run here: {}", last(&said)))
    }
}

fn last(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn start(job: &Job<'_>, place: &Path) -> std::io::Result<Machine> {
    let (init, script) = (place.join("init"), place.join("job"));
    fs::write(&init, include_str!("init"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    fs::write(&script, job::script(job))?;
    let name = format!("resplit-test-{}", place.file_name().unwrap_or_default().to_string_lossy());
    let child = Command::new(KERNEL)
        .arg(format!("mem={}M", job.memory))
        .args(["rootfstype=hostfs", "rootflags=/", "ro", "quiet", "con=null", "con0=null,fd:1", "con1=null"])
        .arg(format!("init={}", init.display()))
        .arg(format!("uml_dir={}/", place.display()))
        .arg(format!("umid={name}"))
        .arg(format!("RESPLIT_TEST_JOB={}", script.display()))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(Machine { child, name })
}

/// A machine that runs, and ends with its value.
struct Machine {
    child: Child,
    name: String,
}

impl Machine {
    /// What it says until it ends, or the limit is over.
    fn listen(mut self, limit: Duration) -> String {
        let mut out = self.child.stdout.take().unwrap();
        let (sender, heard) = mpsc::channel();
        let _ = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let (began, mut said) = (Instant::now(), Vec::new());
        while let Ok(more) = heard.recv_timeout(limit.saturating_sub(began.elapsed())) {
            said.extend(more);
            // What a machine says before it stops matters more than what it said at first.
            if said.len() > 2 * MOST {
                let _ = said.drain(..said.len() - MOST);
            }
        }
        String::from_utf8_lossy(&said).replace('\r', "")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Each process within a machine is one of the host: they have its command line, by which nobody else is hit.
        let mark = format!("umid={}", self.name);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let is_its = line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes());
            if let Some(process) = rustix::process::Pid::from_raw(process).filter(|_| is_its) {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        }
    }
}
