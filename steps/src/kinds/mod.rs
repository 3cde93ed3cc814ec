//! The step kinds, one a file.

use resplit_operations::action::Action;

use crate::contract::Step;

mod abort_split;
mod command;
mod confirm;
mod delete;
mod elsewhere;
mod export;
mod foreseen;
mod import;
mod mount;
mod overwritten;
mod purge_cache;
mod quiesce;
mod record;
mod restore;
mod resync;
mod split;
mod tape_backup;
mod tape_restore;
mod thaw;
mod transfer;
mod unmount;

/// The step that an action asks for.
pub fn step(action: &Action) -> Box<dyn Step + '_> {
    match action {
        Action::PurgeCache(step) => Box::new(purge_cache::PurgeCache(step)),
        Action::Resync(step) => Box::new(resync::Resync(step)),
        Action::Quiesce(step) => Box::new(quiesce::QuiesceStep(step)),
        Action::Split(step) => Box::new(split::Split(step)),
        Action::AbortSplit(step) => Box::new(abort_split::AbortSplit(step)),
        Action::Thaw(step) => Box::new(thaw::ThawStep(step)),
        Action::Record(step) => Box::new(record::Recording(step)),
        Action::Export(_) => Box::new(export::Export),
        Action::Transfer(step) => Box::new(transfer::Transferring(step)),
        Action::Import(_) => Box::new(import::Import),
        Action::Confirm(step) => Box::new(confirm::Confirming(step)),
        Action::Mount(_) => Box::new(mount::Mount),
        Action::Unmount(_) => Box::new(unmount::Unmount),
        Action::TapeBackup(step) => Box::new(tape_backup::TapeBackupStep(step)),
        Action::TapeRestore(step) => Box::new(tape_restore::TapeRestoreStep(step)),
        Action::Restore(step) => Box::new(restore::Restoring(step)),
        Action::Delete(step) => Box::new(delete::Delete(step)),
        Action::Command(step) => Box::new(command::CommandStep(step)),
    }
}

#[cfg(test)]
mod tests;
