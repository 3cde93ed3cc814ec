//! What has to be up before a command: started if it is not, stopped afterwards only if it was started here. A note on
//! disk says what was started, so that it is stopped although the engine that started it was killed.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use resplit_operations::driver::{Argv, Before};

use super::Asking;
use crate::failure::Failure;

/// How many use each of what is up, by the file of its note.
#[derive(Default)]
pub(super) struct Ups(Mutex<HashMap<PathBuf, usize>>);

impl Ups {
    /// Held while something is started or stopped: two who need the same do not start it twice.
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking<'_> {
    /// Does something while everything is up that it needs.
    pub(super) fn while_up<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut held = Vec::new();
        let befores = self.array.file.before.iter().filter(|before| self.array.lacks(&before.only).is_none());
        let mut failed = None;
        for before in befores {
            match self.take(before) {
                Ok(note) => held.push((before, note)),
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        let done = match failed {
            Some(failure) => Err(failure),
            None => work(),
        };
        for (before, note) in held.into_iter().rev() {
            self.give_back(before, &note);
        }
        done
    }

    fn take(&self, before: &Before) -> Result<PathBuf, Failure> {
        let note = self.note_of(before)?;
        let mut used = self.driver.ups.lock();
        if let Some(count) = used.get_mut(&note) {
            *count += 1;
            return Ok(note);
        }
        let checked = self.ask(&before.check)?;
        if !has(&before.up, checked.code) {
            if !has(&before.down, checked.code) {
                return Err(self.failed(&before.check, &checked));
            }
            self.start(before, &note)?;
        }
        let _ = used.insert(note.clone(), 1);
        Ok(note)
    }

    fn start(&self, before: &Before, note: &PathBuf) -> Result<(), Failure> {
        let noted = |error: io::Error| Failure::io("note what is started in", note, &error);
        // Before it is started: what is started without a note would never be stopped.
        write_note(note).map_err(noted)?;
        let started = self.ask(&before.start)?;
        if has(&before.started, started.code) {
            return Ok(());
        }
        fs::remove_file(note).map_err(noted)?;
        if has(&before.was_up, started.code) { Ok(()) } else { Err(self.failed(&before.start, &started)) }
    }

    /// That what was started cannot be stopped fails nothing: the next one who uses it stops it.
    fn give_back(&self, before: &Before, note: &PathBuf) {
        let mut used = self.driver.ups.lock();
        match used.get_mut(note) {
            Some(count) if *count > 1 => {
                *count -= 1;
                return;
            }
            _ => {
                let _ = used.remove(note);
            }
        }
        if !note.exists() {
            return;
        }
        let stopped = self
            .ask(&before.stop)
            .and_then(|ended| if ended.code == 0 { Ok(()) } else { Err(self.failed(&before.stop, &ended)) });
        let removed =
            stopped.and_then(|()| fs::remove_file(note).map_err(|error| Failure::io("remove", note, &error)));
        if let Err(failure) = removed {
            tracing::warn!(pair = %self.pair.copy_group, "what was started is not stopped: {failure}");
        }
    }

    /// Where it is noted that something was started: by what starts it.
    fn note_of(&self, before: &Before) -> Result<PathBuf, Failure> {
        let Argv(start) = &before.start;
        let mut hasher = blake3::Hasher::new();
        for one in start {
            let _ = hasher.update(self.render(one)?.as_bytes()).update(&[0]);
        }
        let name = hasher.finalize().to_hex();
        Ok(self.driver.directory.join("started").join(name.as_str()))
    }
}

fn has(codes: &[u8], code: i32) -> bool {
    u8::try_from(code).is_ok_and(|code| codes.contains(&code))
}

fn write_note(note: &PathBuf) -> io::Result<()> {
    let directory = note.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::create_dir_all(directory)?;
    let mut file = File::create(note)?;
    file.write_all(b"started by resplit\n")?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}
