//! A gate as the service of another server, such as a part of an axum router.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::Request;
use hyper::Response;
use hyper::body::Body;
use tower_service::Service;

use crate::gate::Gate;
use crate::http::ConnInfo;
use crate::http::ResponseBody;
use crate::http::message::body::incoming::RequestBody;

/// Responds to one request; every failure is a response, too.
///
/// The other server knows the connection of a request, and says so with a [`ConnInfo`] among the
/// extensions of the request. Without it, a request counts as one of this machine that came from no
/// address: rates for an address do not concern it, and forwarding headers are not believed.
///
/// Paths are those of the request as it comes. Under a part of them, set `base_path` and leave the
/// prefix in the request: callback URLs and redirects begin with it.
impl<B> Service<Request<B>> for Gate
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = self.clone();
        let conn = request.extensions().get::<ConnInfo>().copied();
        let request = request.map(RequestBody::of);
        Box::pin(async move { Ok(gate.0.dispatch.call(request, conn).await) })
    }
}
