//! Where a test kills this process: at a commit that it has chosen. Release builds have none of it.
//!
//! A file `kill-at` in the store's directory holds a line for each process to be killed, `before 3` or `after 3`:
//! before the third commit from now is written, or once it is durable and applied and before anybody is told. The
//! line is removed before the kill, so that the process that comes next obeys the line that follows.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// On which side of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// What a test asks of this process.
pub(super) struct Killer {
    #[cfg(test)]
    directory: PathBuf,
    file: PathBuf,
    /// The side, and the commits up to the one that is meant, itself included.
    asked: Option<(Side, u64)>,
}

impl Killer {
    /// Looks for orders in the store's directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            #[cfg(test)]
            directory: directory.to_owned(),
            file: directory.join("kill-at"),
            asked: None,
        }
    }

    /// A commit is about to be written.
    pub(super) fn before(&mut self) {
        #[cfg(test)]
        crate::killed::reached(&self.directory, crate::killed::Moment::BeforeCommit);
        if self.asked.is_none() {
            self.asked = fs::read_to_string(&self.file).ok().and_then(|text| order(text.lines().next()?));
        }
        if let Some((_, left)) = &mut self.asked {
            *left -= 1;
        }
        self.kill_if(Side::Before);
    }

    /// A commit is durable and applied.
    pub(super) fn after(&mut self) {
        #[cfg(test)]
        crate::killed::reached(&self.directory, crate::killed::Moment::AfterCommit);
        self.kill_if(Side::After);
    }

    fn kill_if(&self, side: Side) {
        if self.asked != Some((side, 0)) {
            return;
        }
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let rest: Vec<_> = text.lines().skip(1).collect();
        // If this fails the test that wrote the file sees it: the order is still there.
        let _ = if rest.is_empty() {
            fs::remove_file(&self.file)
        } else {
            fs::write(&self.file, rest.join("\n"))
        };
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            // A signal to oneself is delivered by the time the call returns, to whichever thread.
            std::thread::park();
        }
    }
}

fn order(line: &str) -> Option<(Side, u64)> {
    let (side, count) = line.split_once(' ')?;
    let side = match side {
        "before" => Side::Before,
        "after" => Side::After,
        _ => return None,
    };
    Some((side, count.trim().parse().ok().filter(|count| *count > 0)?))
}
