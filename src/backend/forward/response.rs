//! Prepares the response of an upstream for the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{self, HeaderValue},
};
use tokio::time::Sleep;

use crate::{
    backend::forward::{ResponseContext, fields},
    base::limits::RIGHT_CHECK,
    http::{Fault, ResponseBody, message::body::outgoing::CutShort, outbound::tunnel::Tunnel},
};

/// Creates the response for the client.
pub(super) fn for_client(
    mut response: Response<Incoming>,
    context: ResponseContext,
) -> Result<Response<ResponseBody>, Fault> {
    fields::strip_callgate(response.headers_mut());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if context.upgrade_requested && is_websocket(&response) {
            return Ok(switch_protocols(response, context));
        }
        let why = "the upstream switches to a protocol that nobody asked for";
        return Err(Fault::upstream_down(io::Error::other(why)));
    }
    normalize_framing(&mut response)?;
    let headers = response.headers_mut();
    fields::strip_connection(headers);
    if context.upgrade_requested {
        // Bytes that the client sent after its upgrade request are not a request (RFC 9110 §7.8;
        // docs/SECURITY.md, T40).
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let is_events = is_events(&response);
    Ok(response.map(|body| ResponseBody::stream(UpstreamBody::new(body, context, is_events))))
}

/// Refuses transfer codings other than `chunked`, because they have not been decoded, and removes a
/// length beside `chunked`, which has no meaning (RFC 9112 §6.3).
fn normalize_framing(response: &mut Response<Incoming>) -> Result<(), Fault> {
    let mut codings = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        let why = "the upstream encodes the transfer in a way that nobody asked for";
        return Err(Fault::upstream_down(io::Error::other(why)));
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(())
}

/// Whether the response is an event stream, which browsers reopen when it ends (WHATWG HTML §9.2).
fn is_events(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let name = b"text/event-stream";
    kind.and_then(|kind| kind.get(..name.len())).is_some_and(|it| it.eq_ignore_ascii_case(name))
}

fn is_websocket(response: &Response<Incoming>) -> bool {
    let protocol = response.headers().get(header::UPGRADE);
    protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The 101 response, after which both connections form a tunnel.
fn switch_protocols(
    mut response: Response<Incoming>,
    context: ResponseContext,
) -> Response<ResponseBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let tunnel =
        Tunnel::new(upstream, context.config.tunnel_idle, (context.session, context.granted));
    let mut response = response.map(|_| ResponseBody::empty());
    fields::strip_connection(response.headers_mut());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.extensions_mut().insert(tunnel);
    response
}

/// A response body that is streamed, with a limit on pauses. Time during which the client does not
/// read does not count as a pause.
struct UpstreamBody {
    body: Incoming,
    gap_max: Duration,
    /// Kept until the last byte, so that the upstream's capability stays valid.
    _context: ResponseContext,
    gap_timer: Option<Pin<Box<Sleep>>>,
    /// Completes when the session's access ends. Only for event streams, which can last for days.
    right_ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl UpstreamBody {
    fn new(body: Incoming, context: ResponseContext, is_events: bool) -> Self {
        let (gap_max, session) = (context.config.upstream_gap, context.session.clone());
        let right_ended = async move {
            session.right_ended(RIGHT_CHECK).await;
            tracing::info!(event = "forward.right_ended", session = %session.id());
        };
        let right_ended = is_events.then(|| Box::pin(right_ended) as _);
        Self { body, gap_max, _context: context, gap_timer: None, right_ended }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let this = self.get_mut();
        if this.right_ended.as_mut().is_some_and(|ended| ended.as_mut().poll(context).is_ready()) {
            this.right_ended = None;
            return Poll::Ready(Some(Err("the right to the session has ended".into())));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                let gap_max = this.gap_max;
                let gap_timer =
                    this.gap_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(gap_max)));
                ready!(gap_timer.as_mut().poll(context));
                return Poll::Ready(Some(Err("the upstream paused for too long".into())));
            };
            this.gap_timer = None;
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // Dropped, because trailers could repeat fields that were removed from the header.
                Some(Ok(frame)) if frame.is_trailers() => {}
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
