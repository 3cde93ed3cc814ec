//! Follows a run: tells what happens, asks for a safe cancel on Ctrl-C, and says how it ended.

use resplit_engine::{
    client::Client,
    protocol::{Event, RunStatus, RunSummary},
};
use resplit_operations::ids::RunId;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    exit::{Exit, Stop},
    output::{self, Tone, View},
    render::{
        bars::{Bars, Lines},
        progress,
        text::{lines, plain},
    },
    session::{self, Session},
};

/// How a run is told of while it goes on.
enum Teller {
    /// Bars and lines on a terminal.
    Bars(Bars),
    /// Lines on standard error.
    Lines(Lines),
    /// Events as JSON on standard output.
    Json,
}

/// What came of following.
enum Watched {
    /// The run is over.
    Over(Box<RunSummary>),
    /// It goes on by itself.
    Left,
}

/// Follows a run to its end, and says how it ended. The first `known` of its events were told before.
pub(crate) async fn follow(
    client: &Client,
    run: &RunId,
    known: usize,
    session: &Session,
) -> Result<Exit, Stop> {
    let (json, view) = (session.global.json, &session.view);
    let mut teller = if json {
        Teller::Json
    } else if output::error_is_terminal() {
        Teller::Bars(Bars::new())
    } else {
        Teller::Lines(Lines::default())
    };
    let watched = watch(client, run, known, &mut teller, view).await;
    drop(teller);
    match watched? {
        Watched::Over(summary) => conclude(&summary, json, view),
        Watched::Left => {
            output::note(&format!("run {run} goes on by itself; `resplit logs -f {run}` follows it"));
            Ok(Exit::Cancelled)
        }
    }
}

async fn watch(
    client: &Client,
    run: &RunId,
    mut known: usize,
    teller: &mut Teller,
    view: &View,
) -> Result<Watched, Stop> {
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Stop::failed(format!("cannot watch for Ctrl-C: {error}")))?;
    let mut events = client.events(run, true).await.map_err(session::stop)?;
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            () = interrupted(&mut interrupts) => {
                if asked {
                    return Ok(Watched::Left);
                }
                asked = true;
                output::note("cancelling at the next safe point; Ctrl-C again leaves the run to itself");
                client.cancel(run).await.map_err(session::stop)?;
            }
            event = events.next() => match event {
                Some(Ok(_)) if known > 0 => known -= 1,
                // A run that was resumed has ended before: it is over when there are no more events.
                Some(Ok(event)) => teller.tell(&event, view)?,
                Some(Err(error)) => return Err(lost(run, &error.to_string())),
                None => {
                    let summary = client.run(run).await.map_err(session::stop)?.summary;
                    if summary.status.is_over() {
                        return Ok(Watched::Over(Box::new(summary)));
                    }
                    return Err(lost(run, "the engine has stopped"));
                }
            },
        }
    }
}

/// Returns on the next Ctrl-C.
async fn interrupted(interrupts: &mut Signal) {
    if interrupts.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn lost(run: &RunId, why: &str) -> Stop {
    Stop::failed(format!("run {run} cannot be followed any longer: {why}"))
        .help(format!("`resplit resume {run}` starts the engine, which finds out what happened, and goes on"))
}

impl Teller {
    fn tell(&mut self, event: &Event, view: &View) -> Result<(), Stop> {
        match self {
            Self::Json => return output::print_json_line(event),
            Self::Bars(bars) => bars.tell(event, view),
            Self::Lines(lines) => lines.tell(event, view),
        }
        Ok(())
    }
}

/// Says how a run ended, and what to do next.
pub(crate) fn conclude(summary: &RunSummary, json: bool, view: &View) -> Result<Exit, Stop> {
    let exit = Exit::of_run(&summary.status);
    let run = &summary.run;
    match &summary.status {
        RunStatus::Failed { failure } => {
            let stop = Stop::failed(format!("run {run} failed: {}", failure.message));
            view.complain(&Stop { help: failure.help.clone(), ..stop });
            next(&format!("resplit resume {run}, or resplit show {run}"), view);
        }
        RunStatus::Refused { failure } => {
            view.complain(&Stop {
                exit,
                message: format!("run {run} was refused, and nothing was touched: {}", failure.message),
                help: failure.help.clone(),
            });
        }
        RunStatus::Parked { questions } => {
            output::note(
                &view.paint_error(Tone::Warning, &format!("run {run} is parked until it is answered")),
            );
            for (step, question) in questions {
                output::note(&format!("{}: {}", plain(step.as_str()), lines(question)));
                next(&format!("resplit answer {run} {step} done|redo|abort"), view);
            }
        }
        RunStatus::Cancelled => {
            output::note(&view.paint_error(Tone::Warning, &format!("run {run} was cancelled")));
            next(&format!("resplit resume {run}, or resplit show {run}"), view);
        }
        RunStatus::Waiting { .. } | RunStatus::Running => {
            output::note(&format!("run {run} goes on; `resplit logs -f {run}` follows it"));
        }
        RunStatus::Done => {}
    }
    if !json {
        let text: String = if summary.result.is_empty() && summary.status == RunStatus::Done {
            format!("{}: {}\n", summary.operation, progress::ending(&summary.status).1)
        } else {
            summary.result.iter().flat_map(|line| [plain(line), "\n".into()]).collect()
        };
        // A reader that has gone away does not change how the run ended.
        match output::print(&text) {
            Err(stop) if stop.exit == Exit::Done => {}
            other => other?,
        }
    }
    Ok(exit)
}

fn next(command: &str, view: &View) {
    output::note(&format!("{}: {command}", view.paint_error(Tone::Help, "next")));
}
