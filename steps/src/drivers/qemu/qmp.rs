//! The QEMU Machine Protocol: a command is a line of JSON, and so is its answer; events come in between.
//! <https://www.qemu.org/docs/master/interop/qmp-spec.html>

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use serde_json::{Value, json};

use crate::failure::Failure;

/// How long a monitor may be busy with somebody else, who has its only session.
const BUSY: Duration = Duration::from_secs(15);
/// How long a monitor that is free may take to greet. One whose last session broke off may forget to.
const GREETING: Duration = Duration::from_secs(2);
/// How long an answer may take. Commands that take long are jobs: their answer is that they began.
const ANSWER: Duration = Duration::from_secs(60);
/// The longest line that is read.
const LONGEST: u64 = 64 << 20;

/// A session with a monitor. QEMU has one at a time, so it is to be short.
pub(super) struct Session {
    stream: BufReader<UnixStream>,
    socket: PathBuf,
    asked: u64,
}

impl Session {
    /// Begins a session; `None` if nobody listens at the socket: that QEMU is gone.
    ///
    /// # Errors
    /// A temporary failure if the monitor stays busy.
    pub(super) fn begin(socket: &Path) -> Result<Option<Self>, Failure> {
        let began = Instant::now();
        let failure = |error: io::Error| Failure::io("ask QEMU at", socket, &error);
        loop {
            let Some(stream) = connect(socket)? else { return Ok(None) };
            stream.set_read_timeout(Some(GREETING)).map_err(failure)?;
            stream.set_write_timeout(Some(ANSWER)).map_err(failure)?;
            let mut session = Self { stream: BufReader::new(stream), socket: socket.to_owned(), asked: 0 };
            match session.greeting() {
                Ok(true) => {
                    session.stream.get_ref().set_read_timeout(Some(ANSWER)).map_err(failure)?;
                    let _ = session.ask("qmp_capabilities", &json!({}))?;
                    return Ok(Some(session));
                }
                Ok(false) => {
                    return Err(Failure::refused(format!("{} is not a QMP monitor", socket.display()))
                        .with_help(
                            "name the socket of a monitor in the site file: its mode has to be 'control'",
                        ));
                }
                // It has ended in this moment, or hung up with the one who was there before.
                Err(error) if is_end(&error) || is_timeout(&error) => {
                    if began.elapsed() > BUSY {
                        return Err(busy(socket));
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(failure(error)),
            }
        }
    }

    /// Waits for what a monitor says first. What was meant for a session that broke off may come before.
    fn greeting(&mut self) -> io::Result<bool> {
        const STRAY: usize = 1000;
        for _ in 0..STRAY {
            let line = self.line()?;
            if line.get("QMP").is_some() {
                return Ok(true);
            }
            if ["event", "return", "error"].iter().all(|key| line.get(key).is_none()) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Gives a command and gets its answer.
    ///
    /// # Errors
    /// What QEMU says, as a permanent failure: then nothing was done. If QEMU says nothing, or ends, what became is unknown.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, Failure> {
        let socket = self.socket.clone();
        let unknown = |why: &str| {
            Failure::unknown(format!("QEMU at {} did not answer to {command}: {why}", socket.display()))
                .with_help("if QEMU has ended, start it again; then run again")
        };
        self.asked += 1;
        // An answer to a session that broke off is not ours.
        let id = json!(format!("resplit-{}-{}", std::process::id(), self.asked));
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        if let Err(error) = self.stream.get_mut().write_all(line.as_bytes()) {
            return Err(unknown(&error.to_string()));
        }
        loop {
            let mut answer = match self.line() {
                Ok(answer) => answer,
                Err(error) if is_end(&error) => {
                    return Err(unknown("it has ended, or closed the session"));
                }
                Err(error) if is_timeout(&error) => {
                    return Err(unknown(&format!("nothing came within {} s", ANSWER.as_secs())));
                }
                Err(error) => return Err(unknown(&error.to_string())),
            };
            if answer.get("id") != Some(&id) {
                continue;
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                let said = error.get("desc").and_then(Value::as_str).unwrap_or("no reason is given");
                let text = format!("QEMU at {} refuses {command}: {said}", self.socket.display());
                return Err(Failure::permanent(text));
            }
        }
    }

    fn line(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        let _ = self.stream.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_slice(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Connects, and waits while others do, too: a socket whose backlog is full says so, or waits for ever.
fn connect(socket: &Path) -> Result<Option<UnixStream>, Failure> {
    let failure = |error: Errno| Failure::io("ask QEMU at", socket, &error.into());
    let address = SocketAddrUnix::new(socket).map_err(|error| match error {
        Errno::NAMETOOLONG => {
            Failure::refused(format!("the path of the socket {} is too long", socket.display()))
                .with_help("a socket's path has at most 107 bytes: move it, and correct the site file")
        }
        error => failure(error),
    })?;
    let began = Instant::now();
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let made = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let made = made.map_err(failure)?;
        match rustix::net::connect(&made, &address) {
            Ok(()) => {
                let stream = UnixStream::from(made);
                stream.set_nonblocking(false).map_err(|error| Failure::io("ask QEMU at", socket, &error))?;
                return Ok(Some(stream));
            }
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
            Err(Errno::AGAIN | Errno::INTR) if began.elapsed() < BUSY => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(Errno::AGAIN) => return Err(busy(socket)),
            Err(error) => return Err(failure(error)),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn busy(socket: &Path) -> Failure {
    Failure::temporary(format!(
        "the QMP monitor at {} is busy: somebody else has its only session",
        socket.display()
    ))
    .with_help("end that session, or give QEMU a monitor for resplit alone, and name it in the site file")
}

#[cfg(test)]
mod tests;
