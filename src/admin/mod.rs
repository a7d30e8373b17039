//! The internal listener: endpoints for operators and orchestrators, never reachable from outside.
//!
//! | method, path | response |
//! |---|---|
//! | `GET /livez` | 200 while the process can respond at all; never calls the store |
//! | `GET /readyz` | 200 when requests can be served, 503 while the store is down or the gate is stopping; details with an operator credential |
//! | `/session…` | the session API, for upstreams with a capability: see [`session_api`] |
//! | `/sessions…`, `/tokens…`, `/users…` | the operator's API, with an operator credential: see `operator.rs` and `users.rs` |
//!
//! | file | part |
//! |---|---|
//! | `guard` | who may use the listener |
//! | `health` | the state of the gate |
//! | `operator`, `view`, `users` | the operator's API: sessions and tokens, their JSON, accounts |
//! | `session_api` | the session API for upstreams |

mod guard;
pub mod health;
mod operator;
pub mod session_api;
mod users;
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

use crate::http::ConnInfo;
use crate::http::ResponseBody;
use crate::http::Sessions;
use crate::http::conn::server;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;

pub use guard::{InternalHosts, OperatorAccess};
pub use health::GateHealth;

use operator::Operator;
use session_api::SessionApi;

/// Handles the requests of the internal listener.
pub struct Admin {
    health: Arc<GateHealth>,
    operator: Operator,
    upstreams: SessionApi,
    hosts: Arc<InternalHosts>,
}

impl Admin {
    /// Serves `health` to every client, `sessions` to operators that `entry` admits, and the
    /// session API to upstreams whose bodies arrive at this pace.
    pub fn new(
        health: Arc<GateHealth>,
        sessions: Arc<Sessions>,
        (entry, hosts): (OperatorAccess, InternalHosts),
        pace: Pace,
    ) -> Self {
        let hosts = Arc::new(hosts);
        let upstreams = SessionApi::new(Arc::clone(&sessions), Arc::clone(&hosts), pace);
        let operator = Operator::new(sessions, entry, Arc::clone(&hosts), pace);
        Self { health, operator, upstreams, hosts }
    }

    /// Handles one request. Health is served to every client, because probes hold no key; its
    /// details are for operators.
    async fn reply(&self, head: &Head, conn: ConnInfo) -> Response<ResponseBody> {
        let (method, path) = (&head.method, head.uri.path());
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
    async fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        if SessionApi::has(head.uri.path()) {
            return self.upstreams.reply(head, RequestBody::Wire(body), conn).await;
        }
        if Operator::has(head.uri.path()) {
            return self.operator.reply(&head, RequestBody::Wire(body), conn).await;
        }
        self.reply(&head, conn).await
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("health", &self.health).finish_non_exhaustive()
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
