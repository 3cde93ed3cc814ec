//! Whether anybody asks anything of the engine, for its exit when idle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Counts open requests, and knows when the last one began or ended. Clones are handles to the same count.
#[derive(Clone, Debug)]
pub struct Activity(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug)]
struct State {
    open: usize,
    last: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// No open request; the last one counts as now.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State { open: 0, last: Instant::now() })))
    }

    /// Counts a request as open until the returned guard is dropped.
    pub fn begin(&self) -> OpenRequest {
        self.0.send_modify(|state| *state = State { open: state.open + 1, last: Instant::now() });
        OpenRequest(self.clone())
    }

    /// Requests that are open: asked and not answered, or streams that somebody reads.
    pub fn open(&self) -> usize {
        self.0.borrow().open
    }

    /// When the last request began or ended.
    pub fn last(&self) -> Instant {
        self.0.borrow().last
    }

    /// Returns once no request has been open for `period`. Cancel safe.
    pub async fn idle_for(&self, period: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            let State { open, last } = *changes.borrow_and_update();
            let quiet = async {
                if open > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep_until((last + period).into()).await;
            };
            tokio::select! {
                // The sender lives as long as `self`.
                _ = changes.changed() => {}
                () = quiet => return,
            }
        }
    }
}

/// An open request.
#[derive(Debug)]
pub struct OpenRequest(Activity);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            *state = State { open: state.open.saturating_sub(1), last: Instant::now() };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_idle_only_when_nothing_is_open() {
        let activity = Activity::new();
        let open = activity.begin();
        assert_eq!(activity.open(), 1);
        let period = Duration::from_millis(20);
        assert!(tokio::time::timeout(4 * period, activity.idle_for(period)).await.is_err());
        drop(open);
        let ended = activity.last();
        activity.idle_for(period).await;
        assert!(ended.elapsed() >= period);
        assert_eq!(activity.open(), 0);
    }
}
