//! What steps would do to a pair, by the table of verdicts, before anything is touched.

use std::fmt;

use super::{
    PairStatus,
    verdict::{ArrayVerb, CopyType, Refusal, Verdict, verdict},
};
use crate::{action::Action, ids::CopyGroup, plan::Purpose};

/// Why a verb would be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How the pair is copied.
    pub copy_type: CopyType,
    /// What would be asked.
    pub verb: ArrayVerb,
    /// In which status.
    pub status: PairStatus,
    /// Whether there is such a verb at all.
    pub refusal: Refusal,
}

/// The status in which a verb leaves a pair once all copying has ended; the same, if it is accepted without effect.
pub fn after(copy_type: CopyType, verb: ArrayVerb, status: PairStatus) -> Result<PairStatus, Rejected> {
    match verdict(copy_type, verb, status.into()) {
        Verdict::Done { finally, .. } => Ok(finally.into()),
        Verdict::WithoutEffect => Ok(status),
        Verdict::Rejected(refusal) => Err(Rejected { copy_type, verb, status, refusal }),
    }
}

/// The verb that an action asks of a pair, in a plan for this.
pub fn verb(purpose: Purpose, action: &Action) -> Option<ArrayVerb> {
    match action {
        Action::Resync(_) if purpose == Purpose::PairCreate => Some(ArrayVerb::Create),
        Action::Resync(_) => Some(ArrayVerb::Resync),
        Action::Split(_) => Some(ArrayVerb::Split),
        Action::Restore(restore) if restore.to.is_none() => Some(ArrayVerb::Restore),
        Action::Delete(_) => Some(ArrayVerb::Delete),
        _ => None,
    }
}

/// The status in which a step leaves a pair that it acts on.
pub fn after_step(
    purpose: Purpose,
    action: &Action,
    copy_type: CopyType,
    status: PairStatus,
) -> Result<PairStatus, Rejected> {
    match action {
        // What is read from tape takes the place of the image, where a resync might.
        Action::TapeRestore(restore) if restore.to.is_none() && copy_type.is_ours() => {
            after(copy_type, ArrayVerb::Resync, status).map(|_| PairStatus::Psus)
        }
        Action::TapeRestore(restore) if restore.to.is_none() => Ok(PairStatus::Psus),
        action => match verb(purpose, action) {
            Some(verb) => after(copy_type, verb, status),
            None => Ok(status),
        },
    }
}

impl Rejected {
    /// What to do about it.
    pub fn help(&self, group: &CopyGroup) -> String {
        match (self.refusal, self.verb, self.status) {
            (Refusal::NotOffered, ArrayVerb::SwapResync, _) => {
                format!("to copy the image back over the primary: resplit pair restore {group}")
            }
            (Refusal::NotOffered, ..) => "resplit pair --help".to_owned(),
            (_, _, PairStatus::Rcpy) => {
                format!("complete the restore: resplit runs --open, or resplit pair restore {group}")
            }
            (_, _, PairStatus::Copy) if !self.copy_type.is_ours() => {
                format!("wait for the copy: resplit pair wait {group} --status PAIR")
            }
            (_, _, PairStatus::Smpl) => format!("make the pair first: resplit pair create {group}"),
            (_, ArrayVerb::Restore, _) => {
                "resplit catalog list: a backup on another pair, or on tape, can be restored".to_owned()
            }
            (_, ArrayVerb::Create, _) => format!("to make it equal again: resplit pair resync {group}"),
            _ => format!("resync it first: resplit pair resync {group}"),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copy_type, verb, status, refusal } = self;
        let word = verb.word();
        if *refusal == Refusal::NotOffered {
            return write!(f, "{status}, and a {copy_type} pair has no {word}");
        }
        let why = match (verb, status) {
            (_, PairStatus::Rcpy) => "a restore from it has begun and not ended",
            (_, PairStatus::Smpl) => "it is not a pair yet",
            (ArrayVerb::Create, _) => "it is a pair already",
            (ArrayVerb::Restore, _) => "not PSUS: it has no image at rest",
            (ArrayVerb::Split, PairStatus::Psus) => "it is split already",
            (ArrayVerb::Split, _) => "not PAIR: it does not follow its primary",
            _ => "it has to be at rest",
        };
        write!(f, "{status}, {why}; {word} is rejected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ResyncStep, VolumeStep};

    #[test]
    fn a_step_leaves_a_pair_as_the_table_says() {
        let volume = || VolumeStep { volume: "v".into() };
        let resync = || Action::Resync(ResyncStep { volume: "v".into(), pace: None });
        let step = |action: &Action, status| after_step(Purpose::Backup, action, CopyType::Mirror, status);
        assert_eq!(step(&resync(), PairStatus::Psus), Ok(PairStatus::Pair));
        assert_eq!(step(&Action::Split(volume()), PairStatus::Pair), Ok(PairStatus::Psus));
        assert_eq!(step(&Action::PurgeCache(volume()), PairStatus::Psus), Ok(PairStatus::Psus));
        assert_eq!(step(&Action::Delete(volume()), PairStatus::Smpl), Ok(PairStatus::Smpl));
        let rejected = step(&Action::Split(volume()), PairStatus::Psus).unwrap_err();
        assert_eq!(rejected.to_string(), "PSUS, it is split already; split is rejected");
        assert_eq!(rejected.help(&"G,d".into()), "resync it first: resplit pair resync G,d");
        // A plan to make a pair resyncs what is none, and nothing else.
        let create = |status| after_step(Purpose::PairCreate, &resync(), CopyType::Mirror, status);
        assert_eq!(create(PairStatus::Smpl), Ok(PairStatus::Pair));
        assert!(create(PairStatus::Psus).unwrap_err().to_string().contains("a pair already"));
    }

    #[test]
    fn a_verb_that_is_not_offered_says_so_whatever_the_status() {
        let rejected = after(CopyType::Mirror, ArrayVerb::SwapResync, PairStatus::Psus).unwrap_err();
        assert_eq!(rejected.to_string(), "PSUS, and a mirror pair has no swap");
        assert!(rejected.help(&"G,d".into()).contains("pair restore G,d"));
    }
}
