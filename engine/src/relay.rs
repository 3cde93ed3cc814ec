//! What `resplit agent` does: it carries bytes between its standard streams and the engine's socket, and understands none
//! of them.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    sync::mpsc,
    thread,
};

use crate::socket;

/// Connects to the engine that listens in a state directory.
pub async fn connect(state: &Path) -> io::Result<UnixStream> {
    let stream = socket::connect(state).await?.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Relays until either side ends. When standard input ends whoever asked is gone: the engine sees that at once, and what
/// it answers is not waited for.
pub fn relay(engine: &UnixStream) -> io::Result<()> {
    let (ended, either) = mpsc::channel();
    let (up, down) = (engine.try_clone()?, engine.try_clone()?);
    let tell = ended.clone();
    // The descriptors themselves: Rust's own standard streams keep bytes back until a line ends.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // These threads end with the process: nothing ends a read of standard input.
    drop(thread::Builder::new().name("to the engine".to_owned()).spawn(move || {
        let _ = tell.send(carry(&mut input, &mut &up));
    })?);
    drop(thread::Builder::new().name("from the engine".to_owned()).spawn(move || {
        let _ = ended.send(carry(&mut &down, &mut output));
    })?);
    let result = either.recv().unwrap_or(Ok(()));
    let _ = engine.shutdown(Shutdown::Both);
    result
}

/// How much is carried at once, in bytes.
const AT_ONCE: usize = 256 << 10;

/// Passes on what comes, as it comes, until nothing does. Not by `io::copy`, which splices: while it waits for a socket,
/// splice keeps whoever reads the pipe from what is in it already.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; AT_ONCE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
