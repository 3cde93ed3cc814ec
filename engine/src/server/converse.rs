//! A call that reads its request while it writes its reply.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use tokio::runtime::Handle;

use super::{door::Door, problem::Problem};
use crate::{service::Service, streams::ends};

/// Answers what another host asks of a pair: a stream of frames both ways, as the pairs' drivers have them. A stop of the
/// engine ends it; whoever asked takes it up again with the next engine.
pub(super) async fn converse<S: Service>(
    State(door): State<Door<S>>,
    request: Request,
) -> Result<Response, Problem> {
    let (open, stopping) = door.enter()?;
    let (wire, incoming, outgoing) = ends(&Handle::current(), || false);
    let body = request.into_body();
    let close = Arc::clone(&wire.close);
    let arriving = tokio::spawn(async move {
        tokio::select! {
            () = incoming.take(body) => {}
            () = stopping.wait() => close(),
        }
    });
    drop(arriving);
    let service = Arc::clone(&door.service);
    drop(tokio::spawn(async move {
        let _open = open;
        service.converse(wire).await;
    }));
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, Body::new(outgoing.body(()))).into_response())
}
