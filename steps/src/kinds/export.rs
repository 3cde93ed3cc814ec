//! export: write the record to a file that another host can import.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use resplit_operations::record::ExportFile;

use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    facts::{ExportFact, Facts},
    failure::Failure,
};

pub(super) struct Export;

fn path(context: &Context<'_>) -> PathBuf {
    context.directories.staging.join(file_name("export", context))
}

/// The name of a record's file: after the run, and of several in a run after what follows the kind in the step's name.
pub(super) fn file_name(kind: &str, context: &Context<'_>) -> String {
    format!("{kind}-{}{}.json", context.run, target(context))
}

/// Which of several records in a run this is about, as a part of a file's name.
pub(super) fn target(context: &Context<'_>) -> String {
    let step = context.step.as_str();
    let target = step.strip_prefix(context.action.kind()).and_then(|rest| rest.strip_prefix('-'));
    target.map(|target| format!("+{target}")).unwrap_or_default()
}

/// Writes a file whole or not at all, durably.
fn publish(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let staged = path.with_extension("partial");
    let mut file = File::create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    File::open(directory)?.sync_all()
}

impl Step for Export {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview { what: "the record, to a file".to_owned(), ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let obligations = vec![Obligation::RemoveStaging { path: path(context) }];
        Ok(Intent { obligations, ..Intent::default() })
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "the file is written anew, whole or not at all".to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let record = context.facts.record.as_ref();
        let record =
            record.ok_or_else(|| Failure::permanent("this run has made no record that could be exported"))?;
        let file = ExportFile::of(record);
        let bytes = serde_json::to_vec_pretty(&file)
            .map_err(|error| Failure::permanent(format!("cannot serialise backup {}: {error}", record.id)))?;
        let path = path(context);
        publish(&path, &bytes).map_err(|error| Failure::io("write", &path, &error))?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        Ok(Outcome {
            summary: format!("backup {}, {} bytes", record.id, bytes.len()),
            facts: Facts { exported: Some(ExportFact { path, digest, via: None }), ..Facts::default() },
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Obligation
    }
}
