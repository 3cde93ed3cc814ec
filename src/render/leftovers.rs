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

/// What belongs together under the run that made it and the command that undoes it.
pub(crate) fn listing(rows: &[Row], view: &View) -> String {
    let mut groups: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let same =
            |first: &Row| first.leftover.run == row.leftover.run && first.leftover.next == row.leftover.next;
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, members)) => members.push(row),
            None => groups.push((row, vec![row])),
        }
    }
    let mut text = String::new();
    for (first, members) in groups {
        if !text.is_empty() {
            text.push('\n');
        }
        let left = &first.leftover;
        let run = left.run.as_ref().map_or("of no run that is known".to_owned(), |run| {
            format!("of {run}, {}", standing(left.standing))
        });
        add(&mut text, format_args!("{}:\n", plain(&run)));
        for row in members {
            let since = row.leftover.since.map(|since| format!(", since {}", second(since, &view.zone)));
            let said = format!("{}: {}{}", row.host, row.leftover.what, since.unwrap_or_default());
            let said = wrap(&plain(&said), view.width.saturating_sub(4).max(24), 0);
            add(&mut text, format_args!("  {}\n", said.replace('\n', "\n    ")));
        }
        // Not wrapped: it is to be copied.
        add(&mut text, format_args!("  {}: {}\n", view.paint(Tone::Help, "next"), plain(&left.next)));
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
    fn what_one_command_undoes_is_listed_together() {
        let row = |host: &str, run: Option<&str>, next: &str| Row {
            host: host.into(),
            leftover: Leftover {
                id: "lease:volume documents".to_owned(),
                kind: LeftoverKind::Lease,
                what: "the lease of volume documents by the engine of 'fileserver'".to_owned(),
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
        let release = "resplit leftovers release";
        let rows = [
            row("a", Some("documents-1"), release),
            row("b", None, "rm x"),
            row("b", Some("documents-1"), release),
        ];
        assert_eq!(
            listing(&rows, &view),
            "\
of documents-1, which is over:
  a: the lease of volume documents by the engine of 'fileserver', since
    1970-01-01 00:00:00
  b: the lease of volume documents by the engine of 'fileserver', since
    1970-01-01 00:00:00
  next: resplit leftovers release

of no run that is known:
  b: the lease of volume documents by the engine of 'fileserver'
  next: rm x
"
        );
    }
}
