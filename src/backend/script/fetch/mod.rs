//! The part of `fetch` outside an isolate: one request to a third party, redirects included.

mod error;
mod request;

pub use error::FetchError;
pub(crate) use request::{FetchRequest, RedirectMode};

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header,
};
use url::Url;

use crate::{
    backend::FetchLimits,
    http::{
        edge::hosts::HostRule,
        outbound::{Outbound, SentBody},
    },
};

/// Redirects that one `fetch` follows.
const REDIRECTS_MAX: usize = 5;

/// An HTTP client for classes; cheap to clone.
///
/// A class can reach only the hosts that the operator lists. Each URL of a chain of redirects is
/// checked, and so is each address that a name resolves to ([`Outbound`]; docs/SECURITY.md, T36).
/// callgate adds no cookie and no credential of its own.
#[derive(Debug, Clone, Default)]
pub struct Fetcher {
    /// The client; `None` if `fetch` is disabled.
    pub outbound: Option<Arc<Outbound>>,
    /// The hosts that classes may reach; default none.
    pub hosts: Arc<[HostRule]>,
    /// Bounds of one `fetch`.
    pub limits: FetchLimits,
}

/// A response with its complete body.
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) url: Url,
    pub(crate) redirected: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Fetcher {
    /// Sends a request, follows redirects as asked, and reads the response. Dropping the future
    /// cancels the request.
    pub(crate) async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        let (timeout, origin) =
            (request.timeout.unwrap_or(self.limits.timeout), origin_of(&request.url));
        let fetched = tokio::time::timeout(timeout, self.follow(request)).await;
        fetched.unwrap_or(Err(FetchError::Timeout { origin, timeout }))
    }

    /// Returns an error for a URL that no rule allows, before anything is sent.
    pub(crate) fn check_allowed(&self, url: &Url) -> Result<&Outbound, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        };
        let allowed = self.hosts.iter().any(|rule| rule.reaches(host, port));
        let outbound = self.outbound.as_deref().filter(|_| allowed);
        outbound.ok_or_else(|| {
            let usual = url.port().is_none();
            FetchError::NotAllowed(if usual { host.to_owned() } else { format!("{host}:{port}") })
        })
    }

    async fn follow(&self, mut request: FetchRequest) -> Result<Fetched, FetchError> {
        for redirects in 0..=REDIRECTS_MAX {
            let outbound = self.check_allowed(&request.url)?;
            let response = outbound
                .begin(request.to_request()?)
                .await
                .map_err(|error| FetchError::Failed { origin: origin_of(&request.url), error })?;
            match request.redirected(&response) {
                Some(next) if request.redirect == RedirectMode::Follow => request = next?,
                Some(_) if request.redirect == RedirectMode::Error => {
                    return Err(FetchError::Redirected(origin_of(&request.url)));
                }
                _ => return self.read(request.url, redirects > 0, response).await,
            }
        }
        Err(FetchError::TooManyRedirects(origin_of(&request.url)))
    }

    async fn read(
        &self,
        url: Url,
        redirected: bool,
        response: Response<Incoming>,
    ) -> Result<Fetched, FetchError> {
        let (head, mut body) = response.into_parts();
        let bytes_max = self.limits.body_bytes;
        let too_large = || FetchError::TooLarge { origin: origin_of(&url), bytes_max };
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(too_large());
        }
        let mut bytes = BytesMut::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| FetchError::CutOff {
                origin: origin_of(&url),
                error: Box::new(error),
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            if bytes.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let (status, headers, body) = (head.status, head.headers, bytes.freeze());
        Ok(Fetched { status, url, redirected, headers, body })
    }
}

/// The part of a URL that may be shown. Paths and queries may contain keys and tokens.
fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Builds the request for [`Outbound`].
fn build_request(
    method: hyper::Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<SentBody>, FetchError> {
    let uri = url.as_str().split('#').next().unwrap_or_default();
    let mut request = Request::new(SentBody::from(body));
    *request.uri_mut() = uri.parse().map_err(|_| FetchError::Address)?;
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    request.headers_mut().remove(header::HOST);
    Ok(request)
}
