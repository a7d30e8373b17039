//! The operator's API for sessions and tokens: list, show, end. It is used by `callgate sessions`
//! and `callgate tokens`, and can be used by other programs (docs/SECURITY.md T22: a link is
//! revoked in one step).
//!
//! | method, path | response |
//! |---|---|
//! | `GET /sessions?after=ID&limit=N` | `{"sessions": […], "next": ID or null}` in the order of the ids |
//! | `GET /sessions/ID` | one session with its devices, the names and sizes of its storage, its tokens |
//! | `DELETE /sessions/ID` | ends it: `{"ended": ID}` |
//! | `GET /tokens?after=ID&limit=N` | `{"tokens": […], "next": ID or null}`: the unspent ones |
//! | `DELETE /tokens/ID` | revokes it: `{"revoked": ID}` |
//!
//! Accounts have a file of their own, `users.rs`.
//!
//! Errors are `{"code": …, "detail": …}`: 400, 401, 403, 404, 405, 409, 429, and 503 when the store is
//! unavailable.

use std::str::FromStr;
use std::sync::Arc;

use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;
use serde_json::Value;
use serde_json::json;

use crate::admin::guard::AccessDenied;
use crate::admin::guard::Guard;
use crate::admin::guard::InternalHosts;
use crate::admin::guard::OperatorAccess;
use crate::admin::json_response;
use crate::admin::users;
use crate::admin::view;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::flow::directory::DirectoryError;
use crate::http::ConnInfo;
use crate::http::ResponseBody;
use crate::http::Sessions;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;
use crate::session::Right;
use crate::store::StoreError;
use crate::token::Token;

/// Default number of entries of a page.
const PAGE: usize = 100;
/// Most entries of a page.
const PAGE_MAX: usize = 1_000;
/// Pages of tokens that are searched for those of one session: stores index tokens by their ids.
const SEARCH_PAGES_MAX: usize = 1_000;
/// Longest body.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// Handles requests of operators on the internal listener.
pub(super) struct Operator {
    sessions: Arc<Sessions>,
    guard: Guard,
    pace: Pace,
}

/// The resource of a request.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Sessions,
    Session(SessionId),
    Tokens,
    Token(TokenId),
}

/// Why a request fails.
pub(super) enum OperatorError {
    BadRequest(&'static str),
    /// The resource supports these methods only.
    Method(&'static str),
    NotFound,
    /// What there is already forbids it: a code and a hint.
    Conflict(&'static str, &'static str),
    Store(StoreError),
    Directory(DirectoryError),
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A part of a list.
pub(super) struct Page<I> {
    pub(super) after: Option<I>,
    pub(super) limit: usize,
}

impl Operator {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        entry: OperatorAccess,
        hosts: Arc<InternalHosts>,
        pace: Pace,
    ) -> Self {
        let guard = Guard::new(Arc::clone(&sessions), entry, hosts);
        Self { sessions, guard, pace }
    }

    /// Whether a path belongs to the operator's API.
    pub(super) fn has(path: &str) -> bool {
        let first = path.split('/').nth(1);
        path.starts_with('/') && matches!(first, Some("sessions" | "tokens" | "users"))
    }

    /// Whether a request for another path carries a valid operator credential.
    pub(super) fn admits(&self, head: &Head, conn: ConnInfo) -> bool {
        head.headers.contains_key(header::AUTHORIZATION) && self.guard.admit(head, conn).is_ok()
    }

    /// Handles one request for such a path.
    pub(super) async fn reply(
        &self,
        head: &Head,
        body: RequestBody,
        conn: ConnInfo,
    ) -> Response<ResponseBody> {
        if let Err(refused) = self.guard.admit(head, conn) {
            return self.refuse(refused, conn);
        }
        match self.answer(head, body).await {
            Ok(answer) => json_response(StatusCode::OK, &answer),
            Err(OperatorError::Method(allow)) => {
                let detail = "The path takes other methods.";
                let status = StatusCode::METHOD_NOT_ALLOWED;
                with(failure(status, "method_not_allowed", detail), header::ALLOW, allow)
            }
            Err(OperatorError::BadRequest(detail)) => {
                failure(StatusCode::BAD_REQUEST, "bad_request", detail)
            }
            Err(OperatorError::NotFound) => {
                failure(StatusCode::NOT_FOUND, "not_found", "There is nothing of this name.")
            }
            Err(OperatorError::Conflict(code, detail)) => {
                failure(StatusCode::CONFLICT, code, detail)
            }
            Err(OperatorError::Store(error)) => unavailable(&error),
            Err(OperatorError::Directory(error)) => unavailable(&error),
        }
    }

    fn refuse(&self, refused: AccessDenied, conn: ConnInfo) -> Response<ResponseBody> {
        let (status, code, detail) = refused.answer();
        // A refusal by rate limit and a request without a credential are not logged: there may be
        // many.
        if !matches!(refused, AccessDenied::TooMany | AccessDenied::NoCredential) {
            let peer = conn.peer.ip();
            tracing::warn!(event = "operator.refused", %peer, code);
        }
        let mut response = failure(status, code, detail);
        if matches!(refused, AccessDenied::Credential | AccessDenied::NoCredential) {
            let challenge = self.guard.challenge(conn);
            response = with(response, header::WWW_AUTHENTICATE, &challenge);
        }
        match refused.retry_after() {
            Some(secs) => with(response, header::RETRY_AFTER, &secs.to_string()),
            None => response,
        }
    }

    async fn answer(&self, head: &Head, body: RequestBody) -> Result<Value, OperatorError> {
        if head.uri.path().starts_with("/users") {
            return self.users(head, body).await;
        }
        let store = &*self.sessions.store;
        let now = self.sessions.clock.now();
        let query = head.uri.query().unwrap_or("");
        let looks = head.method == Method::GET || head.method == Method::HEAD;
        Ok(match subject(head.uri.path())? {
            Subject::Sessions if looks => {
                let page = Page::read(query)?;
                let found = store.sessions(now, page.after, page.limit).await?;
                let next = found.last().filter(|_| found.len() == page.limit);
                let next = next.map(|opened| opened.record.id.to_string());
                let seen: Value = found.iter().map(|opened| view::session(opened, now)).collect();
                json!({ "sessions": seen, "next": next })
            }
            Subject::Session(id) if looks => {
                let opened = store
                    .look(now, id, Right::Operator)
                    .await?
                    .done()
                    .ok_or(OperatorError::NotFound)?;
                let (tokens, all) = self.tokens_of(now, id).await?;
                view::whole_session(&opened, (&tokens, all), now)
            }
            Subject::Session(id) if head.method == Method::DELETE => {
                let ended = store.end(now, id, Right::Operator).await?;
                ended.done().ok_or(OperatorError::NotFound)?;
                self.sessions.watchers.wake(id);
                tracing::info!(event = "session.ended", session = %id, source = "operator");
                json!({ "ended": id.to_string() })
            }
            Subject::Tokens if looks => {
                let page = Page::read(query)?;
                let found = store.tokens(now, page.after, page.limit).await?;
                let next = found.last().filter(|_| found.len() == page.limit);
                let next = next.map(|token| token.id.to_string());
                json!({ "tokens": found.iter().map(view::token).collect::<Value>(), "next": next })
            }
            Subject::Token(id) if head.method == Method::DELETE => {
                if !store.revoke(now, id).await? {
                    return Err(OperatorError::NotFound);
                }
                tracing::info!(event = "token.revoked", token = %id, source = "operator");
                json!({ "revoked": id.to_string() })
            }
            Subject::Sessions | Subject::Tokens => return Err(OperatorError::Method("GET, HEAD")),
            Subject::Session(_) => return Err(OperatorError::Method("GET, HEAD, DELETE")),
            Subject::Token(_) => return Err(OperatorError::Method("DELETE")),
        })
    }

    async fn users(&self, head: &Head, body: RequestBody) -> Result<Value, OperatorError> {
        let body = incoming::read(body, &head.headers, BODY_BYTES_MAX, self.pace).await;
        let body = body.map_err(|_| {
            OperatorError::BadRequest("The body has 64 KiB at most, and has to arrive.")
        })?;
        let asked = (&head.method, head.uri.path(), head.uri.query().unwrap_or(""));
        users::answer(&self.sessions, asked, &body.bytes).await
    }

    /// The unspent tokens of a session, and whether the search was complete.
    async fn tokens_of(
        &self,
        now: Timestamp,
        session: SessionId,
    ) -> Result<(Vec<Token>, bool), StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..SEARCH_PAGES_MAX {
            let page = self.sessions.store.tokens(now, after, PAGE_MAX).await?;
            let last = page.len() < PAGE_MAX;
            after = page.last().map(|token| token.id);
            found.extend(page.into_iter().filter(|token| token.session == session));
            if last || found.len() >= TOKENS_PER_SESSION_MAX {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }
}

fn subject(path: &str) -> Result<Subject, OperatorError> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match *segments.as_slice() {
        ["sessions"] => Ok(Subject::Sessions),
        ["tokens"] => Ok(Subject::Tokens),
        ["sessions", id] => id
            .parse()
            .map(Subject::Session)
            .map_err(|_| OperatorError::BadRequest("The id of a session has 32 hex digits.")),
        ["tokens", id] => id.parse().map(Subject::Token).map_err(|_| {
            OperatorError::BadRequest("The id of a token has 16 hex digits; it is not the token.")
        }),
        _ => Err(OperatorError::NotFound),
    }
}

impl<I: FromStr> Page<I> {
    pub(super) fn read(query: &str) -> Result<Self, OperatorError> {
        let mut page = Self { after: None, limit: PAGE };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let bad = OperatorError::BadRequest("A list takes after=ID and limit=1 to 1000.");
            match pair.split_once('=') {
                Some(("after", id)) => page.after = Some(id.parse().map_err(|_| bad)?),
                Some(("limit", number)) => match number.parse() {
                    Ok(limit) if (1..=PAGE_MAX).contains(&limit) => page.limit = limit,
                    _ => return Err(bad),
                },
                _ => return Err(bad),
            }
        }
        Ok(page)
    }
}

fn unavailable(error: &dyn std::error::Error) -> Response<ResponseBody> {
    tracing::warn!(event = "operator.failed", %error);
    let detail = "The store cannot answer; see the log.";
    failure(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail)
}

fn failure(status: StatusCode, code: &str, detail: &str) -> Response<ResponseBody> {
    json_response(status, &json!({ "code": code, "detail": detail }))
}

fn with(
    mut response: Response<ResponseBody>,
    name: HeaderName,
    value: &str,
) -> Response<ResponseBody> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
