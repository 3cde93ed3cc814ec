//! Panics, wherever in this process: an engine has none.

use std::{
    any::Any,
    panic,
    sync::{Mutex, PoisonError},
    thread,
};

/// How the names of the threads begin whose panics are failed assertions.
pub(crate) const TESTERS: &str = "tester-";

static CAUGHT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes all panics from now on, but for failed assertions of this test and what the store contains: the library under its view may panic
/// on a disk that fails, and is thrown away then.
pub(crate) fn watch() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_ours = thread::current().name().is_some_and(|name| name.starts_with(TESTERS));
        let is_contained = info.location().is_some_and(|at| at.file().contains("/sled-"));
        if !is_ours && !is_contained {
            usual(info);
            CAUGHT.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
        }
    }));
}

/// Those that were noted.
pub(crate) fn caught() -> Vec<String> {
    std::mem::take(&mut CAUGHT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What a panic says.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
