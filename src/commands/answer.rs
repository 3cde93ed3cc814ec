//! `resplit answer`: what became of a step that nobody but an operator can tell.

use clap::{Args, ValueEnum};
use resplit_engine::protocol::{Answer, AnswerRequest, RunStatus};
use resplit_operations::ids::StepId;

use super::resume::start_engines;
use crate::{
    exit::{Exit, Stop},
    follow::conclude,
    output,
    references::{RUN_HELP, find_run},
    session::{self, Session},
};

/// Answer the question of a parked step
///
/// `resplit show RUN` shows the question. done: it happened, go on after it. redo: it did not, run it again. abort: give
/// it up, it failed.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit answer documents tape-backup redo")]
pub(crate) struct Arguments {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: String,
    /// The parked step
    #[arg(value_name = "STEP")]
    step: StepId,
    /// The answer: done, redo or abort
    #[arg(value_enum, value_name = "ANSWER", hide_possible_values = true)]
    answer: Word,
}

/// An answer, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Word {
    Done,
    Redo,
    Abort,
}

/// Gives the answer to the run's coordinator.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let found = find_run(&session.searched(&place).await?, &arguments.run).await?;
    start_engines(&place, &found).await?;
    let answer = match arguments.answer {
        Word::Done => Answer::Done,
        Word::Redo => Answer::Redo,
        Word::Abort => Answer::Abort,
    };
    let request = AnswerRequest { step: arguments.step.clone(), answer };
    found.client.answer(&found.run, &request).await.map_err(session::stop)?;
    let summary = found.client.run(&found.run).await.map_err(session::stop)?.summary;
    if session.global.json {
        output::print_json(&summary)?;
    }
    match summary.status {
        // The answer was taken: what became of the run by it is no error of this verb.
        RunStatus::Parked { .. } => conclude(&summary, session.global.json, &session.view),
        _ => conclude(&summary, session.global.json, &session.view).map(|_| Exit::Done),
    }
}
