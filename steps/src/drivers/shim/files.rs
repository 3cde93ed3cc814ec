//! What a shim leaves in its directory, and what follows from it.
//!
//! | file | means |
//! |---|---|
//! | `lock` | locked: a shim is at work. The kernel unlocks it when the shim ends, however it does |
//! | `started.json` | written before the command is started |
//! | `child.json` | the command's process. Not synced: after a power cut it would say nothing |
//! | `ended.json` | how it ended, or why it could not be started |
//! | `output` | standard output and error, the middle left out if they are long |

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use resplit_operations::pair::Tag;
use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    drivers::{clocks::awake_ms, identity::Owner},
    failure::Failure,
};

/// `started.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Started {
    /// Who asked.
    pub(super) tag: Tag,
    /// What was started. The environment is left out: it may hold secrets.
    pub(super) argv: Vec<String>,
    /// When, for people.
    pub(super) at: Timestamp,
    /// The same by a clock of this boot that nobody sets, without the time asleep, in milliseconds: what the shim's own time
    /// limit is measured in. It means something as long as the command
    /// lives, and no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ticks_ms: Option<u64>,
    /// The shim.
    pub(super) shim: Owner,
}

/// `ended.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub(super) enum Finish {
    /// It could not be started: nothing happened.
    NotStarted { reason: String },
    /// It ended of itself.
    Exited { code: i32 },
    /// It was ended since its time was up.
    TimedOut { code: i32 },
    /// It was ended since the shim was asked to end it.
    Stopped { code: i32 },
}

/// What became of a command, as far as its directory and the process table say.
#[derive(Debug)]
pub(super) enum Standing {
    NotStarted,
    /// A shim is at work; which one and for what process, if it has come so far.
    Working {
        shim: Option<Owner>,
        child: Option<Owner>,
    },
    /// The shim is gone, the command still runs.
    Orphan(Started, Owner),
    Ended(Finish),
    Lost,
}

impl Started {
    /// How long ago that was; nothing if it was not written down, so that no time limit is over too early.
    pub(super) fn age(&self) -> Duration {
        let since = self.ticks_ms.map_or(0, |then| awake_ms().saturating_sub(then));
        Duration::from_millis(since)
    }
}

/// A shim's directory.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(super) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(super) fn output(&self) -> PathBuf {
        self.directory.join("output")
    }

    /// Makes the directory, such that a power cut does not take it away: that would look like a command never started.
    pub(super) fn make(&self) -> Result<(), Failure> {
        let directory = &self.directory;
        let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev() {
            let made = match fs::create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => path.parent().map_or(Ok(()), sync_directory),
            };
            made.map_err(|error| Failure::io("make", path, &error))?;
        }
        Ok(())
    }

    pub(super) fn started(&self) -> Result<Option<Started>, Failure> {
        self.read("started.json")
    }

    pub(super) fn finish(&self) -> Result<Option<Finish>, Failure> {
        self.read("ended.json")
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let path = self.directory.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("read", &path, &error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::unknown(format!(
                "{} is damaged: {error}; what became of its command is not known",
                path.display()
            ))
            .with_help("find out whether the command did its work, then answer the parked run")
        })
    }

    /// The command's process, as far as it is known.
    pub(super) fn child(&self) -> Option<Owner> {
        self.read("child.json").ok().flatten()
    }

    /// Opens the file whose lock says that a shim is at work.
    pub(super) fn lock_file(&self) -> io::Result<File> {
        open_private(&self.directory.join("lock"), false)
    }

    /// What became of the command of this tag. While a shim is at work its files may change; once none is, they do not.
    pub(super) fn standing(&self, tag: &Tag) -> Result<Standing, Failure> {
        let working = self
            .is_locked()
            .map_err(|error| Failure::io("look at the shim's lock in", &self.directory, &error))?;
        let started = self.started()?;
        if let Some(started) = &started
            && started.tag != *tag
        {
            return Err(Failure::permanent(format!(
                "{} belongs to the command of {}, not of {}",
                self.directory.display(),
                started.tag.0,
                tag.0
            )));
        }
        if working {
            return Ok(Standing::Working { shim: started.map(|started| started.shim), child: self.child() });
        }
        Ok(match (self.finish()?, started) {
            (Some(Finish::NotStarted { .. }), _) | (None, None) => Standing::NotStarted,
            (Some(finish), _) => Standing::Ended(finish),
            (None, Some(started)) => match self.child() {
                Some(child) if child.is_alive() => Standing::Orphan(started, child),
                _ => Standing::Lost,
            },
        })
    }

    pub(super) fn is_locked(&self) -> io::Result<bool> {
        let file = match File::open(self.directory.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets a command that could not be started. At no moment does what is left look like one that was.
    pub(super) fn forget(&self) -> io::Result<()> {
        for name in ["child.json", "started.json", "ended.json"] {
            match fs::remove_file(self.directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => sync_directory(&self.directory)?,
            }
        }
        Ok(())
    }

    pub(super) fn write_started(&self, started: &Started) -> io::Result<()> {
        let path = self.directory.join("started.new");
        let mut file = open_private(&path, true)?;
        file.write_all(&serde_json::to_vec(started)?)?;
        file.sync_all()?;
        fs::rename(&path, self.directory.join("started.json"))?;
        sync_directory(&self.directory)
    }

    pub(super) fn write_child(&self, child: &Owner) -> io::Result<()> {
        let path = self.directory.join("child.new");
        open_private(&path, true)?.write_all(&serde_json::to_vec(child)?)?;
        fs::rename(&path, self.directory.join("child.json"))
    }

    /// Takes the room that the end will need, so that a disk that fills up meanwhile does not hide it.
    pub(super) fn reserve_end(&self) -> io::Result<Ending> {
        const ROOM: u64 = 512;
        let path = self.directory.join("ended.new");
        let file = open_private(&path, true)?;
        match fallocate(&file, FallocateFlags::empty(), 0, ROOM) {
            // Without it a full disk is waited for at the end.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Ending { file, path, directory: self.directory.clone() })
    }
}

/// The room for `ended.json`.
pub(super) struct Ending {
    file: File,
    path: PathBuf,
    directory: PathBuf,
}

impl Ending {
    /// Writes how it ended, whole or not at all.
    pub(super) fn write(&self, finish: &Finish) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let text = serde_json::to_vec(finish)?;
        self.file.write_all_at(&text, 0)?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_all()?;
        fs::rename(&self.path, self.directory.join("ended.json"))?;
        sync_directory(&self.directory)
    }
}

/// Opens a file for writing that only its owner may read, and makes it if it is not there.
pub(super) fn open_private(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(empty).mode(0o600).open(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
