//! The secondary's side: answers what another host asks of a pair that is here.

use std::sync::Arc;

use resplit_operations::{ids::HostId, pair::PairRef};

use super::{Ask, Opening, Said, Stop, Talk, Wire, damaged, sessions::Sessions};
use crate::{
    context::Work,
    drivers::{Drivers, pairs::Asked},
    failure::Failure,
};

/// Answers other hosts.
#[derive(Default)]
pub struct Answering(Sessions);

impl Answering {
    /// Whether a conversation that changes a pair is open.
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    /// Answers one conversation, to its end. Blocks. `may_write` says why nothing may be changed here, if that is so.
    pub fn answer(&self, drivers: &Drivers, host: &HostId, wire: Wire, may_write: Result<(), Failure>) {
        let close = Arc::clone(&wire.close);
        let mut talk = Talk::new(wire);
        match self.converse(drivers, host, &mut talk, may_write) {
            Ok(()) => {}
            Err(Stop::Cut(why)) => tracing::info!(%why, "a stream of a pair was cut"),
            Err(Stop::Failed(failure)) => {
                tracing::info!(%failure, "what was asked of a pair failed");
                talk.fail(&failure);
            }
        }
        close();
    }

    fn converse(
        &self,
        drivers: &Drivers,
        host: &HostId,
        talk: &mut Talk,
        may_write: Result<(), Failure>,
    ) -> Result<(), Stop> {
        let Said::Open { opening } = talk.hear()? else {
            return Err(damaged("a conversation that does not say what it is about"));
        };
        check(&opening.pair, host)?;
        let driver = drivers.pairs(opening.kind)?;
        let pair = &opening.pair;
        match &opening.ask {
            Ask::Status => return talk.say(&Said::State { state: driver.status(pair)? }),
            Ask::Remnants => {
                let paths = driver.remnants(pair)?.iter().map(|path| path.display().to_string()).collect();
                return talk.say(&Said::Remnants { paths });
            }
            _ => {}
        }
        let work = Work::silent();
        let asked = Asked { tag: opening.tag.clone(), token: opening.token, work: &work };
        let _held = if opening.changes() {
            may_write?;
            Some(self.0.begin(&pair.secondary, &asked, &talk.close)?)
        } else {
            None
        };
        if opening.ask == Ask::Delete {
            let report = driver.delete(pair, &asked)?;
            return talk.say(&Said::Ended { report, knowledge: false });
        }
        driver.answer(&opening, &asked, talk)
    }
}

impl Opening {
    /// Whether it changes the pair.
    fn changes(&self) -> bool {
        matches!(self.ask, Ask::Delete | Ask::Resync | Ask::Split { .. } | Ask::Restore)
    }
}

/// Refuses what is not a pair whose secondary is here.
fn check(pair: &PairRef, host: &HostId) -> Result<(), Failure> {
    let wanted = pair.apart.as_ref().map(|apart| &apart.secondary_host);
    if wanted == Some(host) && pair.secondary.is_absolute() {
        return Ok(());
    }
    Err(Failure::refused(format!("the secondary of pair {} is not on host '{host}'", pair.copy_group))
        .with_help("see that all hosts have the same site file"))
}
