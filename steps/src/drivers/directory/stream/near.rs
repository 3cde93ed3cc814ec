//! The primary's side.

use std::{fs, path::Path};

use resplit_operations::{
    pair::{CopyReport, PairVerb},
    site::PairDriverKind,
};

use super::{
    super::{
        DirectoryPairs,
        compare::{Against, Direction},
        copy_out, difference, guard,
        index::{Header, Index},
        links::Slot,
        onto::Onto,
        pass::{Seen, packed, settle},
        side::Side,
        space,
        stat::{Moment, Stat},
        state::DATA,
        survey::{Survey, survey},
        tree::Tree,
    },
    digests, plan,
    receive::Receiver,
    send::Sender,
};
use crate::{
    drivers::{
        pairs::Difference,
        stream::{Account, Ask, Asking, Said, Standing, Stop, Streamed, Talk, damaged},
    },
    failure::Failure,
};

/// What was told of the secondary.
struct Told {
    standing: Standing,
    /// What the last pass saw.
    index: Option<Index>,
    /// What is there.
    listing: Option<Index>,
}

/// How the conversation goes on.
enum Beginning {
    /// All is done already.
    Ended(CopyReport),
    Told(Told),
}

/// Opens the conversation, and hears what is known of the copy.
fn begin(asking: &Asking<'_>, talk: &mut Talk) -> Result<Beginning, Stop> {
    let cached = fs::read(&asking.cache).ok().and_then(Index::read);
    talk.say(&asking.opening(cached.as_ref().map(Index::digest)))?;
    let standing = match talk.hear()? {
        Said::Standing { standing } => standing,
        Said::Ended { report, knowledge } => {
            ended(asking, talk, knowledge)?;
            return Ok(Beginning::Ended(report));
        }
        _ => return Err(damaged("no account of the copy")),
    };
    let index =
        match &standing.known {
            Some(digest) if standing.known_follows => {
                let index = read(talk.input.unpack()?)?;
                if index.digest() != *digest {
                    return Err(damaged("an account of the copy that is not the one announced"));
                }
                asking.keep(index.bytes());
                Some(index)
            }
            Some(digest) => Some(cached.filter(|cached| cached.digest() == *digest).ok_or_else(|| {
                damaged("an account of the copy that this host was said to have, and has not")
            })?),
            None => None,
        };
    let listing = if standing.copy == Account::Listed { Some(read(talk.input.unpack()?)?) } else { None };
    Ok(Beginning::Told(Told { standing, index, listing }))
}

fn read(bytes: Vec<u8>) -> Result<Index, Stop> {
    Index::read(bytes).ok_or_else(|| damaged("an account of the copy that cannot be read"))
}

/// Keeps what is told of the copy at the end.
fn ended(asking: &Asking<'_>, talk: &mut Talk, knowledge: bool) -> Result<(), Stop> {
    if knowledge {
        asking.keep(read(talk.input.unpack()?)?.bytes());
    }
    Ok(())
}

impl Told {
    /// The copy that a resync compares with.
    fn against<'a>(&'a self, data: &'a Path) -> Result<Against<'a>, Stop> {
        match (self.standing.copy, &self.index, &self.listing) {
            (Account::Fresh, ..) => Ok(Against::Nothing),
            (Account::Settled, Some(index), _) => Ok(Against::Index(index)),
            (Account::Listed, index, Some(listing)) => Ok(Against::Tree {
                to: Side::Told(listing, data),
                index: index.as_ref(),
                direction: Direction::Resync,
            }),
            _ => Err(damaged("no account of what is there")),
        }
    }

    /// The image that a restore restores.
    fn image(&self) -> Result<&Index, Stop> {
        self.listing.as_ref().ok_or_else(|| damaged("no account of the image"))
    }

    /// The index of the restore that was made.
    fn header(&self, moment: Moment) -> Result<Header, Stop> {
        let identity = blake3::Hash::from_hex(&self.standing.identity);
        let pair = identity.map_err(|_| damaged("a pair without an ID"))?;
        let pass = self.standing.pass.checked_add(1).ok_or_else(|| damaged("too many passes"))?;
        Ok(Header { pair: *pair.as_bytes(), pass, moment })
    }
}

fn inode(tree: &Tree) -> Result<u64, Failure> {
    let root = Stat::of(tree.root()).map_err(|error| tree.failure("look at", b"", b"", error))?;
    Ok(root.ino)
}

/// Says what differs; `None` if the other side may be sent, or sends, the content now.
fn agree(survey: &Survey, seen: Seen, talk: &mut Talk) -> Result<Option<Said>, Stop> {
    talk.say(&Said::Plan)?;
    talk.out.pack(&plan::encode(survey, seen))?;
    match talk.hear()? {
        Said::Begun => Ok(None),
        said => Ok(Some(said)),
    }
}

impl Streamed for DirectoryPairs {
    const KIND: PairDriverKind = PairDriverKind::Directory;

    fn send(&self, asking: &Asking<'_>, talk: &mut Talk) -> Result<CopyReport, Stop> {
        let (pair, work) = (asking.pair, asking.asked.work);
        let is_split = matches!(asking.ask, Ask::Split { .. });
        if !is_split {
            guard::is_there(&pair.primary)?;
            guard::nested(pair)?;
        }
        let told = match begin(asking, talk)? {
            Beginning::Ended(report) => return Ok(report),
            Beginning::Told(told) => told,
        };
        let moment = Moment::of_stamps();
        let primary = Tree::open(&pair.primary)?;
        let seen = Seen { inode: inode(&primary)?, moment };
        let data = pair.secondary.join(DATA);
        let against = told.against(&data)?;
        let mut survey = survey((&primary).into(), &against, work)?;
        digests::compare(&mut survey, Some(&primary), true, talk, work)?;
        let said = match agree(&survey, seen, talk)? {
            Some(said) => said,
            None => Sender { from: &primary, survey: &survey, work }.run(talk)?,
        };
        let Said::Ended { report, knowledge } = said else { return Err(damaged("no end")) };
        ended(asking, talk, knowledge)?;
        Ok(report)
    }

    fn take(&self, asking: &Asking<'_>, talk: &mut Talk) -> Result<CopyReport, Stop> {
        let (pair, work) = (asking.pair, asking.asked.work);
        guard::nested(pair)?;
        let told = match begin(asking, talk)? {
            Beginning::Ended(report) => return Ok(report),
            Beginning::Told(told) => told,
        };
        if !pair.primary.exists() {
            fs::create_dir(&pair.primary)
                .map_err(|error| Failure::io("make the directory", &pair.primary, &error))?;
        }
        let (data, primary) = (pair.secondary.join(DATA), Tree::open(&pair.primary)?);
        let seen = Seen { inode: inode(&primary)?, moment: Moment::of_stamps() };
        let direction = Direction::Restore;
        let against = Against::Tree { to: (&primary).into(), index: told.index.as_ref(), direction };
        let mut survey = survey(Side::Told(told.image()?, &data), &against, work)?;
        space::check(None, &primary, &survey)?;
        digests::compare(&mut survey, Some(&primary), false, talk, work)?;
        work.check()?;
        match agree(&survey, seen, talk)? {
            None => {}
            Some(Said::Ended { report, .. }) => return Ok(report),
            Some(_) => return Err(damaged("no beginning")),
        }
        let onto = Onto { to: &primary, direction, is_new: false, work };
        let report = Receiver { onto }.run(&mut survey, &mut talk.input)?;
        rustix::fs::syncfs(primary.root())
            .map_err(|error| primary.failure("make durable", b"", b"", error))?;
        let index = packed(&told.header(settle())?, &survey, None);
        talk.say(&Said::Restored { report })?;
        talk.out.pack(&index)?;
        let Said::Ended { report, .. } = talk.hear()? else { return Err(damaged("no end")) };
        asking.keep(&index);
        Ok(report)
    }

    fn compare(&self, asking: &Asking<'_>, restoring: bool, talk: &mut Talk) -> Result<Difference, Stop> {
        let (pair, work) = (asking.pair, asking.asked.work);
        let Beginning::Told(told) = begin(asking, talk)? else {
            return Err(damaged("no account of the copy"));
        };
        let data = pair.secondary.join(DATA);
        if !restoring {
            let primary = Tree::open(&pair.primary)?;
            return Ok(difference::following((&primary).into(), &told.against(&data)?, work)?);
        }
        let primary = if pair.primary.exists() { Some(Tree::open(&pair.primary)?) } else { None };
        let against = match &primary {
            Some(to) => {
                Against::Tree { to: to.into(), index: told.index.as_ref(), direction: Direction::Restore }
            }
            None => Against::Nothing,
        };
        let mut survey = survey(Side::Told(told.image()?, &data), &against, work)?;
        digests::compare(&mut survey, primary.as_ref(), false, talk, work)?;
        let here = primary.as_ref().map(Side::from);
        Ok(difference::restoring(&survey, here, work, |_, _, _: Slot| Ok(false))?)
    }

    fn fetch(&self, asking: &Asking<'_>, to: &Path, talk: &mut Talk) -> Result<CopyReport, Stop> {
        let (pair, work) = (asking.pair, asking.asked.work);
        let Ask::Files { paths } = &asking.ask else { return Err(damaged("no files are asked for")) };
        let Beginning::Told(told) = begin(asking, talk)? else {
            return Err(damaged("no account of the image"));
        };
        let data = pair.secondary.join(DATA);
        let (mut survey, target) =
            copy_out::wanted(Side::Told(told.image()?, &data), &data, paths, to, work)?;
        space::check(None, &target, &survey)?;
        let seen = Seen { inode: 0, moment: Moment::default() };
        if agree(&survey, seen, talk)?.is_some() {
            return Err(damaged("no beginning"));
        }
        let onto = Onto { to: &target, direction: Direction::Resync, is_new: false, work };
        let report = Receiver { onto }.run(&mut survey, &mut talk.input)?;
        rustix::fs::syncfs(target.root()).map_err(|error| target.failure("make durable", b"", b"", error))?;
        Ok(report)
    }
}

/// Which verb is meant.
pub(super) const fn verb(ask: &Ask) -> PairVerb {
    match ask {
        Ask::Split { .. } => PairVerb::Split,
        Ask::Restore => PairVerb::Restore,
        _ => PairVerb::Resync,
    }
}
