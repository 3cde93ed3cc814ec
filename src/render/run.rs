//! A run in full, as `resplit show` shows it.

use resplit_engine::protocol::{Again, Recovery, RunDetail, RunStatus, StepDetail, StepStatus};

use super::{
    plan::eviction_text,
    progress::ending,
    text::{add, plain, wrap},
    units::{between, count, duration, second},
};
use crate::output::{Tone, View};

/// The run, its binding, its steps, and what an operator can do next.
pub(crate) fn detail(run: &RunDetail, view: &View) -> String {
    let summary = &run.summary;
    let (tone, word) = ending(&summary.status);
    let mut text = format!("{}: {} of {}\n", summary.run, summary.purpose.word(), summary.operation);
    let mut field = |name: &str, value: &str| {
        let value =
            wrap(value, view.width.saturating_sub(12), 0).replace('\n', &format!("\n{}", " ".repeat(12)));
        add(&mut text, format_args!("  {name:<10}{value}\n"));
    };
    if run.held {
        let text = format!("{word} when its engine ended; held, until it is resumed");
        field("status", &view.paint(Tone::Warning, &text));
    } else {
        field("status", &view.paint(tone, word));
    }
    field("accepted", &second(summary.accepted, &view.zone));
    if let Some(ended) = summary.ended {
        let took = duration(between(summary.accepted, ended));
        field("ended", &format!("{}, after {took}", second(ended, &view.zone)));
    }
    match &summary.status {
        RunStatus::Waiting { waiting_for } => field("waits for", &plain(waiting_for)),
        RunStatus::Failed { failure } | RunStatus::Refused { failure } => {
            field("because", &plain(&failure.message));
            if let Some(help) = &failure.help {
                field("help", &plain(help));
            }
        }
        _ => {}
    }
    if let Some(binding) = &run.binding {
        for (volume, bound) in &binding.pairs {
            let of = format!("generation {} of {}", bound.pair.generation, bound.of);
            field("pair", &plain(&format!("{} of {volume}, {of} ({})", bound.pair.copy_group, bound.reason)));
        }
        if let Some(source) = &binding.source {
            field("from", &format!("backup {}:{}", source.host, source.record.id));
        }
        for eviction in &binding.evictions {
            field("costs", &eviction_text(eviction, &view.zone));
        }
    }
    for window in &run.windows {
        let (length, budget) = (window.length_ms, window.budget_ms);
        let over = if window.is_over_budget() { ": over its budget" } else { "" };
        let opened = second(window.opened, &view.zone);
        field("window", &format!("{length} ms of at most {budget} ms, since {opened}{over}"));
    }
    for line in &summary.result {
        field("result", &plain(line));
    }
    text.push('\n');
    text.push_str(&steps(&run.step_list, view));
    text.push_str(&next(run));
    text
}

fn steps(steps: &[StepDetail], view: &View) -> String {
    let widest = |of: &dyn Fn(&StepDetail) -> usize| steps.iter().map(of).max().unwrap_or(0);
    let names = widest(&|step| step.step.as_str().len());
    let hosts = widest(&|step| step.host.as_str().len());
    let mut text = String::new();
    for step in steps {
        let (tone, what) = state(step, view);
        let word = format!("{:<8}", step.status.word());
        let word = tone.map_or(word.clone(), |tone| view.paint(tone, &word));
        // The names of steps and hosts are plain: they were checked when the files were read.
        let head = format!("  {:<names$}  {:<hosts$}  {word}  ", step.step.as_str(), step.host.as_str());
        let indent = names + hosts + 16;
        let what = wrap(&plain(&what), view.width.saturating_sub(indent).max(24), 0);
        let what = what.replace('\n', &format!("\n{}", " ".repeat(indent)));
        add(&mut text, format_args!("{}\n", (head + &what).trim_end()));
    }
    text
}

/// What is known of a step in its state.
fn state(step: &StepDetail, view: &View) -> (Option<Tone>, String) {
    let (tone, what) = state_alone(&step.status, view);
    let again = step.again.as_ref().map(Again::words);
    let foreseen = step.recovery.as_ref().map(|recovery| match recovery {
        Recovery::Run { because } => format!("would run: {because}"),
        Recovery::Adopt { because } => format!("would be adopted: {because}"),
        Recovery::WaitFor { because } => format!("would be waited for: {because}"),
        Recovery::Park { question } => format!("would park: {question}"),
        Recovery::Unknown { failure } => format!("cannot be told now: {}", failure.message),
    });
    let all: Vec<String> =
        [again, Some(what), foreseen].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    (tone, all.join("; "))
}

fn state_alone(status: &StepStatus, view: &View) -> (Option<Tone>, String) {
    match status {
        StepStatus::Waiting => (None, String::new()),
        StepStatus::Started { attempt, at } => {
            let since = format!("since {}", second(*at, &view.zone));
            let nth = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
            (Some(Tone::Warning), since + &nth)
        }
        StepStatus::Retrying { attempt, at, failure } => {
            let when = second(*at, &view.zone);
            (Some(Tone::Warning), format!("try {attempt} failed at {when}: {}", failure.message))
        }
        StepStatus::Done { began, at, summary, adopted } => {
            let how = adopted.as_ref().map(|because| format!(" (adopted: {because})")).unwrap_or_default();
            let what = if summary.is_empty() { String::new() } else { format!(": {summary}") };
            (Some(Tone::Good), format!("in {}{how}{what}", duration(between(*began, *at))))
        }
        StepStatus::Failed { failure, .. } => (Some(Tone::Bad), failure.message.clone()),
        StepStatus::Skipped { because } => (None, format!("because {because}")),
        StepStatus::Parked { question, .. } => (Some(Tone::Warning), question.clone()),
    }
}

/// What an operator can do next.
fn next(run: &RunDetail) -> String {
    let name = &run.summary.run;
    match &run.summary.status {
        RunStatus::Parked { questions } => {
            let answers: Vec<String> = questions
                .keys()
                .map(|step| format!("next: resplit answer {name} {step} done|redo|abort\n"))
                .collect();
            format!("\n{} waiting for an answer\n{}", count(questions.len(), "step"), answers.concat())
        }
        RunStatus::Failed { .. } | RunStatus::Cancelled => format!("\nnext: resplit resume {name}\n"),
        RunStatus::Waiting { .. } | RunStatus::Running if run.held => {
            format!("\nnext: resplit resume {name}, or resplit cancel {name}\n")
        }
        RunStatus::Waiting { .. } | RunStatus::Running => format!("\nnext: resplit logs -f {name}\n"),
        RunStatus::Done | RunStatus::Refused { .. } => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::{Timestamp, tz::TimeZone};
    use resplit_engine::protocol::RunSummary;
    use resplit_operations::plan::Purpose;

    use super::*;

    #[test]
    fn a_parked_run_shows_its_question_and_how_to_answer_it() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let question = "Was the dataset written? The cartridge cannot be read.";
        let step = |name: &str, status| StepDetail {
            step: name.into(),
            kind: name.to_owned(),
            host: "backupserver".into(),
            attempts: 1,
            status,
            again: None,
            recovery: None,
        };
        let summary = RunSummary {
            run: "documents-1".into(),
            operation: "documents".into(),
            purpose: Purpose::Backup,
            status: RunStatus::Parked {
                questions: BTreeMap::from([("tape-backup".into(), question.into())]),
            },
            accepted: at(0),
            ended: Some(at(130)),
            steps: 2,
            plan: String::new(),
            result: Vec::new(),
        };
        let done = StepStatus::Done { began: at(0), at: at(61), summary: "locked".into(), adopted: None };
        let parked = StepStatus::Parked { attempt: 1, at: at(130), question: question.into() };
        let step_list = vec![step("mount", done), step("tape-backup", parked)];
        let run = RunDetail { summary, held: false, binding: None, windows: Vec::new(), step_list };
        let view = View { colour: false, error_colour: false, width: 80, zone: TimeZone::UTC, now: at(200) };
        assert_eq!(
            detail(&run, &view),
            "\
documents-1: backup of documents
  status    parked
  accepted  1970-01-01 00:00:00
  ended     1970-01-01 00:02:10, after 2 min 10 s

  mount        backupserver  done      in 1 min 1 s: locked
  tape-backup  backupserver  parked    Was the dataset written? The cartridge
                                       cannot be read.

1 step waiting for an answer
next: resplit answer documents-1 tape-backup done|redo|abort
"
        );
    }
}
