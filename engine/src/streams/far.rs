//! The engines of secondaries' hosts, for the drivers of pairs.

use std::{collections::BTreeMap, sync::Arc};

use resplit_operations::{pair::Apart, site::Site};
use resplit_steps::{
    context::Work,
    drivers::stream::{Far, Wire},
    failure::Failure,
};
use tokio::runtime::Handle;

use super::ends;
use crate::{failures, peers::PeerEngines};

/// Reaches the engines of other hosts, started if none listens.
pub(crate) struct Ways {
    pub(crate) peers: PeerEngines,
    pub(crate) handle: Handle,
}

impl Ways {
    /// Called within the runtime that the streams belong to.
    pub(crate) fn shared(peers: PeerEngines) -> Arc<dyn Far> {
        Arc::new(Self { peers, handle: Handle::current() })
    }
}

impl Far for Ways {
    fn open(&self, apart: &Apart, work: &Work) -> Result<Wire, Failure> {
        let (volumes, libraries) = (BTreeMap::new(), BTreeMap::new());
        let site = Site { hosts: apart.hosts.clone(), volumes, libraries };
        let work = work.clone();
        let (wire, incoming, outgoing) = ends(&self.handle, move || work.is_cancelled());
        let answer = self.handle.block_on(async {
            let client = self.peers.client(&site, &apart.secondary_host).await?;
            client.converse(outgoing.body(())).await.map_err(failures::of_client)
        })?;
        drop(self.handle.spawn(answer.pour(incoming)));
        Ok(wire)
    }
}
