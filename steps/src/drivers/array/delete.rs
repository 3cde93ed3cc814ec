//! Dissolves a pair: the array forgets it. What is on the secondary stays there, and is nobody's image any more.

use resplit_operations::pair::{CopyReport, PairStatus, PairVerb};

use super::{Asking, Book, status::in_flight, verbs::refuse_restoring};
use crate::{
    drivers::{
        book::{open_or_new, restoring},
        pairs::Asked,
    },
    failure::Failure,
};

impl Asking<'_> {
    pub(super) fn delete(&self, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let driver = &self.array.driver;
        let delete = self.array.file.verbs.delete.as_ref().ok_or_else(|| {
            Failure::refused(format!("the driver '{driver}' dissolves no pairs")).with_help(format!(
                "dissolve it by the array's own commands, or say which in drivers/{driver}.yaml (verbs.delete)"
            ))
        })?;
        if let Some(name) = self.array.lacks(&delete.only) {
            let value = self.array.setting(name).unwrap_or_default();
            let group = &self.pair.copy_group;
            return Err(Failure::refused(format!(
                "pair {group}: with the setting {name}: {value} it is not dissolved"
            ))
            .with_help("dissolve it by the array's own commands"));
        }
        if Book::read(self.pair)?.is_none() && self.reading()?.status == PairStatus::Smpl {
            return Ok(CopyReport::default());
        }
        self.refuse_mounted()?;
        let (_lock, mut book) = open_or_new(self.pair, asked, self.driver.clock.now())?;
        self.while_up(|| {
            let before = self.read()?.status;
            refuse_restoring(self, &book)?;
            let is_begun =
                in_flight(&book) && book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Delete);
            let commands = match before {
                PairStatus::Rcpy => return Err(restoring(self.pair)),
                PairStatus::Smpl if is_begun => None,
                PairStatus::Smpl => {
                    // Somebody else may have dissolved it.
                    if self.notice(&mut book, before) {
                        book.write(&self.pair.secondary)?;
                    }
                    return Ok(CopyReport::default());
                }
                _ => Some(delete),
            };
            let verb = self.verb(asked, PairVerb::Delete);
            self.framed(&verb, &mut book, before, |book| {
                let _ = self.carry_out(commands, delete, before, PairStatus::Smpl, asked)?;
                // It holds no backup: of all pairs of the volume it is the first to be chosen.
                book.backed_up = 0;
                Ok(CopyReport { removed: 1, ..CopyReport::default() })
            })
        })
    }
}
