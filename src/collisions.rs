//! Other operations whose schedules fire while a plan would still be at work on the same volumes or drives.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use resplit_operations::{
    compile,
    ids::{HostId, OperationId},
    operation::Operation,
    plan::{Plan, Resource},
};
use serde::Serialize;

use crate::session::Place;

/// An operation that would wait for this one, or be skipped because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Collision {
    /// The operation; it may be the same.
    pub(crate) operation: OperationId,
    /// When it fires.
    pub(crate) at: Timestamp,
    /// What both need.
    pub(crate) resources: Vec<Resource>,
}

/// Another operation's definition is looked at only if it fires in time.
pub(crate) fn of_place(
    place: &Place,
    plan: &Plan,
    expected_ms: u64,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Collision> {
    let resources = |id: &OperationId, operation: &Operation| {
        compile::backup(&place.site, &place.directory, id, operation).ok().map(|other| other.resources())
    };
    of(&place.definitions.operations, &resources, plan, Meanwhile { expected_ms, now, zone })
}

/// While a plan that begins now is at work.
#[derive(Clone, Copy)]
struct Meanwhile<'a> {
    expected_ms: u64,
    now: Timestamp,
    zone: &'a TimeZone,
}

/// The operations that fire before a plan which begins now has ended, if it takes as long as is expected.
fn of(
    operations: &BTreeMap<OperationId, Operation>,
    resources: &dyn Fn(&OperationId, &Operation) -> Option<BTreeSet<(HostId, Resource)>>,
    plan: &Plan,
    Meanwhile { expected_ms, now, zone }: Meanwhile<'_>,
) -> Vec<Collision> {
    let wanted = plan.resources();
    let millis = i64::try_from(expected_ms).unwrap_or(i64::MAX);
    let Ok(end) = now.checked_add(SignedDuration::from_millis(millis)) else { return Vec::new() };
    let mut found = Vec::new();
    for (id, operation) in operations {
        let fires = operation.schedule.as_ref().and_then(|schedule| schedule.next_after(now, zone));
        let Some(at) = fires.filter(|at| *at <= end) else { continue };
        let Some(needs) = resources(id, operation) else { continue };
        let both = needs.intersection(&wanted).map(|(_, resource)| resource.clone());
        let resources: Vec<_> = both.collect();
        if !resources.is_empty() {
            found.push(Collision { operation: id.clone(), at, resources });
        }
    }
    found.sort_by(|a, b| (a.at, &a.operation).cmp(&(b.at, &b.operation)));
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use resplit_operations::definitions::{Source, check_all};

    use super::*;

    const SITE: &str = r#"
hosts: { fileserver: { connect: local, state: state } }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs: [{ copy_group: "VG01,vol01", secondary: { host: fileserver, path: mirrors/0 } }]
  mail:
    driver: directory
    primary: { host: fileserver, path: mail }
    pairs: [{ copy_group: "VG01,vol02", secondary: { host: fileserver, path: mirrors/1 } }]
"#;

    #[test]
    fn what_fires_meanwhile_and_needs_the_same_collides() {
        let file = |path: &str, text: &str| Source {
            path: Path::new("/site").join(path),
            content: Ok(text.as_bytes().to_vec()),
        };
        let operation = |name: &str, volume: &str, cron: &str| {
            let text = format!(
                "protect: {{ filesystem: {volume}, volumes: [{volume}] }}\nschedule: {{ cron: \"{cron}\" }}\n"
            );
            file(&format!("operations/{name}.yaml"), &text)
        };
        let operations = vec![
            operation("documents", "documents", "0 2 * * *"),
            operation("soon", "documents", "10 2 * * *"),
            operation("other", "mail", "10 2 * * *"),
            operation("late", "documents", "0 5 * * *"),
        ];
        let checked = check_all(file("site.yaml", SITE), operations).unwrap();
        let compiled = |id: &OperationId, operation: &Operation| {
            compile::backup(&checked.site, Path::new("/site"), id, operation).ok()
        };
        let resources = |id: &OperationId, one: &Operation| Some(compiled(id, one)?.resources());
        let plan = compiled(&"documents".into(), &checked.operations[&"documents".into()]).unwrap();
        let now = "2026-11-20T02:00:00Z".parse().unwrap();
        let found = |minutes: u64| {
            let meanwhile = Meanwhile { expected_ms: minutes * 60_000, now, zone: &TimeZone::UTC };
            let found = of(&checked.operations, &resources, &plan, meanwhile);
            found.iter().map(|one| format!("{} {}", one.operation, one.at)).collect::<Vec<_>>()
        };
        assert_eq!(found(5), [""; 0]);
        assert_eq!(found(10), ["soon 2026-11-20T02:10:00Z"]);
        let day =
            ["soon 2026-11-20T02:10:00Z", "late 2026-11-20T05:00:00Z", "documents 2026-11-21T02:00:00Z"];
        assert_eq!(found(24 * 60), day, "its own next run, too");
    }
}
