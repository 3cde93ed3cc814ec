//! `resplit agent`: what ssh starts on another machine. It starts the engine of its host as any verb does, and relays to
//! its socket.

use std::{io, path::Path};

use clap::Args;
use resplit_engine::{
    client::{Agent, ClientError, Greeting},
    definitions, protocol, push, relay,
};
use resplit_operations::{ids::HostId, site::Reach};
use resplit_steps::failure::Failure;

use crate::{
    build,
    exit::{Exit, Stop},
    hosts,
    session::{Place, Session},
};

/// Relay to the engine of a host, for whoever connects over ssh
///
/// Started by ssh on the machine of a host, by a command line or an engine on another machine; not by hand. Reads requests
/// on standard input, writes answers on standard output, and ends when either does.
#[derive(Args, Debug)]
#[command(after_help = "Example, as ssh runs it:\n  resplit --site /etc/resplit --host backupserver agent")]
pub(crate) struct Arguments {
    /// Relay only if an engine listens already
    #[arg(long)]
    only_running: bool,
}

/// Greets, and relays.
pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::failed(format!("cannot start: {error}")))?;
    let ready = runtime.block_on(ready(arguments, session));
    let (protocol, agent, stream) = match ready {
        Ok(Some((protocol, host, stream))) => (protocol, Agent::Relays(host), Some(stream)),
        Ok(None) => (protocol::VERSION, Agent::NotRunning, None),
        Err(stop) => (protocol::VERSION, Agent::Refuses(refusal(stop)), None),
    };
    let greeted = Greeting { protocol, build: build::identity(), agent }.write(&mut io::stdout().lock());
    greeted.map_err(|error| Stop::failed(format!("nobody reads what the agent says: {error}")))?;
    let Some(stream) = stream else { return Ok(Exit::Operator) };
    match relay::relay(&stream) {
        Ok(()) => Ok(Exit::Done),
        // Whoever asked is gone.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Stop::failed(format!("the relay ended: {error}"))),
    }
}

type Relayed = (u32, HostId, std::os::unix::net::UnixStream);

/// The engine, connected; `None` if none listens and none is to be started.
async fn ready(arguments: &Arguments, session: &Session) -> Result<Option<Relayed>, Stop> {
    push::finish(&session.directory()?)?;
    let mut place = session.site()?;
    let Some(host) = session.global.host.as_deref() else {
        return Err(Stop::usage("an agent is told which host it is: --host HOST"));
    };
    let host = hosts::named(&place.site, host)?;
    let site = place.resolved();
    is_this_machine(&place, &host)?;
    // Whatever this machine is called: an agent that asked over ssh in turn would never end.
    place.peers.here = Some(host.clone());
    let found = site.hosts.get(&host).ok_or_else(|| Stop::usage(format!("the site has no host '{host}'")))?;
    let client = if arguments.only_running {
        match resplit_engine::client::Client::connect(&found.state).await {
            Ok(client) => client,
            Err(ClientError::NotRunning(_)) => return Ok(None),
            Err(error) => return Err(Failure::from(error).into()),
        }
    } else {
        place.engine(&host).await?
    };
    let info = client.verify(&host).await.map_err(|error| Stop::from(Failure::from(error)))?;
    Ok(Some((info.protocol, host, connected(&found.state).await?)))
}

async fn connected(state: &Path) -> Result<std::os::unix::net::UnixStream, Stop> {
    relay::connect(state)
        .await
        .map_err(|error| Stop::failed(format!("cannot reach the engine of {}: {error}", state.display())))
}

/// Refuses to be a host on a machine that is another one: an engine there would begin a catalog of its own.
fn is_this_machine(place: &Place, host: &HostId) -> Result<(), Stop> {
    let address = |host: &HostId| match place.site.reach(host, None) {
        Some(Reach::Remote(address)) => Some(&address.host),
        _ => None,
    };
    match hosts::of_machine(&place.site) {
        // Two hosts of one machine have one address.
        Some(machine) if machine != *host && address(&machine) != address(host) => {
            let text = format!("this machine is host '{machine}', and not '{host}'");
            let help = format!(
                "correct `connect:` of one of them in {}, or say RESPLIT_HOST={host} there",
                place.directory.join(definitions::SITE_FILE).display()
            );
            Err(Stop::new(Exit::Operator, text).help(help))
        }
        _ => Ok(()),
    }
}

/// Why there is no agent, for whoever connected.
fn refusal(stop: Stop) -> Failure {
    let message = if stop.message.is_empty() {
        "the definition files on that machine have errors".to_owned()
    } else {
        stop.message
    };
    let help = stop.help.unwrap_or_else(|| "on that machine: resplit check".to_owned());
    // What may pass by itself is asked again; of all else an operator is told at once.
    match stop.exit {
        Exit::Failed | Exit::Busy => Failure::temporary(message),
        _ => Failure::refused(message),
    }
    .with_help(help)
}
