//! The verbs that change pairs: each is a run of the engine, as a backup is.

use clap::Args;
use resplit_engine::protocol::{PlanPreview, RunOptions, Submit};
use resplit_operations::{
    compile::{self, PairRequest},
    pair::{PairStatus, foresee, verdict::ArrayVerb},
    plan::Purpose,
};

use super::{
    super::run::{How, start},
    declared::{Declared, declared, named, one_each},
};
use crate::{
    exit::{Exit, Stop},
    output, render,
    session::{self, Session},
};

/// How the verbs are used.
pub(super) const EXAMPLES: &str = "Examples:\n  \
    resplit pair resync VG01,vol01 --dry-run\n  \
    resplit pair split VG01\n  \
    resplit pair restore documents --generation 1\n  \
    resplit pair delete VG01,vol01 --yes";

/// Which pairs are meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct Named {
    /// The pair: GROUP,DEVICE; or GROUP for all of its devices; or VOLUME
    #[arg(value_name = "PAIR")]
    pub(super) pair: String,
    /// Of the pairs of the volume, the one of this generation
    #[arg(long, value_name = "N")]
    pub(super) generation: Option<u32>,
}

impl Named {
    /// Those that are meant.
    pub(super) fn among(&self, all: &[Declared]) -> Result<Vec<Declared>, Stop> {
        named(all, &self.pair, self.generation)
    }
}

/// What is asked of pairs, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Say what would be done, and do nothing; exit with 4 if it would be rejected
    #[arg(long, conflicts_with_all = ["detach", "no_wait"])]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    how: How,
}

/// What is asked of a restore beside.
#[derive(Args, Clone, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    asked: Arguments,
    /// Restore though processes use the primary
    #[arg(long)]
    force: bool,
    /// Restore though the volume is not what the image was made from
    #[arg(long)]
    accept_drift: bool,
}

/// Copies images back.
pub(super) async fn restore(arguments: &Restore, session: &Session) -> Result<Exit, Stop> {
    let options =
        RunOptions { force: arguments.force, accept_drift: arguments.accept_drift, ..RunOptions::default() };
    ask(ArrayVerb::Restore, &arguments.asked, options, session).await
}

/// Asks a verb of pairs.
pub(super) async fn run(verb: ArrayVerb, arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    ask(verb, arguments, RunOptions::default(), session).await
}

async fn ask(
    verb: ArrayVerb,
    arguments: &Arguments,
    options: RunOptions,
    session: &Session,
) -> Result<Exit, Stop> {
    let place = session.site()?;
    let chosen = arguments.named.among(&declared(&place.resolved(), None)?)?;
    let pairs = one_each(&chosen, &arguments.named.pair)?;
    let purpose = Purpose::of_pair_verb(verb).ok_or_else(|| not_offered(verb))?;
    let request = PairRequest { purpose, pairs: pairs.clone() };
    let plan = compile::pair(&place.site, &place.directory, &request)
        .map_err(|error| Stop::usage(error.to_string()))?;
    let options = RunOptions { pairs, no_wait: arguments.how.no_wait, ..options };
    let mut submit = Submit { plan, options, measure: false };
    let client = place.coordinator(&submit.plan).await?;
    let preview = client.preview(&submit).await.map_err(session::stop)?;
    if arguments.dry_run {
        return shown(&submit, &preview, session);
    }
    if !preview.refusals.is_empty() {
        output::note(&render::plan::refusals(&preview.refusals, &session.view));
        return Err(Stop::silent(Exit::Operator));
    }
    let lost = lost(verb, &preview, session);
    if !lost.is_empty() && !arguments.yes {
        agree(verb, &lost, &submit, &preview, session)?;
        // What was agreed to is done, or nothing.
        submit.options.accepted = Some(Box::new(preview.binding));
    }
    // Whoever was asked may have taken longer than idle engines wait.
    let client = place.coordinator(&submit.plan).await?;
    start(&client, &submit, arguments.how, session).await
}

/// Shows what would be done.
fn shown(submit: &Submit, preview: &PlanPreview, session: &Session) -> Result<Exit, Stop> {
    if session.global.json {
        output::print_json(&render::plan::document(&submit.plan, preview, &[]))?;
    } else {
        output::print(&render::plan::table(&submit.plan, preview, &session.view))?;
    }
    if preview.refusals.is_empty() {
        return Ok(Exit::Done);
    }
    output::note(&render::plan::refusals(&preview.refusals, &session.view));
    Ok(Exit::Operator)
}

/// What would be lost, in words.
fn lost(verb: ArrayVerb, preview: &PlanPreview, session: &Session) -> Vec<String> {
    let mut lost: Vec<String> = Vec::new();
    for bound in preview.binding.pairs.values() {
        let (group, status) = (&bound.pair.copy_group, bound.status);
        match verb {
            ArrayVerb::Restore => {
                lost.push(format!("{} is overwritten by the image of {group}", bound.pair.primary.display()));
            }
            ArrayVerb::Delete if status != PairStatus::Smpl => {
                lost.push(format!("{group} is {status}: what was copied to its secondary is removed"));
            }
            ArrayVerb::Resync if status == PairStatus::Psus => {
                lost.push(format!("{group} is PSUS: its image is overwritten"));
            }
            _ => {}
        }
    }
    let evicted = preview.binding.evictions.iter();
    lost.extend(evicted.map(|eviction| render::plan::eviction_text(eviction, &session.view.zone)));
    lost
}

/// Asks on a terminal; elsewhere it has to be said beforehand.
fn agree(
    verb: ArrayVerb,
    lost: &[String],
    submit: &Submit,
    preview: &PlanPreview,
    session: &Session,
) -> Result<(), Stop> {
    if output::can_ask() {
        let table = render::plan::table(&submit.plan, preview, &session.error_view());
        output::note(table.trim_end());
        if output::ask(&format!("{}. Go on?", lost.join("; "))) {
            return Ok(());
        }
        return Err(Stop::new(Exit::Operator, "nothing was touched"));
    }
    let told: Vec<_> = lost.iter().map(|text| render::text::plain(text)).collect();
    let text = format!("{} destroys something:\n  {}", verb.word(), told.join("\n  "));
    Err(Stop::new(Exit::Operator, text).help("--yes does it; --dry-run shows all that would be done"))
}

/// Says of pairs that they cannot be swapped.
pub(super) async fn swap(arguments: &Named, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let chosen = arguments.among(&declared(&place.resolved(), None)?)?;
    for found in super::status::asked(&place, &chosen, false).await? {
        let (one, state) = (found.declared, found.view.state?);
        let group = &one.pair.copy_group;
        foresee::after(one.driver.copy_type(), ArrayVerb::SwapResync, state.status).map_err(|rejected| {
            Stop::new(Exit::Operator, format!("{group} is {rejected}")).help(rejected.help(group))
        })?;
    }
    Err(not_offered(ArrayVerb::SwapResync))
}

fn not_offered(verb: ArrayVerb) -> Stop {
    let text = format!("no driver of this version can {} pairs", verb.word());
    Stop::new(Exit::Operator, text).help("use the commands of the array itself")
}
