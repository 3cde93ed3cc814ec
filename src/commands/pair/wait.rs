//! `resplit pair wait`: until pairs have a status.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use resplit_engine::{client::Client, protocol::What};
use resplit_operations::{
    ids::RunId,
    pair::PairStatus,
    units::{PERIOD_WANTED, Period},
};
use tokio::time::Instant;

use super::{
    asked::Named,
    declared::declared,
    status::{self, Found},
};
use crate::{
    exit::{Exit, Stop},
    output,
    session::{Place, Session},
};

/// Which pairs, which status, and how long.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit pair wait VG01,vol01 --status PAIR\n  \
    resplit pair wait VG01 --status PSUS --timeout 1h --interval 30s")]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// The status: SMPL, COPY, PAIR, PSUS (or SSUS), PSUE, RCPY
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: PairStatus,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", value_parser = period, default_value = "10m")]
    timeout: Period,
    /// How often to ask the drivers at least
    ///
    /// Both defaults are those of the field: 120 times, every 5 s.
    #[arg(long, value_name = "DURATION", value_parser = period, default_value = "5s")]
    interval: Period,
}

fn status(text: &str) -> Result<PairStatus, String> {
    let all = [
        PairStatus::Smpl,
        PairStatus::Copy,
        PairStatus::Pair,
        PairStatus::Psus,
        PairStatus::Psue,
        PairStatus::Rcpy,
    ];
    let is = |one: &PairStatus| {
        one.word().eq_ignore_ascii_case(text) || one.on_secondary().eq_ignore_ascii_case(text)
    };
    all.into_iter().find(is).ok_or_else(|| "it is one of SMPL, COPY, PAIR, PSUS, PSUE, RCPY".to_owned())
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).filter(|period| period.0 > 0).ok_or_else(|| format!("expected {PERIOD_WANTED}"))
}

/// Waits.
pub(super) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let pairs = arguments.named.among(&declared(&place.resolved(), None)?)?;
    let began = Instant::now();
    // What is beyond all clocks is for ever.
    let end = began.checked_add(arguments.timeout.duration());
    loop {
        let asked_at = Timestamp::now();
        let found = status::asked(&place, &pairs, false).await?;
        let left = waiting(&found, arguments.status)?;
        if left.is_empty() {
            return done(&found, session);
        }
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            let text = format!("after {} {}", arguments.timeout, left.join(", "));
            return Err(Stop::failed(text).help("resplit pair status; resplit runs --open"));
        }
        let pause =
            rest.map_or(arguments.interval.duration(), |rest| rest.min(arguments.interval.duration()));
        pause_or_event(&place, &found, asked_at, pause).await;
    }
}

/// What is not as it is waited for, in words. A pair that nothing brings there is not waited for (the field's
/// `EX_EWSUSE`).
fn waiting(found: &[Found], wanted: PairStatus) -> Result<Vec<String>, Stop> {
    let mut left = Vec::new();
    for one in found {
        let state = one.view.state.clone().map_err(Stop::from)?;
        let group = &one.view.pair.copy_group;
        if state.status == wanted {
            continue;
        }
        if state.status == PairStatus::Psue && one.lease.is_none() {
            let text = format!("{group} is PSUE, and nothing is at work on it: it does not become {wanted}");
            return Err(Stop::failed(text).help(format!("resplit pair resync {group}")));
        }
        left.push(format!("{group} is {}, not {wanted}", state.status));
    }
    Ok(left)
}

fn done(found: &[Found], session: &Session) -> Result<Exit, Stop> {
    let views: Vec<_> = found.iter().map(|one| &one.view).collect();
    if session.global.json {
        output::print_json(&views)?;
        return Ok(Exit::Done);
    }
    let told = views.into_iter().filter_map(|view| {
        let state = view.state.as_ref().ok()?;
        Some(format!("{}: {}\n", view.pair.copy_group, state.status))
    });
    output::print(&told.collect::<String>())?;
    Ok(Exit::Done)
}

/// Waits for the pause, or until the run that has the first of the pairs tells of something new.
async fn pause_or_event(place: &Place, found: &[Found], since: Timestamp, pause: Duration) {
    let held = found.iter().find_map(|one| Some((one.lease.as_ref()?, &one.declared.host)));
    let told = async {
        let Some((lease, host)) = held else { return std::future::pending().await };
        match place.engine(host).await {
            Ok(client) if told(&client, &lease.run, since).await => {}
            _ => std::future::pending().await,
        }
    };
    let _ = tokio::time::timeout(pause, told).await;
}

/// Whether a run has told of something since, which is waited for; `false` if it cannot be followed.
async fn told(client: &Client, run: &RunId, since: Timestamp) -> bool {
    let Ok(mut events) = client.events(run, true).await else { return false };
    while let Some(Ok(event)) = events.next().await {
        if event.time > since && !matches!(event.what, What::Progress { .. }) {
            return true;
        }
    }
    false
}
