//! What an operator names on the command line: a run by the beginning of its name, a backup by its ID and its host.

use std::str::FromStr;

use resplit_engine::{
    client::{Client, ClientError},
    protocol::{RefusalKind, RunSummary, RunsQuery, Selector},
};
use resplit_operations::{
    ids::{BackupId, HostId, OperationId, RunId},
    record::Record,
};

use crate::{exit::Stop, session};

/// How RUN may be written, for the help of every verb that takes one.
pub(crate) const RUN_HELP: &str =
    "The run: its name or the beginning of it, an operation for its newest run, or `latest`";

/// The most runs of a host that are looked at.
const MOST_RUNS: usize = 100_000;

/// A run, and the engine that coordinates it.
#[derive(Clone, Debug)]
pub(crate) struct FoundRun {
    /// Its engine.
    pub(crate) client: Client,
    /// The run.
    pub(crate) run: RunId,
}

/// Finds the run that is meant among those of these engines.
pub(crate) async fn find_run(engines: &[(HostId, Client)], said: &str) -> Result<FoundRun, Stop> {
    let found = |index: usize, run: RunId| FoundRun { client: engines[index].1.clone(), run };
    let exact = RunId::from(said);
    for (index, (_, client)) in engines.iter().enumerate() {
        match client.run(&exact).await {
            Ok(_) => return Ok(found(index, exact)),
            Err(ClientError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => {}
            Err(error) => return Err(session::stop(error)),
        }
    }
    let mut runs = Vec::new();
    for (index, (_, client)) in engines.iter().enumerate() {
        let query = RunsQuery { limit: Some(MOST_RUNS), ..RunsQuery::default() };
        let of_host = client.runs(&query).await.map_err(session::stop)?;
        runs.extend(of_host.into_iter().map(|run| (index, run)));
    }
    let (index, run) = choose_run(&runs, said)?;
    Ok(found(index, run))
}

/// The run that is meant: of an operation, or of all, the newest; else the only one whose name begins so.
fn choose_run(runs: &[(usize, RunSummary)], said: &str) -> Result<(usize, RunId), Stop> {
    let operation = OperationId::from(said);
    let newest = |wanted: &dyn Fn(&RunSummary) -> bool| {
        runs.iter().filter(|(_, run)| wanted(run)).max_by_key(|(_, run)| (run.accepted, run.run.clone()))
    };
    let by_operation = newest(&|run| run.operation == operation);
    let latest = || if said == "latest" { newest(&|_| true) } else { None };
    if let Some((index, run)) = by_operation.or_else(latest) {
        return Ok((*index, run.run.clone()));
    }
    let matching: Vec<_> = runs.iter().filter(|(_, run)| run.run.as_str().starts_with(said)).collect();
    match matching.as_slice() {
        [(index, only)] => Ok((*index, only.run.clone())),
        [] => Err(Stop::usage(format!("there is no run '{said}'")).help("`resplit runs` lists them")),
        several => {
            let names: Vec<&str> = several.iter().take(5).map(|(_, run)| run.run.as_str()).collect();
            let more = if several.len() > names.len() { ", ..." } else { "" };
            Err(Stop::usage(format!("'{said}' is the beginning of {} runs", several.len()))
                .help(format!("say more of it: {}{more}", names.join(", "))))
        }
    }
}

/// A backup as it is written on the command line: `[HOST:]ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupName(pub(crate) Selector);

impl FromStr for BackupName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, id) = match text.rsplit_once(':') {
            Some((host, id)) => (Some(host), id),
            None => (None, text),
        };
        let id =
            BackupId::parse(id).ok_or_else(|| format!("'{id}' is not a backup ID of up to ten digits"))?;
        match host {
            Some("") => Err("a host is missing before the ':'".to_owned()),
            _ => Ok(Self(Selector { host: host.map(HostId::from), id })),
        }
    }
}

/// The record that is meant. One that several hosts have needs its host said.
pub(crate) fn find_record<'c>(
    catalogs: &'c [(HostId, Vec<Record>)],
    name: &BackupName,
) -> Result<(&'c HostId, &'c Record), Stop> {
    let Selector { host, id } = &name.0;
    if let Some(host) = host.as_ref().filter(|host| !catalogs.iter().any(|(known, _)| known == *host)) {
        return Err(Stop::usage(format!("'{host}' is no host of the site that was asked")));
    }
    let asked = catalogs.iter().filter(|(known, _)| host.as_ref().is_none_or(|host| host == known));
    let found: Vec<_> = asked
        .flat_map(|(host, records)| records.iter().map(move |r| (host, r)))
        .filter(|(_, r)| r.id == *id)
        .collect();
    match found.as_slice() {
        [only] => Ok(*only),
        [] => {
            let where_ = host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            Err(Stop::usage(format!("there is no backup {id}{where_}"))
                .help("`resplit catalog list` lists them"))
        }
        several => {
            let names: Vec<String> =
                several.iter().map(|(h, r)| format!("{h}:{id} (of {})", r.origin.operation)).collect();
            Err(Stop::usage(format!("{} hosts have a backup {id}", several.len()))
                .help(format!("say which: {}", names.join(" or "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use resplit_engine::protocol::RunStatus;
    use resplit_operations::plan::Purpose;

    use super::*;

    fn run(name: &str, operation: &str, second: i64) -> (usize, RunSummary) {
        let summary = RunSummary {
            run: name.into(),
            operation: operation.into(),
            purpose: Purpose::Backup,
            status: RunStatus::Done,
            accepted: jiff::Timestamp::from_second(second).unwrap(),
            ended: None,
            steps: 1,
            plan: String::new(),
            result: Vec::new(),
        };
        (0, summary)
    }

    #[test]
    fn a_run_is_named_by_its_operation_its_age_or_its_beginning() {
        let runs = [run("a-1", "a", 1), run("a-2", "a", 2), run("ab-1", "ab", 3)];
        let chosen = |said: &str| choose_run(&runs, said).map(|(_, run)| run.0);
        assert_eq!(chosen("a").as_deref(), Ok("a-2"));
        assert_eq!(chosen("latest").as_deref(), Ok("ab-1"));
        assert_eq!(chosen("ab-").as_deref(), Ok("ab-1"));
        assert_eq!(chosen("a-").unwrap_err().help.as_deref(), Some("say more of it: a-1, a-2"));
        assert_eq!(chosen("z").unwrap_err().message, "there is no run 'z'");
    }

    #[test]
    fn a_backup_is_named_by_its_id_and_perhaps_its_host() {
        let name = |text: &str| text.parse::<BackupName>().map(|name| name.0);
        assert_eq!(name("9"), Ok(Selector { host: None, id: BackupId(9) }));
        assert_eq!(name("h:0000000009"), Ok(Selector { host: Some("h".into()), id: BackupId(9) }));
        assert!(
            name("h:").is_err() && name(":9").is_err() && name("12345678901").is_err() && name("x").is_err()
        );
    }
}
