//! The engines of other hosts: found by the state directory that the plan's site gives, started if none listens.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use resplit_operations::{ids::HostId, site::Site};
use resplit_steps::{context::Peers, failure::Failure};
use tokio::runtime::Handle;

use crate::{
    background::{Start, ensure},
    client::{Client, ClientError},
    failures,
};

/// How often a host that cannot be reached is asked before that is told.
pub(crate) const TRIES: u32 = 5;
/// The first pause between such tries; it doubles.
pub(crate) const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 200 });

/// How the engines of other hosts are started.
#[derive(Clone, Debug)]
pub struct PeerEngines {
    /// The program.
    pub program: PathBuf,
    /// The site directory, given to engines that are started.
    pub site: PathBuf,
    /// The program's version and build.
    pub build: String,
    /// Whether those that are started leave interrupted runs as they are.
    pub hold: bool,
}

impl PeerEngines {
    /// The arguments with which the program is the engine of a host.
    pub fn arguments(site: &Path, host: &HostId, state: &Path) -> Vec<OsString> {
        vec![
            "engine".into(),
            "--site".into(),
            site.into(),
            "--host".into(),
            host.as_str().into(),
            "--state".into(),
            state.into(),
        ]
    }

    /// How the engine of a host is started.
    pub fn start(&self, host: &HostId, state: &Path) -> Start {
        let mut arguments = Self::arguments(&self.site, host, state);
        if self.hold {
            arguments.push("--hold".into());
        }
        Start {
            program: self.program.clone(),
            arguments,
            site: self.site.clone(),
            state: state.to_owned(),
            host: host.clone(),
            build: self.build.clone(),
        }
    }

    /// The engine of a host, started if none listens.
    pub async fn client(&self, site: &Site, host: &HostId) -> Result<Client, Failure> {
        let found = site.hosts.get(host);
        let found =
            found.ok_or_else(|| Failure::permanent(format!("the plan's site has no host '{host}'")))?;
        #[cfg(test)]
        crate::killed::until_alive(&found.state).await;
        ensure(&self.start(host, &found.state)).await.map_err(|error| {
            Failure::temporary(format!("cannot reach the engine of host '{host}': {error}"))
                .with_help(format!("resplit --host {host} status"))
        })
    }

    /// Asks the engine of another host for what may be asked twice: one that is killed over it is started, and asked
    /// again.
    pub(crate) async fn ask<T, F>(
        &self,
        site: &Site,
        host: &HostId,
        question: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            if let Ok(client) = self.client(site, host).await {
                match question(client).await {
                    Err(ClientError::NotRunning(_) | ClientError::Broken(_)) => {}
                    answered => return answered.map_err(failures::of_client),
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        question(self.client(site, host).await?).await.map_err(failures::of_client)
    }
}

/// The peers of one step, which is not async.
pub(crate) struct StepPeers<'a> {
    pub engines: &'a PeerEngines,
    pub site: &'a Site,
    pub handle: Handle,
}

impl Peers for StepPeers<'_> {
    fn send_file(&self, to: &HostId, name: &str, bytes: &[u8], digest: &str) -> Result<PathBuf, Failure> {
        self.handle.block_on(async {
            let place = async |client: Client| client.place(name, digest, bytes.to_vec()).await;
            self.engines.ask(self.site, to, place).await
        })
    }
}
