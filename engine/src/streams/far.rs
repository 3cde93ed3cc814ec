//! The engines of secondaries' hosts, for the drivers of pairs.

use resplit_operations::{pair::Apart, site::Site};
use resplit_steps::{
    context::Work,
    drivers::stream::{Far, Wire},
    failure::Failure,
};
use tokio::runtime::Handle;

use super::ends;
use crate::{client::ClientError, failures, peers::PeerEngines};

/// Reaches the engines of other hosts, started if none listens.
pub(crate) struct Ways {
    pub(crate) peers: PeerEngines,
}

impl Far for Ways {
    fn open(&self, apart: &Apart, work: &Work) -> Result<Wire, Failure> {
        let site = Site { hosts: apart.hosts.clone(), ..Site::default() };
        let handle = Handle::try_current()
            .map_err(|error| Failure::permanent(format!("other hosts cannot be asked from here: {error}")))?;
        let work = work.clone();
        let (wire, incoming, outgoing) = ends(&handle, move || work.is_cancelled());
        let answer = handle.block_on(async {
            let client = self.peers.client(&site, &apart.secondary_host).await;
            // An engine on this machine that cannot be started is no host out of reach.
            let is_far = self.peers.is_far(&site, &apart.secondary_host);
            let told = |failure: Failure| if is_far { failure.of_unreached_host() } else { failure };
            let client = client.map_err(told)?;
            client.converse(outgoing.body(())).await.map_err(|error| match error {
                ClientError::NotRunning(_) | ClientError::Broken(_) | ClientError::Away(_) => {
                    told(failures::of_client(error))
                }
                error => failures::of_client(error),
            })
        })?;
        drop(handle.spawn(answer.pour(incoming)));
        Ok(wire)
    }
}
