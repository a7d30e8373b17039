//! The body of a request that is passed on as it comes: bounded, in time, and never kept.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::time::Sleep;

use crate::base::clock::Stopwatch;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::CutShort;
use crate::http::message::body::progress::Progress;
use crate::http::message::fault::Fault;

/// A request body on its way to an upstream.
///
/// It holds the client to the pace of [`Pace`], but counts only the time for which the upstream
/// waited for him. A body that breaks a bound ends in an error, so that the upstream never takes a
/// part for the whole; [`UploadWatch::fault`] says what the client is to be told.
#[derive(Debug)]
pub struct Upload {
    body: RequestBody,
    bytes_max: u64,
    pace: Pace,
    bytes: u64,
    /// The time that the client has taken, pauses that have ended.
    waited: Duration,
    pause: Option<Pause>,
    watch: UploadWatch,
}

/// What can be seen of an upload from outside; clones see the same.
#[derive(Debug, Clone)]
pub struct UploadWatch {
    progress: Progress,
    /// Whether the client is waited for.
    waits: Arc<AtomicBool>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// A wait for the client.
#[derive(Debug)]
struct Pause {
    since: Stopwatch,
    alarm: Pin<Box<Sleep>>,
}

impl Upload {
    /// A body of at most `bytes_max` that must come at this pace. One that announces more is
    /// refused before a single byte of it is read.
    pub(crate) fn new(body: RequestBody, bytes_max: u64, pace: Pace) -> Result<Self, Fault> {
        if body.size_hint().lower() > bytes_max {
            return Err(Fault::body_too_large());
        }
        let (progress, waits, fault) = (Progress::start(), Arc::default(), Arc::default());
        let watch = UploadWatch { progress, waits, fault };
        let (bytes, waited, pause) = (0, Duration::ZERO, None);
        Ok(Self { body, bytes_max, pace, bytes, waited, pause, watch })
    }

    /// What can be seen of it once it is on its way.
    pub fn watch(&self) -> UploadWatch {
        self.watch.clone()
    }

    /// Waits for the client, for no longer than it may pause.
    fn pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Time spent waiting for the client does not count against the upstream.
        self.watch.progress.moved();
        self.watch.waits.store(true, Ordering::Relaxed);
        let left = self.pace.streamed(self.bytes).saturating_sub(self.waited).min(self.pace.gap);
        let pause = self.pause.get_or_insert_with(|| Pause {
            since: Stopwatch::start(),
            alarm: Box::pin(tokio::time::sleep(left)),
        });
        pause.alarm.as_mut().poll(context)
    }

    fn fail(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let text = fault.code();
        *self.watch.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        Poll::Ready(Some(Err(text.into())))
    }
}

impl UploadWatch {
    /// Why the upload broke off, if the client was to blame; said once.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Done once the upload has not moved for as long as `patience`, though the client was not to
    /// blame: it has ended, or the upstream takes no more of it.
    pub async fn stands(&self, patience: Duration) {
        loop {
            self.progress.stands(patience).await;
            if !self.waits.load(Ordering::Relaxed) {
                return;
            }
            // The client's time is limited by its pace; the upstream's time begins after that.
            self.progress.moved();
            tokio::task::yield_now().await;
        }
    }
}

/// The rest of a body that is not read any more is not waited for.
impl Drop for Upload {
    fn drop(&mut self) {
        self.watch.waits.store(false, Ordering::Relaxed);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                ready!(this.pause(context));
                return this.fail(Fault::body_too_slow());
            };
            if let Some(pause) = this.pause.take() {
                this.watch.waits.store(false, Ordering::Relaxed);
                this.waited += pause.since.elapsed();
            }
            this.watch.progress.moved();
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => {
                    return this.fail(Fault::bad_request("bad_body", "The body is broken."));
                }
                // Trailers could say what the header must not.
                Some(Ok(Err(_))) => {}
                Some(Ok(Ok(data))) => {
                    this.bytes += data.len() as u64;
                    if this.bytes > this.bytes_max {
                        return this.fail(Fault::body_too_large());
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::Limits;
    use http_body_util::BodyExt as _;
    use http_body_util::Full;
    use std::future::poll_fn;

    fn upload(text: &'static str) -> Upload {
        let body = RequestBody::Whole(Full::new(Bytes::from_static(text.as_bytes())));
        Upload::new(body, u64::MAX, Limits::default().pace()).unwrap()
    }

    /// Waits for the client, as after a poll that found nothing.
    async fn is_paused(upload: &mut Upload) -> bool {
        poll_fn(|context| Poll::Ready(upload.pause(context).is_pending())).await
    }

    const PATIENCE: Duration = Duration::from_millis(5);
    /// Many times as long.
    const LONG: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn who_waits_for_the_client_does_not_wait_for_the_upstream() {
        let mut upload = upload("all");
        let watch = upload.watch();
        assert!(is_paused(&mut upload).await);
        let stood = tokio::time::timeout(LONG, watch.stands(PATIENCE)).await;
        assert!(stood.is_err(), "the upstream was blamed");
        assert_eq!(upload.frame().await.unwrap().unwrap().into_data().unwrap(), "all");
        watch.stands(PATIENCE).await;
    }

    #[tokio::test]
    async fn an_upload_that_nobody_takes_any_more_stands() {
        let mut upload = upload("");
        let watch = upload.watch();
        assert!(is_paused(&mut upload).await);
        drop(upload);
        watch.stands(PATIENCE).await;
    }
}
