//! Files that may differ: both sides read their own, and only digests are compared.

use std::thread;

use rustix::fd::AsFd;

use super::{
    super::{
        compare::How,
        content::{self, Stopped},
        index::Reader,
        links::Slot,
        place::{Trouble, open_source},
        remove::split,
        stat::Stat,
        survey::Survey,
        tree::{Tree, join},
        walk::walk_slices,
    },
    item::{is_path, read_text, text},
};
use crate::{
    context::Work,
    drivers::stream::{Said, Stop, Talk, damaged},
    failure::Failure,
};

/// A digest, and before it whether there is one.
const LENGTH: usize = 1 + blake3::OUT_LEN;

/// Asks the other side for the digests of all files that may differ, and notes which are the same. `here` is the side that
/// is here; `is_from` says that it is the one that is copied.
pub(super) fn compare(
    survey: &mut Survey,
    here: Option<&Tree>,
    is_from: bool,
    talk: &mut Talk,
    work: &Work,
) -> Result<(), Stop> {
    let mut asked: Vec<(Slot, Vec<u8>, Stat)> = Vec::new();
    for (at, directory) in survey.visited.iter().enumerate() {
        let Some(entries) = &directory.entries else { continue };
        for change in directory.changes.iter().filter(|c| c.how == How::Verify && c.from.is_file()) {
            let Some(own) = (if is_from { Some(change.from) } else { change.to }) else { continue };
            asked.push(((at, change.slot), join(&directory.path, &entries[change.slot].name), own));
        }
    }
    let Some(here) = here.filter(|_| !asked.is_empty()) else { return Ok(()) };
    let mut packed = Vec::new();
    for (_, path, _) in &asked {
        text(&mut packed, path);
    }
    talk.say(&Said::Digests)?;
    talk.out.pack(&packed)?;
    let (own, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| talk.input.unpack());
        let numbered: Vec<_> = asked.iter().enumerate().collect();
        let own = walk_slices(&numbered, |(number, (_, path, stat))| {
            Ok((*number, digest(here, path, Some(stat), work)?))
        });
        let theirs = theirs.join().unwrap_or_else(|_| Err(Stop::Cut("a thread ended".to_owned())));
        (own, theirs)
    });
    let (own, theirs) = (own?, theirs?);
    if theirs.len() != asked.len() * LENGTH {
        return Err(damaged("another number of digests than was asked for"));
    }
    for (number, own) in own {
        let their = &theirs[number * LENGTH..(number + 1) * LENGTH];
        if !own.is_some_and(|own| their[0] == 1 && their[1..] == own.as_bytes()[..]) {
            continue;
        }
        let (at, slot) = asked[number].0;
        let changes = &mut survey.visited[at].changes;
        if let Some(change) = changes.iter_mut().find(|change| change.slot == slot) {
            change.how = How::Attributes;
        }
    }
    Ok(())
}

/// Answers which digests the files have that the other side names.
pub(super) fn answer(tree: &Tree, talk: &mut Talk, work: &Work) -> Result<(), Stop> {
    let bytes = talk.input.unpack()?;
    let mut reader = Reader::new(&bytes);
    let mut asked = Vec::new();
    while !reader.is_over() {
        let path = read_text(&mut reader).filter(|path| !path.is_empty() && is_path(path));
        asked.push((asked.len(), path.ok_or_else(|| damaged("a path that leads elsewhere"))?));
    }
    let mut digests = vec![0; asked.len() * LENGTH];
    for (number, digest) in
        walk_slices(&asked, |(number, path)| Ok((*number, digest(tree, path, None, work)?)))?
    {
        if let Some(digest) = digest {
            let place = &mut digests[number * LENGTH..(number + 1) * LENGTH];
            place[0] = 1;
            place[1..].copy_from_slice(digest.as_bytes());
        }
    }
    talk.out.pack(&digests)
}

/// The digest of a file that has one name, if it is as it was seen while it is read.
fn digest(
    tree: &Tree,
    path: &[u8],
    seen: Option<&Stat>,
    work: &Work,
) -> Result<Option<blake3::Hash>, Failure> {
    let (directory, name) = split(path);
    let Ok(parent) = tree.directory(directory) else { return Ok(None) };
    let refused = |error| tree.failure("read", directory, name, error);
    let file = match open_source(parent.as_fd(), name) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(Trouble::Asked(failure)) => return Err(failure),
        Err(Trouble::Refused(_, error)) => return Err(refused(error)),
    };
    let before = Stat::of(&file).map_err(refused)?;
    if !before.is_file() || before.nlink != 1 || seen.is_some_and(|seen| !seen.is_same_moment(&before)) {
        return Ok(None);
    }
    let digest = content::digest(file.as_fd(), &|_| work.check()).map_err(|stopped| match stopped {
        Stopped::Refused(error) => refused(error),
        Stopped::Asked(failure) => failure,
    })?;
    let after = Stat::of(&file).map_err(refused)?;
    Ok(before.is_same_moment(&after).then_some(digest))
}
