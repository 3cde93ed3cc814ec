//! Which process something belongs to, so that a reused process ID or a reboot deceives nobody.

use serde::{Deserialize, Serialize};

/// A process: of which boot, which ID, started when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The kernel's ID of this boot.
    pub boot_id: String,
    /// The process ID.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub start_time: u64,
}
