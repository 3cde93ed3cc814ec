//! What was left behind, as `resplit leftovers` lists it.

use resplit_engine::protocol::RunStanding;

use super::{
    text::{add, plain, wrap},
    units::second,
};
use crate::{
    commands::leftovers::Row,
    output::{Tone, View},
};

/// Each thing with its run and the command that undoes it, under the name of its host.
pub(crate) fn listing(rows: &[Row], view: &View) -> String {
    let mut text = String::new();
    let mut host = None;
    for row in rows {
        if host != Some(&row.host) {
            add(&mut text, format_args!("{}:\n", row.host));
            host = Some(&row.host);
        }
        let left = &row.leftover;
        let line = |indent: usize, said: &str| {
            let width = view.width.saturating_sub(indent).max(24);
            format!("{}{}\n", " ".repeat(indent), wrap(&plain(said), width, indent))
        };
        text.push_str(&line(2, &left.what));
        let run = left.run.as_ref().map(|run| format!("of {run}, {}", standing(left.standing)));
        let since = left.since.map(|since| format!("since {}", second(since, &view.zone)));
        let known: Vec<String> = since.into_iter().chain(run).collect();
        if !known.is_empty() {
            text.push_str(&line(4, &known.join(", ")));
        }
        // Not wrapped: it is to be copied.
        add(&mut text, format_args!("    {}: {}\n", view.paint(Tone::Help, "next"), plain(&left.next)));
    }
    text
}

const fn standing(standing: RunStanding) -> &'static str {
    match standing {
        RunStanding::AtWork => "which is at work",
        RunStanding::Held => "which was interrupted and is held",
        RunStanding::Parked => "which is parked",
        RunStanding::Over => "which is over",
        RunStanding::Unknown => "which no host knows",
        RunStanding::Unreachable => "whose host cannot be asked",
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use resplit_engine::protocol::{Leftover, LeftoverKind};

    use super::*;

    #[test]
    fn each_thing_is_listed_with_its_run_and_what_to_do() {
        let row = |host: &str, run: Option<&str>, next: &str| Row {
            host: host.into(),
            leftover: Leftover {
                id: "lease:volume documents".to_owned(),
                kind: LeftoverKind::Lease,
                what: "the lease of volume documents".to_owned(),
                since: run.map(|_| Timestamp::UNIX_EPOCH),
                run: run.map(Into::into),
                standing: RunStanding::Over,
                releasable: true,
                next: next.to_owned(),
            },
        };
        let view = View {
            colour: false,
            error_colour: false,
            width: 80,
            zone: TimeZone::UTC,
            now: Timestamp::UNIX_EPOCH,
        };
        let rows = [row("a", Some("documents-1"), "resplit leftovers release"), row("b", None, "rm x")];
        assert_eq!(
            listing(&rows, &view),
            "\
a:
  the lease of volume documents
    since 1970-01-01 00:00:00, of documents-1, which is over
    next: resplit leftovers release
b:
  the lease of volume documents
    next: rm x
"
        );
    }
}
