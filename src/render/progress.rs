//! What a run says while it goes on: a line for each event, and how far a step has come.

use std::time::Duration;

use jiff::Timestamp;
use resplit_engine::protocol::{Event, RunStatus, RunSummary, What};
use resplit_operations::bound::Binding;
use resplit_steps::{context::Progress, failure::Failure};

use super::{
    text::plain,
    units::{count, duration, second, size},
};
use crate::output::{Tone, View};

/// How far a step has come, its rate in bytes a second, and the time left, as far as they are known.
pub(crate) fn working(progress: &Progress, rate: u64, left: Option<Duration>) -> String {
    let mut parts = Vec::new();
    match progress.of_bytes.filter(|of| *of > 0) {
        Some(of) => parts.push(format!("{} of {}", size(progress.bytes), size(of))),
        None if progress.bytes > 0 => parts.push(size(progress.bytes)),
        None => {}
    }
    match progress.of_entries.filter(|of| *of > 0) {
        Some(of) => parts.push(format!("{} of {}", progress.entries, entries(of))),
        None if progress.entries > 0 => parts.push(entries(progress.entries)),
        None => {}
    }
    if rate > 0 {
        parts.push(format!("{}/s", size(rate)));
    }
    let unfinished = match (progress.of_bytes, progress.of_entries) {
        (Some(of), _) => of > progress.bytes && rate > 0,
        (None, Some(of)) => of > progress.entries,
        (None, None) => false,
    };
    if let Some(left) = left.filter(|_| unfinished) {
        parts.push(format!("{} left", duration(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))));
    }
    parts.join(", ")
}

fn entries(number: u64) -> String {
    if number == 1 { "1 file".to_owned() } else { format!("{number} files") }
}

/// An event as one line, with its moment if `timed`; `None` for what is not told by lines.
pub(crate) fn line(event: &Event, timed: bool, view: &View, paint: Paint<'_>) -> Option<String> {
    let (tone, what) = words(event, view)?;
    let who = match (&event.step, &event.host) {
        (Some(step), Some(host)) => format!("{step} on {host}: "),
        (Some(step), None) => format!("{step}: "),
        (None, _) => String::new(),
    };
    let text = match tone {
        Some((tone, word)) => format!("{who}{}{}", paint(view, tone, word), plain(&what)),
        None => format!("{who}{}", plain(&what)),
    };
    Some(if timed { format!("{}  {text}", moment(event.time, view)) } else { text })
}

/// How a word is coloured: for standard output or standard error.
pub(crate) type Paint<'a> = &'a dyn Fn(&View, Tone, &str) -> String;

fn moment(time: Timestamp, view: &View) -> String {
    second(time, &view.zone)
}

/// The first word, if it has a tone, and what follows.
fn words(event: &Event, view: &View) -> Option<(Option<(Tone, &'static str)>, String)> {
    Some(match &event.what {
        What::Accepted { steps } => {
            (None, format!("run {} accepted: {}", event.run, count(*steps as usize, "step")))
        }
        What::Waiting { waiting_for } => (Some((Tone::Warning, "waits")), format!(": {waiting_for}")),
        What::Recovering { because } => (Some((Tone::Warning, "recovering")), format!(": {because}")),
        What::Bound { binding } => (None, bound(binding, view)),
        What::Started { attempt: 1 } => (None, "began".to_owned()),
        What::Started { attempt } => (None, format!("began, try {attempt}")),
        What::Progress { .. } => return None,
        What::Done { summary, took_ms, adopted } => {
            let how = adopted.as_ref().map(|because| format!(" (adopted: {because})")).unwrap_or_default();
            let colon = if summary.is_empty() { "" } else { ": " };
            (Some((Tone::Good, "done")), format!(" in {}{how}{colon}{summary}", duration(*took_ms)))
        }
        What::Failed { failure, retry_in_ms } => {
            let next = retry_in_ms.map(|ms| format!("; next try in {}", duration(ms))).unwrap_or_default();
            (Some((Tone::Bad, "failed")), format!(": {}{next}", told(failure)))
        }
        What::Skipped { because } => (Some((Tone::Warning, "skipped")), format!(": {because}")),
        What::Parked { question } => (Some((Tone::Warning, "parked")), format!(": {question}")),
        What::Note { text } => (None, text.clone()),
        What::Ended { summary } => (Some(ending(&summary.status)), ended(summary)),
    })
}

fn told(failure: &Failure) -> String {
    match &failure.help {
        Some(help) => format!("{} ({help})", failure.message),
        None => failure.message.clone(),
    }
}

fn bound(binding: &Binding, view: &View) -> String {
    let pairs = binding.pairs.iter().map(|(volume, bound)| {
        format!(
            "{volume} to {} (generation {} of {})",
            bound.pair.copy_group, bound.pair.generation, bound.of
        )
    });
    let source = binding.source.iter().map(|s| format!("from backup {}:{}", s.host, s.record.id));
    let evictions = binding.evictions.iter().map(|e| super::plan::eviction_text(e, &view.zone));
    let all: Vec<String> = pairs.chain(source).chain(evictions).collect();
    if all.is_empty() { "bound".to_owned() } else { format!("bound: {}", all.join("; ")) }
}

/// The word for how a run stands, and its tone.
pub(crate) const fn ending(status: &RunStatus) -> (Tone, &'static str) {
    let tone = match status {
        RunStatus::Done => Tone::Good,
        RunStatus::Failed { .. } | RunStatus::Refused { .. } => Tone::Bad,
        RunStatus::Waiting { .. } | RunStatus::Running | RunStatus::Parked { .. } | RunStatus::Cancelled => {
            Tone::Warning
        }
    };
    (tone, status.word())
}

fn ended(summary: &RunSummary) -> String {
    let why = match &summary.status {
        RunStatus::Failed { failure } | RunStatus::Refused { failure } => format!(": {}", told(failure)),
        _ => String::new(),
    };
    let result: Vec<&str> = summary.result.iter().map(|line| line.trim()).collect();
    if result.is_empty() { why } else { format!("{why}: {}", result.join("; ")) }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn view() -> View {
        let now = Timestamp::from_second(0).unwrap();
        View { colour: false, error_colour: false, width: 80, zone: TimeZone::UTC, now }
    }

    fn event(what: What) -> Event {
        Event {
            time: "2026-11-20T02:00:07Z".parse().unwrap(),
            run: "documents-20261120T020000Z".into(),
            step: Some("resync".into()),
            host: Some("fileserver".into()),
            what,
        }
    }

    fn told(what: What) -> Option<String> {
        line(&event(what), true, &view(), &View::paint)
    }

    #[test]
    fn progress_has_a_rate_and_the_time_left_as_far_as_known() {
        let mut progress =
            Progress { bytes: 300 * MIB, of_bytes: Some(1024 * MIB), entries: 12, of_entries: None };
        let left = Some(Duration::from_secs(61));
        assert_eq!(
            working(&progress, 12 * MIB, left),
            "300 MiB of 1 GiB, 12 files, 12 MiB/s, 1 min 1 s left"
        );
        progress.of_bytes = None;
        assert_eq!(working(&progress, 12 * MIB, left), "300 MiB, 12 files, 12 MiB/s");
        assert_eq!(working(&Progress::default(), 0, None), "");
        let nothing = Progress { of_entries: Some(0), of_bytes: Some(0), ..Progress::default() };
        assert_eq!(working(&nothing, 0, None), "");
        progress = Progress { bytes: 5, of_bytes: Some(5), entries: 1, of_entries: Some(1) };
        assert_eq!(working(&progress, MIB, left), "5 B of 5 B, 1 of 1 file, 1 MiB/s");
    }

    #[test]
    fn an_event_is_one_line_with_its_moment_step_and_host() {
        let done = What::Done { summary: "24 files, 1.2 MiB".into(), took_ms: 130_000, adopted: None };
        assert_eq!(
            told(done).unwrap(),
            "2026-11-20 02:00:07  resync on fileserver: done in 2 min 10 s: 24 files, 1.2 MiB"
        );
        let failure = Failure::temporary("no room\non tape").with_help("resplit tape list");
        let failed = What::Failed { failure, retry_in_ms: Some(2_000) };
        assert_eq!(
            told(failed).unwrap(),
            "2026-11-20 02:00:07  resync on fileserver: failed: no room\\non tape (resplit tape list); next try in 2 s"
        );
        assert_eq!(told(What::Progress { progress: Progress::default() }), None);
    }
}
