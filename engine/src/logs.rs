//! The log of each run: a line for each event, in a file of its own; and who follows it. It is told, not trusted: nothing
//! is decided by it.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    slice,
    sync::{Arc, Mutex, PoisonError},
};

use resplit_operations::ids::RunId;
use tokio::sync::{broadcast, mpsc, watch};

use crate::protocol::{Event, What};

/// How many progress events a slow follower may lag behind: older ones are forgotten.
const PROGRESS_KEPT: usize = 64;
/// How many events wait for a slow follower.
const FOLLOWER_QUEUE: usize = 256;

/// The logs of the runs of this host.
pub(crate) struct Logs {
    directory: PathBuf,
    open: Mutex<HashMap<RunId, Arc<OpenLog>>>,
}

struct OpenLog {
    file: Mutex<Option<File>>,
    /// Bytes written; `None` once the run is over.
    written: watch::Sender<(u64, bool)>,
    progress: broadcast::Sender<Event>,
}

impl Logs {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), open: Mutex::default() }
    }

    pub(crate) fn path(&self, run: &RunId) -> PathBuf {
        self.directory.join(format!("{run}.jsonl"))
    }

    fn get(&self, run: &RunId) -> Arc<OpenLog> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let log = open.entry(run.clone()).or_insert_with(|| {
            let file = self.open_to_write(run);
            let length = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |m| m.len());
            Arc::new(OpenLog {
                file: Mutex::new(file),
                written: watch::Sender::new((length, false)),
                progress: broadcast::Sender::new(PROGRESS_KEPT),
            })
        });
        Arc::clone(log)
    }

    fn open_to_write(&self, run: &RunId) -> Option<File> {
        let path = self.path(run);
        fs::create_dir_all(&self.directory)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
            .inspect_err(|error| tracing::warn!(%run, "cannot write the log {}: {error}", path.display()))
            .ok()
    }

    /// Readies the log of a run that is about to go on: who follows it from now on waits for its events.
    pub(crate) fn begin(&self, run: &RunId) {
        drop(self.get(run));
    }

    /// Tells an event to whoever follows, and, unless it is progress, writes it.
    pub(crate) fn tell(&self, event: Event) {
        if matches!(event.what, What::Progress { .. }) {
            // Nobody may be following, and what comes late opens no log that nobody would close.
            let log = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&event.run).cloned();
            let _ = log.map(|log| log.progress.send(event));
            return;
        }
        self.tell_all(&event.run, slice::from_ref(&event));
    }

    /// Tells events of a run, none of them progress, and writes them at once.
    pub(crate) fn tell_all(&self, run: &RunId, events: &[Event]) {
        #[cfg(test)]
        crate::killed::end_if_dead(self.directory.parent().unwrap_or(&self.directory));
        let log = self.get(run);
        let over = events.iter().any(|event| matches!(event.what, What::Ended { .. }));
        let mut lines = Vec::new();
        for event in events {
            lines.extend(serde_json::to_vec(event).unwrap_or_default());
            lines.push(b'\n');
        }
        let mut file = log.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            // A disk that was full may have room again.
            *file = self.open_to_write(run);
        }
        if let Some(file) = file.as_mut()
            && let Err(error) = file.write_all(&lines)
        {
            tracing::warn!(%run, "cannot write the log: {error}");
        }
        drop(file);
        log.written.send_modify(|(length, ended)| {
            *length += lines.len() as u64;
            *ended = over;
        });
        if over {
            let _ = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
        }
    }

    /// The events of a run from its beginning; then, if `follow`, as they happen, until it is over.
    pub(crate) fn follow(&self, run: &RunId, follow: bool) -> std::io::Result<mpsc::Receiver<Event>> {
        let live = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned();
        let live = live.filter(|_| follow);
        let mut progress = live.as_ref().map(|log| log.progress.subscribe());
        let mut written = live.as_ref().map(|log| log.written.subscribe());
        drop(live);
        let mut reader = Lines { path: self.path(run), file: None, at: 0 };
        // A run may go on without a log where none could be written.
        if let Err(error) = reader.open()
            && written.is_none()
        {
            return Err(error);
        }
        let (sender, receiver) = mpsc::channel(FOLLOWER_QUEUE);
        drop(tokio::spawn(async move {
            loop {
                let over = written.as_mut().is_none_or(|written| written.borrow_and_update().1);
                // A run that was resumed has ended more than once.
                for event in reader.rest() {
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
                let (Some(written), Some(progress)) = (written.as_mut(), progress.as_mut()) else { return };
                if over {
                    return;
                }
                tokio::select! {
                    changed = written.changed() => if changed.is_err() && reader.is_at_end() { return },
                    Ok(event) = progress.recv() => if sender.send(event).await.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        }));
        Ok(receiver)
    }

    /// Forgets the log of a run.
    pub(crate) fn remove(&self, run: &RunId) {
        // A log that is not there is gone.
        let _ = fs::remove_file(self.path(run));
    }
}

/// Reads whole lines of a file that grows, and may not be there yet.
struct Lines {
    path: PathBuf,
    file: Option<File>,
    at: u64,
}

impl Lines {
    fn open(&mut self) -> std::io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }

    fn is_at_end(&mut self) -> bool {
        let at = self.at;
        self.open().and_then(|file| file.metadata()).map_or(true, |metadata| metadata.len() <= at)
    }

    /// The events since the last call. A line that is not one (torn by a power cut) is passed over.
    fn rest(&mut self) -> Vec<Event> {
        let mut text = Vec::new();
        let at = SeekFrom::Start(self.at);
        let read = self.open().and_then(|file| file.seek(at).and_then(|_| file.read_to_end(&mut text)));
        if read.is_err() {
            return Vec::new();
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.at += whole as u64;
        text[..whole]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests;
