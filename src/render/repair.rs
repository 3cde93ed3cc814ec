//! What `resplit repair` names before it asks, and says when it is done.

use jiff::Timestamp;
use resplit_engine::protocol::Repair;
use resplit_operations::ids::HostId;

use super::{
    text::{add, plain},
    units::count,
};

/// What would be given up.
pub(crate) fn given_up(host: &HostId, repair: &Repair) -> String {
    let damage = &repair.damage;
    let at = damage.at.map(|at| format!(", at byte {at}")).unwrap_or_default();
    let path = damage.path.display().to_string();
    let mut text = format!("host '{host}': {}{at}: {}\n", plain(&path), plain(&damage.wrong));
    add(&mut text, format_args!("  given up: {}\n", damage.lost()));
    let newest = |at: Timestamp| format!(", the newest thing in it of {at:.0}");
    add(
        &mut text,
        format_args!(
            "  kept: the state as of commit {}{}; {}\n",
            damage.trusted,
            repair.newest.map(newest).unwrap_or_default(),
            count(repair.records, "backup")
        ),
    );
    if !repair.stale.is_empty() {
        let all: Vec<_> = repair.stale.iter().map(ToString::to_string).collect();
        add(
            &mut text,
            format_args!("  stale, since their images were overwritten since: {}\n", all.join(", ")),
        );
    }
    for run in &repair.open_runs {
        add(
            &mut text,
            format_args!(
                "  run {run} was not over: what became of it is asked of the world, and it goes on\n"
            ),
        );
    }
    for failure in &repair.unseen {
        add(&mut text, format_args!("  not looked at: {}\n", plain(&failure.message)));
    }
    add(
        &mut text,
        format_args!(
            "  the next backup ID is {}, the next fencing token {}: above all that may have been given\n",
            repair.next_backup, repair.next_token
        ),
    );
    text
}

/// What was done.
pub(crate) fn done(host: &HostId, repair: &Repair) -> String {
    let aside = repair.set_aside.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    format!(
        "host '{host}': repaired, as of commit {}; the damaged files are in {}\n",
        repair.damage.trusted,
        plain(&aside)
    )
}
