//! Where the store's own tests have sled panic, or never return. Nothing of it is in the program.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Panic,
    Hang,
}

struct Order {
    root: PathBuf,
    doing: &'static str,
    /// The calls up to the one that is meant, itself included.
    left: usize,
    stroke: Stroke,
}

static ORDERS: Mutex<Vec<Order>> = Mutex::new(Vec::new());

/// Strikes a later call, the `nth` from now, of the views below a directory.
pub(super) fn order(root: &Path, doing: &'static str, nth: usize, stroke: Stroke) {
    let order = Order { root: root.to_owned(), doing, left: nth, stroke };
    ORDERS.lock().unwrap_or_else(PoisonError::into_inner).push(order);
}

/// Whether what was ordered for the views below a directory has happened.
pub(super) fn is_done(root: &Path) -> bool {
    !ORDERS.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|order| order.root == root)
}

/// A call is made.
pub(super) fn strike(path: &Path, doing: &str) {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let meant = |order: &Order| order.doing == doing && path.starts_with(&order.root);
    let Some(at) = orders.iter().position(meant) else { return };
    orders[at].left -= 1;
    if orders[at].left > 0 {
        return;
    }
    let stroke = orders.remove(at).stroke;
    drop(orders);
    assert_ne!(stroke, Stroke::Panic, "sled panics in {doing}, as was ordered");
    loop {
        std::thread::park();
    }
}
