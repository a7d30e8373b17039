//! An answer that is still arriving from an upstream, as an HTTP/2 peer takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;

use crate::http::conn::traffic::Traffic;
use crate::http::message::body::outgoing::AnswerBody;
use crate::http::message::body::outgoing::CutShort;

/// A body that tells the connection's account when its upstream has nothing to say.
///
/// hyper asks for more only while the peer's window is open. Whoever is asked then and has nothing
/// keeps the peer waiting; at any other time it is the peer who keeps the answer.
pub(crate) struct Taken {
    body: AnswerBody,
    traffic: Arc<Traffic>,
    /// Bytes handed over so far.
    handed: u64,
    is_quiet: bool,
}

impl Taken {
    pub(crate) fn new(body: AnswerBody, traffic: Arc<Traffic>) -> Self {
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

impl Body for Taken {
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

impl Drop for Taken {
    fn drop(&mut self) {
        self.note(false);
    }
}
