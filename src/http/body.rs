//! The body of a request: read whole, up to a limit, within a deadline.

use std::pin::Pin;
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
use hyper::header;

use crate::http::fault::Fault;

/// A request body from a connection, or from memory when no socket is involved.
#[derive(Debug)]
pub enum RequestBody {
    /// Still arriving.
    Wire(Incoming),
    /// There as a whole.
    Whole(Full<Bytes>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(context),
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
        }
    }
}

/// Reads a body of at most `bytes_max` that must be complete within `deadline`.
pub(crate) async fn read(
    mut body: RequestBody,
    headers: &HeaderMap,
    bytes_max: u64,
    deadline: Duration,
) -> Result<Bytes, Fault> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Fault::body_encoded());
    }
    // A length that is announced is refused before a single byte of it is read.
    if body.size_hint().lower() > bytes_max {
        return Err(Fault::body_too_large());
    }
    let whole = collect(&mut body, bytes_max);
    tokio::time::timeout(deadline, whole).await.map_err(|_| Fault::body_too_slow())?
}

async fn collect(body: &mut RequestBody, bytes_max: u64) -> Result<Bytes, Fault> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut total = 0_u64;
    while let Some(frame) = body.frame().await {
        let broken = |_| Fault::bad_request("bad_body", "The body is broken.");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_whole(text: &'static str, max: u64) -> Result<Bytes, Fault> {
        let body = RequestBody::Whole(Full::new(Bytes::from_static(text.as_bytes())));
        read(body, &HeaderMap::new(), max, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn a_body_may_be_exactly_as_long_as_the_limit() {
        assert_eq!(read_whole("12345", 5).await.unwrap(), "12345");
        assert_eq!(read_whole("12345", 4).await.unwrap_err().code(), "body_too_large");
        assert_eq!(read_whole("", 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused() {
        let body = RequestBody::Whole(Full::new(Bytes::from_static(b"x")));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
        let fault = read(body, &headers, 9, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(fault.code(), "body_encoded");
    }
}
