//! The service that responds to requests: what all of them share, and the order of their phases.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::Request;
use hyper::Response;
use tokio_util::task::TaskTracker;

use crate::base::RequestIds;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::sessions::Sessions;
use crate::http::confirm;
use crate::http::confirm::Site;
use crate::http::edge::admission::Admission;
use crate::http::edge::admission::Policy;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::catch_panic::Panicked;
use crate::http::exchange::catch_panic::catch_panic;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::Routes;
use crate::http::limits::Limits;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::conn_info::ConnInfo;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::table::BasePath;

/// Responds to requests by the table in use.
#[derive(Debug)]
pub struct Dispatch {
    pub(super) routes: ArcSwap<Routes>,
    pub(super) site: Site,
    pub(super) admission: Admission,
    pub(super) config: Config,
    ids: RequestIds,
    /// Requests that had to wait, whether or not their clients are still connected.
    running: TaskTracker,
}

/// Defaults for all requests.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The mount prefix that is stripped from every path.
    pub base_path: BasePath,
    /// What every request must fulfil before its row is looked up.
    pub policy: Policy,
    /// The bounds of a request, unless its row says otherwise.
    pub limits: Limits,
    /// Whether clients see the errors of handlers. For development only.
    pub development: bool,
    /// The page that asks before a link counts.
    pub confirm_page: confirm::Template,
}

impl Config {
    /// How long the response of a row may take, or take to begin where it is passed on: as the row
    /// says, or else as its handler does.
    pub(super) fn timeout(&self, route: &Route) -> Duration {
        let own = route.row.limits().timeout_ms.map(Duration::from_millis);
        own.or_else(|| route.by.timeout()).unwrap_or(self.limits.handler)
    }
}

impl Dispatch {
    /// Responds by `routes` for `site`. Fails without randomness.
    pub fn new(routes: Routes, site: Site, config: Config) -> Result<Self, NoEntropy> {
        let sessions = &site.sessions;
        let ids = RequestIds::new(&*sessions.entropy)?;
        let admission = Admission::new(
            config.policy.clone(),
            config.limits.clone(),
            Arc::clone(&sessions.rates),
        );
        let running = TaskTracker::new();
        sessions.table.store(Some(Arc::clone(routes.table())));
        let routes = ArcSwap::from_pointee(routes);
        Ok(Self { routes, site, admission, config, ids, running })
    }

    /// What sessions share.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.site.sessions
    }

    /// The name of the session cookie.
    pub fn session_cookie_name(&self) -> &str {
        self.site.cookie.name()
    }

    /// How fast bodies must arrive.
    pub fn pace(&self) -> incoming::Pace {
        self.config.limits.pace()
    }

    /// The routes in use.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Uses these routes from now on. A request that has found its row keeps it.
    pub fn swap(&self, routes: Routes) {
        self.site.sessions.table.store(Some(Arc::clone(routes.table())));
        self.routes.store(Arc::new(routes));
    }

    /// Requests that are being handled, but for those that never had to wait.
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// Waits until no request is being handled any more, including those whose clients hung up.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
        self.running.reopen();
    }

    /// Responds to one request; every failure is a response too. A request that came over no
    /// connection, as in a test, has no `conn`.
    pub async fn call(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        conn: Option<ConnInfo>,
    ) -> Response<ResponseBody> {
        let now = self.site.sessions.clock.now();
        let (id, development) = (self.ids.next(now), self.config.development);
        let mut exchange = Box::new(Exchange::begin(id, request, now, development));
        exchange.client = self.admission.client(&exchange.head.headers, conn);
        let route = match self.prepare(&mut exchange).await {
            Ok(route) => route,
            Err(stop) => return self.respond(exchange, stop.into_result()),
        };
        let mut finishing = Box::pin(Arc::clone(self).finish(exchange, route));
        let at_once = poll_fn(|context| Poll::Ready(finishing.as_mut().poll(context))).await;
        if let Poll::Ready(response) = at_once {
            return response;
        }
        // From here on the client may hang up: the handler and the access log go on without it.
        let finished = self.running.spawn(finishing).await;
        // A handler that panics is caught in `finish`; this is for callgate itself.
        finished.unwrap_or_else(|_| Fault::panicked().response(ErrorFormat::Problem, false))
    }

    /// The phases that need no session.
    async fn prepare(&self, exchange: &mut Exchange) -> PhaseResult<Arc<Route>> {
        self.admit(exchange)?;
        let route = self.route(exchange).await?;
        self.receive(exchange, &route).await?;
        failpoint::reached(Place::Parsed).map_err(Fault::internal)?;
        Ok(route)
    }

    /// The phases in a session, and the response.
    async fn finish(
        self: Arc<Self>,
        mut exchange: Box<Exchange>,
        route: Arc<Route>,
    ) -> Response<ResponseBody> {
        let result = catch_panic(self.work(&mut exchange, &route)).await;
        let result = result.unwrap_or_else(|Panicked| Err(Fault::panicked().into()));
        let result = self.conclude(&mut exchange, result.or_else(EarlyEnd::into_result)).await;
        self.respond(exchange, result)
    }

    async fn work(
        &self,
        exchange: &mut Exchange,
        route: &Route,
    ) -> PhaseResult<Response<ResponseBody>> {
        let session = self.open(exchange, route).await?;
        self.redeem(exchange, route, &session).await?;
        self.authorize(exchange, route, &session).await?;
        let response = self.handle(exchange, route, &session).await?;
        exchange.gives_rest_cookie |= route.signs_in && !session.is_guest();
        session.settle().await?;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function returns, which is not called.
    fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    type Parts = (Arc<Dispatch>, Box<Exchange>, Arc<Route>);

    #[test]
    fn the_futures_of_a_request_are_small() {
        let finishing = size(|(dispatch, exchange, route): Parts| dispatch.finish(exchange, route));
        let whole = size(|(dispatch, request): (Arc<Dispatch>, Request<RequestBody>)| async move {
            dispatch.call(request, None).await
        });
        println!("finish: {finishing} bytes, answer: {whole}, exchange: {}", size_of::<Exchange>());
        assert!(finishing < 3 * 1024, "{finishing}");
        assert!(whole < 3 * 1024, "{whole}");
    }
}
