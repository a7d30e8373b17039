//! The life of a request: what is there, whose session it is, what answers it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::http::request::Parts as Head;
use tokio_util::task::TaskTracker;

use crate::base::RequestIds;
use crate::base::entropy::NoEntropy;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::http::confirm;
use crate::http::confirm::Agreement;
use crate::http::confirm::hop;
use crate::http::confirm::hop::Returned;
use crate::http::edge::admission::Admission;
use crate::http::edge::admission::Caller;
use crate::http::edge::admission::Policy;
use crate::http::exchange::access::AccessLine;
use crate::http::exchange::catch_panic::Panicked;
use crate::http::exchange::catch_panic::catch_panic;
use crate::http::exchange::repeat;
use crate::http::exchange::response_policy::ResponsePolicy;
use crate::http::exchange::route::query_of;
use crate::http::exchange::route::refuse_large_form;
use crate::http::exchange::route::row_of;
use crate::http::exchange::routes::Routes;
use crate::http::exchange::run::Run;
use crate::http::exchange::run::may_hold_token;
use crate::http::exchange::run::must_be_read;
use crate::http::exchange::visit::Trace;
use crate::http::exchange::visit::Visit;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::Content;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::AnswerBody;
use crate::http::message::body::outgoing::no_content;
use crate::http::message::body::upload::Upload;
use crate::http::message::conn_info::ConnInfo;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::http::message::token_place::Places;
use crate::http::sessions::Sessions;
use crate::table::BasePath;
use crate::table::CanonicalPath;
use crate::table::Row;

/// Answers requests by the table in use.
#[derive(Debug)]
pub struct Dispatch {
    plan: ArcSwap<Routes>,
    sessions: Arc<Sessions>,
    front: Admission,
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
    /// What is asked of every request before it is looked at.
    pub policy: Policy,
    /// Largest body, unless the row says otherwise. Default 1 MiB.
    pub body_bytes_max: u64,
    /// Largest body that a row forwards as it comes, unless the row says otherwise. Default 100 MiB.
    pub forward_bytes_max: u64,
    /// How fast a body must arrive.
    pub pace: incoming::Pace,
    /// How long a handler may run, unless the row says otherwise. Default 30 s.
    pub handler_timeout: Duration,
    /// Whether clients see what a handler raised. For developers only.
    pub development: bool,
    /// The page that asks before a link counts.
    pub confirm_page: confirm::Template,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_path: BasePath::none(),
            policy: Policy::default(),
            body_bytes_max: 1024 * 1024,
            forward_bytes_max: 100 * 1024 * 1024,
            pace: incoming::Pace::default(),
            handler_timeout: Duration::from_secs(30),
            development: false,
            confirm_page: confirm::Template::default(),
        }
    }
}

/// Where a request comes from.
struct Source {
    body: RequestBody,
    caller: Caller,
}

/// What is to be done about a request.
enum Prepared {
    /// It is answered already.
    Answer(Response<AnswerBody>),
    Run(Box<Run>),
}

impl Config {
    /// How long the answer of a row may take to come, or to begin where it is passed on: as the
    /// row says, or else as its handler does.
    pub(crate) fn timeout(&self, row: &Row, patience: Option<Duration>) -> Duration {
        let asked = row.limits().timeout_ms.map(Duration::from_millis);
        asked.or(patience).unwrap_or(self.handler_timeout)
    }
}

impl Dispatch {
    /// Answers by `plan`, with sessions kept by `sessions`. Fails without randomness.
    pub fn new(plan: Routes, sessions: Arc<Sessions>, config: Config) -> Result<Self, NoEntropy> {
        let ids = RequestIds::new(&*sessions.entropy)?;
        let (policy, base_path) = (config.policy.clone(), config.base_path.clone());
        let front = Admission::new(policy, base_path, Arc::clone(&sessions.rates));
        let running = TaskTracker::new();
        let plan = Arc::new(plan);
        sessions.plan.store(Some(Arc::clone(&plan)));
        Ok(Self { plan: ArcSwap::new(plan), sessions, front, config, ids, running })
    }

    /// What sessions share.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// How fast bodies must arrive.
    pub fn pace(&self) -> incoming::Pace {
        self.config.pace
    }

    /// The table in use.
    pub fn plan(&self) -> Arc<Routes> {
        self.plan.load_full()
    }

    /// Answers by `plan` from now on. Requests that have found their row end by the one they found
    /// it in.
    pub fn swap(&self, plan: Routes) {
        let plan = Arc::new(plan);
        self.sessions.plan.store(Some(Arc::clone(&plan)));
        self.plan.store(plan);
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
    /// in a test, has no `conn`.
    ///
    /// What runs a row and has to wait is a task of its own: once a token is redeemed, neither the
    /// handler nor the log line may end because the client hung up. Most requests do not wait,
    /// and need no task.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        conn: Option<ConnInfo>,
    ) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let now = self.sessions.clock.now();
        let mut line = AccessLine::start(self.ids.next(now), &head.method, head.uri.path());
        let mut manner = ResponsePolicy::of(&head);
        let source = Source { body, caller: self.front.caller(&head.headers, conn, now) };
        line.client = source.caller.address;
        line.untrusted_proxy = self.front.untrusted_proxy(&head.headers, conn);
        match self.prepare(head, source, &mut line, &mut manner).await {
            Ok(Prepared::Run(run)) => {
                let mut running = Box::pin(Arc::clone(self).run(run, line, manner));
                let at_once = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
                if let Poll::Ready(response) = at_once {
                    return response;
                }
                let ran = self.running.spawn(running).await;
                // Handlers that panic are caught inside; this is for callgate itself.
                ran.unwrap_or_else(|_| Fault::panicked().response(ErrorFormat::Problem, false))
            }
            Ok(Prepared::Answer(response)) => self.conclude(Ok(response), &line, manner),
            Err(fault) => self.conclude(Err(fault), &line, manner),
        }
    }

    /// Finds the row and its handler, and reads the body.
    async fn prepare(
        &self,
        mut head: Head,
        source: Source,
        line: &mut AccessLine,
        manner: &mut ResponsePolicy,
    ) -> Result<Prepared, Fault> {
        if let Some(response) = self.front.admit(&mut head, &source.caller, manner)? {
            return Ok(Prepared::Answer(response));
        }
        if head.method == Method::OPTIONS && head.uri.path() == "*" {
            return Ok(Prepared::Answer(no_content(None)));
        }
        let mut path = self.open_path(&head, manner)?;
        let Returned { body, mut agreement, shown } =
            self.agreed(&mut head, source.body, manner).await?;
        if shown.is_some() {
            path = CanonicalPath::of(head.uri.path(), &self.config.base_path)?;
        }
        let plan = self.plan.load_full();
        let row = match row_of(&plan, &head, &path)? {
            Ok(row) => row,
            Err(response) => return Ok(Prepared::Answer(response)),
        };
        line.row = Some(row.number());
        manner.watch(&Brought::in_query(head.uri.query().unwrap_or(""), row.otp().param.as_ref()));
        let query = query_of(&head)?;
        let Some(answer) = plan.answer(row) else { return Err(Fault::not_found()) };
        line.target = Some(Arc::clone(&answer.target));
        if let Err(missing) = answer.by {
            return Err(Fault::missing_target(missing).of_handler(&answer.target, None));
        }
        let (content, upload) = self.receive(body, row, &head, answer.is_relayed()).await?;
        let Content { bytes: body, sent } = content;
        let brought = Brought::find(Places { head: &head, path: &path, body: &body }, row);
        manner.watch(&brought);
        // Nobody opens a link with a header of his own: a program sends it.
        if token_place::is_in_header(&head, row) {
            agreement = Agreement::Sent;
        }
        refuse_large_form(answer, &brought, (&head, &body))?;
        let may_hop = matches!(brought, Brought::Token(_)) && upload.is_none() && shown.is_none();
        if may_hop && hop::is_due(&self.sessions, &head, row) {
            let body = sent.as_ref().unwrap_or(&body);
            return hop::send_on(&self.sessions, &head, body).map(Prepared::Answer);
        }
        failpoint::reached(Place::Parsed).map_err(Fault::internal)?;
        let (row, id, Caller { conn, address: remote, .. }) =
            (row.number(), line.id, source.caller);
        let run = Run {
            plan,
            row,
            head,
            path,
            query,
            body,
            sent,
            upload,
            conn,
            remote,
            id,
            agreement,
            brought,
            shown,
        };
        Ok(Prepared::Run(Box::new(run)))
    }

    /// The path, unless it is one that no row answers.
    fn open_path(&self, head: &Head, manner: &mut ResponsePolicy) -> Result<CanonicalPath, Fault> {
        let path = CanonicalPath::of(head.uri.path(), &self.config.base_path)?;
        if let Some(reserved) = path.reserved() {
            manner.speak_to(reserved);
            return Err(Fault::not_found());
        }
        Ok(path)
    }

    /// What the request stands for, where it is the form of a page that asked, or shows the cookie
    /// of one that was kept.
    async fn agreed(
        &self,
        head: &mut Head,
        mut body: RequestBody,
        manner: &mut ResponsePolicy,
    ) -> Result<Returned, Fault> {
        let mut agreement = Agreement::of(&head.method);
        if confirm::is_click(head) {
            manner.saw_token = true;
            (agreement, body) = confirm::hear(&self.sessions, head, body, self.config.pace).await?;
        }
        let as_it_is = Returned { body, agreement, shown: None };
        let returned = hop::arrive(&self.sessions, head, as_it_is)?;
        manner.saw_token |= returned.shown.is_some();
        Ok(returned)
    }

    /// Reads the body, or makes it ready to be passed on unread.
    async fn receive(
        &self,
        body: RequestBody,
        row: &Row,
        head: &Head,
        is_relayed: bool,
    ) -> Result<(Content, Option<Upload>), Fault> {
        let Config { body_bytes_max, forward_bytes_max, pace, .. } = self.config;
        let streams = is_relayed && !must_be_read(row, head) && !hop::may_be_due(head);
        let bytes_max = row.limits().body_bytes.unwrap_or(if streams {
            forward_bytes_max
        } else {
            body_bytes_max
        });
        if streams {
            return Ok((Content::default(), Some(Upload::new(body, bytes_max, pace)?)));
        }
        if is_relayed && !may_hold_token(row, head) {
            // It is read for its repeats only, and passed on in whatever coding it has.
            let bytes = incoming::read_as_sent(body, bytes_max, pace).await?;
            return Ok((Content { bytes, sent: None }, None));
        }
        Ok((incoming::read(body, &head.headers, bytes_max, pace).await?, None))
    }

    /// Runs a request to its end, and writes its log line.
    async fn run(
        self: Arc<Self>,
        run: Box<Run>,
        mut line: AccessLine,
        mut manner: ResponsePolicy,
    ) -> Response<AnswerBody> {
        let mut trace = Trace::default();
        let is_click = run.agreement.is_click();
        let visit = Visit { sessions: &self.sessions, config: &self.config, trace: &trace };
        let result = catch_panic(visit.answer(run)).await;
        let result = result.unwrap_or_else(|Panicked| Err(Fault::panicked()));
        let manners = (manner.format, self.config.development);
        let result = repeat::conclude(&self.sessions, &mut trace, result, manners).await;
        let result = if is_click { result.map(confirm::land) } else { result };
        let result = failpoint::reached(Place::BeforeCookie).map_err(Fault::internal).and(result);
        line.otp = trace.otp.get().copied().unwrap_or_default();
        line.repeat = trace.repeat.get().copied();
        if let Some(session) = trace.session.get() {
            if result.is_err() {
                session.give_up().await;
            }
            session.check_renewal().await;
            line.session = Some(session.id());
            manner.cookie = session.parting_cookie(result.is_ok());
            manner.binding = session.parting_binding();
            manner.saw_token |= session.was_brought_a_token();
        }
        self.conclude(result, &line, manner)
    }

    /// Makes the answer of whatever came out, and writes the log line.
    fn conclude(
        &self,
        result: Result<Response<AnswerBody>, Fault>,
        line: &AccessLine,
        manner: ResponsePolicy,
    ) -> Response<AnswerBody> {
        let mut response = match result {
            Ok(response) => {
                line.finish(response.status(), None);
                response
            }
            Err(fault) => {
                if let Some(peer) = line.untrusted_proxy.filter(|_| fault.is_over_a_limit()) {
                    self.sessions.rates.hint(peer, self.sessions.clock.now());
                }
                line.finish(fault.status(), Some(&fault));
                fault.response(manner.format, self.config.development)
            }
        };
        manner.dress(&mut response, line.id);
        response
    }
}
