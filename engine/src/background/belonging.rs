//! A state directory belongs to one site: the link `site` in it says to which. Two sites that shared one would overwrite
//! each other's records.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use resplit_steps::failure::Failure;
use rustix::fs::{CWD, renameat};

/// The link in a state directory.
const LINK: &str = "site";

/// Makes a state directory that of a site, unless it is another's.
pub(super) fn claim(state: &Path, site: &Path) -> Result<(), Failure> {
    if check(state, site)? {
        return Ok(());
    }
    let link = state.join(LINK);
    set(state, &link, site).map_err(|error| Failure::io("create", &link, &error))?;
    // Of two that did so at once, one sees the other.
    check(state, site).map(drop)
}

/// Refuses the state directory of another site; says whether it is known to be this one's. What lies in the site directory
/// is its own, and so is what belonged to a site that is not there any more: sites are copied and moved.
pub(super) fn check(state: &Path, site: &Path) -> Result<bool, Failure> {
    let link = state.join(LINK);
    let owner = match fs::read_link(&link) {
        Ok(owner) => owner,
        // Whoever may not look is told so when the engine is asked.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(false);
        }
        Err(error) => return Err(Failure::io("read", &link, &error)),
    };
    if owner == site {
        return Ok(true);
    }
    if state.starts_with(site) || !is_other(&owner, site) {
        return Ok(false);
    }
    let text = format!("the state directory {} belongs to the site {}", state.display(), owner.display());
    Err(Failure::refused(text).with_help("give the host a state directory of its own: `state:` in site.yaml"))
}

/// Whether a site is still there, and not `site` under another name.
fn is_other(owner: &Path, site: &Path) -> bool {
    let file =
        |directory: &Path| directory.join("site.yaml").metadata().map(|found| (found.dev(), found.ino()));
    file(owner).is_ok_and(|owner| file(site).is_ok_and(|site| site != owner))
}

fn set(state: &Path, link: &Path, site: &Path) -> io::Result<()> {
    let new: PathBuf = state.join(format!(".{LINK}.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    symlink(site, &new)?;
    Ok(renameat(CWD, &new, CWD, link)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site directory.
    fn site(home: &Path, name: &str) -> PathBuf {
        let site = home.join(name);
        fs::create_dir_all(&site).unwrap();
        fs::write(site.join("site.yaml"), "").unwrap();
        site
    }

    #[test]
    fn a_state_directory_is_one_sites() {
        let home = tempfile::tempdir().unwrap();
        let (one, two, state) =
            (site(home.path(), "one"), site(home.path(), "two"), home.path().join("state"));
        fs::create_dir(&state).unwrap();
        claim(&state, &one).unwrap();
        claim(&state, &one).unwrap();
        let refused = claim(&state, &two).unwrap_err();
        assert!(
            refused.message.contains("belongs to the site") && refused.message.contains("one"),
            "{refused}"
        );
        fs::rename(&one, home.path().join("moved")).unwrap();
        claim(&state, &home.path().join("moved")).unwrap();
        claim(&state, &two).unwrap_err();
    }

    #[test]
    fn a_copied_site_owns_the_state_directory_in_it() {
        let home = tempfile::tempdir().unwrap();
        let (one, copy) = (site(home.path(), "one"), site(home.path(), "copy"));
        fs::create_dir(copy.join("state")).unwrap();
        symlink(&one, copy.join("state").join(LINK)).unwrap();
        claim(&copy.join("state"), &copy).unwrap();
        assert_eq!(fs::read_link(copy.join("state").join(LINK)).unwrap(), copy);
    }
}
