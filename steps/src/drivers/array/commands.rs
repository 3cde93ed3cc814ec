//! Running the commands of a driver file: each under a shim of its own, so that it survives the engine.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::atomic::Ordering};

use resplit_operations::{
    driver::{Argv, Template},
    pair::Tag,
};

use super::Asking;
use crate::{
    context::Work,
    drivers::command::{Ended, ExternalCommand},
    failure::{Failure, FailureClass},
};

impl Asking<'_> {
    /// Asks something that changes nothing: a command whose files go with it.
    pub(super) fn ask(&self, argv: &Argv) -> Result<Ended, Failure> {
        let number = self.driver.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let directory = self.driver.directory.join("queries").join(&name);
        // One of an engine that had this process ID before.
        let _ = fs::remove_dir_all(&directory);
        let command = self.command(Tag(format!("query/{name}")), directory, argv)?;
        let ended = self.driver.commands.run(&command, &Work::silent());
        if let Err(error) = fs::remove_dir_all(&command.directory) {
            tracing::debug!(directory = %command.directory.display(), %error, "the files of a command stay");
        }
        ended
    }

    /// Runs one command of a verb. Asked again after a kill it is the same command: it is waited for, or its end is known.
    pub(super) fn act(&self, number: usize, tag: &Tag, argv: &Argv, work: &Work) -> Result<Acted, Failure> {
        let directory = self.verb_directory().join(number.to_string());
        let command = self.command(tag.clone(), directory, argv)?;
        match self.driver.commands.run(&command, work) {
            Ok(ended) => Ok(Acted::Ended(ended)),
            // Nobody saw how it ended. What it did, the array knows.
            Err(failure) if failure.class == FailureClass::Unknown => Ok(Acted::Lost),
            Err(failure) => Err(failure),
        }
    }

    /// Forgets the commands of a verb whose end has been noted.
    pub(super) fn forget(&self) {
        let directory = self.verb_directory();
        if directory.exists()
            && let Err(error) = fs::remove_dir_all(&directory)
        {
            tracing::debug!(directory = %directory.display(), %error, "the files of a command stay");
        }
    }

    fn verb_directory(&self) -> PathBuf {
        self.driver.directory.join("verbs").join(self.pair.copy_group.as_str())
    }

    fn command(&self, tag: Tag, directory: PathBuf, argv: &Argv) -> Result<ExternalCommand, Failure> {
        let argv = argv.0.iter().map(|one| self.render(one)).collect::<Result<Vec<_>, _>>()?;
        let environment = self.array.file.environment.iter();
        let environment = environment
            .map(|(name, value)| Ok((name.clone(), self.render(value)?)))
            .collect::<Result<BTreeMap<_, _>, Failure>>()?;
        Ok(ExternalCommand {
            tag,
            directory,
            argv,
            environment,
            timeout: Some(self.array.file.timeout.duration()),
        })
    }

    /// A template of the driver file, with its names replaced.
    pub(super) fn render(&self, template: &Template) -> Result<String, Failure> {
        template.render(&self.values).map_err(|why| {
            Failure::permanent(format!("'{}' of the driver '{}': {why}", template.0, self.array.driver))
                .with_help("resplit check")
        })
    }

    /// That a command ended otherwise than it should. What it printed is shown.
    pub(super) fn failed(&self, argv: &Argv, ended: &Ended) -> Failure {
        let program = argv.0.first().and_then(|one| self.render(one).ok()).unwrap_or_default();
        let text = format!(
            "pair {}: {program} ended with exit code {}{}",
            self.pair.copy_group,
            ended.code,
            said(&ended.output)
        );
        let again = u8::try_from(ended.code).is_ok_and(|code| self.array.file.temporary.contains(&code));
        if again { Failure::temporary(text) } else { Failure::permanent(text) }
    }
}

/// How a command of a verb came out.
pub(super) enum Acted {
    Ended(Ended),
    /// It was started, and nobody saw how it ended.
    Lost,
}

/// What a command printed, for a message.
pub(super) fn said(output: &str) -> String {
    let text = output.trim();
    if text.is_empty() {
        ", and printed nothing".to_owned()
    } else {
        format!(": {}", text.replace('\n', "; "))
    }
}
