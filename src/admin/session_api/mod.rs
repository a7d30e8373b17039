//! The session API: how an upstream works in the session of the request that was forwarded to it,
//! with the capability that came with the request (docs/CONTRACT.md §7).
//!
//! | method, path | effect | response |
//! |---|---|---|
//! | `GET /session` | describes the session | 200, id, user, privileges, lifetime, outcome of the token |
//! | `GET /session/storage` | reads | 200, all keys and values |
//! | `PATCH /session/storage` | sets top-level keys, removes those set to null | 204 |
//! | `POST /session/otp` | mints a token | 201, token and, for a path, its URL |
//! | `POST /session/restore` | redeems a token | 200, the outcome |
//! | `PUT /session/privileges` | adds privileges, as `setPrivileges` | 200, as `GET /session` |
//! | `DELETE /session` | logs out | 204 |
//! | `GET /session/openapi.json` | describes all this; needs no capability | 200 |
//!
//! A write is durable when its response is sent. The calls of one request run one after the other.
//! The browser gets its cookies with the response to the forwarded request; a call that would need
//! a further cookie is refused once that response has begun.
//!
//! | file | part |
//! |---|---|
//! | `routes` | methods, paths, and how each can fail |
//! | `command` | reading the body of a request |
//! | `work` | the effect in the session, and the response |
//! | `problem` | errors, with a stable code for each |

mod command;
mod problem;
mod routes;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::admin::guard::AccessDenied;
use crate::admin::guard::InternalHosts;
use crate::flow::mint::capability::CAPABILITY_HEADER;
use crate::http::ConnInfo;
use crate::http::Fault;
use crate::http::ResponseBody;
use crate::http::Session;
use crate::http::Sessions;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::fault::ErrorFormat;

use command::SessionCommand;
use routes::Action;
use routes::Route;

/// The description of this API, as `OpenAPI` 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Longest body. A session's total storage is limited to the same size.
const BODY_BYTES_MAX: u64 = 256 * 1024;

/// Handles requests of upstreams on the internal listener.
pub(super) struct SessionApi {
    sessions: Arc<Sessions>,
    hosts: Arc<InternalHosts>,
    pace: Pace,
}

/// One request, and the connection it arrived on.
struct ReceivedRequest {
    head: Head,
    body: RequestBody,
    conn: ConnInfo,
}

impl SessionApi {
    /// Serves the sessions of capabilities issued by `sessions`, with bodies that arrive at this
    /// pace.
    pub(super) fn new(sessions: Arc<Sessions>, hosts: Arc<InternalHosts>, pace: Pace) -> Self {
        Self { sessions, hosts, pace }
    }

    /// Whether a path belongs to the API.
    pub(super) fn has(path: &str) -> bool {
        path == "/session" || path.starts_with("/session/")
    }

    /// Handles one request for such a path.
    pub(super) async fn reply(
        &self,
        head: Head,
        body: RequestBody,
        conn: ConnInfo,
    ) -> Response<ResponseBody> {
        let answer = match Route::find(head.method.as_str(), head.uri.path()) {
            Ok(route) => {
                let answer = self.answer(route, ReceivedRequest { head, body, conn }).await;
                let foreseen = answer.as_ref().err().is_none_or(|fault| route.may_fail(fault));
                debug_assert!(foreseen, "the route does not say that it may fail like this");
                answer
            }
            Err(fault) => admit(&self.hosts, &head, conn).and(Err(fault)),
        };
        answer.unwrap_or_else(|fault| refuse(&fault))
    }

    async fn answer(
        &self,
        route: &Route,
        asked: ReceivedRequest,
    ) -> Result<Response<ResponseBody>, Fault> {
        let ReceivedRequest { head, body, conn } = asked;
        admit(&self.hosts, &head, conn)?;
        if route.action == Action::Describe {
            return Ok(json(StatusCode::OK, Bytes::from_static(OPENAPI.as_bytes())));
        }
        let session = self.open(&head.headers).await?;
        let body = if route.action.takes_body() {
            incoming::read(body, &head.headers, BODY_BYTES_MAX, self.pace).await?.bytes
        } else {
            Bytes::new()
        };
        let command = SessionCommand::read(route.action, &head.headers, &body)?;
        // A token that is redeemed must take effect even if the upstream has closed the connection.
        let done = tokio::spawn(async move { work::carry_out(&session, command).await }).await;
        done.map_err(Fault::internal)?
    }

    /// The session of the request's capability, of which there must be exactly one.
    async fn open(&self, headers: &HeaderMap) -> Result<Session, Fault> {
        let mut all = headers.get_all(CAPABILITY_HEADER).iter();
        let (Some(shown), None) = (all.next(), all.next()) else {
            return Err(problem::capability());
        };
        let shown = shown.to_str().map_err(|_| problem::capability())?;
        self.sessions.open_capability(shown).await.map_err(problem::not_opened)
    }
}

/// Admits programs on this machine, and no browser (docs/SECURITY.md T52).
fn admit(hosts: &InternalHosts, head: &Head, conn: ConnInfo) -> Result<(), Fault> {
    let local = conn.local.ip().to_canonical();
    let refused = match hosts.admit_program(head) {
        Ok(()) if local.is_loopback() => return Ok(()),
        Ok(()) => AccessDenied::Closed,
        Err(refused) => refused,
    };
    let fault = problem::refused(refused);
    let peer = conn.peer.ip();
    tracing::warn!(event = "session_api.refused", %peer, code = fault.code());
    Err(fault)
}

fn refuse(fault: &Fault) -> Response<ResponseBody> {
    let status = fault.status();
    if status.is_server_error() {
        let cause = fault.inside();
        tracing::warn!(event = "session_api.failed", code = fault.code(), cause);
    }
    let mut response = fault.response(ErrorFormat::Problem, false);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Callgate-Capability");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn json(status: StatusCode, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_turned_away_by_whatever_name_it_asks() {
        let head = |host: &str| {
            let request = hyper::Request::get("/session").header(header::HOST, host).body(());
            request.unwrap().into_parts().0
        };
        let conn = |local: &str| ConnInfo {
            peer: "192.0.2.7:5000".parse().unwrap(),
            local: local.parse().unwrap(),
            tls: false,
        };
        let hosts = InternalHosts::default();
        for host in ["192.0.2.1:8045", "localhost:8045", "127.0.0.1"] {
            let fault = admit(&hosts, &head(host), conn("192.0.2.1:8045")).unwrap_err();
            assert_eq!(fault.code(), "not_local", "{host}");
            assert!(Route::find("GET", "/session").unwrap().may_fail(&fault));
        }
        for local in ["127.0.0.1:8045", "[::1]:8045", "[::ffff:127.0.0.1]:8045"] {
            assert!(admit(&hosts, &head("localhost"), conn(local)).is_ok(), "{local}");
        }
    }
}
