//! Transports: places over which one host hands files to another.

mod directory;
mod ftp;
mod s3;
mod sftp;
mod trust;

use resplit_operations::{
    ids::TransportId,
    record::ExportFile,
    site::{Transport, transport::Scheme},
};

use crate::{
    context::Work,
    failure::{Failure, FailureClass},
};

/// The largest file that is carried, in bytes: what an import reads.
pub const MOST_BYTES: usize = ExportFile::MOST_BYTES;

/// What a file is called until it is whole.
const PARTIAL: &str = ".partial";

/// A place that is open.
///
/// # Contract
///
/// - Names are plain: no separators, no leading dot or dash.
/// - A file is there under its name whole or not at all. Put again, it is replaced. What is put under a name while it is
///   not whole has that name with `.partial` behind it, and may be left behind by who is killed.
/// - The place itself is not made: one that is not there is not mounted, or not the one that was meant.
/// - Failures say what was done, at which place, and why, and hold no secret.
pub trait TransferDriver {
    /// Puts a file there.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure>;

    /// Reads a file; `None` if it is not there. Refuses more than [`MOST_BYTES`].
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// What there is, in no order.
    fn names(&mut self) -> Result<Vec<String>, Failure>;

    /// Removes a file; one that is not there is removed.
    fn remove(&mut self, name: &str) -> Result<(), Failure>;
}

/// Opens a transport. Secrets are read now, and forgotten when it is closed.
pub fn open(transport: &Transport, work: &Work) -> Result<Box<dyn TransferDriver>, Failure> {
    Ok(match transport.url.scheme {
        Scheme::File => Box::new(directory::Directory::open(transport)?),
        Scheme::Sftp => Box::new(sftp::Sftp::open(transport, work)),
        Scheme::Ftp | Scheme::Ftps => Box::new(ftp::Ftp::open(transport, work)?),
        Scheme::S3 => Box::new(s3::S3::open(transport, work)?),
    })
}

/// Puts a file, and reads back what has arrived.
pub fn put_checked(driver: &mut dyn TransferDriver, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    driver.put(name, bytes)?;
    if driver.get(name)?.is_some_and(|arrived| arrived == bytes) {
        return Ok(());
    }
    let failure = Failure::temporary(format!("{name} did not arrive as it was sent"));
    // What is wrong is not left to be found; that it cannot be removed changes nothing of what is told.
    let _ = driver.remove(name);
    Err(failure)
}

/// Removes a file that was handed over, and what there is of it if it was not written to its end.
///
/// # Errors
/// That it may still be there, and why.
pub fn discard(id: &TransportId, transport: &Transport, name: &str) -> Result<(), Failure> {
    let removed = open(transport, &Work::silent()).and_then(|mut driver| {
        driver.remove(&format!("{name}{PARTIAL}"))?;
        driver.remove(name)
    });
    removed.map_err(|failure| named(id, transport, failure))
}

/// A failure over a transport, which is named.
pub fn named(id: &TransportId, transport: &Transport, mut failure: Failure) -> Failure {
    failure.message = format!("transport '{id}' ({}): {}", transport.url, failure.message);
    if failure.help.is_none() && matches!(failure.class, FailureClass::Permanent | FailureClass::Refused) {
        failure.help =
            Some(format!("correct the transport '{id}' in site.yaml, or what it names; then resplit resume"));
    }
    failure
}

/// That a file is larger than any that is carried.
fn too_large(name: &str) -> Failure {
    Failure::permanent(format!("{name} has more than {MOST_BYTES} bytes, which no exported record has"))
}

#[cfg(test)]
mod tests;
