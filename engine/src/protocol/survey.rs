//! Surveys: whether a host is what the site says it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use resplit_operations::{ids::HostId, site::Site};
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};

use super::EngineInfo;

/// Asks a host what it finds of what the site says is there. Changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SurveyRequest {
    /// The site, with absolute paths.
    pub site: Site,
    /// The file systems that operations hold still on that host, absolute.
    pub filesystems: BTreeSet<PathBuf>,
    /// The hosts that it has to reach.
    pub reaches: BTreeSet<HostId>,
}

/// What a host finds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survey {
    /// Its engine.
    pub engine: EngineInfo,
    /// The name of its machine.
    pub machine: String,
    /// Its site directory.
    pub directory: PathBuf,
    /// The definition files there, relative, each with the BLAKE3 of what is in it in hexadecimal.
    pub definitions: BTreeMap<String, String>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in a few words: `primary of volume 'documents'`.
    pub about: String,
    /// What is wrong, and what to do.
    pub failure: Failure,
}
