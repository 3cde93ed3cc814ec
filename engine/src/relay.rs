//! What `resplit agent` does: it carries bytes between its standard streams and the engine's socket, and understands none
//! of them.

use std::{
    io::{self, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
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
pub fn relay(engine: UnixStream) -> io::Result<()> {
    let (ended, either) = mpsc::channel();
    let (up, down) = (engine.try_clone()?, engine.try_clone()?);
    let tell = ended.clone();
    // These threads end with the process: nothing ends a read of standard input.
    drop(thread::Builder::new().name("to the engine".to_owned()).spawn(move || {
        let _ = tell.send(io::copy(&mut io::stdin().lock(), &mut &up).map(drop));
    })?);
    drop(thread::Builder::new().name("from the engine".to_owned()).spawn(move || {
        let mut out = io::stdout().lock();
        let copied = io::copy(&mut &down, &mut out);
        let _ = ended.send(copied.and_then(|_| out.flush()));
    })?);
    let result = either.recv().unwrap_or(Ok(()));
    let _ = engine.shutdown(Shutdown::Both);
    result
}
