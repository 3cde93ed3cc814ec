//! How far what is at work on pairs has come, by the tag that its driver writes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use resplit_operations::pair::Tag;
use resplit_steps::context::Progress;

/// What the steps at work on this host have reported last.
#[derive(Default)]
pub(crate) struct Progresses(Mutex<HashMap<Tag, Progress>>);

impl Progresses {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Tag, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far a step has come.
    pub(crate) fn note(&self, tag: &Tag, progress: Progress) {
        let _ = self.all().insert(tag.clone(), progress);
    }

    /// Forgets a step that has ended.
    pub(crate) fn forget(&self, tag: &Tag) {
        let _ = self.all().remove(tag);
    }

    /// How much a step has done, in per cent, if it has said how much there is: by bytes, or else by entries.
    pub(crate) fn percent(&self, tag: &Tag) -> Option<u8> {
        let progress = *self.all().get(tag)?;
        let of = |done: u64, all: Option<u64>| {
            let share = u128::from(done) * 100 / u128::from(all.filter(|all| *all > 0)?);
            u8::try_from(share.min(100)).ok()
        };
        of(progress.bytes, progress.of_bytes).or_else(|| of(progress.entries, progress.of_entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_while_a_step_is_at_work() {
        let (progresses, tag) = (Progresses::default(), Tag("run/resync/1".to_owned()));
        assert_eq!(progresses.percent(&tag), None);
        let some = Progress { bytes: 30, of_bytes: Some(40), ..Progress::default() };
        progresses.note(&tag, some);
        assert_eq!(progresses.percent(&tag), Some(75));
        progresses.note(&tag, Progress { bytes: 50, ..some });
        assert_eq!(progresses.percent(&tag), Some(100), "what has grown meanwhile is not more than all");
        progresses.note(&tag, Progress { entries: 1, of_entries: Some(3), ..Progress::default() });
        assert_eq!(progresses.percent(&tag), Some(33));
        progresses.forget(&tag);
        assert_eq!(progresses.percent(&tag), None);
    }
}
