//! transfer: carry the record's file to another host: to its engine, or over a transport, from which it is fetched.

use std::{fs, path::PathBuf};

use resplit_operations::{action::Transfer, ids::TransportId, site::Transport};

use super::export::{file_name, target};
use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::transfer::{self, TransferDriver},
    facts::{ExportFact, Facts},
    failure::Failure,
};

pub(super) struct Transferring<'a>(pub(super) &'a Transfer);

/// A transport of the plan's site.
pub(super) fn transport<'c>(context: &'c Context<'_>, via: &TransportId) -> Result<&'c Transport, Failure> {
    let missing = || Failure::permanent(format!("the plan's site has no transport '{via}'"));
    context.site.transports.get(via).ok_or_else(missing)
}

/// What the files of this operation on this host begin with, whichever run they are of. No name contains a plus.
fn family(context: &Context<'_>) -> String {
    format!("resplit+{}+{}+", context.host, context.operation)
}

/// What the files of this run begin with. Later runs sort after earlier ones.
fn of_run(context: &Context<'_>) -> String {
    let (run, operation) = (context.run.as_str(), context.operation.as_str());
    let moment = run.strip_prefix(operation).map_or(run, |rest| rest.trim_start_matches('-'));
    format!("{}{moment}", family(context))
}

/// The name of the file over a transport.
fn name(context: &Context<'_>) -> String {
    format!("{}{}.json", of_run(context), target(context))
}

/// Whether a name is one that is written here: what others put there may be called anything.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

/// Removes what earlier runs of the operation have left on the transport.
fn remove_stale(context: &Context<'_>, driver: &mut dyn TransferDriver) -> Result<usize, Failure> {
    let (family, own) = (family(context), of_run(context));
    let mut stale = driver.names()?;
    stale.retain(|name| name.starts_with(&family) && *name < own && is_plain(name));
    for name in &stale {
        context.work.check()?;
        driver.remove(name)?;
    }
    Ok(stale.len())
}

fn done(context: &Context<'_>, to: &str, length: usize, received: ExportFact) -> Outcome {
    let facts = Facts { received: Some(received), ..Facts::default() };
    let via = match &context.action {
        resplit_operations::action::Action::Transfer(Transfer { via: Some(via), .. }) => {
            format!(" via {via}")
        }
        _ => String::new(),
    };
    Outcome { summary: format!("{length} bytes to {to}{via}"), facts, ..Outcome::default() }
}

impl Transferring<'_> {
    /// What became of the file on a transport.
    fn look(&self, context: &Context<'_>, via: &TransportId) -> Result<Option<Outcome>, Failure> {
        let Some(exported) = &context.facts.exported else { return Ok(None) };
        let name = name(context);
        let found = transfer::open(transport(context, via)?, context.work)?.get(&name)?;
        let same = found.filter(|bytes| blake3::hash(bytes).to_hex().as_str() == exported.digest);
        let fact =
            ExportFact { path: PathBuf::from(name), digest: exported.digest.clone(), via: Some(via.clone()) };
        Ok(same.map(|bytes| done(context, self.0.to.as_str(), bytes.len(), fact)))
    }
}

impl Step for Transferring<'_> {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        let to = &self.0.to;
        let what = match &self.0.via {
            Some(via) => format!("the file, via {via}"),
            None => format!("the file, to {to}"),
        };
        Ok(Preview { what, ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let Some(via) = &self.0.via else { return Ok(Intent::default()) };
        let transport = Box::new(transport(context, via)?.clone());
        let obligation = Obligation::RemoveCarried { via: via.clone(), transport, name: name(context) };
        Ok(Intent { obligations: vec![obligation], ..Intent::default() })
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        let anew = "a file that arrives twice, by its digest, is one file";
        let found = self.0.via.as_ref().map(|via| self.look(context, via));
        Ok(match found {
            Some(Ok(Some(outcome))) => Probe::Done {
                outcome: Box::new(outcome),
                because: "the file is there, with the digest of what was exported".to_owned(),
            },
            Some(Err(failure)) => Probe::NotDone { because: format!("{anew}; it cannot be seen: {failure}") },
            Some(Ok(None)) => {
                Probe::NotDone { because: "the file is not there, or not as exported".to_owned() }
            }
            None => Probe::NotDone { because: anew.to_owned() },
        })
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
        if let Some(via) = &self.0.via {
            let transport = transport(context, via)?;
            let name = name(context);
            let carried = transfer::open(transport, context.work).and_then(|mut driver| {
                let _ = remove_stale(context, &mut *driver)?;
                transfer::put_checked(&mut *driver, &name, &bytes)
            });
            carried.map_err(|failure| transfer::named(via, transport, failure))?;
            let fact = ExportFact { path: PathBuf::from(name), digest, via: Some(via.clone()) };
            return Ok(done(context, self.0.to.as_str(), bytes.len(), fact));
        }
        let path = if self.0.to == *context.host {
            exported.path.clone()
        } else {
            context.peers.send_file(&self.0.to, &file_name("import", context), &bytes, &digest)?
        };
        Ok(done(context, self.0.to.as_str(), bytes.len(), ExportFact { path, digest, via: None }))
    }

    fn undo(&self) -> Undo {
        if self.0.via.is_some() { Undo::Obligation } else { Undo::Nothing }
    }
}
