//! The life of a request: what is there, whose session it is, what answers it.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::http::request::Parts as Head;
use tokio_util::task::TaskTracker;

use crate::base::RequestIds;
use crate::base::entropy::NoEntropy;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::http::access::AccessLine;
use crate::http::arrival::Arrival;
use crate::http::body;
use crate::http::body::RequestBody;
use crate::http::caught::Panicked;
use crate::http::caught::caught;
use crate::http::fault::Fault;
use crate::http::fault::Speaks;
use crate::http::head;
use crate::http::manner::Manner;
use crate::http::manner::no_content;
use crate::http::manner::without_own_cookie;
use crate::http::plan::Answer;
use crate::http::plan::Plan;
use crate::http::query;
use crate::http::query::Brought;
use crate::http::query::Query;
use crate::http::reply::OutgoingMessage;
use crate::http::run::Run;
use crate::http::run::submitted;
use crate::http::session::Session;
use crate::http::sessions::Errand;
use crate::http::sessions::Sessions;
use crate::http::sessions::label;
use crate::table::BasePath;
use crate::table::CanonicalPath;
use crate::table::Found;
use crate::table::OnRefused;
use crate::table::Row;
use crate::token::Outcome;

/// Answers requests by the table in use.
#[derive(Debug)]
pub struct Dispatch {
    plan: ArcSwap<Plan>,
    sessions: Arc<Sessions>,
    config: Config,
    ids: RequestIds,
    /// Requests whose handlers had to wait, whether or not their clients still do.
    running: TaskTracker,
}

/// How requests are treated that say nothing else.
#[derive(Debug, Clone)]
pub struct Config {
    /// The mount prefix that is stripped from every path.
    pub base_path: BasePath,
    /// Longest request target. Default 8,192 bytes.
    pub target_bytes_max: usize,
    /// Largest body, unless the row says otherwise. Default 1 MiB.
    pub body_bytes_max: u64,
    /// How long a body may take to arrive. Default 60 s.
    pub body_timeout: Duration,
    /// How long a handler may run, unless the row says otherwise. Default 30 s.
    pub handler_timeout: Duration,
    /// Whether clients see what a handler raised. For developers only.
    pub development: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_path: BasePath::none(),
            target_bytes_max: 8_192,
            body_bytes_max: 1024 * 1024,
            body_timeout: Duration::from_mins(1),
            handler_timeout: Duration::from_secs(30),
            development: false,
        }
    }
}

/// Where a request comes from.
struct Source {
    body: RequestBody,
    remote: Option<IpAddr>,
}

/// What is to be done about a request.
enum Prepared {
    /// It is answered already.
    Answer(Response<Full<Bytes>>),
    Run(Box<Run>),
}

/// What has become known of a request while it ran; readable even when its handler panicked.
#[derive(Debug, Default)]
struct Trace {
    session: OnceLock<Session>,
    otp: OnceLock<Outcome>,
}

impl Dispatch {
    /// Answers by `plan`, with sessions kept by `sessions`. Fails without randomness.
    pub fn new(plan: Plan, sessions: Arc<Sessions>, config: Config) -> Result<Self, NoEntropy> {
        let ids = RequestIds::new(&*sessions.entropy)?;
        let running = TaskTracker::new();
        Ok(Self { plan: ArcSwap::from_pointee(plan), sessions, config, ids, running })
    }

    /// What sessions share.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The table in use.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// Requests that are being run, but for those that run without waiting.
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// Waits until no request is being run any more. Some may be whose clients hung up.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
        self.running.reopen();
    }

    /// Answers one request; every failure is an answer too. One that came over no connection, as
    /// in a test, has no `arrival`.
    ///
    /// What runs a row and has to wait is a task of its own: once a token is redeemed, neither the
    /// handler nor the log line may end because the client hung up. Most requests do not wait,
    /// and need no task.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        arrival: Option<Arrival>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let now = self.sessions.clock.now();
        let mut line = AccessLine::start(self.ids.next(now), &head.method, head.uri.path());
        let mut manner = Manner::of(&head);
        let source = Source { body, remote: arrival.map(|arrival| arrival.peer.ip()) };
        match self.prepare(head, source, &mut line, &mut manner).await {
            Ok(Prepared::Run(run)) => {
                let mut running = Box::pin(Arc::clone(self).run(run, line, manner));
                let at_once = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
                if let Poll::Ready(response) = at_once {
                    return response;
                }
                let ran = self.running.spawn(running).await;
                // Handlers that panic are caught inside; this is for callgate itself.
                ran.unwrap_or_else(|_| Fault::panicked().into_response(Speaks::Problem, false))
            }
            Ok(Prepared::Answer(response)) => self.conclude(Ok(response), &line, manner),
            Err(fault) => self.conclude(Err(fault), &line, manner),
        }
    }

    /// Finds the row and its handler, and reads the body.
    async fn prepare(
        &self,
        head: Head,
        source: Source,
        line: &mut AccessLine,
        manner: &mut Manner,
    ) -> Result<Prepared, Fault> {
        head::check(&head, self.config.target_bytes_max)?;
        if head.method == Method::OPTIONS && head.uri.path() == "*" {
            return Ok(Prepared::Answer(no_content(None)));
        }
        let path = CanonicalPath::of(head.uri.path(), &self.config.base_path)?;
        if let Some(reserved) = path.reserved() {
            manner.speak_to(reserved);
            return Err(Fault::not_found());
        }
        let plan = self.plan.load_full();
        let row = match plan.table().find(head.method.as_str(), &path) {
            Found::Row(row) => row,
            Found::NoSuchPath => return Err(Fault::not_found()),
            Found::VerbNotAllowed(allow) if head.method == Method::OPTIONS => {
                return Ok(Prepared::Answer(no_content(Some(&allow.to_string()))));
            }
            Found::VerbNotAllowed(allow) => {
                return Err(Fault::method_not_allowed(allow.to_string()));
            }
        };
        line.row = Some(row.number());
        let param = row.otp().param.as_deref();
        manner.watch(param, head.uri.query().unwrap_or(""), None);
        let query =
            Query::read(head.uri.query().unwrap_or("")).map_err(|query::QueryTooLarge| {
                Fault::bad_request("query_too_large", "The query is too large.")
            })?;
        let Some(Answer { handler, .. }) = plan.answer(row) else { return Err(Fault::not_found()) };
        if let Err(missing) = handler {
            return Err(Fault::missing_target(*missing));
        }
        let bytes_max = row.limits().body_bytes.unwrap_or(self.config.body_bytes_max);
        let body =
            body::read(source.body, &head.headers, bytes_max, self.config.body_timeout).await?;
        if param.is_some() {
            manner.watch(param, "", submitted(&head.headers, &body));
        }
        failpoint::reached(Place::Parsed).map_err(Fault::internal)?;
        let (row, remote) = (row.number(), source.remote);
        let run = Run { plan, row, head, path, query, body, remote, id: line.id };
        Ok(Prepared::Run(Box::new(run)))
    }

    /// Runs a request to its end, and writes its log line.
    async fn run(
        self: Arc<Self>,
        run: Box<Run>,
        mut line: AccessLine,
        mut manner: Manner,
    ) -> Response<Full<Bytes>> {
        let trace = Trace::default();
        let result = caught(self.in_session(run, &trace)).await;
        let result = result.unwrap_or_else(|Panicked| Err(Fault::panicked()));
        let result = failpoint::reached(Place::BeforeCookie).map_err(Fault::internal).and(result);
        line.otp = trace.otp.get().copied().unwrap_or_default();
        if let Some(session) = trace.session.get() {
            line.session = Some(session.id());
            manner.cookie = session.parting_cookie(result.is_ok());
            manner.saw_token |= session.was_brought_a_token();
        }
        self.conclude(result, &line, manner)
    }

    /// Makes the answer of whatever came out, and writes the log line.
    fn conclude(
        &self,
        result: Result<Response<Full<Bytes>>, Fault>,
        line: &AccessLine,
        manner: Manner,
    ) -> Response<Full<Bytes>> {
        let mut response = match result {
            Ok(response) => {
                line.finish(response.status(), None);
                response
            }
            Err(fault) => {
                line.finish(fault.status(), Some(&fault));
                fault.into_response(manner.speaks, self.config.development)
            }
        };
        manner.dress(&mut response, line.id);
        response
    }

    /// Runs a request in its session and keeps what was written.
    async fn in_session(
        &self,
        run: Box<Run>,
        trace: &Trace,
    ) -> Result<Response<Full<Bytes>>, Fault> {
        let plan = Arc::clone(&run.plan);
        let Some(row) = plan.table().rows().get(run.row - 1) else {
            return Err(Fault::not_found());
        };
        let Some(Answer { target, handler: Ok(handler) }) = plan.answer(row) else {
            return Err(Fault::not_found());
        };
        let errand = Errand {
            handler: Arc::clone(target),
            row_mode: row.otp().mode,
            caller: head::caller(&run.head.headers),
            may_redeem: head::may_redeem(&run.head.method, &run.head.headers),
            label: label(&run.head.headers),
        };
        let brought = run.brought(row.otp(), errand.may_redeem)?;
        let opened = self.sessions.open(&run.head.headers, errand).await?;
        let session = trace.session.get_or_init(|| opened);
        let otp = match brought {
            Brought::Token(secret) => session.redeem(&secret).await?,
            Brought::Garbage => Outcome::Unknown,
            Brought::Nothing | Brought::Several => Outcome::Absent,
        };
        let otp = *trace.otp.get_or_init(|| otp);
        admit(row, session)?;
        if let Some(message) = self.after_redemption(&run, row, otp, session)? {
            return Ok(self.response(message));
        }
        let timeout =
            row.limits().timeout_ms.map_or(self.config.handler_timeout, Duration::from_millis);
        let answering = handler.call(run.into_message(row, otp), session.clone());
        let reply = tokio::time::timeout(timeout, answering).await;
        let reply = reply.map_err(|_| Fault::handler_too_slow())??;
        session.settle().await?;
        Ok(self.response(reply.into_message()))
    }

    /// What the row wants done about a token before its handler runs, if that is not the handler.
    fn after_redemption(
        &self,
        run: &Run,
        row: &Row,
        otp: Outcome,
        session: &Session,
    ) -> Result<Option<OutgoingMessage>, Fault> {
        let rule = row.otp();
        // Who got no cookie would come back as a stranger, and a form cannot be sent again.
        let strips = rule.strip && run.head.method == Method::GET && !session.is_mute();
        let location = match (otp.is_restored(), &rule.on_refused) {
            (true, _) if strips => run.target_without_token(rule),
            (false, OnRefused::Redirect(path)) if otp.is_refused() => {
                format!("{}{path}", self.sessions.base_path)
            }
            (false, OnRefused::Status(status)) if otp.is_refused() => {
                return Err(Fault::token_refused(*status));
            }
            _ => return Ok(None),
        };
        OutgoingMessage::redirect(&location).map(Some).map_err(Fault::internal)
    }

    /// The answer that a message asks for.
    fn response(&self, message: OutgoingMessage) -> Response<Full<Bytes>> {
        let (status, headers, body) = message.into_parts();
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = without_own_cookie(headers, self.sessions.cookie.name());
        response
    }
}

/// Checks what the row requires, after the redemption: it may have brought the privilege.
fn admit(row: &Row, session: &Session) -> Result<(), Fault> {
    let required = row.requires();
    if required.is_empty() || required.iter().any(|name| session.has_privilege(name)) {
        return Ok(());
    }
    Err(if session.is_guest() { Fault::sign_in_first() } else { Fault::not_allowed() })
}
