//! Files that another host sends: placed into staging, whole or not at all.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use resplit_steps::failure::Failure;

use crate::protocol::{Refusal, RefusalKind};

/// Places a file under a plain name. What arrives with another digest is refused.
pub(crate) fn place(staging: &Path, name: &str, digest: &str, bytes: &[u8]) -> Result<PathBuf, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
        let failure = Failure::refused(format!("'{}' is not a plain file name", name.escape_default()));
        return Err(Refusal { kind: RefusalKind::BadRequest, failure });
    }
    if blake3::hash(bytes).to_hex().as_str() != digest {
        let failure = Failure::temporary(format!("{name} did not arrive as it was sent"));
        return Err(Refusal { kind: RefusalKind::BadRequest, failure });
    }
    let path = staging.join(name);
    write(staging, &path, bytes).map_err(|error| Refusal {
        kind: RefusalKind::Internal,
        failure: Failure::io("write", &path, &error),
    })?;
    Ok(path)
}

fn write(staging: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(staging)?;
    // The whole name, so that two files of one stem are not written over each other.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    File::open(staging)?.sync_all()
}
