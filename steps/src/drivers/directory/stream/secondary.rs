//! The secondary's side: the pair's book, lock and copy are here.

use std::fs;

use resplit_operations::pair::{CopyReport, PairRef, PairStatus, PairVerb};

use super::{
    super::{
        DirectoryPairs,
        compare::Direction,
        guard,
        index::Index,
        onto::Onto,
        pass::{self, Ground, Pass, Seen, put_index, write_index},
        space,
        state::{DATA, INDEX, State},
        survey::Survey,
        tree::Tree,
    },
    digests, listing,
    near::verb,
    plan,
    receive::Receiver,
    send::Sender,
};
use crate::{
    context::Work,
    drivers::{
        book::{Verb, done, has_image, not_restoring, open, open_or_new, splittable, unusable},
        is_there,
        pairs::Asked,
        stream::{Account, Ask, Opening, Said, Standing, Stop, Talk, damaged},
    },
    failure::Failure,
};

impl DirectoryPairs {
    /// Answers one conversation.
    pub(in super::super) fn converse(
        &self,
        opening: &Opening,
        asked: &Asked<'_>,
        talk: &mut Talk,
    ) -> Result<(), Stop> {
        match &opening.ask {
            Ask::Resync | Ask::Split { .. } => self.follow(opening, asked, talk),
            Ask::Restore => self.give_back(opening, asked, talk),
            Ask::Compare { restoring } => self.account(opening, *restoring, asked.work, talk),
            Ask::Files { .. } => give_files(opening, asked.work, talk),
            _ => Err(damaged("a question that no directory answers")),
        }
    }

    /// Takes what differs.
    fn follow(&self, opening: &Opening, asked: &Asked<'_>, talk: &mut Talk) -> Result<(), Stop> {
        let (pair, is_split) = (&opening.pair, matches!(opening.ask, Ask::Split { .. }));
        let (_lock, mut state) = if is_split {
            open(pair, asked)?
        } else {
            guard::nested(pair)?;
            open_or_new(pair, asked, self.clock.now())?
        };
        let order = if let Ask::Split { order } = opening.ask { Some(order) } else { None };
        let verb = Verb { order, ..self.verb(pair, asked, verb(&opening.ask)) };
        let end = if is_split { PairStatus::Psus } else { PairStatus::Pair };
        if (is_split || opening.again)
            && let Some(report) = done(&state, asked, verb.verb, end)
        {
            return finish(opening, report, talk);
        }
        if is_split {
            splittable(pair, &state, asked)?;
        } else {
            not_restoring(pair, &state)?;
        }
        let ground = Ground::of(&verb, &state)?;
        let standing = Standing {
            copy: match (ground.is_fresh(), ground.is_quick) {
                (true, _) => Account::Fresh,
                (false, true) => Account::Settled,
                (false, false) => Account::Listed,
            },
            ..standing(opening, &state, ground.index.as_ref())
        };
        tell(standing, ground.index.as_ref(), &ground.secondary, talk, asked.work)?;
        let (mut survey, seen) = differences(&ground.secondary, talk, asked.work)?;
        guard::emptied(pair, &state, seen.inode, &survey)?;
        space::check(None, &ground.secondary, &survey)?;
        asked.work.check()?;
        let (work, is_new) = (asked.work, ground.is_new);
        let made =
            Pass { verb }.make(&mut state, &ground, seen, &ground.secondary, &mut survey, |to, survey| {
                let onto = Onto { to, direction: Direction::Resync, is_new, work };
                talk.say(&Said::Begun)
                    .and_then(|()| Receiver { onto }.run(survey, &mut talk.input))
                    .map_err(Stop::failure)
            });
        finish(opening, made.map_err(Stop::of)?, talk)
    }

    /// Sends what the primary lacks.
    fn give_back(&self, opening: &Opening, asked: &Asked<'_>, talk: &mut Talk) -> Result<(), Stop> {
        let pair = &opening.pair;
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return talk.say(&Said::Ended { report, knowledge: false });
        }
        has_image(pair, &state)?;
        let (data, index) = (Tree::open(&pair.secondary.join(DATA))?, pass::index(&pair.secondary, &state));
        let standing = standing(opening, &state, index.as_ref());
        tell(standing, index.as_ref(), &data, talk, asked.work)?;
        let (survey, seen) = differences(&data, talk, asked.work)?;
        let verb = self.verb(pair, asked, PairVerb::Restore);
        asked.work.check()?;
        verb.begin(&mut state);
        state.extra.settled = false;
        state.write(&pair.secondary)?;
        let report = restored(pair, &state, (&data, &survey), asked.work, talk)
            .map_err(|stop| Stop::of(verb.broken(&mut state, stop.failure())))?;
        state.extra.pass += 1;
        state.extra.settled = true;
        state.extra.primary_inode = seen.inode;
        verb.end(&mut state, &report);
        state.write(&pair.secondary)?;
        talk.say(&Said::Ended { report, knowledge: false })
    }

    /// Says what is there, and changes nothing.
    fn account(&self, opening: &Opening, restoring: bool, work: &Work, talk: &mut Talk) -> Result<(), Stop> {
        let pair = &opening.pair;
        let state = State::read(pair)?;
        if restoring {
            let state = state.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to be compared"))?;
            has_image(pair, &state)?;
            let (data, index) =
                (Tree::open(&pair.secondary.join(DATA))?, pass::index(&pair.secondary, &state));
            let standing = standing(opening, &state, index.as_ref());
            tell(standing, index.as_ref(), &data, talk, work)?;
            return answer(&data, talk, work);
        }
        let state = state.unwrap_or_else(|| State::new(pair, self.clock.now()));
        let data = pair.secondary.join(DATA);
        if !is_there(&data)? {
            let standing = Standing { copy: Account::Fresh, ..standing(opening, &state, None) };
            return talk.say(&Said::Standing { standing });
        }
        let index = pass::index(&pair.secondary, &state);
        let is_quick =
            state.extra.settled && index.as_ref().is_some_and(|index| index.header.pass == state.extra.pass);
        let standing = Standing {
            copy: if is_quick { Account::Settled } else { Account::Listed },
            ..standing(opening, &state, index.as_ref())
        };
        tell(standing, index.as_ref(), &Tree::open(&data)?, talk, work)
    }
}

fn standing(opening: &Opening, state: &State, index: Option<&Index>) -> Standing {
    let known = index.map(Index::digest);
    Standing {
        known_follows: known.is_some() && known != opening.known,
        known,
        identity: blake3::Hash::from_bytes(state.identity()).to_hex().to_string(),
        pass: state.extra.pass,
        ..Standing::default()
    }
}

/// Tells what the other side has to know.
fn tell(
    standing: Standing,
    index: Option<&Index>,
    tree: &Tree,
    talk: &mut Talk,
    work: &Work,
) -> Result<(), Stop> {
    let (known, listed) = (standing.known_follows, standing.copy == Account::Listed);
    talk.say(&Said::Standing { standing })?;
    if let Some(index) = index.filter(|_| known) {
        talk.out.pack(index.bytes())?;
    }
    if listed {
        talk.out.pack(&listing::listing(tree, work)?)?;
    }
    Ok(())
}

/// Hears what differs; answers for files that may, before.
fn differences(tree: &Tree, talk: &mut Talk, work: &Work) -> Result<(Survey, Seen), Stop> {
    loop {
        match talk.hear()? {
            Said::Digests => digests::answer(tree, talk, work)?,
            Said::Plan => return plan::decode(&talk.input.unpack()?),
            _ => return Err(damaged("no list of differences")),
        }
    }
}

/// Answers for files until the other side ends.
fn answer(tree: &Tree, talk: &mut Talk, work: &Work) -> Result<(), Stop> {
    while let Ok(said) = talk.hear() {
        match said {
            Said::Digests => digests::answer(tree, talk, work)?,
            _ => return Err(damaged("something else than a question about files")),
        }
    }
    Ok(())
}

/// Says that it is done. After a resync also what is known of the copy now, so that the split needs not ask.
fn finish(opening: &Opening, report: CopyReport, talk: &mut Talk) -> Result<(), Stop> {
    let index = match opening.ask {
        Ask::Resync => fs::read(opening.pair.secondary.join(INDEX)).ok().and_then(Index::read),
        _ => None,
    };
    let index = index.filter(|index| opening.known.as_ref() != Some(&index.digest()));
    talk.say(&Said::Ended { report, knowledge: index.is_some() })?;
    match index {
        Some(index) => talk.out.pack(index.bytes()),
        None => Ok(()),
    }
}

/// Sends what the primary lacks, and keeps the index of what was made of it there.
fn restored(
    pair: &PairRef,
    state: &State,
    (data, survey): (&Tree, &Survey),
    work: &Work,
    talk: &mut Talk,
) -> Result<CopyReport, Stop> {
    talk.say(&Said::Begun)?;
    let Said::Restored { report } = (Sender { from: data, survey, work }).run(talk)? else {
        return Err(damaged("no account of the restore"));
    };
    let index = Index::read(talk.input.unpack()?).ok_or_else(|| damaged("an index that cannot be read"))?;
    if index.header.pair != state.identity() || index.header.pass != state.extra.pass + 1 {
        return Err(damaged("an index of another pair or pass"));
    }
    write_index(&pair.secondary, index.bytes(), true)?;
    put_index(&pair.secondary)?;
    Ok(report)
}

/// Sends files of the image.
fn give_files(opening: &Opening, work: &Work, talk: &mut Talk) -> Result<(), Stop> {
    let pair = &opening.pair;
    let state =
        State::read(pair)?.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to have an image"))?;
    if state.status != PairStatus::Psus {
        let failure = unusable(pair, state.status, "PSUS to have an image").with_help("split it first");
        return Err(Failure::into(failure));
    }
    let data = Tree::open(&pair.secondary.join(DATA))?;
    let standing = standing(opening, &state, None);
    tell(standing, None, &data, talk, work)?;
    let (survey, _) = differences(&data, talk, work)?;
    talk.say(&Said::Begun)?;
    // What it says at the end matters to nobody here.
    match (Sender { from: &data, survey: &survey, work }).run(talk) {
        Ok(_) | Err(Stop::Cut(_)) => Ok(()),
        Err(stop) => Err(stop),
    }
}
