//! The body of a response: whole, or streamed from an upstream.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;
use hyper::header;
use hyper::header::HeaderValue;

/// Why a body that was being passed on stops short. The connection to the client is cut, because
/// the status was sent before (RFC 9112 §8).
pub type CutShort = Box<dyn StdError + Send + Sync>;

/// The body of a response.
///
/// Handlers return a whole body. What an upstream sends is passed on as it comes, and costs no more
/// memory than one frame.
pub enum ResponseBody {
    /// Whole.
    #[doc(hidden)]
    Whole(Full<Bytes>),
    /// Streamed.
    #[doc(hidden)]
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = CutShort> + Send>>),
}

impl ResponseBody {
    /// No body.
    #[doc(hidden)]
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// A body that is passed on as it comes.
    #[doc(hidden)]
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<CutShort>,
    {
        Self::Stream(Box::pin(body.map_err(Into::into)))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

/// The size only: a response may hold the link with a token.
impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size_hint().exact() {
            Some(bytes) => write!(f, "ResponseBody({bytes} bytes)"),
            None => f.write_str("ResponseBody(..)"),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// 204, with `Allow` if there are methods to list.
pub(crate) fn no_content(allow: Option<&str>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// Takes away a body that must not be sent (RFC 9110 §6.4.1). hyper does so over HTTP/1.1; over
/// HTTP/2 it sends the body, and clients reset the stream.
pub(crate) fn cut_body(response: &mut Response<ResponseBody>, is_head: bool) {
    let is_empty = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !is_head && !is_empty {
        return;
    }
    let body = std::mem::take(response.body_mut());
    let length = body.size_hint().exact().filter(|_| !is_empty);
    // What an upstream says about the body that it was not asked for is better known to it.
    if let (ResponseBody::Whole(_), Some(length)) = (body, length) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
