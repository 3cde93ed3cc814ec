//! The engine's socket: `engine.sock` in the state directory, for its owner alone. It is bound and reached through the
//! directory's descriptor, since the path of a socket ends at 108 bytes and that of a state directory does not.

use std::{
    fs::DirBuilder,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::DirBuilderExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use resplit_steps::failure::Failure;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, chmodat, fstat, openat, renameat, statat, unlinkat};
use tokio::net::{UnixListener, UnixStream};

/// The socket's name in the state directory.
pub const NAME: &str = "engine.sock";

/// The name under which it is made, before it is renamed over a stale one.
const NEW: &str = "engine.sock.new";

/// How long no connection is accepted when descriptors or memory ran out.
const BREATH: Duration = Duration::from_millis(100);

/// Makes the state directory, for its owner alone, if there is none. Refuses one that belongs to somebody else or that
/// others may write to; takes the right to read from others.
pub fn prepare_directory(state: &Path) -> Result<(), Failure> {
    if let Some(parent) = state.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|e| Failure::io("create the parent of the state directory", state, &e))?;
    }
    match DirBuilder::new().mode(0o700).create(state) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Failure::io("create the state directory", state, &error));
        }
        _ => {}
    }
    let directory = open(state).map_err(|e| Failure::io("open the state directory", state, &e))?;
    let stat = fstat(&directory).map_err(|e| Failure::io("look at the state directory", state, &e.into()))?;
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        let message = format!(
            "the state directory {} belongs to the user with ID {}, and this process is {own}",
            state.display(),
            stat.st_uid
        );
        return Err(Failure::refused(message).with_help("work as that user, or name another state directory"));
    }
    if stat.st_mode & 0o022 != 0 {
        let message = format!(
            "others than its owner may write to the state directory {} (mode {:04o})",
            state.display(),
            stat.st_mode & 0o7777
        );
        let help = format!("see that nothing in it is foreign, then: chmod 700 '{}'", state.display());
        return Err(Failure::refused(message).with_help(help));
    }
    if stat.st_mode & 0o077 != 0 {
        chmodat(CWD, state, Mode::RWXU, AtFlags::empty())
            .map_err(|e| Failure::io("set the mode of the state directory", state, &e.into()))?;
    }
    Ok(())
}

/// The socket that an engine listens on. Its name goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    directory: OwnedFd,
    /// The inode of the name that was made here, while it is there.
    named: Option<u64>,
}

impl Listener {
    /// Binds the socket of a state directory, in place of one that a dead engine left. Call it only while holding the
    /// lock of the store in that directory, and drop the listener before that lock: a listener takes the name from
    /// whoever has it. Must be called within a tokio runtime.
    pub fn bind(state: &Path) -> Result<Self, Failure> {
        prepare_directory(state)?;
        let place = state.join(NAME);
        let failed = |doing: &str, error: io::Error| Failure::io(doing, &place, &error);
        let directory = open(state).map_err(|e| failed("open the directory of", e))?;
        match unlinkat(&directory, NEW, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(failed("remove what was left of", error.into())),
        }
        let inner =
            UnixListener::bind(reached_through(&directory, NEW)).map_err(|e| failed("bind the socket", e))?;
        chmodat(&directory, NEW, Mode::RUSR | Mode::WUSR, AtFlags::empty())
            .map_err(|e| failed("set the mode of", e.into()))?;
        let made = inode(&directory, NEW).map_err(|e| failed("look at", e))?;
        renameat(&directory, NEW, &directory, NAME).map_err(|e| failed("give its name to", e.into()))?;
        Ok(Self { inner, directory, named: Some(made) })
    }

    /// The next connection by the same user or by root; others are closed, and logged. Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            match self.inner.accept().await {
                Ok((stream, _)) if is_trusted(&stream) => return Ok(stream),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if is_shortage(&error) => {
                    tracing::warn!("cannot accept a connection now: {error}");
                    tokio::time::sleep(BREATH).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the name away: who comes from now on finds no engine. Who connected before is still accepted.
    pub(crate) fn retire(&mut self) {
        let Some(made) = self.named.take() else { return };
        // Never that of another engine: it would be there only if the store's lock had been given up before.
        if inode(&self.directory, NAME).is_ok_and(|found| found == made) {
            let _ = unlinkat(&self.directory, NAME, AtFlags::empty());
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Connects to the engine of a state directory. An error of the kind `NotFound` or `ConnectionRefused` means that none
/// listens. A socket that somebody else than the directory's owner or root listens on is refused.
pub async fn connect(state: &Path) -> io::Result<UnixStream> {
    let directory = open(state)?;
    let stream = UnixStream::connect(reached_through(&directory, NAME)).await?;
    let owner = fstat(&directory)?.st_uid;
    let listens = stream.peer_cred()?.uid();
    if listens == owner || listens == 0 {
        return Ok(stream);
    }
    let text = format!("the user with ID {listens} listens there, and the directory is that of {owner}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn open(state: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, state, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn reached_through(directory: &OwnedFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

fn inode(directory: &OwnedFd, name: &str) -> io::Result<u64> {
    let stat: Stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(stat.st_ino)
}

fn is_trusted(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if may_ask(peer.uid(), rustix::process::geteuid().as_raw()) => true,
        Ok(peer) => {
            tracing::warn!(
                "closed a connection of process {} of the user with ID {}: only this engine's user and root may ask",
                peer.pid().unwrap_or_default(),
                peer.uid()
            );
            false
        }
        Err(error) => {
            tracing::warn!("closed a connection whose user cannot be told: {error}");
            false
        }
    }
}

const fn may_ask(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Out of descriptors or memory: it passes.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.raw_os_error().map(Errno::from_raw_os_error).is_some_and(|e| {
        matches!(e, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::PROTO)
    })
}

#[cfg(test)]
mod tests {
    use super::may_ask;

    #[test]
    fn its_own_user_and_root_may_ask_and_nobody_else() {
        assert!(may_ask(1000, 1000));
        assert!(may_ask(0, 1000));
        assert!(!may_ask(1000, 0));
        assert!(!may_ask(1001, 1000));
    }
}
