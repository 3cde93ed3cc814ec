//! Copies some of an image to another place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use resplit_operations::pair::CopyReport;
use rustix::io::Errno;

use super::{
    apply::Apply,
    compare::{Against, Change, Direction, How, Linked, Visited},
    content::Copier,
    guard::real,
    index::{Entry, Evidence},
    list::Buffer,
    onto::Onto,
    remove::split,
    side::Side,
    space,
    stat::Stat,
    survey::{Survey, survey_of},
    tree::{Tree, join, words},
};
use crate::{context::Work, failure::Failure};

/// Copies `paths` of the image to `to`, refused whole if any of them is there already.
pub(in crate::drivers) fn copy_out(
    image: &Path,
    paths: &[PathBuf],
    to: &Path,
    work: &Work,
) -> Result<CopyReport, Failure> {
    if real(to).starts_with(real(image)) {
        return Err(Failure::refused(format!("{} lies in the image itself", to.display()))
            .with_help("name a directory elsewhere"));
    }
    let tree = Tree::open(image)?;
    let (mut survey, target) = wanted((&tree).into(), image, paths, to, work)?;
    let copier = Copier::new();
    space::check(Some((&tree, &copier)), &target, &survey)?;
    let apply = Apply {
        from: &tree,
        onto: Onto { to: &target, direction: Direction::Resync, is_new: false, work },
        copier: &copier,
    };
    let report = apply.run(&mut survey)?;
    rustix::fs::syncfs(target.root()).map_err(|error| target.failure("make durable", b"", b"", error))?;
    Ok(report)
}

/// What is to be made of `paths` of an image in `to`, which is made: refused whole if any of them is there already.
pub(super) fn wanted(
    side: Side<'_>,
    image: &Path,
    paths: &[PathBuf],
    to: &Path,
    work: &Work,
) -> Result<(Survey, Tree), Failure> {
    let wanted = if paths.is_empty() { everything(side)? } else { relative(paths)? };
    let mut found = BTreeMap::new();
    for path in wanted {
        let stat = look(side, &path)?.ok_or_else(|| {
            Failure::refused(format!("{} is not in the image {}", words(&path), image.display()))
                .with_help("name files and directories as they are called in the image, relative to its root")
        })?;
        let there = to.join(Path::new(std::ffi::OsStr::from_bytes(&path)));
        if there.symlink_metadata().is_ok() {
            return Err(Failure::refused(format!("{} is there already", there.display()))
                .with_help("nothing was copied; name another directory, or move it away"));
        }
        let _ = found.insert(path, stat);
    }
    let exists = to.exists();
    let roots = found.iter().filter(|(_, stat)| stat.is_directory()).map(|(path, _)| path.clone()).collect();
    let parents = parents(side, to, exists, &found)?;
    let survey = survey_of(side, &Against::Nothing, roots, parents, work)?;
    if !exists {
        fs::create_dir_all(to).map_err(|error| Failure::io("make the directory", to, &error))?;
    }
    Ok((survey, Tree::open(to)?))
}

/// The names in the image's root.
fn everything(image: Side<'_>) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let (_, listed) = image
        .read(b"", &mut Buffer::new())
        .map_err(|error| image.failure("read the directory", b"", b"", error))?;
    Ok(listed.into_iter().map(|entry| entry.name.into_vec()).collect())
}

/// The paths asked for, without those that lie in others.
fn relative(paths: &[PathBuf]) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let mut wanted = BTreeSet::new();
    for path in paths {
        let mut clean = Vec::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => clean = join(&clean, name.as_bytes()),
                _ => {
                    return Err(Failure::refused(format!(
                        "{} is not a path within the image",
                        path.display()
                    ))
                    .with_help("name files and directories relative to the image's root, without '..'"));
                }
            }
        }
        if clean.is_empty() {
            return Err(Failure::refused("the image's root was named among the paths")
                .with_help("name no path at all: then everything is copied"));
        }
        let _ = wanted.insert(clean);
    }
    let all = wanted.clone();
    wanted.retain(|path| !above(path).any(|above| all.contains(above)));
    Ok(wanted)
}

/// The directories that a path lies in, the root left out.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(split(path).0), |path| Some(split(path).0)).take_while(|path| !path.is_empty())
}

fn look(side: Side<'_>, path: &[u8]) -> Result<Option<Stat>, Failure> {
    let (directory, name) = split(path);
    match side.look(directory, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(side.failure("look at", directory, name, error)),
    }
}

/// The directories that what is wanted lies in: of each only what leads to it. Those that are there stay as they are.
fn parents(
    image: Side<'_>,
    to: &Path,
    exists: bool,
    wanted: &BTreeMap<Vec<u8>, Stat>,
) -> Result<Vec<Visited>, Failure> {
    let target = exists.then(|| Tree::open(to)).transpose()?;
    let mut directories: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Stat>> = BTreeMap::new();
    for (path, stat) in wanted {
        let mut add = |path: &[u8], stat: Stat| {
            let (directory, name) = split(path);
            directories.entry(directory.to_vec()).or_default().insert(name.to_vec(), stat)
        };
        let _ = add(path, *stat);
        for path in above(path) {
            let Some(stat) = look(image, path)? else { continue };
            let _ = add(path, stat);
        }
    }
    let mut parents = Vec::new();
    for (path, names) in directories {
        let own = if path.is_empty() { None } else { look(image, &path)? };
        let is_there = |path: &[u8]| match &target {
            Some(target) => look(target.into(), path).map(|found| found.is_some()),
            None => Ok(false),
        };
        // The directory that was named is the operator's own: it keeps its attributes.
        let mut parent = Visited::new(path.clone(), own.unwrap_or_default());
        parent.touched = own.is_some() && !is_there(&path)?;
        let mut entries = Vec::new();
        for (slot, (name, stat)) in names.into_iter().enumerate() {
            if !is_there(&join(&path, &name))? {
                parent.changes.push(Change { slot, from: stat, to: None, how: How::Create });
                parent.count += 1;
            }
            let name: Box<[u8]> = name.into();
            if stat.is_linked() {
                parent.linked.push(Linked { name: name.clone(), stat });
            } else {
                parent.bytes += stat.content();
            }
            entries.push(Entry { name, primary: stat, copy: Evidence::default() });
        }
        parent.entries = Some(entries);
        parents.push(parent);
    }
    Ok(parents)
}
