//! transfer: carry the record's file to another host.

use std::fs;

use resplit_operations::action::Transfer;

use super::export::file_name;
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    facts::{ExportFact, Facts},
    failure::Failure,
};

pub(super) struct Transferring<'a>(pub(super) &'a Transfer);

impl Step for Transferring<'_> {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview { what: format!("the file, to {}", self.0.to), ..Preview::default() })
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "a file that arrives twice, by its digest, is one file".to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let exported = context.facts.exported.as_ref();
        let exported = exported.ok_or_else(|| Failure::permanent("this run has exported nothing"))?;
        let bytes = fs::read(&exported.path).map_err(|error| Failure::io("read", &exported.path, &error))?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        if digest != exported.digest {
            return Err(Failure::permanent(format!("{} is not as it was exported", exported.path.display()))
                .with_help(format!("resplit resume {}", context.run)));
        }
        let path = if self.0.to == *context.host {
            exported.path.clone()
        } else {
            context.peers.send_file(&self.0.to, &file_name("import", context), &bytes, &digest)?
        };
        Ok(Outcome {
            summary: format!("{} bytes to {}", bytes.len(), self.0.to),
            facts: Facts { received: Some(ExportFact { path, digest }), ..Facts::default() },
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
