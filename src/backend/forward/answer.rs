//! The answer of an upstream on its way to the client.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use hyper::header;
use hyper::header::HeaderValue;
use tokio::time::Sleep;

use crate::backend::forward::Terms;
use crate::backend::forward::fields;
use crate::base::limits::RIGHT_CHECK;
use crate::http::AnswerBody;
use crate::http::Fault;
use crate::http::message::body::outgoing::CutShort;
use crate::http::outbound::tunnel::Tunnel;

/// The answer that the client gets.
pub(super) fn of(
    mut response: Response<Incoming>,
    terms: Terms,
) -> Result<Response<AnswerBody>, Fault> {
    fields::strip_own(response.headers_mut());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if terms.asked && speaks_websocket(&response) {
            return Ok(switched(response, terms));
        }
        let why = "the upstream switches to a protocol that nobody asked for";
        return Err(Fault::upstream_down(io::Error::other(why)));
    }
    frame_anew(&mut response)?;
    let headers = response.headers_mut();
    fields::strip_connection(headers);
    if terms.asked {
        // What the client may have sent behind his wish is no request (RFC 9110 §7.8,
        // docs/SECURITY.md T40).
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let is_events = is_events(&response);
    Ok(response.map(|body| AnswerBody::stream(Download::new(body, terms, is_events))))
}

/// Leaves no word of where the body ends but the one that it was read by. A length beside `chunked`
/// counts for nothing (RFC 9112 §6.3), and what else a body may be encoded in on the way nobody has
/// undone.
fn frame_anew(response: &mut Response<Incoming>) -> Result<(), Fault> {
    let mut codings = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        let why = "the upstream encodes the transfer in a way that nobody asked for";
        return Err(Fault::upstream_down(io::Error::other(why)));
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(())
}

/// Whether the upstream answers with a stream of events, which browsers open anew when it breaks
/// off (WHATWG HTML §9.2).
fn is_events(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let name = b"text/event-stream";
    kind.and_then(|kind| kind.get(..name.len())).is_some_and(|it| it.eq_ignore_ascii_case(name))
}

fn speaks_websocket(response: &Response<Incoming>) -> bool {
    let spoken = response.headers().get(header::UPGRADE);
    spoken.is_some_and(|spoken| spoken.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer after which both connections carry anything.
fn switched(mut response: Response<Incoming>, terms: Terms) -> Response<AnswerBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let tunnel = Tunnel::new(upstream, terms.config.tunnel_idle, (terms.session, terms.granted));
    let mut response = response.map(|_| AnswerBody::empty());
    fields::strip_connection(response.headers_mut());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.extensions_mut().insert(tunnel);
    response
}

/// A body that is passed on as it comes, and must not pause for long. The time for which the client
/// does not take what came is none of it.
struct Download {
    body: Incoming,
    gap_max: Duration,
    /// What the upstream was granted is open until its last byte has come.
    _terms: Terms,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Ends with the right under which events are passed on: they may go on for days.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Download {
    fn new(body: Incoming, terms: Terms, is_events: bool) -> Self {
        let (gap_max, session) = (terms.config.gap_max, terms.session.clone());
        let over = async move { session.right_ended(RIGHT_CHECK).await };
        let over = is_events.then(|| Box::pin(over) as _);
        Self { body, gap_max, _terms: terms, alarm: None, over }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let this = self.get_mut();
        if this.over.as_mut().is_some_and(|over| over.as_mut().poll(context).is_ready()) {
            this.over = None;
            return Poll::Ready(Some(Err("the right to the session has ended".into())));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                let gap_max = this.gap_max;
                let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(gap_max)));
                ready!(alarm.as_mut().poll(context));
                return Poll::Ready(Some(Err("the upstream paused for too long".into())));
            };
            this.alarm = None;
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // Trailers could say what the header must not.
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
