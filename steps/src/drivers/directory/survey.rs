//! What a pass would do: the walk over the original, compared with the copy, before anything is touched.

use super::{
    compare::{Against, Visited, visit},
    links::{Link, group},
    list::Buffer,
    progress::Counter,
    remove::Size,
    side::Side,
    tree::join,
    walk::walk,
};
use crate::{context::Work, failure::Failure};

/// What was found.
pub(super) struct Survey {
    /// Every directory of the original, in the order of paths.
    pub(super) visited: Vec<Visited>,
    /// Names that become links to other names.
    pub(super) links: Vec<Link>,
    /// Entries and bytes of content of the original, its root left out.
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// What only the copy has, with all that it holds.
    pub(super) extra: Size,
}

/// Walks `from` and compares.
pub(super) fn survey(from: Side<'_>, against: &Against<'_>, work: &Work) -> Result<Survey, Failure> {
    survey_of(from, against, vec![Vec::new()], Vec::new(), work)
}

/// The same for the directories `roots` and what is below them; `others` were looked at already.
pub(super) fn survey_of(
    from: Side<'_>,
    against: &Against<'_>,
    roots: Vec<Vec<u8>>,
    others: Vec<Visited>,
    work: &Work,
) -> Result<Survey, Failure> {
    let counter = Counter::new(work, None, None);
    let mut visited = walk(roots, Buffer::new, |buffer, path, found| {
        let visited = visit(from, against, buffer, path, found)?;
        counter.add(visited.count, 0)?;
        Ok(visited)
    })?;
    visited.extend(others);
    visited.sort_unstable_by(|a: &Visited, b| a.path.cmp(&b.path));
    let index = match against {
        Against::Index(index) => Some(*index),
        _ => None,
    };
    let links = group(&mut visited, index);
    let extra = extra(&visited, against, work)?;
    Ok(Survey {
        entries: visited.iter().map(|directory| directory.count).sum(),
        bytes: visited.iter().map(|directory| directory.bytes).sum(),
        visited,
        links,
        extra,
    })
}

impl Survey {
    /// Whether the copy is as the original.
    pub(super) fn is_equal(&self) -> bool {
        self.links.is_empty()
            && self.visited.iter().all(|directory| {
                !directory.touched && directory.changes.is_empty() && directory.removals.is_empty()
            })
    }

    /// How many entries may have to be written.
    pub(super) fn to_do(&self) -> u64 {
        let changes: usize = self.visited.iter().map(|directory| directory.changes.len()).sum();
        u64::try_from(changes + self.links.len()).unwrap_or(u64::MAX)
    }
}

/// Measures what only the copy has.
fn extra(visited: &[Visited], against: &Against<'_>, work: &Work) -> Result<Size, Failure> {
    let mut extra = Size::default();
    for directory in visited {
        for removal in &directory.removals {
            let path = join(&directory.path, &removal.name);
            let size = match against {
                Against::Tree { to, .. } | Against::Snapshot { to, .. } => {
                    to.measure(&path, &removal.stat, work)?
                }
                Against::Index(index) if removal.stat.is_directory() => index.size_below(&path),
                _ => Size { entries: 1, allocated: removal.stat.needed() },
            };
            extra.entries += size.entries;
            extra.allocated = extra.allocated.saturating_add(size.allocated);
        }
    }
    Ok(extra)
}
