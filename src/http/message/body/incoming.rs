//! The body of a request: read whole, up to a limit, within a deadline.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;

use crate::base::clock::Stopwatch;
use crate::base::limits::BYTES_PER_SEC_MIN;
use crate::http::message::body::content_coding::Coding;
use crate::http::message::body::outgoing::CutShort;
use crate::http::message::fault::Fault;

/// What every body gets, however little of it comes.
const FIRST: Duration = Duration::from_secs(20);

/// A request body from a connection, or from memory when no socket is involved.
#[derive(Debug)]
pub enum RequestBody {
    /// Still arriving.
    Wire(Incoming),
    /// There as a whole.
    Whole(Full<Bytes>),
    /// From the server of which a gate is a service.
    Other(OtherBody),
}

/// A body of any type. The lock makes it `Sync`, and is never waited for.
pub struct OtherBody(Mutex<Pin<Box<dyn Body<Data = Bytes, Error = CutShort> + Send>>>);

impl OtherBody {
    fn look<T>(&self, at: impl FnOnce(&dyn Body<Data = Bytes, Error = CutShort>) -> T) -> T {
        at(&**self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for OtherBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtherBody")
    }
}

impl RequestBody {
    /// A body of any type.
    pub(crate) fn of<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<CutShort>,
    {
        Self::Other(OtherBody(Mutex::new(Box::pin(body.map_err(Into::into)))))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::Whole(Full::default())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Other(OtherBody(body)) => {
                let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                body.as_mut().poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
            Self::Other(body) => body.look(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
            Self::Other(body) => body.look(|body| body.size_hint()),
        }
    }
}

/// How fast a body must arrive (docs/SECURITY.md D.1).
///
/// It gets 20 s, and a second more for every 500 bytes that have come, so that a slow connection is
/// not taken for a client that only holds one open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long it may take at most, however much has come.
    pub most: Duration,
    /// How long nothing may come.
    pub gap: Duration,
}

impl Pace {
    /// How long a body that is passed on may take of which so many bytes have come. Nobody keeps
    /// it, so it may be large: once it has come at 64 KiB a second on the whole, it earns more than
    /// the usual most.
    pub(crate) fn streamed(self, bytes: u64) -> Duration {
        let most = self.most + Duration::from_secs(bytes / (64 * 1024));
        (FIRST + Duration::from_secs(bytes / BYTES_PER_SEC_MIN)).min(most)
    }

    /// How long a body may take of which so many bytes have come.
    fn earned(self, bytes: u64) -> Duration {
        (FIRST + Duration::from_secs(bytes / BYTES_PER_SEC_MIN)).min(self.most)
    }
}

/// A body that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadBody {
    /// What it says, decoded where it was compressed for the way.
    pub(crate) bytes: Bytes,
    /// What was sent, where that is something else.
    pub(crate) sent: Option<Bytes>,
}

/// Reads a body of at most `bytes_max`, as sent and decoded, that must come at this pace.
pub(crate) async fn read(
    body: RequestBody,
    headers: &HeaderMap,
    bytes_max: u64,
    pace: Pace,
) -> Result<ReadBody, Fault> {
    if body.is_end_stream() {
        return Ok(ReadBody::default());
    }
    let coding = Coding::of(headers)?;
    let sent = read_as_sent(body, bytes_max, pace).await?;
    Ok(match coding {
        Some(coding) if !sent.is_empty() => {
            ReadBody { bytes: coding.undo(&sent, bytes_max).await?, sent: Some(sent) }
        }
        _ => ReadBody { bytes: sent, sent: None },
    })
}

/// Reads a body of at most `bytes_max` without looking into it.
pub(crate) async fn read_as_sent(
    body: RequestBody,
    bytes_max: u64,
    pace: Pace,
) -> Result<Bytes, Fault> {
    // A length that is announced is refused before a single byte of it is read.
    if body.size_hint().lower() > bytes_max {
        return Err(Fault::body_too_large());
    }
    collect(body, bytes_max, pace).await
}

async fn collect<B>(mut body: B, bytes_max: u64, pace: Pace) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let mut total = 0_u64;
    let watch = Stopwatch::start();
    while let Some(data) = next(&mut body, total, pace, watch).await? {
        total += data.len() as u64;
        if total > bytes_max {
            return Err(Fault::body_too_large());
        }
        // Most bodies are one frame, which is passed on without a copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// The next bytes of a body of which `total` have come; `None` at its end.
async fn next<B>(
    body: &mut B,
    total: u64,
    pace: Pace,
    watch: Stopwatch,
) -> Result<Option<Bytes>, Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let left = pace.earned(total).saturating_sub(watch.elapsed());
        let frame = tokio::time::timeout(left.min(pace.gap), body.frame()).await;
        let Some(frame) = frame.map_err(|_| Fault::body_too_slow())? else { return Ok(None) };
        let broken = |_| Fault::broken_body();
        // Trailers say nothing that is looked at.
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::Limits;

    async fn read_whole(text: &'static str, max: u64) -> Result<Bytes, Fault> {
        let body = RequestBody::Whole(Full::new(Bytes::from_static(text.as_bytes())));
        read(body, &HeaderMap::new(), max, Limits::default().pace())
            .await
            .map(|content| content.bytes)
    }

    #[tokio::test]
    async fn a_body_may_be_exactly_as_long_as_the_limit() {
        assert_eq!(read_whole("12345", 5).await.unwrap(), "12345");
        assert_eq!(read_whole("12345", 4).await.unwrap_err().code(), "body_too_large");
        assert_eq!(read_whole("", 0).await.unwrap(), "");
    }

    #[test]
    fn a_body_earns_time_by_coming() {
        let pace = Limits::default().pace();
        for (bytes, secs) in [(0, 20), (499, 20), (500, 21), (5_000, 30), (1 << 30, 60)] {
            assert_eq!(pace.earned(bytes), Duration::from_secs(secs), "{bytes}");
        }
        let short = Pace { most: Duration::from_secs(3), ..pace };
        assert_eq!(short.earned(0), Duration::from_secs(3));
    }

    /// Sends so much at a time for ever, and counts it.
    struct Endless(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.fetch_add(1_000, std::sync::atomic::Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 1_000])))))
        }
    }

    #[tokio::test]
    async fn no_more_than_one_buffer_is_taken_beyond_the_limit() {
        for max in [0, 999, 1_000, 12_345] {
            let taken = std::sync::Arc::default();
            let body =
                collect(Endless(std::sync::Arc::clone(&taken)), max, Limits::default().pace());
            assert_eq!(body.await.unwrap_err().code(), "body_too_large");
            let taken = taken.load(std::sync::atomic::Ordering::Relaxed);
            assert!(taken <= max + 1_000, "{taken} bytes for a limit of {max}");
        }
    }
}
