//! The streamed body of a response, watched while an HTTP/2 peer reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;

use crate::http::conn::traffic::Traffic;
use crate::http::message::body::outgoing::CutShort;
use crate::http::message::body::outgoing::ResponseBody;

/// A body that reports to the connection's traffic when its upstream sends nothing.
///
/// hyper polls for more only while the peer's window is open. If the body has nothing then, the
/// upstream is slow. At any other time the peer is.
pub(crate) struct WatchedBody {
    body: ResponseBody,
    traffic: Arc<Traffic>,
    /// Bytes handed over so far.
    handed: u64,
    is_quiet: bool,
}

impl WatchedBody {
    pub(crate) fn new(body: ResponseBody, traffic: Arc<Traffic>) -> Self {
        Self { body, traffic, handed: 0, is_quiet: false }
    }

    fn note(&mut self, is_quiet: bool) {
        if self.is_quiet != is_quiet {
            self.is_quiet = is_quiet;
            if is_quiet {
                self.traffic.falls_quiet(self.handed);
            } else {
                self.traffic.goes_on(self.handed);
            }
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        this.note(polled.is_pending());
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.handed += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.note(false);
    }
}
