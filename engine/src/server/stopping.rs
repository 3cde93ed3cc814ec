//! Tells every connection that the server stops.

use tokio::sync::watch;

/// Whether the server stops. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// With what tells it.
    pub(super) fn new() -> (watch::Sender<bool>, Self) {
        let (stop, stopping) = watch::channel(false);
        (stop, Self(stopping))
    }

    /// Whether it does by now.
    pub(super) fn is_so(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it does. A server that is gone has stopped, too.
    pub(super) async fn wait(mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
