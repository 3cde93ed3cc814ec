//! Whether what a pass writes has room, asked before it begins.

use rustix::{
    fd::AsFd,
    fs::{Mode, OFlags},
};

use super::{
    compare::How,
    content::Copier,
    survey::Survey,
    tree::{Tree, join},
};
use crate::failure::Failure;

/// What an entry takes beside its content.
const ENTRY: u64 = 512;
/// What is left free whatever happens.
const MARGIN: u64 = 1 << 20;

/// Refuses a pass that has no room. What is removed or replaced gives its room back; what is cloned takes none. `from` is
/// what might be cloned.
pub(super) fn check(from: Option<(&Tree, &Copier)>, to: &Tree, survey: &Survey) -> Result<(), Failure> {
    let changes =
        || survey.visited.iter().flat_map(|directory| directory.changes.iter().map(move |c| (directory, c)));
    let cloned = changes()
        .find(|(_, change)| change.from.is_file() && change.from.size > 0)
        .and_then(|(directory, change)| {
            let (from, copier) = from?;
            let entries = directory.entries.as_ref()?;
            Some(can_clone(from, to, &directory.path, &entries.get(change.slot)?.name, copier))
        })
        .unwrap_or(false);
    let (mut needed, mut freed, mut largest, mut created) = (0_u64, survey.extra.allocated, 0_u64, 0_u64);
    for (_, change) in changes() {
        if change.to.is_none() {
            created += 1;
        }
        if matches!(change.how, How::Verify | How::Attributes) || cloned {
            continue;
        }
        needed = needed.saturating_add(change.from.needed());
        if let Some(to) = change.to.filter(|to| to.nlink <= 1) {
            freed = freed.saturating_add(to.needed());
            largest = largest.max(to.needed());
        }
    }
    // A file that replaces another is whole before the other one goes.
    let content = needed.saturating_add(largest).saturating_sub(freed);
    let total = content.saturating_add(content / 100).saturating_add(created.saturating_mul(ENTRY));
    let failure = |error| to.failure("ask for the free space of", b"", b"", error);
    let has = rustix::fs::fstatvfs(to.root()).map_err(failure)?;
    let free = has.f_bavail.saturating_mul(has.f_frsize);
    if created > 0 && free < total.saturating_add(MARGIN) || total > 0 && free < total {
        let missing = total.saturating_add(MARGIN) - free;
        return Err(Failure::refused(format!(
            "no room in {}: {total} bytes are needed and {free} are free",
            to.path().display()
        ))
        .with_help(format!("free at least {missing} bytes there, then run again; nothing was changed")));
    }
    if has.f_files > 0 && created > has.f_favail {
        return Err(Failure::refused(format!(
            "no room in {}: {created} entries are to be made and its file system has inodes for {}",
            to.path().display(),
            has.f_favail
        ))
        .with_help("remove files there, or make that file system with more inodes; nothing was changed"));
    }
    Ok(())
}

/// Whether content can be cloned, tried with a file that has no name.
fn can_clone(from: &Tree, to: &Tree, directory: &[u8], name: &[u8], copier: &Copier) -> bool {
    let source = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let target = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let Ok(parent) = from.directory(directory) else { return false };
    let Ok(source) = rustix::fs::openat(&parent, name, source, Mode::empty()) else { return false };
    let Ok(target) = rustix::fs::openat(to.root(), c".", target, Mode::RUSR | Mode::WUSR) else {
        return false;
    };
    tracing::trace!(file = %super::tree::words(&join(directory, name)), "trying whether content can be cloned");
    copier.clone(source.as_fd(), target.as_fd()).unwrap_or(false)
}
