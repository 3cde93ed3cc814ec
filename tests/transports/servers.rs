//! Servers that end with their values.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Nothing takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A server on a port of this machine.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a program is there; says so if not.
pub(crate) fn has(program: &str) -> bool {
    let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = paths.split(':').any(|directory| Path::new(directory).join(program).is_file());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

impl Server {
    /// Starts it, and waits until it answers.
    pub(crate) fn start(port: u16, command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        command.env("PATH", path).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{command:?} has ended");
            assert!(begun.elapsed() < LIMIT, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program, which must succeed.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
