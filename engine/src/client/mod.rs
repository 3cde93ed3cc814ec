//! Asks an engine, through its socket or over the line to another machine: the counterpart of [`Service`](crate::service::Service).

mod error;
mod exchange;
mod greeting;
mod line;
mod lines;
mod ssh;
mod trouble;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper::{Method, body::Bytes};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use resplit_operations::{
    ids::{BackupId, HostId, RunId},
    record::Record,
};
use serde::{Serialize, de::DeserializeOwned};

use self::exchange::{Answer, Ask, ask, send};
pub(crate) use self::line::Line;
pub use self::{
    error::ClientError,
    greeting::{Agent, Greeting},
    lines::Lines,
    ssh::Far,
};
use crate::{
    protocol::{
        Accepted, AnswerRequest, EngineInfo, EnterRequest, Entered, Event, LeaseReply, LeaseRequest,
        Leftover, LeftoversRequest, Placed, PlanPreview, RecordVerb, Recovery, ReleaseRequest, Released,
        Repair, RepairRequest, RunDetail, RunSummary, RunsQuery, StepMessage, StepRequest, Submit, Survey,
        SurveyRequest, World, WorldRequest,
    },
    server::{LARGE_BODY, SMALL_BODY},
    socket,
    streams::Flow,
};

/// How long an engine may take to say what it is; it answers from memory.
const ALIVE: Duration = Duration::from_secs(10);

type Answered<T> = Result<T, ClientError>;

/// How an engine is reached.
#[derive(Clone, Debug)]
enum Route {
    /// Through the socket in this state directory: each request has a connection of its own.
    Socket(Arc<Path>),
    /// Over the line to another machine, which all requests share.
    Line(Arc<Line>),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(state) => state.display().fmt(f),
            Self::Line(line) => write!(f, "host '{}'", line.far.host),
        }
    }
}

/// Asks the engine of one host. Clones are free.
#[derive(Clone, Debug)]
pub struct Client {
    route: Route,
}

impl Client {
    /// The engine of a state directory, which listens now.
    pub async fn connect(state: &Path) -> Answered<Self> {
        let client = Self::of(state);
        client.reach().await?;
        Ok(client)
    }

    /// The engine of a state directory, whether or not it listens now.
    pub fn of(state: &Path) -> Self {
        Self { route: Route::Socket(state.into()) }
    }

    /// The engine of a host on another machine, whether or not it is reached now.
    pub(crate) const fn over(line: Arc<Line>) -> Self {
        Self { route: Route::Line(line) }
    }

    /// Sees to it that the engine can be asked now; gives why not.
    pub(crate) async fn reach(&self) -> Answered<()> {
        match &self.route {
            Route::Socket(state) => {
                socket::connect(state).await.map(drop).map_err(|e| ClientError::connecting(state, &e))
            }
            Route::Line(line) => line.sender().await.map(drop),
        }
    }

    /// What the engine is, if it is that of `host`.
    pub async fn verify(&self, host: &HostId) -> Answered<EngineInfo> {
        let info = self.info().await?;
        if info.host == *host {
            return Ok(info);
        }
        let place = self.route.to_string();
        Err(ClientError::OtherHost { place, wanted: host.clone(), found: info.host })
    }

    /// What the engine is.
    pub async fn info(&self) -> Answered<EngineInfo> {
        let answered = tokio::time::timeout(ALIVE, self.get("/v1/info".to_owned())).await;
        answered.unwrap_or_else(|_| {
            let text = format!("the engine of {} does not answer within {ALIVE:?}", self.route);
            Err(ClientError::Unreachable(text))
        })
    }

    /// Asks it to exit as soon as nothing runs.
    pub async fn stop(&self) -> Answered<()> {
        self.act(Method::POST, "/v1/stop".to_owned()).await
    }

    /// Asks it to exit if it is the engine with this process ID, as it gave it in its info. Refused as a conflict if
    /// it is another one.
    pub async fn stop_process(&self, pid: u32) -> Answered<()> {
        self.act(Method::POST, format!("/v1/stop?pid={pid}")).await
    }

    /// What a plan would do now.
    pub async fn preview(&self, submit: &Submit) -> Answered<PlanPreview> {
        self.post("/v1/preview", submit, LARGE_BODY).await
    }

    /// Starts a run.
    pub async fn submit(&self, submit: &Submit) -> Answered<Accepted> {
        self.post("/v1/submit", submit, LARGE_BODY).await
    }

    /// Runs, the newest first.
    pub async fn runs(&self, query: &RunsQuery) -> Answered<Vec<RunSummary>> {
        self.get(with_query("/v1/runs", query)?).await
    }

    /// One run, whole.
    pub async fn run(&self, run: &RunId) -> Answered<RunDetail> {
        self.get(of_run(run, "")).await
    }

    /// The events of a run from its beginning, then as they happen if `follow`; ends with the run.
    pub async fn events(&self, run: &RunId, follow: bool) -> Answered<Lines<Event>> {
        let target = format!("{}?follow={follow}", of_run(run, "/events"));
        Ok(Lines::new(self.ask(Method::GET, target, Bytes::new(), 0).await?))
    }

    /// Takes a failed, parked or cancelled run up again.
    pub async fn resume(&self, run: &RunId) -> Answered<Accepted> {
        self.act(Method::POST, of_run(run, "/resume")).await
    }

    /// Asks a run to stop at its next safe point.
    pub async fn cancel(&self, run: &RunId) -> Answered<()> {
        self.act(Method::POST, of_run(run, "/cancel")).await
    }

    /// Answers a parked step.
    pub async fn answer(&self, run: &RunId, answer: &AnswerRequest) -> Answered<()> {
        self.post(&of_run(run, "/answer"), answer, SMALL_BODY).await
    }

    /// The state of the world, as the engine's host sees it.
    pub async fn world(&self, request: &WorldRequest) -> Answered<World> {
        self.post("/v1/world", request, LARGE_BODY).await
    }

    /// The records of the engine's host, in the order of their IDs.
    pub async fn catalog(&self) -> Answered<Vec<Record>> {
        self.get("/v1/catalog".to_owned()).await
    }

    /// Enters an exported record, if its pairs still hold what it describes.
    pub async fn enter(&self, request: &EnterRequest) -> Answered<Entered> {
        self.post("/v1/catalog", request, LARGE_BODY).await
    }

    /// Locks, unlocks, waives or deletes a record; gives it as it is then, or was.
    pub async fn record(&self, id: BackupId, verb: RecordVerb) -> Answered<Record> {
        let verb = match verb {
            RecordVerb::Lock => "lock",
            RecordVerb::Unlock => "unlock",
            RecordVerb::Waive => "waive",
            RecordVerb::Delete => "delete",
        };
        self.act(Method::POST, format!("/v1/catalog/{id}/{verb}")).await
    }

    /// Asks for leases: all of them, or none.
    pub async fn lease(&self, request: &LeaseRequest) -> Answered<LeaseReply> {
        self.post("/v1/leases", request, SMALL_BODY).await
    }

    /// Returns when its host's count of releases is another than `releases`.
    pub async fn lease_wait(&self, releases: u64) -> Answered<()> {
        self.get(format!("/v1/leases/wait?releases={releases}")).await
    }

    /// Releases all leases of a run.
    pub async fn release(&self, run: &RunId) -> Answered<()> {
        self.act(Method::DELETE, format!("/v1/leases/{}", segment(run.as_str()))).await
    }

    /// Has a step run, or attaches to it: progress and beats while it runs, its end as the last message.
    pub async fn step(&self, request: &StepRequest) -> Answered<Lines<StepMessage>> {
        let body = encode(request)?;
        Ok(Lines::new(self.ask(Method::POST, "/v1/steps".to_owned(), body, LARGE_BODY).await?))
    }

    /// What recovery would do of a step that was asked for before it was interrupted.
    pub async fn foresee(&self, request: &StepRequest) -> Answered<Recovery> {
        self.post("/v1/steps/foresee", request, LARGE_BODY).await
    }

    /// What resplit made on the engine's host and has not undone.
    pub async fn leftovers(&self, request: &LeftoversRequest) -> Answered<Vec<Leftover>> {
        self.post("/v1/leftovers", request, LARGE_BODY).await
    }

    /// Undoes leftovers that may be undone.
    pub async fn release_leftovers(&self, request: &ReleaseRequest) -> Answered<Vec<Released>> {
        self.post("/v1/leftovers/release", request, LARGE_BODY).await
    }

    /// What a repair of the engine's damaged store would give up; or, confirmed, repairs it: the engine exits then.
    pub async fn repair(&self, request: &RepairRequest) -> Answered<Repair> {
        self.post("/v1/repair", request, LARGE_BODY).await
    }

    /// Whether the engine's host is what the site says it is.
    pub async fn survey(&self, request: &SurveyRequest) -> Answered<Survey> {
        self.post("/v1/survey", request, LARGE_BODY).await
    }

    /// Places a file into the staging directory of the engine's host, whole or not at all, and returns its path there.
    /// The digest is BLAKE3 in hexadecimal.
    pub async fn place(&self, name: &str, digest: &str, bytes: impl Into<Bytes>) -> Answered<PathBuf> {
        let target = with_query("/v1/files", &[("name", name), ("digest", digest)])?;
        let placed: Placed = self.ask(Method::PUT, target, bytes.into(), LARGE_BODY).await?.json().await?;
        Ok(placed.path)
    }

    /// Opens a conversation about a pair whose secondary is on the engine's host: what is sent goes out as it comes, while
    /// the answer is read.
    pub(crate) async fn converse(&self, body: Flow<()>) -> Answered<Answer> {
        let (method, target) = (Method::POST, "/v1/pairs".to_owned());
        send(&self.route, format!("{method} {target}"), (method, target), body).await
    }

    async fn get<T: DeserializeOwned>(&self, target: String) -> Answered<T> {
        self.act(Method::GET, target).await
    }

    async fn act<T: DeserializeOwned>(&self, method: Method, target: String) -> Answered<T> {
        self.ask(method, target, Bytes::new(), 0).await?.json().await
    }

    async fn post<T: DeserializeOwned>(&self, to: &str, body: &impl Serialize, limit: usize) -> Answered<T> {
        self.ask(Method::POST, to.to_owned(), encode(body)?, limit).await?.json().await
    }

    async fn ask(
        &self,
        method: Method,
        target: String,
        body: Bytes,
        limit: usize,
    ) -> Answered<exchange::Answer> {
        // What waits for an answer is held by many, and is kept small.
        Box::pin(ask(&self.route, Ask { method, target, body, limit })).await
    }
}

fn of_run(run: &RunId, rest: &str) -> String {
    format!("/v1/runs/{}{rest}", segment(run.as_str()))
}

/// A name as one segment of a path, whatever is in it.
fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn with_query(path: &str, query: &impl Serialize) -> Answered<String> {
    match serde_urlencoded::to_string(query) {
        Ok(query) => Ok(format!("{path}?{query}")),
        Err(error) => Err(ClientError::unfit(format!("{path} cannot be asked: {error}"))),
    }
}

fn encode(body: &impl Serialize) -> Answered<Bytes> {
    match serde_json::to_vec(body) {
        Ok(body) => Ok(body.into()),
        Err(error) => Err(ClientError::unfit(format!("the request cannot be written: {error}"))),
    }
}
