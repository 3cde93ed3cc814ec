//! Who starts a run: one at a time, whoever asks. The name is taken in memory before anything is read or written for it.

use std::sync::Arc;

use resplit_operations::ids::RunId;

use super::drive::Control;
use crate::engine::Engine;

/// A run's name, taken. Dropped before the run is started, it is free again.
pub(crate) struct Claim {
    pub engine: Arc<Engine>,
    pub run: RunId,
    pub control: Arc<Control>,
    is_started: bool,
}

impl Claim {
    /// Takes a run; `None` if it is at work, or somebody else is about to start it.
    pub(crate) fn of(engine: &Arc<Engine>, run: &RunId) -> Option<Self> {
        let mut active = engine.active();
        if active.contains_key(run) {
            return None;
        }
        let control = Arc::new(Control::default());
        let _ = active.insert(run.clone(), Arc::clone(&control));
        drop(active);
        Some(Self { engine: Arc::clone(engine), run: run.clone(), control, is_started: false })
    }

    /// Hands the name over to the run, which gives it back when it is over.
    pub(crate) fn start(mut self) -> Arc<Control> {
        self.is_started = true;
        Arc::clone(&self.control)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_started {
            let _ = self.engine.active().remove(&self.run);
            self.engine.note_quiet();
        }
    }
}
