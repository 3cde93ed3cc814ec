//! What goes wrong with a request, as a reply: always JSON, always a [`Refusal`].

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use resplit_steps::failure::Failure;

use crate::protocol::{Refusal, RefusalKind};

/// The most that is said of a request that makes no sense, in characters: what it quotes may be anything.
const LONGEST_QUOTE: usize = 1000;

/// A refusal and its HTTP status.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    refusal: Refusal,
}

impl Problem {
    /// The request makes no sense. What is quoted of it is shortened, and noted.
    pub(super) fn bad(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if let Some((end, _)) = text.char_indices().nth(LONGEST_QUOTE) {
            text.truncate(end);
            text.push_str("...");
        }
        tracing::warn!("refused a request: {}", text.escape_debug());
        let refusal = Refusal { kind: RefusalKind::BadRequest, failure: Failure::permanent(text) };
        Self { status, refusal }
    }

    /// The engine is at fault.
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Refusal { kind: RefusalKind::Internal, failure: Failure::unknown(text) }.into()
    }

    /// The engine stops: nothing was done, and another one may be asked. The one use of status 503.
    pub(super) fn stopping() -> Self {
        let failure =
            Failure::temporary("this engine is stopping").with_help("ask again: another one is started");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            refusal: Refusal { kind: RefusalKind::Conflict, failure },
        }
    }

    /// There is no such route.
    pub(super) fn no_route(path: &str) -> Self {
        let failure = Failure::permanent(format!("this engine has no {path}"))
            .with_help("the engine and the program that asks it may be of different versions");
        Refusal { kind: RefusalKind::NotFound, failure }.into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Busy => StatusCode::LOCKED,
            RefusalKind::BadRequest => StatusCode::BAD_REQUEST,
            RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, refusal }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of strings always serialises.
        let body = serde_json::to_vec(&self.refusal).unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
