//! quiesce: hold the application still.

use resplit_operations::action::Quiesce;
use resplit_operations::operation::QuiesceMode;

use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::pairs::Content,
    facts::Facts,
    failure::Failure,
};

pub(super) struct QuiesceStep<'a>(pub(super) &'a Quiesce);

impl QuiesceStep<'_> {
    fn check(&self, context: &Context<'_>) -> Result<(), Failure> {
        let mut clear = vec![context.directories.state.clone()];
        for (volume, bound) in &context.binding.pairs {
            clear.push(bound.pair.secondary.clone());
            let driver = context.pair_driver(volume)?;
            if driver.writes_to_primary(&bound.pair) {
                clear.push(bound.pair.primary.clone());
                // A volume is written through the file system that is mounted from it.
                if let Content::Tree(tree) = driver.content(&bound.pair.primary)? {
                    clear.push(tree);
                }
            }
        }
        context.windows.check(self.0, &clear)
    }
}

impl Step for QuiesceStep<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        self.check(context)?;
        let name = self.0.filesystem.file_name().unwrap_or(self.0.filesystem.as_os_str()).to_string_lossy();
        let mode = match self.0.mode {
            QuiesceMode::Online => "online",
            QuiesceMode::Freeze => "freeze",
            QuiesceMode::Cold => "cold",
        };
        Ok(Preview { what: format!("{name} ({mode})"), ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        self.check(context)?;
        let obligations = match self.0.mode {
            QuiesceMode::Freeze => vec![Obligation::Thaw { filesystem: self.0.filesystem.clone() }],
            QuiesceMode::Online | QuiesceMode::Cold => Vec::new(),
        };
        Ok(Intent { obligations, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        let because = if context.windows.is_open(context.run) {
            "the window is still open"
        } else {
            "no window is open"
        };
        Ok(Probe::NotDone { because: because.to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        context.windows.open(context.run, self.0)?;
        let summary = match self.0.mode {
            QuiesceMode::Freeze => format!("frozen for at most {}", self.0.window),
            QuiesceMode::Online | QuiesceMode::Cold => "flushed".to_owned(),
        };
        let facts = Facts { quiesced: Some(context.clock.now()), ..Facts::default() };
        Ok(Outcome { facts, summary, ..Outcome::default() })
    }

    fn undo(&self) -> Undo {
        Undo::Obligation
    }
}
