//! The primary's side: a driver whose secondaries may be on hosts that are reached only through their engines.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use resplit_operations::{
    ids::HostId,
    pair::{Apart, CopyReport, PairRef, PairState, Tag},
    site::PairDriverKind,
};

use super::{Ask, Far, Opening, Said, Stop, Talk, damaged};
use crate::{
    context::Work,
    drivers::{
        directory::overwrite,
        pairs::{Asked, Content, Difference, PairDriver},
    },
    failure::{Failure, FailureClass},
};

/// How often a conversation is tried, in a row, before its being cut is a failure.
const TRIES: u32 = 6;
/// The first pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// A conversation that went on for so long was worth its try.
const LONG: Duration = Duration::from_secs(60);

/// A driver that can be asked over a stream.
///
/// # Contract
///
/// Each of these opens its conversation with `Asking::opening`. What it reads or writes here is the primary; the other
/// side answers in [`PairDriver::answer`]. One whose conversation was cut is called again, with [`Asking::again`].
pub trait Streamed: PairDriver {
    /// What it drives.
    const KIND: PairDriverKind;

    /// Sends what differs: a resync, or a split.
    fn send(&self, asking: &Asking<'_>, talk: &mut Talk) -> Result<CopyReport, Stop>;

    /// Takes what the primary lacks: a restore.
    fn take(&self, asking: &Asking<'_>, talk: &mut Talk) -> Result<CopyReport, Stop>;

    /// Says what a resync, or a restore, would do.
    fn compare(&self, asking: &Asking<'_>, restoring: bool, talk: &mut Talk) -> Result<Difference, Stop>;

    /// Takes files of the image to another place.
    fn fetch(&self, asking: &Asking<'_>, to: &Path, talk: &mut Talk) -> Result<CopyReport, Stop>;
}

/// What is asked of a pair whose secondary is far.
pub struct Asking<'a> {
    /// The pair.
    pub pair: &'a PairRef,
    /// What is asked.
    pub ask: Ask,
    /// Who asks.
    pub asked: &'a Asked<'a>,
    /// The file in which this host keeps what it was told of the copy.
    pub cache: PathBuf,
    /// Whether an earlier conversation about the same was cut.
    pub again: bool,
    kind: PairDriverKind,
}

impl Asking<'_> {
    /// How the conversation begins, where `known` is the digest of what is kept of the copy.
    pub(in crate::drivers) fn opening(&self, known: Option<String>) -> Said {
        Said::Open {
            opening: Box::new(Opening {
                kind: self.kind,
                pair: self.pair.clone(),
                tag: self.asked.tag.clone(),
                token: self.asked.token,
                ask: self.ask.clone(),
                known,
                again: self.again,
            }),
        }
    }

    /// Keeps what was told of the copy. What cannot be kept is told again.
    pub(in crate::drivers) fn keep(&self, bytes: &[u8]) {
        let kept = self.cache.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let new = self.cache.with_extension("new");
            fs::write(&new, bytes)?;
            fs::rename(&new, &self.cache)
        });
        if let Err(error) = kept {
            tracing::warn!(cache = %self.cache.display(), %error, "what was told of a copy is not kept");
        }
    }
}

/// A driver, on one host, of pairs that may be apart.
pub struct Reached<D> {
    own: D,
    host: HostId,
    far: Arc<dyn Far>,
    cache: PathBuf,
}

impl<D: Streamed> Reached<D> {
    /// The driver `own` on a host. What is told of copies elsewhere is kept in the directory `cache`; it may be removed at
    /// any time.
    pub fn new(own: D, host: HostId, far: Arc<dyn Far>, cache: PathBuf) -> Self {
        Self { own, host, far, cache }
    }

    /// Where the secondary is, if it is far.
    fn apart<'p>(&self, pair: &'p PairRef) -> Option<&'p Apart> {
        pair.apart.as_deref().filter(|apart| apart.secondary_host != self.host)
    }

    /// The same for what has to read or write the primary. Refused where the primary is not.
    fn beside_primary<'p>(&self, pair: &'p PairRef) -> Result<Option<&'p Apart>, Failure> {
        match pair.apart.as_deref() {
            Some(apart) if apart.primary_host != self.host => Err(Failure::refused(format!(
                "the primary of pair {} is on host '{}', and this is '{}'",
                pair.copy_group, apart.primary_host, self.host
            ))
            .with_help(format!("ask the engine of '{}'", apart.primary_host))),
            apart => Ok(apart),
        }
    }

    /// Does what a step wants: a host on another machine that cannot be reached is waited for as long as the site says.
    fn converse<T>(
        &self,
        apart: &Apart,
        asking: (&PairRef, Ask),
        asked: &Asked<'_>,
        about: impl FnMut(&Asking<'_>, &mut Talk) -> Result<T, Stop>,
    ) -> Result<T, Failure> {
        let far = apart.hosts.get(&apart.secondary_host).filter(|_| !apart.is_one_machine());
        let wait = far.map(|host| host.wait().duration()).unwrap_or_default();
        self.converse_within(apart, asking, asked, wait, about)
    }

    /// Converses until it has succeeded, failed, or was cut too often; or for `wait`, if the other host is not reached.
    fn converse_within<T>(
        &self,
        apart: &Apart,
        (pair, ask): (&PairRef, Ask),
        asked: &Asked<'_>,
        wait: Duration,
        mut about: impl FnMut(&Asking<'_>, &mut Talk) -> Result<T, Stop>,
    ) -> Result<T, Failure> {
        let since = Instant::now();
        let name = blake3::hash(format!("{}\0{}", pair.volume, pair.copy_group).as_bytes()).to_hex();
        let cache = self.cache.join(&name.as_str()[..32]);
        let mut asking = Asking { pair, ask, asked, cache, again: false, kind: D::KIND };
        let (mut pause, mut left) = (PAUSE, TRIES);
        loop {
            asked.work.check()?;
            let began = Instant::now();
            let mut unreached = false;
            let why = match self.far.open(apart, asked.work) {
                Ok(wire) => {
                    let close = Arc::clone(&wire.close);
                    let mut talk = Talk::new(wire);
                    let ended = about(&asking, &mut talk);
                    match &ended {
                        Ok(_) => talk.finish(),
                        Err(Stop::Failed(failure)) if failure.class != FailureClass::Cancelled => {
                            talk.fail(failure);
                        }
                        Err(_) => {}
                    }
                    close();
                    match ended {
                        Ok(done) => return Ok(done),
                        Err(Stop::Failed(failure)) => return Err(failure),
                        Err(Stop::Cut(why)) => why,
                    }
                }
                Err(failure) if failure.class == FailureClass::Temporary => {
                    unreached = failure.unreached;
                    failure.message
                }
                Err(failure) => return Err(failure),
            };
            asked.work.check()?;
            asking.again = true;
            let is_waited_for = unreached && left == 1 && since.elapsed() < wait;
            if began.elapsed() > LONG || is_waited_for {
                (pause, left) = (PAUSE, TRIES);
            }
            left -= 1;
            if left == 0 {
                let host = &apart.secondary_host;
                let cut = Failure::temporary(format!(
                    "the stream of pair {} to host '{host}' was cut: {why}",
                    pair.copy_group
                ))
                .with_help(format!("resplit --host {host} status; what has arrived is not sent again"));
                return Err(if unreached { cut.of_unreached_host() } else { cut });
            }
            tracing::info!(pair = %pair.copy_group, %why, "a stream was cut; it is opened again");
            thread::sleep(pause);
            pause *= 2;
        }
    }

    /// Asks what needs neither tag nor token.
    fn question<T>(
        &self,
        apart: &Apart,
        (pair, ask): (&PairRef, Ask),
        work: &Work,
        about: impl FnMut(&Asking<'_>, &mut Talk) -> Result<T, Stop>,
    ) -> Result<T, Failure> {
        let asked = Asked { tag: Tag(String::new()), token: 0, work };
        self.converse_within(apart, (pair, ask), &asked, Duration::ZERO, about)
    }

    /// What is done only where the image is.
    fn only_there(pair: &PairRef, apart: &Apart) -> Failure {
        let host = &apart.secondary_host;
        Failure::refused(format!(
            "the image of pair {} is on host '{host}', and not on this one",
            pair.copy_group
        ))
        .with_help(format!("let the step run there: `host: {host}`, or `backup_server: {host}`"))
    }
}

fn ended(talk: &mut Talk) -> Result<CopyReport, Stop> {
    match talk.hear()? {
        Said::Ended { report, .. } => Ok(report),
        _ => Err(damaged("no end")),
    }
}

impl<D: Streamed> PairDriver for Reached<D> {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.status(pair) };
        self.question(apart, (pair, Ask::Status), &Work::silent(), |asking, talk| {
            talk.say(&asking.opening(None))?;
            match talk.hear()? {
                Said::State { state } => Ok(state),
                _ => Err(damaged("no status")),
            }
        })
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let Some(apart) = self.beside_primary(pair)? else { return self.own.resync(pair, asked) };
        self.converse(apart, (pair, Ask::Resync), asked, |asking, talk| self.own.send(asking, talk))
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let Some(apart) = self.beside_primary(pair)? else { return self.own.split(pair, order, asked) };
        self.converse(apart, (pair, Ask::Split { order }), asked, |asking, talk| self.own.send(asking, talk))
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let Some(apart) = self.beside_primary(pair)? else { return self.own.restore(pair, asked) };
        self.converse(apart, (pair, Ask::Restore), asked, |asking, talk| self.own.take(asking, talk))
    }

    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.delete(pair, asked) };
        self.converse(apart, (pair, Ask::Delete), asked, |asking, talk| {
            talk.say(&asking.opening(None))?;
            ended(talk)
        })
    }

    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let Some(apart) = self.beside_primary(pair)? else { return self.own.difference(pair, work) };
        self.question(apart, (pair, Ask::Compare { restoring: true }), work, |asking, talk| {
            self.own.compare(asking, true, talk)
        })
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let Some(apart) = self.beside_primary(pair)? else { return self.own.pending(pair, work) };
        self.question(apart, (pair, Ask::Compare { restoring: false }), work, |asking, talk| {
            self.own.compare(asking, false, talk)
        })
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        // Of a secondary that is far the engine there says what it refuses, before it counts the epoch up.
        if self.apart(pair).is_some() { Ok(()) } else { self.own.ready(pair) }
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.open_image(pair, at) };
        Err(Self::only_there(pair, apart))
    }

    fn users(&self, pair: &PairRef) -> Result<Vec<String>, Failure> {
        self.own.users(pair)
    }

    fn mounts_images(&self) -> bool {
        self.own.mounts_images()
    }

    fn writes_to_primary(&self, pair: &PairRef) -> bool {
        self.own.writes_to_primary(pair)
    }

    fn content(&self, primary: &Path) -> Result<Content, Failure> {
        self.own.content(primary)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.begin_overwrite(pair, at, asked) };
        Err(Self::only_there(pair, apart))
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.end_overwrite(pair, report, asked) };
        Err(Self::only_there(pair, apart))
    }

    fn copy_out(
        &self,
        image: &Path,
        paths: &[PathBuf],
        to: &Path,
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        self.own.copy_out(image, paths, to, work)
    }

    fn fetch(
        &self,
        pair: &PairRef,
        at: &Path,
        (paths, to): (&[PathBuf], &Path),
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        let Some(apart) = self.apart(pair) else {
            return PairDriver::fetch(&self.own, pair, at, (paths, to), work);
        };
        self.question(apart, (pair, Ask::Files { paths: paths.to_vec() }), work, |asking, talk| {
            if asking.again {
                // What an earlier conversation has brought, of nobody else.
                overwrite::empty(to, work)?;
            }
            Streamed::fetch(&self.own, asking, to, talk)
        })
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let Some(apart) = self.apart(pair) else { return self.own.remnants(pair) };
        self.question(apart, (pair, Ask::Remnants), &Work::silent(), |asking, talk| {
            talk.say(&asking.opening(None))?;
            match talk.hear()? {
                Said::Remnants { paths } => Ok(paths.into_iter().map(PathBuf::from).collect()),
                _ => Err(damaged("no list of what was left")),
            }
        })
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        match &pair.apart {
            Some(_) => {
                Ok("not needed: this host's engine itself writes what it is sent, through its own cache")
            }
            None => self.own.purge_cache(pair),
        }
    }

    fn answer(&self, opening: &Opening, asked: &Asked<'_>, talk: &mut Talk) -> Result<(), Stop> {
        self.own.answer(opening, asked, talk)
    }
}
