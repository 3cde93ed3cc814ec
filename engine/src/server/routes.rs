//! The routes: one for every method of [`Service`]. `info` and `stop` are the same in every version of the protocol, so
//! that a newer program can replace an older engine.

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri},
    response::Response,
    routing::{delete, get, post, put},
};
use resplit_operations::ids::{BackupId, RunId};
use resplit_steps::failure::Failure;
use serde::Deserialize;

use super::{
    LARGE_BODY, SMALL_BODY,
    converse::converse,
    door::{Asked, Door, Input, Named, Whole, json},
    problem::Problem,
};
use crate::{
    protocol::{
        AnswerRequest, EnterRequest, LeaseRequest, LeftoversRequest, Placed, RecordVerb, Refusal,
        RefusalKind, ReleaseRequest, RepairRequest, RunsQuery, StepRequest, Submit, SurveyRequest,
        WorldRequest,
    },
    service::Service,
};

type Answered = Result<Response, Problem>;

pub(super) fn router<S: Service>(door: Door<S>) -> Router {
    let large = || DefaultBodyLimit::max(LARGE_BODY);
    Router::new()
        .route("/v1/info", get(info::<S>))
        .route("/v1/stop", post(stop::<S>))
        .route("/v1/preview", post(preview::<S>).layer(large()))
        .route("/v1/submit", post(submit::<S>).layer(large()))
        .route("/v1/runs", get(runs::<S>))
        .route("/v1/runs/{run}", get(run::<S>))
        .route("/v1/runs/{run}/events", get(events::<S>))
        .route("/v1/runs/{run}/resume", post(resume::<S>))
        .route("/v1/runs/{run}/cancel", post(cancel::<S>))
        .route("/v1/runs/{run}/answer", post(answer::<S>))
        .route("/v1/world", post(world::<S>).layer(large()))
        .route("/v1/catalog", get(catalog::<S>).post(enter::<S>).layer(large()))
        .route("/v1/catalog/{id}/{verb}", post(record::<S>))
        .route("/v1/leases", post(lease::<S>))
        .route("/v1/leases/wait", get(lease_wait::<S>))
        .route("/v1/leases/{run}", delete(release::<S>))
        .route("/v1/steps", post(step::<S>).layer(large()))
        .route("/v1/steps/foresee", post(foresee::<S>).layer(large()))
        .route("/v1/leftovers", post(leftovers::<S>).layer(large()))
        .route("/v1/leftovers/release", post(release_leftovers::<S>).layer(large()))
        .route("/v1/repair", post(repair::<S>).layer(large()))
        .route("/v1/survey", post(survey::<S>).layer(large()))
        .route("/v1/pairs", post(converse::<S>))
        .route("/v1/files", put(place::<S>).layer(large()))
        .fallback(|uri: Uri| async move { Problem::no_route(uri.path()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::bad(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{} cannot be asked with {method}", uri.path()),
            )
        })
        .layer(DefaultBodyLimit::max(SMALL_BODY))
        .with_state(door)
}

async fn info<S: Service>(State(door): State<Door<S>>) -> Answered {
    json(&door.call(async move |s| Ok(s.info())).await?)
}

#[derive(Deserialize)]
struct Which {
    pid: Option<u32>,
}

async fn stop<S: Service>(State(door): State<Door<S>>, Asked(Which { pid }): Asked<Which>) -> Answered {
    let this = door.service.info().pid;
    if let Some(other) = pid.filter(|pid| *pid != this) {
        let failure = Failure::refused(format!("this engine is process {this}, not {other}"));
        return Err(Refusal { kind: RefusalKind::Conflict, failure }.into());
    }
    json(&door.call(async move |s| s.stop().await).await?)
}

async fn preview<S: Service>(State(door): State<Door<S>>, Input(submit): Input<Submit>) -> Answered {
    json(&door.call(async move |s| s.preview(submit).await).await?)
}

async fn submit<S: Service>(State(door): State<Door<S>>, Input(submit): Input<Submit>) -> Answered {
    json(&door.call(async move |s| s.submit(submit).await).await?)
}

async fn runs<S: Service>(State(door): State<Door<S>>, Asked(query): Asked<RunsQuery>) -> Answered {
    json(&door.call(async move |s| s.runs(query).await).await?)
}

async fn run<S: Service>(State(door): State<Door<S>>, Named(run): Named<RunId>) -> Answered {
    json(&door.call(async move |s| s.run(run).await).await?)
}

#[derive(Deserialize)]
struct Follow {
    #[serde(default)]
    follow: bool,
}

async fn events<S: Service>(
    State(door): State<Door<S>>,
    Named(run): Named<RunId>,
    Asked(Follow { follow }): Asked<Follow>,
) -> Answered {
    door.stream(async move |s| s.events(run, follow).await).await
}

async fn resume<S: Service>(State(door): State<Door<S>>, Named(run): Named<RunId>) -> Answered {
    json(&door.call(async move |s| s.resume(run).await).await?)
}

async fn cancel<S: Service>(State(door): State<Door<S>>, Named(run): Named<RunId>) -> Answered {
    json(&door.call(async move |s| s.cancel(run).await).await?)
}

async fn answer<S: Service>(
    State(door): State<Door<S>>,
    Named(run): Named<RunId>,
    Input(answer): Input<AnswerRequest>,
) -> Answered {
    json(&door.call(async move |s| s.answer(run, answer).await).await?)
}

async fn world<S: Service>(State(door): State<Door<S>>, Input(request): Input<WorldRequest>) -> Answered {
    json(&door.call(async move |s| s.world(request).await).await?)
}

async fn catalog<S: Service>(State(door): State<Door<S>>) -> Answered {
    json(&door.call(async move |s| s.catalog().await).await?)
}

async fn enter<S: Service>(State(door): State<Door<S>>, Input(request): Input<EnterRequest>) -> Answered {
    json(&door.call(async move |s| s.enter(request).await).await?)
}

async fn record<S: Service>(
    State(door): State<Door<S>>,
    Named((id, verb)): Named<(BackupId, RecordVerb)>,
) -> Answered {
    json(&door.call(async move |s| s.record(id, verb).await).await?)
}

async fn lease<S: Service>(State(door): State<Door<S>>, Input(request): Input<LeaseRequest>) -> Answered {
    json(&door.call(async move |s| s.lease(request).await).await?)
}

#[derive(Deserialize)]
struct Seen {
    releases: u64,
}

async fn lease_wait<S: Service>(
    State(door): State<Door<S>>,
    Asked(Seen { releases }): Asked<Seen>,
) -> Answered {
    json(&door.wait(async move |s| s.lease_wait(releases).await).await?)
}

async fn release<S: Service>(State(door): State<Door<S>>, Named(run): Named<RunId>) -> Answered {
    json(&door.call(async move |s| s.release(run).await).await?)
}

async fn step<S: Service>(State(door): State<Door<S>>, Input(request): Input<StepRequest>) -> Answered {
    door.stream(async move |s| s.step(request).await).await
}

async fn foresee<S: Service>(State(door): State<Door<S>>, Input(request): Input<StepRequest>) -> Answered {
    json(&door.call(async move |s| s.foresee(request).await).await?)
}

async fn leftovers<S: Service>(
    State(door): State<Door<S>>,
    Input(request): Input<LeftoversRequest>,
) -> Answered {
    json(&door.call(async move |s| s.leftovers(request).await).await?)
}

async fn release_leftovers<S: Service>(
    State(door): State<Door<S>>,
    Input(request): Input<ReleaseRequest>,
) -> Answered {
    json(&door.call(async move |s| s.release_leftovers(request).await).await?)
}

async fn repair<S: Service>(State(door): State<Door<S>>, Input(request): Input<RepairRequest>) -> Answered {
    json(&door.call(async move |s| s.repair(request).await).await?)
}

async fn survey<S: Service>(State(door): State<Door<S>>, Input(request): Input<SurveyRequest>) -> Answered {
    json(&door.call(async move |s| s.survey(request).await).await?)
}

#[derive(Deserialize)]
struct File {
    name: String,
    digest: String,
}

async fn place<S: Service>(
    State(door): State<Door<S>>,
    Asked(File { name, digest }): Asked<File>,
    Whole(bytes): Whole,
) -> Answered {
    let path = door.call(async move |s| s.place(name, digest, bytes.into()).await).await?;
    json(&Placed { path })
}
