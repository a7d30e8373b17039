//! The internal listener: what operators and orchestrators ask, never reachable from outside.
//!
//! | method, path | answer |
//! |---|---|
//! | `GET /livez` | 200 while the process can answer at all; never asks the store |
//! | `GET /readyz` | 200 when requests can be served, 503 while the store is down or the gate is stopping; why, for who may read the key |
//! | `/session…` | the session API, for upstreams that show a capability: see [`session_api`] |
//! | `/sessions…`, `/tokens…` | the operator's view, for who may read the key: see `operator.rs` |

mod guard;
pub mod health;
mod operator;
pub mod session_api;
mod view;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;
use serde_json::Value;
use serde_json::json;

use crate::http::AnswerBody;
use crate::http::ConnInfo;
use crate::http::Sessions;
use crate::http::conn::server;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;

pub use guard::{Entry, InternalHosts};
pub use health::Health;

use operator::Operator;
use session_api::SessionApi;

/// Answers the requests of the internal listener.
pub struct Admin {
    health: Arc<Health>,
    operator: Operator,
    upstreams: SessionApi,
    hosts: Arc<InternalHosts>,
}

impl Admin {
    /// Answers by what `health` knows, operators about `sessions` whom `entry` lets in, and
    /// upstreams whose bodies come at this pace.
    pub fn new(
        health: Arc<Health>,
        sessions: Arc<Sessions>,
        (entry, hosts): (Entry, InternalHosts),
        pace: Pace,
    ) -> Self {
        let hosts = Arc::new(hosts);
        let upstreams = SessionApi::new(Arc::clone(&sessions), Arc::clone(&hosts), pace);
        let operator = Operator::new(sessions, entry, Arc::clone(&hosts));
        Self { health, operator, upstreams, hosts }
    }

    /// Answers one request. Health is told to everybody, because probes hold no key; what is wrong
    /// is told to operators.
    async fn reply(&self, head: &Head, conn: ConnInfo) -> Response<AnswerBody> {
        let (method, path) = (&head.method, head.uri.path());
        if Operator::has(path) {
            return self.operator.reply(head, conn).await;
        }
        if let Err(refused) = self.hosts.admit(head) {
            let (status, code, detail) = refused.answer();
            return json_response(status, &json!({ "code": code, "detail": detail }));
        }
        let known = ["/livez", "/readyz"].contains(&path);
        match path {
            _ if known && *method != Method::GET && *method != Method::HEAD => {
                let mut response = json_response(StatusCode::METHOD_NOT_ALLOWED, &json!({}));
                let allow = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(header::ALLOW, allow);
                response
            }
            "/livez" => json_response(StatusCode::OK, &json!({ "live": true })),
            "/readyz" => {
                let report = self.health.report().await;
                let status =
                    if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json_response(status, &report.to_json(self.operator.admits(head, conn)))
            }
            _ => json_response(StatusCode::NOT_FOUND, &json!({ "code": "not_found" })),
        }
    }
}

impl server::Service for Admin {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        if SessionApi::has(head.uri.path()) {
            return self.upstreams.reply(head, RequestBody::Wire(body), conn).await;
        }
        self.reply(&head, conn).await
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("health", &self.health).finish_non_exhaustive()
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::from(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
