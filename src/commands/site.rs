//! `resplit site`: the definition files on other machines, and the file system that a host's state moves with.

use std::{
    io::{self, Read as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use resplit_engine::{
    background::mark,
    client::Far,
    push::{self, Changes, Files},
};
use resplit_operations::{ids::HostId, site::Reach};
use tokio::io::AsyncWriteExt as _;

use crate::{
    exit::{Exit, Stop},
    hosts, output,
    session::{Place, Session, absolute},
};

/// The most that is taken, in bytes: a hundred thousand files.
const LARGEST: u64 = 256 << 20;

/// What is asked of sites.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Push(Push),
    Mark(Mark),
    /// Take definition files from standard input, for `resplit site push` on another machine
    #[command(hide = true)]
    Receive(Receive),
}

/// Put the definition files on another machine
///
/// Sends site.yaml, operations/*.yaml and drivers/*.yaml to the site directory of a host. They are checked there before
/// any is put in place; then all are, or none. What is there and not here is removed: that is named and asked first.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  resplit site push backupserver --dry-run\n  resplit site push backupserver --yes"
)]
pub(crate) struct Push {
    /// The host
    #[arg(value_name = "HOST")]
    host: String,
    /// Check there and show what would change; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what is not here without asking
    #[arg(long)]
    yes: bool,
}

/// Mark the mounted file system as that of a host
///
/// For a host whose state moves from machine to machine (`state_on:` in site.yaml): only a file system that was marked
/// once is taken for its own, so that a store is never begun anew where it is not mounted.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit site mark backupserver")]
pub(crate) struct Mark {
    /// The host
    #[arg(value_name = "HOST")]
    host: String,
}

/// Where to.
#[derive(Args, Debug)]
pub(crate) struct Receive {
    /// The site directory, absolute
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does what is asked.
pub(crate) async fn run(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    match verb {
        Verb::Push(arguments) => push(arguments, session).await,
        Verb::Mark(arguments) => marked(arguments, session),
        Verb::Receive(arguments) => receive(arguments, session),
    }
}

async fn push(arguments: &Push, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    if place.definitions.report.errors() > 0 {
        return Err(session.problems(&place.definitions.report));
    }
    let host = hosts::named(&place.site, &arguments.host)?;
    let far = far(&place, &host)?;
    let files = push::files(&place.directory)?;
    let changes = sent(&far, &files, true).await?;
    if changes.is_empty() {
        return shown(&host, &changes, "has the same files", session);
    }
    if arguments.dry_run {
        return shown(&host, &changes, "would be changed", session);
    }
    if !changes.removed.is_empty() && !arguments.yes {
        let what = format!("host '{host}' loses {}", changes.removed.join(", "));
        if !output::can_ask() {
            return Err(
                Stop::new(Exit::Operator, format!("{what}; nothing was changed")).help("--yes does it")
            );
        }
        if !output::ask(&format!("{what}. Go on?")) {
            return Err(Stop::new(Exit::Operator, "nothing was changed"));
        }
    }
    let _ = sent(&far, &files, false).await?;
    shown(&host, &changes, "changed", session)
}

fn far(place: &Place, host: &HostId) -> Result<Far, Stop> {
    let found = place.site.hosts.get(host);
    match (found, place.site.reach(host, place.peers.here.as_ref())) {
        (Some(found), Some(Reach::Remote(address))) => {
            Ok(Far::new(host, found, address, &place.directory, false))
        }
        (_, Some(Reach::Here)) => Err(Stop::usage(format!(
            "host '{host}' is on this machine: its site directory is {}",
            place.directory.display()
        ))),
        _ => Err(Stop::usage(format!("host '{host}' cannot be reached from here"))
            .help("say `connect: ssh://...` of it in site.yaml")),
    }
}

/// Sends the files; what that changes, or would change, there.
async fn sent(far: &Far, files: &Files, dry_run: bool) -> Result<Changes, Stop> {
    let site = far.site.to_string_lossy();
    let mut words = vec!["site", "receive", &site];
    if dry_run {
        words.push("--dry-run");
    }
    let bytes = serde_json::to_vec(files).map_err(|error| Stop::failed(error.to_string()))?;
    let unsent = |error: io::Error| Stop::failed(format!("cannot send to host '{}': {error}", far.host));
    let mut ssh = far.calling(&far.remote(&words)).spawn().map_err(unsent)?;
    let stdin = ssh.stdin.take();
    let sending = tokio::spawn(async move {
        // Whoever does not read it all says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&bytes).await;
        }
    });
    let output = ssh.wait_with_output().await.map_err(unsent)?;
    let _ = sending.await;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        // It was checked there, and says what is wrong.
        Some(code) if code == i32::from(Exit::Definitions as u8) => {
            output::note(said.trim_end());
            let text = format!("host '{}' refused the files; nothing was changed there", far.host);
            return Err(Stop::new(Exit::Definitions, text));
        }
        code => return Err(far.explain(code, &said).into()),
    }
    // What a shell there prints comes before it.
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| {
        Stop::failed(format!("host '{}' answered something else: {error}: {line}", far.host))
    })
}

fn shown(host: &HostId, changes: &Changes, what: &str, session: &Session) -> Result<Exit, Stop> {
    if session.global.json {
        output::print_json(changes)?;
        return Ok(Exit::Done);
    }
    output::print(&format!("host '{host}': {what}\n"))?;
    for (word, names) in
        [("added", &changes.added), ("changed", &changes.changed), ("removed", &changes.removed)]
    {
        for name in names {
            output::print(&format!("  {word:<8} {name}\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn receive(arguments: &Receive, session: &Session) -> Result<Exit, Stop> {
    let directory = absolute(&arguments.directory)?;
    let mut bytes = Vec::new();
    let _ = io::stdin()
        .lock()
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| Stop::failed(format!("cannot read what is sent: {error}")))?;
    let files: Files = serde_json::from_slice(&bytes)
        .map_err(|error| Stop::usage(format!("what is sent is not whole: {error}")))?;
    let checked = push::check(&directory, &files)?;
    if checked.report.errors() > 0 {
        return Err(session.problems(&checked.report));
    }
    let changes = push::changes(&directory, &files);
    if !arguments.dry_run && !changes.is_empty() {
        push::put(&directory, &files)?;
    }
    output::print_json_line(&changes)?;
    Ok(Exit::Done)
}

fn marked(arguments: &Mark, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let host = hosts::named(&place.site, &arguments.host)?;
    let Some(on) = place.site.hosts.get(&host).and_then(|found| found.state_on.as_ref()) else {
        return Err(Stop::usage(format!("the state of host '{host}' does not move"))
            .help(format!("say where it is mounted: `state_on:` of host '{host}' in site.yaml")));
    };
    let marker = mark(on, &host)?;
    output::print(&format!("{} says that this file system is that of host '{host}'\n", marker.display()))?;
    Ok(Exit::Done)
}
