//! Opening: everything durable is read and checked before anything is changed.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    checkpoint::{self, Base, NO_LOG},
    closed::Closed,
    committer::Committer,
    damage::Damage,
    error::StoreError,
    files::{create_directory, list, remove_unfinished, sync_directory, sync_way_to},
    frame,
    log::{self, Writer},
    place::Place,
    repair,
    reserve::Reserve,
    salvage::salvage,
    segment::{End, Segment, segments},
    shared::{Shared, State, build},
    view::View,
    watch::{Watch, Watcher},
};

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// With how many bytes of log since the last checkpoint a new one is made.
    pub log_bound: u64,
    /// The size of a segment of the log, in bytes.
    pub segment_size: u64,
    /// How long a call of what is read from may take. One that takes longer hangs: the process says so and ends, and the
    /// next one builds the view again.
    pub patience: Duration,
}

impl Options {
    /// What is not chosen.
    pub const DEFAULT: Self =
        Self { log_bound: 16 << 20, segment_size: 1 << 20, patience: Duration::from_secs(60) };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The number of the last commit's record; 0 if there is none.
    pub sequence: u64,
    /// What became of the view.
    pub found: Found,
    /// Bytes of the log that were read: those after the newest checkpoint.
    pub log_bytes: u64,
    /// Bytes of a commit that a crash tore before it was acknowledged, and that were cut off.
    pub torn_bytes: u64,
    /// Checkpoints that are damaged; an older one and the log had everything.
    pub damaged_checkpoints: Vec<String>,
}

/// What became of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There was no store: it is new and empty.
    New,
    /// It had been closed in order.
    Clean,
    /// It was built again from checkpoint and log.
    Rebuilt {
        /// Why.
        why: String,
    },
}

/// What the durable files say.
pub(super) struct Survey {
    pub(super) segments: Vec<Segment>,
    pub(super) base: Base,
    pub(super) end: End,
    log_bytes: u64,
    closed: Option<Closed>,
}

/// Opens, or creates, a store.
pub(super) fn open(directory: &Path, options: Options) -> Result<(Committer, Opened), StoreError> {
    let place = Place::of(directory);
    create_directory(directory)?;
    let lock = lock(&place)?;
    repair::carry_on(&place)?;
    let survey = survey(&place)?;

    for directory in [&place.log, &place.checkpoints] {
        create_directory(directory)?;
        remove_unfinished(directory)?;
    }
    if survey.is_none() {
        // Once there is a segment this is known.
        sync_way_to(directory)?;
        sync_directory(directory)?;
    }
    let reserve = Reserve::new(place.reserve());
    let watcher = Watch::start(place.view.clone(), options.patience)?;
    let (writer, view, log_bytes, opened) = match survey {
        None => create(&place, options, &reserve, &watcher)?,
        Some(survey) => go_on(&place, survey, options, &reserve, &watcher)?,
    };
    reserve.restore();
    let shared = Arc::new(Shared::new(place, reserve, watcher, State::Ready(view)));
    Ok((
        Committer {
            shared,
            writer,
            log_bytes,
            log_bound: options.log_bound,
            closing: options.patience / 2,
            _lock: lock,
        },
        opened,
    ))
}

/// What is read of a store that is damaged.
type Saved = (Shared, Damage, BTreeMap<String, u64>, Held);

/// Opens a store that could not be opened on account of `cause`, to be read only.
pub(super) fn open_read_only(directory: &Path, cause: &StoreError) -> Result<Saved, StoreError> {
    let place = Place::of(directory);
    let lock = lock(&place)?;
    let salvaged = salvage(&place, cause)?;
    let reserve = Reserve::new(place.reserve());
    let watcher = Watch::start(place.view.clone(), Options::default().patience)?;
    let shared = Shared::new(place, reserve, watcher, State::Saved(salvaged.content));
    Ok((shared, salvaged.damage, salvaged.counters, lock))
}

/// The lock of a store, given back when dropped. Closing the file would not do: a child process that is just being
/// started has it open a little longer.
pub(super) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // If this fails, closing gives it back.
        let _ = self.0.unlock();
    }
}

fn lock(place: &Place) -> Result<Held, StoreError> {
    let path = place.lock();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who has it is only told to the operator: a number that cannot be read is left out.
            let _ = file.take(20).read_to_string(&mut holder);
            return Err(StoreError::InUse {
                directory: place.root.clone(),
                holder: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
    }
    // On a full disk the number cannot be written, and the store is opened all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Held(file))
}

/// Reads and checks all that is durable; `None` if there is nothing. Changes nothing.
pub(super) fn survey(place: &Place) -> Result<Option<Survey>, StoreError> {
    let segments = segments(place)?;
    if segments.is_empty() && list(&place.checkpoints)?.is_empty() && list(&place.view)?.is_empty() {
        return Ok(None);
    }
    let base = checkpoint::choose(place, &segments)?;
    let mut log_bytes = 0;
    let end = log::read(place, &segments, base.point, &mut |writes| {
        log_bytes += (frame::HEADER + writes.len()) as u64;
        Ok(())
    })?;
    let closed = Closed::read(place)?;
    if let Some(closed) = closed.as_ref().filter(|closed| closed.sequence > end.point.sequence) {
        let wrong = format!(
            "it ends with record {}, and had record {} when it was closed",
            end.point.sequence, closed.sequence
        );
        return Err(place.damaged(&place.log, wrong, "those between are lost"));
    }
    Ok(Some(Survey { segments, base, end, log_bytes, closed }))
}

type Parts = (Writer, View, u64, Opened);

fn create(
    place: &Place,
    options: Options,
    reserve: &Reserve,
    watcher: &Arc<Watcher>,
) -> Result<Parts, StoreError> {
    let writer = Writer::create(place, repair::random()?, options.segment_size)?;
    let base = Base { point: writer.point(), path: None, damaged: Vec::new() };
    let view = build(place, &segments(place)?, &base, reserve, watcher)?;
    let opened = Opened {
        sequence: 0,
        found: Found::New,
        log_bytes: 0,
        torn_bytes: 0,
        damaged_checkpoints: Vec::new(),
    };
    Ok((writer, view, 0, opened))
}

fn go_on(
    place: &Place,
    survey: Survey,
    options: Options,
    reserve: &Reserve,
    watcher: &Arc<Watcher>,
) -> Result<Parts, StoreError> {
    let Survey { segments, base, end, log_bytes, closed } = survey;
    let clean = closed.filter(|closed| closed.is_at(end.point) && end.torn == 0);
    let last =
        segments.last().cloned().ok_or_else(|| place.damaged(&place.log, "it has no segment", NO_LOG))?;
    let writer = Writer::open(place, last, end, clean.is_some(), options.segment_size)?;
    // Before the view is touched: whatever becomes of this process, it is not trusted a second time.
    Closed::remove(place)?;
    let used = match clean {
        Some(closed) => reuse(place, &closed, end, watcher),
        None => Err("the store was not closed in order".to_owned()),
    };
    let (view, found) = match used {
        Ok(view) => (view, Found::Clean),
        Err(why) => (build(place, &segments, &base, reserve, watcher)?, Found::Rebuilt { why }),
    };
    let opened = Opened {
        sequence: end.point.sequence,
        found,
        log_bytes,
        torn_bytes: end.torn as u64,
        damaged_checkpoints: base.damaged,
    };
    Ok((writer, view, log_bytes, opened))
}

/// Opens the view that was closed in order, or says why it is not used.
fn reuse(place: &Place, closed: &Closed, end: End, watcher: &Arc<Watcher>) -> Result<View, String> {
    let path = closed.view(place);
    if !path.is_dir() {
        return Err(format!("{} is missing", path.display()));
    }
    // Within one process, sled lets go of its files a little after it was closed.
    let mut view = View::open(&path, watcher);
    for _ in 0..5 {
        if view.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        view = View::open(&path, watcher);
    }
    let view = view.map_err(|error| error.to_string())?;
    match view.is_at(end.point) {
        Ok(true) => Ok(view),
        Ok(false) => Err(format!("{} does not hold what the log holds", path.display())),
        Err(error) => Err(error.to_string()),
    }
}
