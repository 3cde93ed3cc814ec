//! What two hosts say about a pair.

use std::path::PathBuf;

use resplit_operations::{
    pair::{CopyReport, PairRef, PairState, Tag},
    site::PairDriverKind,
};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Opens a conversation about a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its driver.
    pub kind: PairDriverKind,
    /// The pair.
    pub pair: PairRef,
    /// Who asks.
    pub tag: Tag,
    /// Under which fencing token.
    pub token: u64,
    /// What is asked.
    pub ask: Ask,
    /// The digest of what the primary's host knows of the copy from an earlier conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Whether an earlier conversation about the same was cut: then what was done is only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// What is asked of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Its status.
    Status,
    /// What an interrupted verb has left there.
    Remnants,
    /// That it be dissolved.
    Delete,
    /// That what differs be taken, so that it is PAIR.
    Resync,
    /// The same, so that it is PSUS.
    Split {
        /// What orders the backup.
        order: u64,
    },
    /// What the primary lacks of the image.
    Restore,
    /// What differs, and nothing more.
    Compare {
        /// Whether the image is what the primary would be made equal to.
        restoring: bool,
    },
    /// Files of the image.
    Files {
        /// Relative to its root; all of them if empty.
        paths: Vec<PathBuf>,
    },
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(in crate::drivers) enum Said {
    /// Begins a conversation.
    Open {
        /// It.
        opening: Box<Opening>,
    },
    /// The pair's state.
    State {
        /// It.
        state: PairState,
    },
    /// What an interrupted verb has left.
    Remnants {
        /// Paths on the secondary's host.
        paths: Vec<String>,
    },
    /// What the primary's side has to know to find what differs.
    Standing {
        /// It.
        standing: Standing,
    },
    /// Files that may differ follow, whose digests are asked for.
    Digests,
    /// What differs follows.
    Plan,
    /// All that had to be checked was, and the book says that the verb has begun: content may follow.
    Begun,
    /// All content has been sent.
    Sent,
    /// A restore has been made, durably; the index of that follows.
    Restored {
        /// What was done.
        report: CopyReport,
    },
    /// It is done, durably.
    Ended {
        /// What was done.
        report: CopyReport,
        /// Whether what is known of the copy now follows.
        knowledge: bool,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// What the primary's side has to know to find what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::drivers) struct Standing {
    /// How the copy is told.
    pub(in crate::drivers) copy: Account,
    /// The digest of what the last pass saw, if that is known.
    pub(in crate::drivers) known: Option<String>,
    /// Whether that follows: the primary's side has another.
    pub(in crate::drivers) known_follows: bool,
    /// The pair's own ID, in hexadecimal, and its last complete pass.
    pub(in crate::drivers) identity: String,
    pub(in crate::drivers) pass: u64,
}

/// How a copy is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::drivers) enum Account {
    /// There is nothing yet.
    Fresh,
    /// What the last pass saw describes it as it is.
    Settled,
    /// As it is found: that follows.
    #[default]
    Listed,
}
