//! What an engine offers to whoever reaches its socket. The server turns requests into these calls; the client makes
//! them from the other side.

use std::{future::Future, path::PathBuf};

use resplit_operations::{
    ids::{BackupId, RunId},
    record::Record,
};
use resplit_steps::drivers::stream::Wire;
use tokio::sync::mpsc::Receiver;

use crate::protocol::{
    Accepted, AnswerRequest, EngineInfo, EnterRequest, Entered, Event, LeaseReply, LeaseRequest, Leftover,
    LeftoversRequest, PlanPreview, RecordVerb, Recovery, Refusal, ReleaseRequest, Released, Repair,
    RepairRequest, RunDetail, RunSummary, RunsQuery, StepMessage, StepRequest, Submit, Survey, SurveyRequest,
    World, WorldRequest,
};

/// A reply.
pub type Reply<T> = Result<T, Refusal>;

/// What an engine offers.
pub trait Service: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> EngineInfo;
    /// What a plan would do now.
    fn preview(&self, submit: Submit) -> impl Future<Output = Reply<PlanPreview>> + Send;
    /// Accepts a run, durably, and starts it.
    fn submit(&self, submit: Submit) -> impl Future<Output = Reply<Accepted>> + Send;
    /// Runs, the newest first.
    fn runs(&self, query: RunsQuery) -> impl Future<Output = Reply<Vec<RunSummary>>> + Send;
    /// One run, whole.
    fn run(&self, run: RunId) -> impl Future<Output = Reply<RunDetail>> + Send;
    /// The events of a run from its beginning, then as they happen if `follow`; ends with the run.
    fn events(&self, run: RunId, follow: bool) -> impl Future<Output = Reply<Receiver<Event>>> + Send;
    /// Takes a failed, parked or cancelled run up again.
    fn resume(&self, run: RunId) -> impl Future<Output = Reply<Accepted>> + Send;
    /// Asks a run to stop at its next safe point.
    fn cancel(&self, run: RunId) -> impl Future<Output = Reply<()>> + Send;
    /// Answers a parked step.
    fn answer(&self, run: RunId, answer: AnswerRequest) -> impl Future<Output = Reply<()>> + Send;
    /// The state of the world, as this host sees it.
    fn world(&self, request: WorldRequest) -> impl Future<Output = Reply<World>> + Send;
    /// The records of this host, in the order of their IDs.
    fn catalog(&self) -> impl Future<Output = Reply<Vec<Record>>> + Send;
    /// Enters an exported record, if its pairs still hold what it describes.
    fn enter(&self, request: EnterRequest) -> impl Future<Output = Reply<Entered>> + Send;
    /// Locks, unlocks, waives or deletes a record; gives it as it is then, or was.
    fn record(&self, id: BackupId, verb: RecordVerb) -> impl Future<Output = Reply<Record>> + Send;
    /// Gives leases, or says who holds them.
    fn lease(&self, request: LeaseRequest) -> impl Future<Output = Reply<LeaseReply>> + Send;
    /// Returns when this host's count of releases is another than `releases`: ask for the leases again then.
    fn lease_wait(&self, releases: u64) -> impl Future<Output = Reply<()>> + Send;
    /// Releases all leases of a run.
    fn release(&self, run: RunId) -> impl Future<Output = Reply<()>> + Send;
    /// Runs a step for another host's engine, or attaches to it, or answers how it ended.
    fn step(&self, request: StepRequest) -> impl Future<Output = Reply<Receiver<StepMessage>>> + Send;
    /// What recovery would do of a step that another host's engine asked for before it was interrupted. Changes nothing.
    fn foresee(&self, request: StepRequest) -> impl Future<Output = Reply<Recovery>> + Send;
    /// Places a file into staging, whole or not at all.
    fn place(
        &self,
        name: String,
        digest: String,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Reply<PathBuf>> + Send;
    /// Answers what the primary's host asks of a pair whose secondary is here, to the end of that conversation.
    fn converse(&self, wire: Wire) -> impl Future<Output = ()> + Send;
    /// What resplit made on this host and has not undone, whichever run it was.
    fn leftovers(&self, request: LeftoversRequest) -> impl Future<Output = Reply<Vec<Leftover>>> + Send;
    /// Undoes leftovers that may be undone; gives what became of each that was asked for and still stood.
    fn release_leftovers(&self, request: ReleaseRequest)
    -> impl Future<Output = Reply<Vec<Released>>> + Send;
    /// What a repair of a damaged store would give up; or, confirmed, repairs it, after which the engine exits.
    fn repair(&self, request: RepairRequest) -> impl Future<Output = Reply<Repair>> + Send;
    /// Whether this host is what the site says it is. Changes nothing.
    fn survey(&self, request: SurveyRequest) -> impl Future<Output = Reply<Survey>> + Send;
    /// Exits as soon as nothing runs; refuses if something does.
    fn stop(&self) -> impl Future<Output = Reply<()>> + Send;
}
