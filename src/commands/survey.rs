//! `resplit check --hosts`: whether every host is what the site says it is, asked of all at once.

use std::{collections::BTreeMap, path::PathBuf};

use resplit_engine::{
    definitions,
    protocol::{Finding, Survey, SurveyRequest},
    survey::reaches,
};
use resplit_operations::{definitions::Partial, ids::HostId};
use resplit_steps::failure::Failure;
use serde::Serialize;

use super::leftovers::frozen_on;
use crate::{
    build,
    exit::{Exit, Stop},
    hosts, output,
    render::table::Table,
    session::{self, Place, Session},
};

/// What is known of a host.
#[derive(Debug, Serialize)]
struct Row {
    host: HostId,
    /// Whether its engine could be asked.
    reached: bool,
    /// The name of its machine.
    machine: Option<String>,
    /// Its version and build.
    build: Option<String>,
    /// What is not as it should be.
    findings: Vec<Finding>,
}

/// Asks every host that is to be asked, and shows what each says.
pub(crate) fn run(session: &Session, directory: PathBuf, found: Partial) -> Result<Exit, Stop> {
    let place = session.checked(directory, found)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::failed(format!("cannot start: {error}")))?;
    let rows = runtime.block_on(rows(&place, session))?;
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&listing(&rows))?;
        for finding in
            rows.iter().flat_map(|row| row.findings.iter().map(move |finding| (&row.host, finding)))
        {
            let (host, Finding { about, failure }) = finding;
            let message = format!("host '{host}': {about}: {}", failure.message);
            session.view.complain(&Stop { message, ..Stop::from(failure.clone()) });
        }
    }
    let bad = rows.iter().any(|row| !row.findings.is_empty());
    Ok(if bad { Exit::Operator } else { Exit::Done })
}

async fn rows(place: &Place, session: &Session) -> Result<Vec<Row>, Stop> {
    let ours = definitions::digests(&place.directory);
    let asked = hosts::listed(&place.site, session.said_host(&place.site).as_deref())?;
    let mut surveys = Vec::new();
    for (host, client) in place.ask_all(asked).await {
        let request = SurveyRequest {
            site: place.resolved(),
            filesystems: frozen_on(place, &host),
            reaches: reaches(&place.site, &host),
        };
        // All at once: each may wait for others in turn.
        let survey = client.map(|client| tokio::spawn(async move { client.survey(&request).await }));
        surveys.push((host, survey));
    }
    let mut rows = Vec::new();
    for (host, survey) in surveys {
        let survey = match survey {
            Ok(asking) => match asking.await {
                Ok(survey) => survey.map_err(session::stop),
                Err(error) => Err(Stop::failed(error.to_string())),
            },
            Err(stop) => Err(stop),
        };
        rows.push(match survey {
            Ok(survey) => told(host, survey, &ours, place),
            Err(stop) => unreached(host, stop),
        });
    }
    Ok(rows)
}

fn unreached(host: HostId, stop: Stop) -> Row {
    let failure = Failure::refused(stop.message);
    let failure = match stop.help {
        Some(help) => failure.with_help(help),
        None => failure,
    };
    let findings = vec![Finding { about: "line".to_owned(), failure }];
    Row { host, reached: false, machine: None, build: None, findings }
}

fn told(host: HostId, survey: Survey, ours: &BTreeMap<String, String>, place: &Place) -> Row {
    let Survey { engine, machine, directory, definitions, mut findings } = survey;
    let version = |build: &str| build.split('+').next().unwrap_or(build).to_owned();
    if version(&engine.build) != version(&build::identity()) {
        let text =
            format!("it has version {}, and this is {}", version(&engine.build), version(&build::identity()));
        let failure = Failure::refused(text).with_help("install the same version on both");
        findings.push(Finding { about: "program".to_owned(), failure });
    }
    if directory != place.directory || !place.is_here(&host) {
        let differing = differing(ours, &definitions);
        if !differing.is_empty() {
            let text = format!("not as here: {}", differing.join(", "));
            let failure = Failure::refused(text).with_help(format!("resplit site push {host}"));
            findings.push(Finding { about: format!("definition files in {}", directory.display()), failure });
        }
    }
    Row { host, reached: true, machine: Some(machine), build: Some(engine.build), findings }
}

/// The files that are not the same, each with how.
fn differing(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differs = |name: &&String| match (ours.get(*name), theirs.get(*name)) {
        (Some(ours), Some(theirs)) if ours == theirs => None,
        (Some(_), Some(_)) => Some((*name).clone()),
        (Some(_), None) => Some(format!("{name} (not there)")),
        _ => Some(format!("{name} (only there)")),
    };
    names.iter().filter_map(differs).collect()
}

fn listing(rows: &[Row]) -> String {
    let mut table = Table::new(&["HOST", "MACHINE", "REACHED", "PROBLEMS"]);
    for row in rows {
        table.row([
            row.host.to_string(),
            row.machine.clone().unwrap_or_default(),
            if row.reached { "yes" } else { "no" }.to_owned(),
            row.findings.len().to_string(),
        ]);
    }
    table.text()
}
