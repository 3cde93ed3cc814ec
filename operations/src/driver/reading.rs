//! From what a status command printed to a pair status. What is not understood is never guessed.

use regex::{Regex, RegexBuilder};

use super::StatusCommand;
use crate::pair::PairStatus;

/// How large a compiled pattern may be, in bytes.
const LARGEST: usize = 1 << 20;

/// What an array says of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its status.
    pub status: PairStatus,
    /// How many per cent are equal, if it says so.
    pub progress: Option<u8>,
}

/// Why there is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The file knows the words, and says that nothing may be done.
    #[error("{0}")]
    Refused(String),
    /// The file does not know the words.
    #[error("the status '{0}' is not in its table")]
    Unknown(String),
    /// One pattern finds several words.
    #[error("a pattern finds both '{0}' and '{1}': the output is of more than one pair")]
    Ambiguous(String, String),
    /// The exit code is not one of an answer.
    #[error("it ended with exit code {0}")]
    Code(i32),
    /// A pattern is not one.
    #[error("{0}")]
    Pattern(String),
}

/// A pattern of a driver file, compiled. It has to have the group that is read.
///
/// # Errors
/// In words, what is wrong with it.
pub(crate) fn pattern(text: &str, group: &str) -> Result<Regex, String> {
    let made = RegexBuilder::new(text).size_limit(LARGEST).nest_limit(50).build();
    let made = made.map_err(|error| {
        let said = error.to_string();
        said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    let has = made.capture_names().flatten().any(|name| name == group);
    has.then_some(made).ok_or_else(|| format!("it has no group (?<{group}>...)"))
}

impl StatusCommand {
    /// Reads what the command printed, and its exit code.
    ///
    /// # Errors
    /// Whatever is not in the file's table.
    pub fn read(&self, code: i32, output: &str) -> Result<Reading, Unread> {
        if !u8::try_from(code).is_ok_and(|code| self.success.contains(&code)) {
            return Err(Unread::Code(code));
        }
        let words = if self.reads.is_empty() {
            code.to_string()
        } else {
            let words: Result<Vec<_>, _> = self.reads.iter().map(|text| word(text, output)).collect();
            words?.join("/")
        };
        if let Some(why) = self.refuses.get(&words) {
            return Err(Unread::Refused(why.clone()));
        }
        let status = *self.means.get(&words).ok_or(Unread::Unknown(words))?;
        let progress = match &self.progress {
            Some(text) => {
                let found = pattern(text, "progress").map_err(Unread::Pattern)?;
                let first =
                    found.captures(output).and_then(|found| found.name("progress")?.as_str().parse().ok());
                first.filter(|percent| *percent <= 100)
            }
            None => None,
        };
        Ok(Reading { status, progress })
    }
}

/// The one word that a pattern finds, wherever it finds it; `-` if it finds none.
fn word(text: &str, output: &str) -> Result<String, Unread> {
    let found = pattern(text, "status").map_err(Unread::Pattern)?;
    let mut words = found.captures_iter(output).filter_map(|found| Some(found.name("status")?.as_str()));
    let Some(first) = words.next() else { return Ok("-".to_owned()) };
    match words.find(|word| *word != first) {
        Some(other) => Err(Unread::Ambiguous(first.to_owned(), other.to_owned())),
        None => Ok(first.to_owned()),
    }
}
