//! How requests become calls and calls become replies.

use std::{future::Future, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc::Receiver;

use super::{
    activity::{Activity, OpenRequest},
    lines::Lines,
    problem::Problem,
    stopping::Stopping,
};
use crate::service::{Reply, Service};

/// What every handler has.
pub(super) struct Door<S> {
    pub(super) service: Arc<S>,
    activity: Activity,
    stopping: Stopping,
}

impl<S> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            activity: self.activity.clone(),
            stopping: self.stopping.clone(),
        }
    }
}

impl<S: Service> Door<S> {
    pub(super) const fn new(service: Arc<S>, activity: Activity, stopping: Stopping) -> Self {
        Self { service, activity, stopping }
    }

    /// A call that runs to its end, whether or not its client is still there: it may act.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(Arc<S>) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Reply<T>> + Send + 'static,
    {
        if self.stopping.is_so() {
            return Err(Problem::stopping());
        }
        let open = self.activity.begin();
        let call = call(Arc::clone(&self.service));
        let ended = tokio::spawn(async move {
            let _open = open;
            call.await
        });
        match ended.await {
            Ok(reply) => Ok(reply?),
            Err(error) => {
                #[cfg(test)]
                crate::killed::end_with(&error.to_string());
                Err(Problem::internal(format!("the engine failed while it did this: {error}")))
            }
        }
    }

    /// Begins a call that reads and writes at once: what counts it as open, and what tells that the engine stops.
    pub(super) fn enter(&self) -> Result<(OpenRequest, Stopping), Problem> {
        if self.stopping.is_so() {
            return Err(Problem::stopping());
        }
        Ok((self.activity.begin(), self.stopping.clone()))
    }

    /// A call that only waits: it ends when its client goes away or the engine stops.
    pub(super) async fn wait<T, F>(&self, call: impl FnOnce(Arc<S>) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Reply<T>>,
    {
        let _open = self.activity.begin();
        tokio::select! {
            biased;
            () = self.stopping.clone().wait() => Err(Problem::stopping()),
            reply = call(Arc::clone(&self.service)) => Ok(reply?),
        }
    }

    /// A call whose reply is a stream: one JSON object a line.
    pub(super) async fn stream<T, F>(&self, call: impl FnOnce(Arc<S>) -> F) -> Result<Response, Problem>
    where
        T: Serialize + Send + Unpin + 'static,
        F: Future<Output = Reply<Receiver<T>>> + Send + 'static,
    {
        let receiver = self.call(call).await?;
        let lines = Lines::new(receiver, self.stopping.clone(), self.activity.begin());
        Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response())
    }
}

/// A reply of one JSON value.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value)
        .map_err(|e| Problem::internal(format!("the engine cannot write its reply: {e}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The body of a request, as bytes, within the route's limit.
pub(super) struct Whole(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) => Err(Problem::bad(error.status(), error.body_text())),
        }
    }
}

/// The body of a request, as JSON.
pub(super) struct Input<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Whole(bytes) = Whole::from_request(request, state).await?;
        match Json::from_bytes(&bytes) {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// The names in a request's path.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}

/// What follows the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}
