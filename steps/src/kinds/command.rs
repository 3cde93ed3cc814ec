//! command: an operator's own, with arguments and without a shell.

use resplit_operations::{action::Command, pair::Tag};

use crate::{
    context::{Context, Work},
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    drivers::command::{CommandState, Ended, ExternalCommand},
    facts::Facts,
    failure::Failure,
};

pub(super) struct CommandStep<'a>(pub(super) &'a Command);

impl CommandStep<'_> {
    fn external(&self, context: &Context<'_>, attempt: u32) -> ExternalCommand {
        let mut environment = self.0.environment.clone();
        let own = [
            ("RESPLIT_OPERATION", context.operation.to_string()),
            ("RESPLIT_RUN", context.run.to_string()),
            ("RESPLIT_STEP", context.step.to_string()),
            ("RESPLIT_STEP_HOST", context.host.to_string()),
        ];
        for (name, value) in own {
            let _ = environment.insert(name.to_owned(), value);
        }
        if let Some(record) = &context.facts.record {
            let _ = environment.insert("RESPLIT_BACKUP".to_owned(), record.id.to_string());
        }
        let directory = context
            .directories
            .commands
            .join(context.run.as_str())
            .join(format!("{}-{attempt}", context.step));
        ExternalCommand {
            tag: Tag(format!("{}/{}/{attempt}", context.run, context.step)),
            directory,
            argv: self.0.argv.clone(),
            environment,
            timeout: context.timeout,
        }
    }

    /// Ends what an earlier try has started and still runs: its window was lost with its engine, and it must not work
    /// beside this one.
    fn end_earlier(&self, context: &Context<'_>) -> Result<(), Failure> {
        let runs = |command: &ExternalCommand| {
            let state = context.drivers.commands.probe(command)?;
            Ok::<_, Failure>(matches!(state, CommandState::Running { .. }))
        };
        for attempt in 1..context.attempt {
            let earlier = self.external(context, attempt);
            if !runs(&earlier)? {
                continue;
            }
            let work = Work::silent();
            work.cancel();
            // How it ends does not matter, as long as it does.
            let ended = context.drivers.commands.run(&earlier, &work);
            if runs(&earlier)? {
                return Err(ended.err().unwrap_or_else(|| {
                    Failure::temporary(format!("try {attempt} of '{}' does not end", self.0.argv.join(" ")))
                }));
            }
        }
        Ok(())
    }

    fn outcome(&self, ended: &Ended) -> Result<Outcome, Failure> {
        let program = self.0.argv.first().map_or("", String::as_str);
        let accepted = u8::try_from(ended.code).is_ok_and(|code| self.0.accept.contains(&code));
        if !accepted {
            let text = format!("{program} ended with exit code {}", ended.code);
            let failure = Failure::temporary(text);
            return Err(if ended.output.is_empty() {
                failure
            } else {
                failure.with_help(format!("it said: {}", ended.output.trim_end()))
            });
        }
        let facts = Facts { exit_code: Some(ended.code), ..Facts::default() };
        Ok(Outcome { facts, summary: format!("{program}: exit code {}", ended.code), ..Outcome::default() })
    }
}

impl Step for CommandStep<'_> {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview { what: self.0.argv.join(" "), ..Preview::default() })
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(match context.drivers.commands.probe(&self.external(context, context.attempt))? {
            CommandState::NotStarted => Probe::NotDone { because: "it was not started".to_owned() },
            CommandState::Running { pid } => Probe::Running { because: format!("it runs as process {pid}") },
            // Running it again waits for what has ended already, and so learns how it ended.
            CommandState::Ended(ended) => {
                Probe::Running { because: format!("it ended meanwhile, with exit code {}", ended.code) }
            }
            CommandState::Lost => Probe::Unknown {
                question: format!(
                    "'{}' was started and nobody saw how it ended: did it do its work?",
                    self.0.argv.join(" ")
                ),
            },
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        self.end_earlier(context)?;
        let command = self.external(context, context.attempt);
        self.outcome(&context.drivers.commands.run(&command, context.work)?)
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("only the operator knows what a command did")
    }
}
